"""Results of a scan, appended to one file as they arrive.

The file is a header block followed by blocks of rows. Each block carries its length and a CRC, so
that a block that was cut short when the scan was killed is recognised and dropped::

    magic "DBSCAN1" and a line feed
    block = length u32, crc32 u32, payload          (little endian)
    first payload: JSON with the key of the scan; others: rows of PIXEL_DTYPE
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import OutputError
from daybreak.products.atomic import ensure_folder, output_error

PIXEL_DTYPE = np.dtype(
    [
        ("nside", "<i4"),
        ("pixel", "<i8"),
        ("llh", "<f8"),
        ("x_m", "<f8"),
        ("y_m", "<f8"),
        ("z_m", "<f8"),
        ("t_ns", "<f8"),
        ("evaluations", "<i4"),
        ("seconds", "<f8"),
        ("status", "<i2"),
    ]
)
Rows = NDArray[Any]

_MAGIC = b"DBSCAN1\n"
_HEAD = struct.Struct("<II")
_LONGEST_BLOCK = 1 << 26
_SYNC_S = 1.0


def _blocks(data: bytes) -> tuple[list[bytes], int]:
    """Whole blocks of a file, and the number of bytes that they take with the magic number."""
    if not data.startswith(_MAGIC):
        return [], 0
    found, at = [], len(_MAGIC)
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if length > _LONGEST_BLOCK or len(payload) < length or zlib.crc32(payload) != crc:
            break
        found.append(payload)
        at += _HEAD.size + length
    return found, at


def _key(payload: bytes) -> str:
    try:
        return str(json.loads(payload)["key"])
    except (ValueError, KeyError, TypeError):
        return ""


def read_rows(path: Path, key: str) -> Rows:
    """The rows of a file, without touching it; none if it is of another key or damaged.

    Parameters
    ----------
    path
        The file of a :class:`Journal`.
    key
        What its results have to depend on.

    Raises
    ------
    OutputError
        If it can't be read.
    """
    try:
        blocks, _ = _blocks(path.read_bytes())
    except OSError as error:
        raise output_error(path, error) from error
    if not blocks or _key(blocks[0]) != key or not all(_is_rows(b) for b in blocks[1:]):
        return np.empty(0, PIXEL_DTYPE)
    found = [np.frombuffer(b, PIXEL_DTYPE) for b in blocks[1:]]
    return np.concatenate([np.empty(0, PIXEL_DTYPE), *found])


class Journal:
    """The growing file of a scan.

    Parameters
    ----------
    path
        The file; its folder is made.
    key
        What the results depend on. A file with another key is begun anew.

    Attributes
    ----------
    rows
        Rows of an earlier run that was stopped, first come first kept.
    dropped_bytes
        Length of a torn tail that was cut off.

    Raises
    ------
    OutputError
        If the file can't be read or written.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        ensure_folder(path.parent)
        try:
            data = path.read_bytes() if path.exists() else b""
            blocks, good = _blocks(data)
            if blocks and _key(blocks[0]) == key and all(_is_rows(b) for b in blocks[1:]):
                self.dropped_bytes = len(data) - good
                self.rows = np.concatenate(
                    [np.empty(0, PIXEL_DTYPE), *(np.frombuffer(b, PIXEL_DTYPE) for b in blocks[1:])]
                )
                self._stream = path.open("r+b")
                self._stream.truncate(good)
                self._stream.seek(good)
            else:
                self.dropped_bytes = 0
                self.rows = np.empty(0, PIXEL_DTYPE)
                self._stream = path.open("w+b")
                self._stream.write(_MAGIC)
                self._write(json.dumps({"key": key, "dtype": PIXEL_DTYPE.descr}).encode())
        except OSError as error:
            raise output_error(path, error) from error
        self._synced = 0.0
        self.sync()

    def _write(self, payload: bytes) -> None:
        self._stream.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)

    def append(self, rows: Rows) -> None:
        """Add a block of rows; it survives the death of the process, and soon that of the host.

        Parameters
        ----------
        rows
            Fitted pixels.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        if rows.dtype != PIXEL_DTYPE:
            raise OutputError("rows of another kind than PIXEL_DTYPE can't be appended")
        try:
            self._write(rows.tobytes())
            self._stream.flush()
        except OSError as error:
            raise output_error(self.path, error) from error
        if time.monotonic() - self._synced > _SYNC_S:
            self.sync()

    def sync(self) -> None:
        """Bring everything to the disk."""
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise output_error(self.path, error) from error
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close."""
        if not self._stream.closed:
            self.sync()
            self._stream.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _is_rows(payload: bytes) -> bool:
    return len(payload) % PIXEL_DTYPE.itemsize == 0
