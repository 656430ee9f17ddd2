"""Files that have come are made durable, many at a time, and only then given their names.

A sync for each file would take as long as the copy itself. Instead the kernel is told to begin
writing each file out as soon as it is complete, and one sync for a batch waits for the rest: what
has a name is on the disk, and a copy is about as fast as ``cp`` and ``sync``.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from daybreak.stores.paths import UnsafePathError, inside
from daybreak.stores.record import FileRecord, StoreFolder, sync_folder
from daybreak.stores.source import MissingSourceError

BATCH_FILES = 64
BATCH_BYTES = 1 << 28
_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_TOO_LONG_S = 5.0


@cache
def _libc() -> Any:
    try:
        library = ctypes.CDLL(None, use_errno=True)
        return library if hasattr(library, "syncfs") else None
    except OSError:
        return None


def begin_writing(handle: int) -> None:
    """Ask the kernel to start writing a file to the disk, without waiting for it.

    Parameters
    ----------
    handle
        Descriptor of the open file.
    """
    library = _libc()
    if library is not None and hasattr(library, "sync_file_range"):
        library.sync_file_range(handle, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(_WRITE))


@dataclass
class Arrived:
    """A file that is whole and checked, under a temporary name.

    Attributes
    ----------
    part
        Where it is.
    record
        Where it belongs, with size, time and SHA-256.
    """

    part: Path
    record: FileRecord


@dataclass
class Landing:
    """Gathers files that have come and gives them their names, a batch at a time.

    Attributes
    ----------
    store
        Where they go.
    named
        Files that `settle` has given their names, or the error why it could not; who has written
        one down takes it away.
    """

    store: StoreFolder
    named: list[tuple[FileRecord, Exception | None]] = field(default_factory=list)
    _waiting: list[Arrived] = field(default_factory=list)
    _bytes: int = 0
    _since: float = 0.0
    _whole_disk: bool = True

    def add(self, arrived: Arrived) -> None:
        """Take a file.

        Parameters
        ----------
        arrived
            Whole and checked.
        """
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(arrived)
        self._bytes += arrived.record.size

    def is_due(self, patience: float = 0.3) -> bool:
        """Whether a batch is full, or its first file has waited long enough.

        Parameters
        ----------
        patience
            In seconds.

        Returns
        -------
        bool
            Whether `settle` should be called.
        """
        if not self._waiting:
            return False
        full = len(self._waiting) >= BATCH_FILES or self._bytes >= BATCH_BYTES
        return full or time.monotonic() - self._since > patience

    def settle(self) -> None:
        """Sync what waits and give it its names: it is in `named` then.

        A Ctrl-C in between loses none: the next call goes on.

        Raises
        ------
        OSError
            If the disk is full or failing; nothing of the batch has its name then.
        """
        if not self._waiting and not self.named:
            return
        try:
            self._sync(self._waiting)
        except OSError:
            for arrived in self._waiting:
                arrived.part.unlink(missing_ok=True)
            self._waiting, self._bytes = [], 0
            raise
        while self._waiting:
            self.named.append((self._waiting[0].record, self._name(self._waiting[0])))
            self._waiting.pop(0)
        self._bytes = 0
        for folder in {(self.store.root / r.path).parent for r, bad in self.named if bad is None}:
            sync_folder(folder)

    def _sync(self, batch: list[Arrived]) -> None:
        library = _libc() if self._whole_disk else None
        if library is not None:
            handle = os.open(self.store.own, os.O_RDONLY | os.O_DIRECTORY)
            try:
                before = time.monotonic()
                failed = library.syncfs(handle)
                # somebody else writes a lot to this disk: don't wait for their files too
                self._whole_disk = time.monotonic() - before < _TOO_LONG_S
                if not failed:
                    return
            finally:
                os.close(handle)
        for arrived in batch:
            handle = os.open(arrived.part, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _name(self, arrived: Arrived) -> Exception | None:
        try:
            target = inside(self.store.root, arrived.record.path)
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                sync_folder(target.parent.parent)
            if target.is_dir() and not target.is_symlink():
                raise MissingSourceError("a folder of that name stands in its place")
            if arrived.part.exists() or not target.is_file():
                arrived.part.replace(target)
        except (UnsafePathError, MissingSourceError) as error:
            arrived.part.unlink(missing_ok=True)
            return error
        return None
