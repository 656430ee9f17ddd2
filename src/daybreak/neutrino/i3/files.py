"""Open ``.i3`` files, plain or compressed; what they are is told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from daybreak.errors import EventError
from daybreak.neutrino.i3.frames import TAG, Frame, read_frames
from daybreak.neutrino.i3.limits import DEFAULT_LIMITS, MIB, Limits

MAGIC = (("i3", TAG), ("gzip", b"\x1f\x8b"), ("bzip2", b"BZh"), ("zstd", b"\x28\xb5\x2f\xfd"))
_ZSTD_WINDOW = 128 * MIB
_ZSTD_PIECE = 1024
_HEAD = 4096
_FREE_BYTES = 32 * MIB


def kind_of(head: bytes) -> str:
    """Tell from the first bytes what a file is: i3, gzip, bzip2, zstd, json, pickle or nothing.

    Parameters
    ----------
    head
        The first bytes of the file.
    """
    for kind, magic in MAGIC:
        if head.startswith(magic):
            return kind
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    return "json" if head.lstrip()[:1] in (b"{", b"[") else ""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; what goes wrong with it becomes an EventError.

    Parameters
    ----------
    path
        The file.
    """
    try:
        # a pipe would block until somebody writes, and can't be read twice
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise EventError(f"{path} is no ordinary file", "Save the event to a file first.")
        with path.open("rb") as file:
            yield file
    except IsADirectoryError:
        raise EventError(f"{path} is a folder", "Give an event file.") from None
    except FileNotFoundError:
        raise EventError(f"there is no file {path}", "Check the path.") from None
    except OSError as error:
        raise EventError(
            f"{path} can't be read: {error.strerror or error}", "Check the file."
        ) from None


def kind_of_file(path: Path) -> str:
    """Tell what a file is, see `kind_of`.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    EventError
        It can't be opened.
    """
    with opened(path) as file:
        return kind_of(file.read(_HEAD))


def _decompressed(file: BinaryIO, kind: str) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file)
    if kind == "bzip2":
        return bz2.BZ2File(file)
    if kind == "zstd":
        return _ZstdSource(file)
    return file


class _ZstdSource:
    """Decompressed bytes of the members of a zstd file; a member that is cut off is an error.

    It is fed in small pieces, since a piece can grow by a factor of some ten thousand.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._member: Any = None
        self._ready, self._rest = io.BytesIO(), b""

    def read(self, n: int, /) -> bytes:
        import zstandard

        while not (found := self._ready.read(n)):
            piece = self._rest or self._file.read(_ZSTD_PIECE)
            self._rest = b""
            if not piece:
                if self._member is not None:
                    raise EOFError("it ends inside a member")
                return b""
            if self._member is None:
                decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
                self._member = decompressor.decompressobj()
            self._ready = io.BytesIO(self._member.decompress(piece))
            if self._member.eof:
                self._rest, self._member = self._member.unused_data, None
        return found


class _Checked:
    """Turns what a decompressor raises into an EventError."""

    def __init__(self, source: Any, file: BinaryIO, name: str, ratio: int) -> None:
        self._source, self._file, self._name, self._ratio = source, file, name, ratio
        self._total = 0
        self._damage: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, ValueError)
        if isinstance(source, _ZstdSource):
            import zstandard

            self._damage = (*self._damage, zstandard.ZstdError)

    def read(self, n: int, /) -> bytes:
        try:
            found = bytes(self._source.read(n))
        except self._damage as error:
            raise EventError(
                f"{self._name} can't be decompressed: {error}",
                "The file is damaged or cut off; get it again from where it came from.",
            ) from None
        self._total += len(found)
        if self._total > _FREE_BYTES and self._total > self._ratio * self._file.tell():
            raise EventError(
                f"{self._name} grows more than {self._ratio} times when decompressed",
                "Such a file is made to harm; raise the limit ratio if you trust it.",
            )
        return found


def read_i3(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Frame]:
    """Yield the frames of an ``.i3`` file, also of one compressed with gzip, bzip2 or zstd.

    Parameters
    ----------
    path
        The file; its name's ending does not matter.
    limits
        Bounds on sizes after decompression.

    Raises
    ------
    EventError
        The file can't be opened, is no ``.i3`` file, or is damaged.
    """
    with opened(path) as file:
        kind = kind_of(file.read(_HEAD))
        if kind not in dict(MAGIC):
            raise EventError(
                f"{path} is no .i3 file, neither plain nor compressed",
                "Give an .i3, .i3.gz, .i3.bz2 or .i3.zst file, or an alert message.",
            )
        file.seek(0)
        yield from read_frames(
            _Checked(_decompressed(file, kind), file, path.name, limits.ratio), path.name, limits
        )
