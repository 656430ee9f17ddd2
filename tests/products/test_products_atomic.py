"""A product is there whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daybreak.errors import OutputError
from daybreak.products.atomic import (
    PARTIAL_MARK,
    atomic_path,
    ensure_folder,
    output_error,
    partial_path,
    remove_stale_partials,
    write_bytes,
    write_text,
)


def _partials(folder: Path) -> list[Path]:
    return list(folder.rglob(f"*{PARTIAL_MARK}*"))


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "er" / "table.ecsv"
    with atomic_path(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        assert partial.parent == path.parent and partial.suffix == ".ecsv"
        assert partial.name.startswith(".") and str(os.getpid()) in partial.name
    assert path.read_text() == "half"
    assert not _partials(tmp_path)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(type(error)), atomic_path(path) as partial:
        partial.write_text("new")
        raise error
    assert path.read_text() == "old"
    assert not _partials(tmp_path)


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.fits"
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(partial_path(path)))
    with (
        pytest.raises(OutputError, match=r"can't write .*a\.fits.*No space") as caught,
        atomic_path(path) as partial,
    ):
        partial.write_bytes(b"x" * 10)
        raise full
    assert "free some space" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_write_error_without_a_file_name_counts_as_the_products(tmp_path):
    with pytest.raises(OutputError), atomic_path(tmp_path / "a") as partial:
        partial.write_bytes(b"")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), atomic_path(tmp_path / "out"):
        (tmp_path / "input").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(OutputError), atomic_path(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_text_and_bytes(tmp_path):
    write_text(tmp_path / "t", "θ² = 0,01 °²\n")
    write_bytes(tmp_path / "b", b"\0\xff")
    assert (tmp_path / "t").read_bytes().decode() == "θ² = 0,01 °²\n"
    assert (tmp_path / "b").read_bytes() == b"\0\xff"


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out") as caught:
        ensure_folder(tmp_path / "out")
    assert "A file stands where a folder is needed" in caught.value.hint
    with pytest.raises(OutputError) as caught:
        ensure_folder(tmp_path / "out" / "below")
    assert "A file stands where a folder is needed" in caught.value.hint
    assert caught.value.exit_code == 8


def test_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="not writable") as caught:
        ensure_folder(tmp_path)
    assert "-o" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Check the path and the disk"),
    ],
)
def test_every_system_error_says_what_to_do(number, words):
    error = output_error(Path("/a/b"), OSError(number, os.strerror(number)))
    assert words in error.hint and "/a/b" in error.what


def test_left_over_files_of_dead_processes_are_removed(tmp_path):
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    gone = tmp_path / "sub" / f".a{PARTIAL_MARK}{dead}.fits"
    gone.parent.mkdir()
    mine = partial_path(tmp_path / "b.fits")
    odd = tmp_path / f".c{PARTIAL_MARK}x.fits"
    for path in (gone, mine, odd, tmp_path / "real.fits"):
        path.write_text("")
    assert remove_stale_partials(tmp_path) == [gone]
    assert mine.exists() and odd.exists() and (tmp_path / "real.fits").exists()
    assert not gone.exists()


def test_left_over_files_of_zombies_are_removed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        path = tmp_path / f".a{PARTIAL_MARK}{process.pid}.fits"
        path.write_text("")
        assert remove_stale_partials(tmp_path) == [path]


def test_a_killed_writer_leaves_no_product(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from daybreak.products.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "table.ecsv"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert not path.exists() and len(_partials(tmp_path)) == 1
    assert len(remove_stale_partials(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []
