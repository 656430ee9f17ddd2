"""Temporary folders: in use while their process lives, removed by the next one if it was killed."""

from __future__ import annotations

import subprocess
import sys

from daybreak.engine.pools.scratch import make_scratch, remove_abandoned, remove_scratch


def _killed_owner(base):
    code = (
        "import os, signal, sys; from pathlib import Path; "
        "from daybreak.engine.pools.scratch import make_scratch; "
        "make_scratch('x-', Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(base)]).returncode == -9
    (folder,) = base.glob("x-*")
    return folder


def test_a_folder_in_use_stays(tmp_path):
    folder = make_scratch("x-", tmp_path)
    assert remove_abandoned("x-", tmp_path) == [] and folder.is_dir()
    assert folder.stat().st_mode & 0o777 == 0o700
    code = (
        "import sys; from pathlib import Path; "
        "from daybreak.engine.pools.scratch import remove_abandoned; "
        "sys.exit(len(remove_abandoned('x-', Path(sys.argv[1]))))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 0
    remove_scratch(folder)
    assert not folder.exists()


def test_the_folder_of_a_killed_process_goes_with_the_next_one(tmp_path):
    left = _killed_owner(tmp_path)
    (left / "certificate").write_text("secret")
    folder = make_scratch("x-", tmp_path)
    assert not left.exists() and folder.is_dir()
    remove_scratch(folder)


def test_what_is_not_known_to_be_abandoned_stays(tmp_path):
    left = _killed_owner(tmp_path)
    (tmp_path / "x-link").symlink_to(left)
    (tmp_path / "x-file").write_text("")
    (tmp_path / "x-without").mkdir()
    other = tmp_path / "y-other"
    left.rename(other)
    assert remove_abandoned("x-", tmp_path) == []
    assert {p.name for p in tmp_path.iterdir()} == {"x-link", "x-file", "x-without", "y-other"}
