"""The commands: exit codes, JSON, interruption, rubbish; never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daybreak_cli import environment, run
from servers import Behaviour, serving
from store_maker import index_runs, make_store, tree


def test_list(source: Path) -> None:
    done = run("store", "list", source)
    assert done.returncode == 0, done.stderr
    assert "observations   9" in done.stdout and done.stderr == ""
    done = run("store", "list", source, "--runs", "--target", "crab")
    assert len([line for line in done.stdout.splitlines() if line.startswith("     2")]) == 9
    info = json.loads(run("store", "list", source, "--json", "--runs").stdout)
    assert info["datasets"][0]["events"] == 112
    assert len(info["datasets"][0]["runs"]) == 9


def test_copy_and_verify(source: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs.txt"
    runs.write_text("20001\n20003\n")
    done = run("store", "copy", source, "dest", "--runs", runs, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "copied 2 files" in done.stdout and "2 runs in the index" in done.stdout
    result = json.loads(run("store", "copy", source, "dest", "--json", cwd=tmp_path).stdout)
    assert (result["copied"], result["present"], result["complete"]) == (7, 2, True)
    assert "sound" in run("store", "verify", "dest", "--no-content", cwd=tmp_path).stdout
    done = run("store", "copy", source, "dest2", "-n", cwd=tmp_path)
    assert "would copy 9 files" in done.stdout
    assert not (tmp_path / "dest2").exists()


def test_partial_copy_has_its_own_exit_code(source: Path, tmp_path: Path) -> None:
    (source / "data/run_020003.fits.gz").unlink()
    done = run("store", "copy", source, tmp_path / "dest")
    assert done.returncode == 10
    assert "data/run_020003.fits.gz: not there" in done.stderr
    assert "8 runs in the index" in done.stdout
    assert json.loads(run("store", "copy", source, tmp_path / "dest", "--json").stdout)["failed"]


def test_damage_has_its_own_exit_code(source: Path) -> None:
    (source / "data/run_020003.fits.gz").write_bytes(b"x")
    done = run("store", "verify", source, "--no-content")
    assert done.returncode == 12
    assert "error: data/run_020003.fits.gz" in done.stdout
    assert "1 error found" in done.stderr
    assert (
        json.loads(run("store", "verify", source, "--no-content", "--json").stdout)["ok"] is False
    )


def test_index_and_repair(source: Path) -> None:
    (source / "obs-index.fits.gz").unlink()
    (source / "hdu-index.fits.gz").unlink()
    done = run("store", "index", source, "--name", "test")
    assert done.returncode == 0, done.stderr
    assert "9 runs, 27 HDU rows" in done.stdout
    assert run("store", "index", source).returncode == 5
    assert (
        "rebuilt the index: 9 runs"
        in run("store", "verify", source, "--no-content", "--repair-index").stdout
    )


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["store", "list"], 5, "VHEFITS"),
        (["store", "list", "/nowhere"], 5, "no folder"),
        (["store", "list", "SOURCE/data"], 5, "no data store"),
        (["store", "list", "zzz://x"], 5, "zzz"),
        (["store", "copy", "/nowhere", "/tmp/x"], 5, "no folder"),
        (["store", "copy", "SOURCE", "SOURCE/x"], 5, "inside one another"),
        (["store", "copy", "SOURCE", "DEST", "--runs", "/nowhere"], 3, "run list"),
        (["store", "copy", "SOURCE", "DEST", "--target", "Vela"], 6, "Crab"),
        (["store", "copy", "SOURCE", "DEST", "--dataset", "x"], 5, "no dataset"),
        (["store", "copy", "SOURCE", "DEST", "--keep", "--overwrite"], 3, "exclude"),
        (["store", "copy", "SOURCE", "DEST", "--position", "x"], 3, "position"),
        (["store", "copy", "SOURCE", "DEST", "--after", "x"], 3, "date"),
        (["store", "copy", "SOURCE", "/dev/null"], 8, "file"),
        (["store", "copy", "SOURCE", "/proc/x"], 8, "write"),
        (["store", "copy", "SOURCE", "DEST", "--workers", "0"], 2, "workers"),
        (["store", "verify", "http://127.0.0.1:9"], 5, "not a folder"),
        (["store", "index", "/nowhere"], 5, "no folder"),
        (["store", "index", "DEST"], 5, "no folder"),
        (["data", "fetch", "x"], 3, "known"),
        (["data", "fetch", "hess-dl3-dr1"], 3, "--accept-unverified"),
        (["data", "list", "--registry", "/dev/null"], 3, "registry"),
    ],
)
def test_errors_say_what_and_have_their_code(
    source: Path, tmp_path: Path, args: list[str], code: int, text: str
) -> None:
    args = [a.replace("SOURCE", str(source)).replace("DEST", str(tmp_path / "d")) for a in args]
    done = run(*args)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_control_characters_of_a_store_do_not_reach_the_terminal(source: Path) -> None:
    master = json.loads((source / "master.json").read_text())
    master["datasets"][0].update({"name": "a\x1b[31mb", "Note\x07": "\x1b]0;x\x07"})
    (source / "master.json").write_text(json.dumps(master))
    done = run("store", "list", source)
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout


def test_interrupted_copy_keeps_and_indexes_what_it_has(tmp_path: Path) -> None:
    make_store(tmp_path / "source", 40, noise=30_000)
    with serving(tmp_path / "source", Behaviour(latency=0.15)) as url:
        command = [sys.executable, "-m", "daybreak", "store", "copy", url, str(tmp_path / "dest")]
        child = subprocess.Popen(
            [*command, "--workers", "2"],
            env=environment(NO_PROXY="127.0.0.1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 30
        while len(list((tmp_path / "dest").glob("data/*"))) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "stopped" in err and "Traceback" not in err
    here = index_runs(tmp_path / "dest")
    assert 5 <= len(here) < 40
    assert len(list((tmp_path / "dest/data").iterdir())) == len(here)
    assert run("store", "verify", tmp_path / "dest", "--no-content").returncode == 0
    assert run("store", "copy", tmp_path / "source", tmp_path / "dest").returncode == 0
    assert tree(tmp_path / "dest") == tree(tmp_path / "source")


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="needs /dev/full")
def test_interrupted_while_a_folder_is_synced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daybreak.errors import InterruptedByUser
    from daybreak.stores import landing
    from daybreak.stores.verbs import copy_store

    real, named = landing.sync_folder, []

    def sync(folder: Path) -> None:
        if folder.name == "data" and not named:
            named.extend(folder.iterdir())
            raise KeyboardInterrupt
        real(folder)

    monkeypatch.setattr(landing, "sync_folder", sync)
    with pytest.raises(InterruptedByUser):
        copy_store(source, tmp_path / "dest")
    assert named
    here = {int(path.name[4:10]) for path in (tmp_path / "dest" / "data").iterdir()}
    assert set(index_runs(tmp_path / "dest")) == here


def test_full_disk(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from daybreak.errors import OutputError
    from daybreak.stores.verbs import copy_store

    real, count = os.write, iter(range(100))

    def write(handle: int, data: bytes) -> int:
        if next(count) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr("daybreak.stores.transfer.os.write", write)
    with pytest.raises(OutputError, match="No space") as caught:
        copy_store(source, tmp_path / "dest", workers=1)
    assert caught.value.exit_code == 8
    monkeypatch.undo()
    assert run("store", "verify", tmp_path / "dest", "--no-content").returncode == 0
    assert len(index_runs(tmp_path / "dest")) == 5
    assert run("store", "copy", source, tmp_path / "dest").returncode == 0
    assert tree(tmp_path / "dest") == tree(source)


def test_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    import pty

    make_store(tmp_path / "source", 20, noise=30_000)
    main, side = pty.openpty()
    with serving(tmp_path / "source", Behaviour(latency=0.1)) as url:
        child = subprocess.Popen(
            [sys.executable, "-m", "daybreak", "store", "copy", url, str(tmp_path / "dest")],
            env=environment(NO_PROXY="127.0.0.1", TERM="xterm"),
            stdout=subprocess.PIPE,
            stderr=side,
        )
        os.close(side)
        seen = b""
        while True:
            try:
                chunk = os.read(main, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        child.wait(30)
    os.close(main)
    assert b"copying" in seen and b"/20" in seen
