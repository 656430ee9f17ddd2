"""Every `daybreak` command and every piece of Python in the pages runs and does what they say.

A page's blocks run in order in one folder, in which these lie (the stores are simulated):

- ``store``: two runs of ten minutes on a source at the Crab's place;
- ``store-point-like``: the same with point-like responses;
- ``store-damaged``: the first, with one file cut short;
- ``instruments``: an empty folder, the one of ``$DAYBREAK_PROFILES``.

Blocks with a ``:caption:`` are written to a file of that name. Numbers and absolute paths of the
output shown may differ from what is printed; everything else must be the same.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import ROOT, Block, Command, blocks, commands, pages

#: pages whose analyses take longer than ten seconds
SLOW = {"README.md", "quick-look.md", "python-api.md", "requests.md", "neutrino-scan.md"}
#: Python here is shown on files of the reader's own; other tests read results.json, and SST-1M's
NOT_RUN = {"results-json.md", "sst1m-raw.md"}
LIMIT_S = 300


def is_ours(command: Command) -> bool:
    return command.text.startswith("daybreak ")


def has_work(page: Path) -> bool:
    found = blocks(page.read_text(encoding="utf-8"))
    return page.name not in NOT_RUN and any(
        block.language == "python" or any(map(is_ours, commands(block)))
        for block in found
        if block.language in ("console", "python")
    )


def marked(page: Path) -> object:
    slow = [pytest.mark.slow] if page.name in SLOW else []
    return pytest.param(page, id=page.name, marks=slow)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from astropy import units as u

    from daybreak.simulate import simulate_night

    folder = tmp_path_factory.mktemp("stores")
    night = {"seed": 7, "n_runs": 2, "ontime": 10 * u.min, "tag": "crab", "sampler": "direct"}
    simulate_night(folder / "store", **night)
    simulate_night(folder / "store-point-like", point_like=True, **night)
    shutil.copytree(folder / "store", folder / "store-damaged")
    last = sorted((folder / "store-damaged" / "data").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:20_000])
    return folder


@pytest.fixture
def place(stores: Path, tmp_path: Path) -> Path:
    for store in stores.iterdir():
        (tmp_path / store.name).symlink_to(store)
    (tmp_path / "instruments").mkdir()
    return tmp_path


def environment() -> dict[str, str]:
    """This Python's commands first; name servers are out of reach, so that nothing waits."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    local = {"no_proxy": "127.0.0.1,localhost", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    local["DAYBREAK_PROFILES"] = "instruments"
    return os.environ | nowhere | local | {"PATH": path}


def masked(text: str) -> str:
    text = re.sub(r"(?<![\w.])/\S+/", "", text)
    return re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "#", text).strip()


def run(command: Command, place: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.text}"],
        cwd=place, env=environment(), capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    said = f"$ {command.text}\n{done.stdout}{done.stderr}"
    assert done.returncode == command.exit_code, said
    printed = {masked(line) for line in (done.stdout + done.stderr).splitlines()}
    missing = [line for line in command.shown if masked(line) not in printed]
    assert not missing, f"shown but not printed: {missing}\n{said}"


def write(block: Block, place: Path) -> None:
    (place / block.options["caption"]).write_text("\n".join(block.lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("page", [marked(page) for page in pages() if has_work(page)])
def test_a_page_does_what_it_says(page: Path, place: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if "caption" in block.options:
            write(block, place)
        elif block.language == "console":
            for command in filter(is_ours, commands(block)):
                run(command, place)
        elif block.language == "python":
            code = "\n".join(block.lines)
            done = subprocess.run(
                [sys.executable, "-c", code],
                cwd=place, env=environment(), capture_output=True, text=True, timeout=LIMIT_S,
            )  # fmt: skip
            assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"


def test_the_pages_with_commands_are_found() -> None:
    assert SLOW | {"exit-codes.md", "configuration.md", "install.md"} <= {
        page.name for page in pages() if has_work(page)
    }


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_target_of_make_exists(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)(?:`|$)", text, re.M))
    assert named <= known


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_option_exists(page: Path) -> None:
    from typer.main import get_command

    from daybreak.cli.main import app

    def options(command: object) -> set[str]:
        own = {name for p in command.params for name in p.opts}  # type: ignore[attr-defined]
        below = getattr(command, "commands", {}).values()
        return own.union(*map(options, below))

    known = options(get_command(app)) | {"--help", "-h"}
    text = page.read_text(encoding="utf-8")
    used = set(re.findall(r"(?<=[`\s])--[a-z0-9-]+", " ".join(
        line for block in blocks(text) if block.language == "console"
        for c in commands(block) if is_ours(c) for line in [c.text]
    )))  # fmt: skip
    named = set(re.findall(r"`(--[a-z0-9-]+)[` ]", text)) if page.parent.name == "docs" else set()
    assert used | named <= known
