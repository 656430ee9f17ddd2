"""Private temporary folders; what a killed process could not remove, the next one does."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_LOCK = ".owner"
_held: dict[Path, int] = {}


def make_scratch(prefix: str, base: Path) -> Path:
    """Make a private folder that is known to be in use while this process lives.

    Folders of the same prefix and user whose owner is gone are removed.

    Parameters
    ----------
    prefix
        Of the folder's name.
    base
        Where to make it.
    """
    remove_abandoned(prefix, base)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        (folder / _LOCK).unlink(missing_ok=True)  # no locks here: nobody may take it for abandoned
    else:
        _held[folder] = handle  # not inherited: the kernel lets go of it when this process ends
    return folder


def remove_scratch(folder: Path) -> None:
    """Remove a folder that this process has made.

    Parameters
    ----------
    folder
        As of `make_scratch`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    handle = _held.pop(folder, None)
    if handle is not None:
        os.close(handle)


def remove_abandoned(prefix: str, base: Path) -> list[Path]:
    """Remove folders whose owner is gone; those of other users are left alone.

    Parameters
    ----------
    prefix
        Of the folders' names.
    base
        Where they are.

    Returns
    -------
    list of Path
        Those that were removed.
    """
    removed = []
    for folder in base.glob(f"{prefix}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
        except OSError:
            continue
        finally:
            os.close(handle)
    return removed
