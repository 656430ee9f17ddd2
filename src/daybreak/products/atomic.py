"""Write a file under a temporary name and give it its own name only when it is whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daybreak.errors import DiskFullError, OutputError
from daybreak.products.processes import alive

PARTIAL_MARK = ".partial-"


def partial_path(path: Path, pid: int | None = None) -> Path:
    """Temporary name beside a file: hidden, with the writing process's id, same suffix.

    The suffix is kept because writers such as Astropy choose the format by it.

    Parameters
    ----------
    path
        The file's own name.
    pid
        Of the writing process; None: of this one.
    """
    return path.with_name(f".{path.stem}{PARTIAL_MARK}{pid or os.getpid()}{path.suffix}")


def ensure_folder(folder: Path) -> Path:
    """Make a folder with its parents and check that it can be written to.

    Parameters
    ----------
    folder
        May be there already.

    Returns
    -------
    pathlib.Path
        The folder itself.

    Raises
    ------
    OutputError
        If it can't be made, is a file, or can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"the output folder {folder} is not writable",
            "Choose another folder with -o, or ask its owner for write permission.",
        )
    return folder


def output_error(path: Path, error: OSError) -> OutputError:
    """Turn an operating-system error into one that says what to do.

    Parameters
    ----------
    path
        What could not be written.
    error
        What the system said.

    Returns
    -------
    OutputError
        To be raised; a `DiskFullError` where disk or quota is used up.
    """
    hints = {
        errno.ENOSPC: "The disk is full: free some space, then run the same command again; "
        "what was finished is kept.",
        errno.EDQUOT: "Your quota is used up: free some space, then run the same command again; "
        "what was finished is kept.",
        errno.EACCES: "Choose another folder with -o, or ask its owner for write permission.",
        errno.EROFS: "The file system is read-only: choose another folder with -o.",
        errno.EEXIST: "A file stands where a folder is needed: choose another name with -o.",
        errno.ENOTDIR: "A file stands where a folder is needed: choose another name with -o.",
    }
    reason = error.strerror or str(error)
    hint = hints.get(error.errno or 0, "Check the path and the disk, then run the command again.")
    kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputError
    return kind(f"can't write {path}: {reason}", hint)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on leaving without an error, sync it and rename it to `path`.

    On an error the temporary file is removed and `path` is as it was.

    Parameters
    ----------
    path
        The final name. Its folder is made if it is missing.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    OutputError
        If the disk is full or the folder can't be written to.
    """
    ensure_folder(path.parent)
    partial = partial_path(path)
    try:
        yield partial
        commit(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.filename and Path(error.filename) not in (partial, path):
            raise
        raise output_error(path, error) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def commit(partial: Path, path: Path) -> None:
    """Flush a file to the disk and give it its own name.

    Parameters
    ----------
    partial
        The temporary name.
    path
        The final name; what is there is replaced.

    Raises
    ------
    OSError
        As the system says it.
    """
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write text (UTF-8) atomically.

    Parameters
    ----------
    path
        The file; its folder is made if it is missing.
    text
        The whole content.

    Raises
    ------
    OutputError
        As `atomic_path` does.
    """
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically.

    Parameters
    ----------
    path
        The file; its folder is made if it is missing.
    data
        The whole content.

    Raises
    ------
    OutputError
        As `atomic_path` does.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def remove_stale_partials(folder: Path) -> list[Path]:
    """Remove temporary files and folders that killed processes of this host left behind.

    Those of processes that still live are left alone.

    Parameters
    ----------
    folder
        Where to look, with all folders below it.

    Returns
    -------
    list of pathlib.Path
        What was removed.
    """
    removed = []
    for path in list(folder.rglob(f".*{PARTIAL_MARK}*")):
        pid_text = path.name.rsplit(PARTIAL_MARK, 1)[1].split(".", 1)[0]
        if not pid_text.isdigit() or alive(int(pid_text)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        removed.append(path)
    return removed
