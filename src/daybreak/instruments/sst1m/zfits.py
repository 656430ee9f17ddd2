"""Tables of zfits files: where the tiles are, and their blocks; every size is checked before use.

A zfits table is a FITS binary table whose heap holds tiles of some rows. A tile has a header
(``TILE``, number of rows, size) and one block per column, each with its own header (size, order,
steps of its packing). The catalog in front of the heap repeats where the blocks are. The chain of
headers is what is followed here; the catalog helps over a damaged tile. So a file whose writer
died before it wrote the catalog can be read, and one that was cut is read up to the cut.
"""

from __future__ import annotations

import bisect
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from daybreak.errors import RunDataError
from daybreak.instruments.sst1m.compression import BlockError, Bytes, unpack_block
from daybreak.products.fits_headers import (
    BLOCK,
    DamagedFileError,
    data_size,
    ones_complement_sum,
    parse_header,
)

MAX_HEADER = 400 * BLOCK
MAX_TABLES = 32
MAX_COLUMNS = 512
MAX_CATALOG = 64 << 20
MAX_TILE_ROWS = 20_000
MAX_TILES = 1_000_000
_TILE = struct.Struct("<4sIQ")
_HEAD = struct.Struct("<QcB")


@dataclass(frozen=True)
class ZTile:
    """Some rows of a table.

    Attributes
    ----------
    offset
        Of its first block in the file, bytes.
    size
        Of all its blocks, bytes.
    n_rows
        Number of rows.
    """

    offset: int
    size: int
    n_rows: int


@dataclass(frozen=True)
class ZTable:
    """One table of a zfits file.

    Attributes
    ----------
    path
        The file.
    header
        Keywords and values.
    columns
        Names, in the order of the blocks.
    data_offset, data_size
        Of the table's data unit, bytes.
    n_rows
        As the header says; 0 if its writer did not come to say it.
    tiles
        Those that were found.
    notes
        What is wrong with the file, in words; empty if nothing is.
    """

    path: Path
    header: Mapping[str, Any]
    columns: tuple[str, ...]
    data_offset: int
    data_size: int
    n_rows: int
    tiles: tuple[ZTile, ...]
    notes: tuple[str, ...]


def open_table(path: Path, name: str) -> ZTable:
    """Find a table in a zfits file, and its tiles.

    Parameters
    ----------
    path
        The file.
    name
        EXTNAME of the table.

    Raises
    ------
    RunDataError
        If there is no such table, or the file is no zfits file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            header, start = _find(handle, path, name)
            columns = _columns(header, path)
            n_rows = _count(header, "ZNAXIS2", path)
            width, height = (_count(header, key, path) for key in ("NAXIS1", "NAXIS2"))
            heap = start + _count(header, "ZHEAPPTR", path, width * height)
            starts = _catalog(handle, start, (width, height), heap, len(columns))
            tiles, notes = _walk(handle, (heap, size), n_rows, len(columns), starts)
    except OSError as error:
        raise RunDataError(f"{path}: can't be read ({error.strerror or error})") from error
    length = data_size(header)
    if start + length > size:
        notes = (*notes, f"the file ends early: {size} of {start + length} bytes are there")
    return ZTable(path, header, columns, start, length, n_rows, tiles, notes)


def _find(handle: BinaryIO, path: Path, name: str) -> tuple[dict[str, Any], int]:
    """Header of the table and where its data begin."""
    position, seen = 0, []
    for number in range(MAX_TABLES):
        handle.seek(position)
        raw = _header(handle, path, number)
        if raw is None:
            break
        header = parse_header(raw)
        position += len(raw)
        try:
            length = data_size(header)
        except DamagedFileError as error:
            raise RunDataError(f"{path}: {error}", "Copy the file again.") from error
        if length >= 1 << 48:
            raise RunDataError(f"{path}: a header announces {length} bytes", "Copy the file again.")
        if header.get("EXTNAME") == name:
            if header.get("ZTABLE") is not True:
                raise RunDataError(f"{path}: the table {name} is not a zfits table")
            return header, position
        if "EXTNAME" in header:
            seen.append(str(header["EXTNAME"]))
        position += -(-length // BLOCK) * BLOCK
    there = f"only {', '.join(seen)}" if seen else "no table at all"
    raise RunDataError(f"{path}: there is no table {name}, {there}", "Is it a raw-data file?")


def _header(handle: BinaryIO, path: Path, number: int) -> bytes | None:
    raw = b""
    while len(raw) < MAX_HEADER:
        block = handle.read(BLOCK)
        if not raw and number and not block.strip(b"\0 "):
            return None
        if not raw and not block.startswith(b"XTENSION" if number else b"SIMPLE  ="):
            if number:
                return None
            raise RunDataError(f"{path}: this is not a FITS file", "Is it a pointer of Git LFS?")
        if len(block) < BLOCK:
            raise RunDataError(f"{path}: the file ends inside a header", "Copy the file again.")
        raw += block
        if any(block[i : i + 8] == b"END     " for i in range(0, BLOCK, 80)):
            return raw
    raise RunDataError(f"{path}: a header has no end", "Copy the file again.")


def _count(header: Mapping[str, Any], key: str, path: Path, default: int | None = None) -> int:
    value = header.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 48:
        raise RunDataError(f"{path}: header keyword {key} is {value!r}, not a count")
    return value


def _columns(header: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    count = _count(header, "TFIELDS", path)
    names = [str(header.get(f"TTYPE{i + 1}", "")) for i in range(min(count, MAX_COLUMNS))]
    if count > MAX_COLUMNS or not all(re.fullmatch(r"[\w.]+", name) for name in names):
        raise RunDataError(f"{path}: the header does not name the {count} columns of the table")
    return tuple(names)


def _catalog(
    handle: BinaryIO, start: int, shape: tuple[int, int], heap: int, n_columns: int
) -> list[int]:
    """Where tiles begin, as the catalog says; empty if it is not usable."""
    width, height = shape
    if width != 16 * n_columns or not 0 < width * height <= min(MAX_CATALOG, heap - start):
        return []
    handle.seek(start)
    raw = handle.read(width * height)
    rows = np.frombuffer(raw[: len(raw) // width * width], ">i8").reshape(-1, n_columns, 2)
    first = rows[:, 0, 1]
    found = first[(first >= _TILE.size) & (first < 1 << 48)]
    return sorted(heap + int(at) - _TILE.size for at in found)


def _walk(
    handle: BinaryIO, span: tuple[int, int], n_rows: int, n_columns: int, starts: list[int]
) -> tuple[tuple[ZTile, ...], tuple[str, ...]]:
    """Follow the chain of tiles; over a damaged one by the catalog."""
    at, end = span
    tiles: list[ZTile] = []
    notes: list[str] = []
    found = 0
    while at < end and not (n_rows and found >= n_rows) and len(tiles) < MAX_TILES:
        handle.seek(at)
        raw = handle.read(_TILE.size)
        mark, rows, size = _TILE.unpack(raw) if len(raw) == _TILE.size else (b"", 0, 0)
        whole = mark == b"TILE" and 0 < rows <= MAX_TILE_ROWS and size >= n_columns * _HEAD.size
        if whole:
            tiles.append(ZTile(at + _TILE.size, size, rows))
            found += rows
            at += _TILE.size + size
            continue
        after = bisect.bisect_right(starts, at)
        if after == len(starts) or starts[after] >= end:
            break
        later = starts[after]
        if len(notes) < 20:
            notes.append(f"a tile header at byte {at} is damaged")
        at = later
    return tuple(tiles), tuple(notes)


def read_blocks(
    handle: BinaryIO, table: ZTable, tile: ZTile, wanted: Mapping[str, int]
) -> dict[str, Bytes]:
    """Unpack some columns of a tile.

    Parameters
    ----------
    handle
        The open file.
    table
        Whose tile it is.
    tile
        The rows.
    wanted
        Name of a column to the most bytes that one row of it may have.

    Returns
    -------
    dict
        Name of each wanted column that the table has to its unpacked bytes.

    Raises
    ------
    BlockError
        If a block is damaged or cut, or larger than it may be.
    """
    found: dict[str, Bytes] = {}
    at, end = tile.offset, tile.offset + tile.size
    for name in table.columns:
        handle.seek(at)
        head = handle.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise BlockError("the file ends inside the tile")
        size, order, n_steps = _HEAD.unpack(head)
        used = _HEAD.size + 2 * n_steps
        if order not in b"CR" or not used <= size <= end - at:
            raise BlockError(f"the header of block {name} is damaged")
        if name in wanted:
            raw = handle.read(size - _HEAD.size)
            if len(raw) < size - _HEAD.size:
                raise BlockError("the file ends inside the tile")
            steps = tuple(int(s) for s in np.frombuffer(raw[: 2 * n_steps], "<u2"))
            packed = np.frombuffer(raw, np.uint8)[2 * n_steps :]
            try:
                found[name] = unpack_block(packed, steps, tile.n_rows * wanted[name])
            except BlockError as error:
                raise BlockError(f"block {name}: {error}") from error
        at += size
    if at != end:
        raise BlockError("the blocks do not fill the tile")
    return found


def checksum_holds(table: ZTable) -> bool | None:
    """Compare the table's data with the checksum in its header; this reads the whole table.

    Parameters
    ----------
    table
        The table.

    Returns
    -------
    bool or None
        None if the header has no checksum.
    """
    text = str(table.header.get("DATASUM", "")).strip()
    if not (text.isascii() and text.isdigit()):
        return None
    left = -(-table.data_size // BLOCK) * BLOCK
    total = 0
    try:
        with table.path.open("rb") as handle:
            handle.seek(table.data_offset)
            while left:
                block = handle.read(min(left, 1 << 22))
                if not block or len(block) % 4:
                    return False
                total = ones_complement_sum(block, total)
                left -= len(block)
    except OSError as error:
        raise RunDataError(f"{table.path}: can't be read ({error.strerror})") from error
    return total == int(text)
