"""The little of FITS that a store needs: headers, and whether a file is whole.

The checker is fed with chunks and holds only the header it is in, so that a file of any size is
checked in constant memory while it is being copied. A gzip stream is checked to its last CRC.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from daybreak.products.fits_headers import (
    BLOCK,
    CARD,
    DamagedFileError,
    data_size,
    ones_complement_sum,
    parse_header,
)

_inflate: Any = zlib
try:  # the same interface as zlib, about twice as fast; an optional extra
    from isal import isal_zlib

    _inflate = isal_zlib
except ImportError:
    pass

CHUNK = 1 << 18
_PIECE = 1 << 18  # most bytes that one step of decompression may give
_MAX_HEADER = 2000 * BLOCK
_MAX_HDUS = 20_000
_GZIP = b"\x1f\x8b"
_ERRORS: tuple[type[Exception], ...] = (zlib.error, _inflate.error)


@dataclass
class Hdu:
    """What the walk over a file keeps of one HDU.

    Attributes
    ----------
    header
        Keyword to value.
    offset, header_bytes, data_bytes
        Where it begins in the (inflated) file, and how large header and data are, in bytes.
    checksummed
        Whether its data were compared with a DATASUM or CHECKSUM.
    """

    header: dict[str, Any]
    offset: int
    header_bytes: int
    data_bytes: int
    checksummed: bool = False

    @property
    def name(self) -> str:
        """EXTNAME in capitals, or an empty text."""
        return str(self.header.get("EXTNAME", "")).strip().upper()

    @property
    def padded_bytes(self) -> int:
        """Size of the data unit with its padding."""
        return -(-self.data_bytes // BLOCK) * BLOCK

    def sizes(self) -> set[int]:
        """What one may mean by its size: data, data with padding, or all of it."""
        return {self.data_bytes, self.padded_bytes, self.header_bytes + self.padded_bytes}


class FitsWalker:
    """Walks over the HDUs of a stream of uncompressed bytes.

    Parameters
    ----------
    stop_at
        Extension name (capitals) after whose header nothing more is needed.
    structure_only
        Keep of the headers only what says where the HDUs end.
    """

    def __init__(self, stop_at: str | None = None, *, structure_only: bool = False) -> None:
        self.hdus: list[Hdu] = []
        self.done = False
        self._stop_at = stop_at
        self._structure_only = structure_only
        self._buffer = bytearray()
        self._scanned = 0
        self._left = 0  # bytes of the present data unit still to come
        self._position = 0
        self._sum: int | None = None
        self._header_sum = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Parameters
        ----------
        data
            Of any length.

        Raises
        ------
        DamagedFileError
            As soon as it is certain that the file is not well-formed.
        """
        view = memoryview(data)
        while len(view) and not self.done:
            if self._left:
                taken = view[: self._left]
                self._take_data(taken)
                self._left -= len(taken)
                view = view[len(taken) :]
                if not self._left:
                    self._end_data()
            else:
                need = BLOCK - len(self._buffer) % BLOCK
                self._buffer += view[:need]
                view = view[need:]
                if len(self._buffer) % BLOCK == 0:
                    self._take_block()

    def _take_data(self, data: memoryview) -> None:
        self._position += len(data)
        if self._sum is not None:
            self._buffer += data
            whole = len(self._buffer) // 4 * 4
            self._sum = ones_complement_sum(bytes(self._buffer[:whole]), self._sum)
            del self._buffer[:whole]

    def _end_data(self) -> None:
        if self._sum is not None:
            header = self.hdus[-1].header
            wanted = str(header.get("DATASUM") or self._sum).strip()
            if not wanted.isdigit() or int(wanted) != self._sum:
                raise DamagedFileError(f"HDU {self._label()}: DATASUM does not match the data")
            whole = self._sum + self._header_sum
            if header.get("CHECKSUM") and whole % 0xFFFFFFFF:
                raise DamagedFileError(f"HDU {self._label()}: CHECKSUM does not match")
            self.hdus[-1].checksummed = True
        self._sum = None
        self._buffer.clear()

    def _label(self) -> str:
        return self.hdus[-1].name or str(len(self.hdus) - 1)

    def _take_block(self) -> None:
        first = b"SIMPLE  =" if not self.hdus else b"XTENSION="
        block = bytes(self._buffer[-BLOCK:])
        if len(self._buffer) == BLOCK and not block.startswith(first):
            if self.hdus and not block.strip(b"\0 "):  # padding after the last HDU
                self._buffer.clear()
                self._position += BLOCK
                return
            where = f"after HDU {self._label()}" if self.hdus else "at the start"
            raise DamagedFileError(f"no FITS header {where} (byte {self._position})")
        at = block.find(b"END     ")
        while at >= 0:
            if at % CARD == 0:
                return self._end_header()
            at = block.find(b"END     ", at + 1)
        if len(self._buffer) > _MAX_HEADER:
            raise DamagedFileError(f"the header at byte {self._position} has no END")

    def _end_header(self) -> None:
        header = parse_header(bytes(self._buffer), structure_only=self._structure_only)
        wanted = bool(header.get("DATASUM") or header.get("CHECKSUM"))
        self._header_sum = ones_complement_sum(bytes(self._buffer)) if wanted else 0
        hdu = Hdu(header, self._position, len(self._buffer), data_size(header))
        self._position += len(self._buffer)
        self._buffer.clear()
        self.hdus.append(hdu)
        if len(self.hdus) > _MAX_HDUS:
            raise DamagedFileError(f"more than {_MAX_HDUS} HDUs")
        if self._stop_at is not None and hdu.name == self._stop_at:
            self.done = True
            return
        self._left = hdu.padded_bytes
        self._sum = 0 if wanted else None
        if not self._left:
            self._end_data()

    def finish(self) -> list[Hdu]:
        """The HDUs, once the stream has ended.

        Raises
        ------
        DamagedFileError
            If it ended too early.
        """
        if self.done:
            return self.hdus
        if self._left:
            missing = self._left - (self.hdus[-1].padded_bytes - self.hdus[-1].data_bytes)
            if missing > 0:
                raise DamagedFileError(
                    f"truncated: {missing} bytes of HDU {self._label()} are missing"
                )
            self._end_unpadded()
        elif self._buffer and not self.hdus and not self._buffer.startswith(b"SIMPLE"):
            raise DamagedFileError("no FITS header at the start (byte 0)")
        elif self._buffer.strip(b"\0 "):
            raise DamagedFileError(f"truncated inside the header at byte {self._position}")
        if not self.hdus:
            raise DamagedFileError("empty: not a FITS file")
        return self.hdus

    def _end_unpadded(self) -> None:
        """The last data unit is whole but for its padding, which some writers leave out."""
        if self._sum is not None:
            self._take_data(memoryview(bytes(self._left)))
        self._left = 0
        self._end_data()


class Gunzipper:
    """Decompresses a gzip stream of one or more members, checking each CRC and length."""

    def __init__(self) -> None:
        self._stream = _inflate.decompressobj(31)
        self._ended = False

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Decompressed pieces of the next bytes, none larger than a quarter of a megabyte.

        Parameters
        ----------
        data
            Of any length.

        Yields
        ------
        bytes
            In order.
        """
        try:
            while data:
                if self._ended:
                    data = bytes(data).lstrip(b"\0")  # padding is allowed after the last member
                    if not data:
                        return
                    self._stream, self._ended = _inflate.decompressobj(31), False
                piece = self._stream.decompress(data, _PIECE)
                if piece:
                    yield piece
                if self._stream.eof:
                    data, self._ended = self._stream.unused_data, True
                else:
                    data = self._stream.unconsumed_tail
        except _ERRORS as error:
            raise DamagedFileError(f"gzip stream damaged: {error}") from None

    def finish(self) -> None:
        """Check that the stream ended where a member ends."""
        if not self._ended:
            raise DamagedFileError("gzip stream truncated")


@dataclass
class FileChecker:
    """Checks a file as its bytes come by: FITS structure, inside gzip where it is compressed.

    Attributes
    ----------
    compressed
        Whether the content is a gzip stream; None until the first bytes have come.
    """

    walker: FitsWalker = field(default_factory=FitsWalker)
    compressed: bool | None = None
    _gunzip: Gunzipper | None = None
    _first: bytes = b""

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the file; they are not kept.

        Parameters
        ----------
        data
            Of any length; compressed if the file is.
        """
        if self.compressed is None:
            data = self._first + data if self._first else data
            if len(data) < len(_GZIP):
                self._first = bytes(data)
                return
            self.compressed = data[:2] == _GZIP
            self._gunzip = Gunzipper() if self.compressed else None
        if self._gunzip is None:
            self.walker.feed(data)
            return
        for start in range(0, len(data), CHUNK):
            for piece in self._gunzip.feed(data[start : start + CHUNK]):
                self.walker.feed(piece)
                if self.walker.done:
                    return

    def finish(self) -> list[Hdu]:
        """The HDUs of the whole file; an error if it is not whole."""
        if self._gunzip is not None and not self.walker.done:
            self._gunzip.finish()
        return self.walker.finish()


def read_chunks(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """The content of an open file, chunk by chunk.

    Parameters
    ----------
    stream
        Open for reading bytes.
    size
        Most bytes of a chunk.

    Yields
    ------
    bytes
        In order; none is empty.
    """
    while chunk := stream.read(size):
        yield chunk


def check_chunks(chunks: Iterable[bytes | memoryview], stop_at: str | None = None) -> list[Hdu]:
    """Walk over a file given as chunks; see `FileChecker`.

    Parameters
    ----------
    chunks
        Content of a file, gzipped or not.
    stop_at
        Extension (capitals) after whose header nothing more is needed.

    Returns
    -------
    list of Hdu
        In the order of the file.
    """
    checker = FileChecker(FitsWalker(stop_at))
    for chunk in chunks:
        checker.feed(chunk)
        if checker.walker.done:
            break
    return checker.finish()


def check_file(path: Path) -> list[Hdu]:
    """HDUs of a whole file.

    Parameters
    ----------
    path
        The file, gzipped or not.

    Returns
    -------
    list of Hdu
        In the order of the file.

    Raises
    ------
    DamagedFileError
        If it is truncated, not FITS, or fails its gzip CRC or a DATASUM.
    """
    with path.open("rb") as stream:
        return check_chunks(read_chunks(stream))


def header_of(path: Path, extension: str = "EVENTS") -> dict[str, Any] | None:
    """Header of one extension, reading no more of the file than is needed.

    Parameters
    ----------
    path
        The file, gzipped or not.
    extension
        Its EXTNAME in capitals.

    Returns
    -------
    dict or None
        None if the file has no such extension.
    """
    with path.open("rb", buffering=0) as stream:
        hdus = check_chunks(read_chunks(stream, 1 << 14), extension)
    return hdus[-1].header if hdus[-1].name == extension else None
