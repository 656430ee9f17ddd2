"""Raw files (zfits) of events given as arrays: for simulated data.

protozfits can't write these: its ``write_message`` does not know ``CameraEvent`` of ProtoDataModel
("Unknown protobuf class name"). So the table is written here; protozfits reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.instruments.sst1m.compression import DIFF, SPLIT16, ZSTD
from daybreak.products.atomic import atomic_path
from daybreak.products.fits_headers import BLOCK, ones_complement_sum

_PLAIN = (ZSTD,)
_WORDS = (DIFF, SPLIT16, ZSTD)


@dataclass(frozen=True)
class _Column:
    """Name, FITS type, number in the message, zero of the type, and how it is packed."""

    name: str
    form: str
    number: str
    zero: int
    steps: tuple[int, ...]
    values: NDArray[Any]


def write_raw(
    path: Path,
    *,
    telescope: int,
    event_id: NDArray[np.integer[Any]],
    time_ns: NDArray[np.integer[Any]],
    bits: NDArray[np.integer[Any]],
    waveforms: NDArray[np.integer[Any]],
    baselines: NDArray[np.integer[Any]],
    array_event_id: NDArray[np.integer[Any]] | None = None,
    flags: NDArray[np.integer[Any]] | None = None,
    target: str = "",
    tile_rows: int = 100,
) -> None:
    """Write events into a raw file as SST-1M's camera server lays it out.

    Parameters
    ----------
    path
        The file; it is there when it is complete.
    telescope
        Number of the telescope, e.g. 21.
    event_id
        Event numbers of the camera, shape (n,).
    time_ns
        Nanoseconds since 1970-01-01, shape (n,).
    bits
        Trigger bits of the camera (`event_kinds`), shape (n,).
    waveforms
        Samples (ADC counts), shape (n, pixels, samples).
    baselines
        Baselines in sixteenths of an ADC count, shape (n, pixels).
    array_event_id
        Event numbers of the array (SWAT), shape (n,); without them the file has no such column.
    flags
        Flags of the pixels, shape (n, pixels); ones if not given.
    target
        Header keyword TARGET: ``name,wobble,ra,dec`` in degrees.
    tile_rows
        Events of a tile.

    Raises
    ------
    ValueError
        If the shapes do not go together: a fault of the caller.
    """
    n, n_pixels, n_samples = waveforms.shape
    flags = np.ones((n, n_pixels), np.uint16) if flags is None else flags
    number = np.broadcast_to(np.arange(n_pixels, dtype=np.uint16), (n, n_pixels))
    seconds, rest = np.divmod(np.asarray(time_ns, np.int64), 10**9)
    columns = [
        _Column("telescopeID", "1J", "1", 0, _PLAIN, np.full(n, telescope, "<i4")),
        _Column("eventNumber", "1J", "4", 1 << 31, _PLAIN, event_id.astype("<u4")),
        _words("hiGain_waveforms_samples", "6.1.1", 0, waveforms.reshape(n, -1)),
        _words("hiGain_waveforms_pixelsIndices", "6.1.2", 32678, number),
        _words("hiGain_waveforms_baselines", "6.1.5", 0, baselines),
        _Column("local_time_nanosec", "1K", "30", (1 << 63) - 1, _PLAIN, rest.astype("<u8")),
        _Column("local_time_sec", "1K", "31", (1 << 63) - 1, _PLAIN, seconds.astype("<u8")),
        _words("pixels_flags", "32", 32678, flags),
        _Column("event_type", "1J", "34", 1 << 31, _PLAIN, bits.astype("<u4")),
    ]
    if array_event_id is not None:
        ids = array_event_id.astype("<u4")
        columns.insert(2, _Column("arrayEvtNum", "1J", "5", 1 << 31, _PLAIN, ids))
    if any(len(column.values) != n for column in columns) or n_samples < 1:
        raise ValueError("the arrays have not the same number of events")
    starts = range(0, n, tile_rows)
    tiles = [_tile(columns, slice(start, start + tile_rows)) for start in starts]
    catalog, heap = _joined(tiles)
    data = catalog + heap
    padded = data + b"\0" * (-len(data) % BLOCK)
    cards = _cards(columns, n, tile_rows, (len(tiles), len(heap)), target)
    cards.append(("DATASUM", str(ones_complement_sum(padded))))
    primary = [("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)]
    with atomic_path(path) as partial:
        partial.write_bytes(_header(primary) + _header(cards) + padded)


def _words(name: str, number: str, zero: int, values: NDArray[Any]) -> _Column:
    """Column of arrays of 16-bit words, each with its size in bytes in front."""
    n, length = values.shape
    table = np.empty((n, 2 + length), "<u2")
    table[:, :2] = np.frombuffer(struct.pack("<I", 2 * length), "<u2")
    table[:, 2:] = values
    return _Column(name, f"{length}I", number, zero, _WORDS, table)


def _tile(columns: Sequence[_Column], rows: slice) -> tuple[int, list[bytes]]:
    """Number of rows and the blocks of one tile."""
    import zstandard

    engine = zstandard.ZstdCompressor(level=1)
    blocks = []
    for column in columns:
        values = np.ascontiguousarray(column.values[rows])
        if DIFF in column.steps:
            words = values.reshape(-1).view("<u2")
            values = np.diff(words, prepend=words.dtype.type(0))
            values = np.ascontiguousarray(values.view(np.uint8).reshape(-1, 2).T)
        packed = engine.compress(values.tobytes())
        size = 10 + 2 * len(column.steps) + len(packed)
        head = struct.pack("<QcB", size, b"C", len(column.steps))
        blocks.append(head + np.array(column.steps, "<u2").tobytes() + packed)
    return len(columns[0].values[rows]), blocks


def _joined(tiles: Sequence[tuple[int, list[bytes]]]) -> tuple[bytes, bytes]:
    """Catalog and heap."""
    catalog, heap = b"", []
    at = 0
    for n_rows, blocks in tiles:
        size = sum(len(block) for block in blocks)
        heap.append(struct.pack("<4sIQ", b"TILE", n_rows, size))
        at += 16
        for block in blocks:
            catalog += struct.pack(">qq", len(block), at)
            at += len(block)
        heap.extend(blocks)
    return catalog, b"".join(heap)


def _cards(
    columns: Sequence[_Column],
    n_rows: int,
    tile_rows: int,
    sizes: tuple[int, int],
    target: str,
) -> list[tuple[str, Any]]:
    """Keywords of the table; `sizes` are the number of tiles and the bytes of the heap."""
    n_tiles, heap = sizes
    width = 16 * len(columns)
    cards: list[tuple[str, Any]] = [
        *(("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2)),
        *(("NAXIS1", width), ("NAXIS2", n_tiles), ("PCOUNT", heap), ("GCOUNT", 1)),
        *(("TFIELDS", len(columns)), ("EXTNAME", "Events"), ("ZTABLE", True)),
        ("ZNAXIS1", sum(_width(column) for column in columns)),
        *(("ZNAXIS2", n_rows), ("ZPCOUNT", 0), ("ZHEAPPTR", width * n_tiles)),
        *(("ZTILELEN", tile_rows), ("THEAP", width * n_tiles), ("RAWSUM", "0")),
        *(("ZRATIO", 1.0), ("ZSHRINK", 1), ("ORIGIN", "CTA"), ("WORKPKG", "ACTL")),
        *(("PBFHEAD", "DataModel.CameraEvent"), ("CREATOR", "daybreak"), ("TIMESYS", "TAI")),
        ("TARGET", target),
    ]
    for i, column in enumerate(columns, 1):
        cards += [(f"TFORM{i}", "1QB"), (f"TTYPE{i}", column.name)]
        if column.zero:
            cards.append((f"TZERO{i}", column.zero))
        cards += [(f"ZFORM{i}", column.form), (f"ZCTYP{i}", "CTA"), (f"TPBID{i}", column.number)]
    return cards


def _width(column: _Column) -> int:
    """Bytes of one row, without the size that stands before an array."""
    return int(column.values[:1].nbytes) - (4 if column.values.ndim == 2 else 0)


def _header(cards: Sequence[tuple[str, Any]]) -> bytes:
    out = []
    for key, value in cards:
        if isinstance(value, bool):
            text = f"{'T' if value else 'F':>20}"
        elif isinstance(value, str):
            quoted = value.replace("'", "''")
            text = f"'{quoted:<8}'"
        else:
            text = f"{value!r:>20}"
        card = f"{key:<8}= {text}"
        if len(card) > 80 or not card.isascii():
            raise ValueError(f"header value {value!r} is too long or no ASCII text")
        out.append(f"{card:<80}")
    raw = "".join([*out, f"{'END':<80}"]).encode("ascii")
    return raw + b" " * (-len(raw) % BLOCK)
