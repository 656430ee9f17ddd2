"""One driver at a time in an output folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daybreak.errors import OutputError
from daybreak.products.atomic import ensure_folder, output_error


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an output folder; it goes with the process, however that ends.

    Parameters
    ----------
    folder
        The output folder.

    Raises
    ------
    OutputError
        If another process holds it; the message names it.
    """
    path = ensure_folder(folder / ".daybreak") / "lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise output_error(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = (
                os.pread(handle, 200, 0).decode("utf-8", "replace").strip() or "another process"
            )
            raise OutputError(
                f"{folder} is in use by {holder}",
                "Wait until it is done, or choose another folder with -o.",
            ) from None
        with suppress(OSError):  # only for people, and a full disk is noticed soon enough
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(handle)
