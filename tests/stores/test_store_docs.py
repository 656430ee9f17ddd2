"""Every command and every Python block of docs/stores.md, run as it stands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from daybreak_cli import environment
from servers import serving
from store_maker import Run, make_store

DOCS = Path(__file__).resolve().parents[2] / "docs" / "stores.md"
CRAB = (23523, 23526, 23559, 23592)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", DOCS.read_text(), flags=re.S)


def commands() -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for block in blocks("console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def synthetic(root: Path) -> None:
    msh = {"target": "MSH 15-52", "ra": 228.5, "dec": -59.2}
    runs = [Run(20136, **msh), Run(20137, **msh), Run(20151, **msh)]
    runs += [Run(number, target="Crab", tstart=1.6e8) for number in CRAB]
    make_store(root, runs, master=False, prefix="hess_dl3_dr1_obs_id")


def plain(line: str) -> str:
    return re.sub(r"in [\d.]+ s, [\d.]+ .?B/s", "in T", line).strip()


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, bool]:
    """What data fetch will find, in a folder for a server; whether it is the real store."""
    web = tmp_path / "web"
    web.mkdir()
    store = tmp_path / "build/hess_dl3_dr1"
    try:
        shutil.copytree(request.getfixturevalue("hess_store"), store)
        real = True
    except pytest.skip.Exception:
        synthetic(store)
        real = False
    with tarfile.open(web / "hess_dl3_dr1.tar.gz", "w:gz", compresslevel=1) as tarred:
        tarred.add(store, "hess_dl3_dr1")
    shutil.move(store, web / "dl3")
    return web, real


def test_the_walk_through(
    folder: tuple[Path, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web, real = folder
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/daybreak").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m daybreak "$@"\n'
    )
    (tmp_path / "bin/daybreak").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = environment(NO_PROXY="127.0.0.1", PATH=path)
    with serving(web) as url:
        # the archive as it would come from its official address
        archive = {
            "name": "hess_dl3_dr1.tar.gz",
            "urls": [f"{url}/hess_dl3_dr1.tar.gz"],
            "unpack": True,
            "sha256": None,
        }
        entry = {"title": "x", "terms": "y", "store": "hess_dl3_dr1", "files": [archive]}
        known = tmp_path / "registry.yaml"
        known.write_text(yaml.safe_dump({"hess-dl3-dr1": entry}))
        for command, expected in commands():
            run = command.replace(
                "data fetch hess-dl3-dr1", f"data fetch hess-dl3-dr1 --registry {known}"
            )
            run = run.replace("https://store.example.org/dl3", f"{url}/dl3")
            if not real:  # made files are sound, but nothing that could be analysed
                run = run.replace("store verify", "store verify --no-content")
            done = subprocess.run(
                run, shell=True, cwd=work, env=env, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            there = {plain(line) for line in done.stdout.splitlines()}
            name = "dl3" if "example.org" in command else "hess_dl3_dr1"
            name = "data" if "verify data" in command else name
            for line in expected if real else ():
                if "..." not in line:
                    # a store without master.json is named after its folder
                    wanted = plain(line).replace("hess_dl3_dr1:", f"{name}:")
                    assert wanted in there, f"{command}: no {line!r}\n{done.stdout}"
    for block in blocks("python"):
        if not real:
            block = block.replace('verify_store("crab")', 'verify_store("crab", content=False)')
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=work, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert str(list(map(str, CRAB))) in done.stdout


def test_every_block_is_run() -> None:
    kinds = re.findall(r"^```(\w*)$", DOCS.read_text(), flags=re.M)
    assert {kind for kind in kinds if kind} == {"console", "python"}
    assert len(commands()) > 12
