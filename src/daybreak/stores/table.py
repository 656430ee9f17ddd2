"""Index tables: read from FITS by column name, written again, without Astropy.

Text columns stay as NumPy byte strings, so that the 60,000 rows of a large HDU index are read in
milliseconds. What a table can't say (a run list of another store lacks the column) is masked.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daybreak.errors import StoreError
from daybreak.stores.fits import FitsWalker, Gunzipper
from daybreak.stores.headers import BLOCK, CARD, DamagedFileError, data_size, parse_header

Array = npt.NDArray[Any]

_WHOLE = re.compile(r"-?[0-9]{1,4000}")
_TFORM = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])")
_DTYPES = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_DTYPES |= {"C": ">c8", "M": ">c16"}
_LETTERS = {"u1": "B", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D", "c8": "C"}
_LETTERS |= {"c16": "M", "b1": "L"}
_STRUCTURE = re.compile(
    r"(XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM)\d+"
    r"|CHECKSUM|DATASUM|END|THEAP)$"
)
_NOTHING = {b"", b"--", b"N/A"}
_MAX_BYTES = 1 << 30


@dataclass
class TableColumn:
    """One column.

    Attributes
    ----------
    values
        Native byte order; text as fixed-width bytes (``S``) without trailing blanks.
    unit
        TUNIT, or an empty text.
    mask
        True where there is no value; None if there is one everywhere.
    """

    values: Array
    unit: str = ""
    mask: npt.NDArray[np.bool_] | None = None

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return bool(self.values.dtype.kind == "S")

    def take(self, rows: Array) -> TableColumn:
        """The same column with these rows (indices or a mask)."""
        mask = None if self.mask is None else self.mask[rows]
        return TableColumn(self.values[rows], self.unit, mask)

    def texts(self) -> list[str]:
        """Each value as text; an empty one where it is masked or a placeholder such as ``--``."""
        if self.is_text:
            out = [
                "" if value in _NOTHING else value.decode("utf-8", "replace").strip()
                for value in self.values.tolist()
            ]
        else:
            out = [str(value) for value in self.values.tolist()]
        if self.mask is not None:
            out = ["" if masked else text for text, masked in zip(out, self.mask, strict=True)]
        return out

    def floats(self) -> npt.NDArray[np.float64]:
        """Values as floats, NaN where there is none."""
        if self.is_text or self.values.ndim != 1:
            return np.full(len(self.values), np.nan)
        out = self.values.astype(np.float64)
        if self.mask is not None:
            out[self.mask] = np.nan
        return out


@dataclass
class IndexTable:
    """An index table: columns by name, and the header's other keywords.

    Attributes
    ----------
    columns
        By name as the file spells it; look up with `column`.
    header
        Keywords that are not about the table's structure.
    comments
        The header's COMMENT and HISTORY cards, as they are.
    """

    columns: dict[str, TableColumn]
    header: dict[str, Any] = field(default_factory=dict)
    comments: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).values) if self.columns else 0

    def column(self, name: str) -> TableColumn | None:
        """TableColumn of that name, whatever the case; None if there is none."""
        found = self.columns.get(name)
        if found is None:
            wanted = name.upper()
            found = next((c for key, c in self.columns.items() if key.upper() == wanted), None)
        return found

    def take(self, rows: Array) -> IndexTable:
        """The same table with these rows."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return IndexTable(columns, dict(self.header), self.comments)

    def texts(self, name: str) -> list[str]:
        """A column as texts; empty texts if there is no such column."""
        column = self.column(name)
        return [""] * len(self) if column is None else column.texts()

    def floats(self, name: str) -> npt.NDArray[np.float64]:
        """A column as floats; NaN if there is no such column."""
        column = self.column(name)
        return np.full(len(self), np.nan) if column is None else column.floats()

    def run_keys(self) -> list[str]:
        """OBS_ID of each row as text, whole numbers without leading zeros or blanks.

        Raises
        ------
        StoreError
            If there is no OBS_ID column.
        """
        column = self.column("OBS_ID")
        if column is None:
            raise StoreError(
                "an index has no OBS_ID column",
                "`daybreak store verify --repair-index` makes a new one from the files.",
            )
        if not column.is_text and column.values.dtype.kind == "f":
            values = column.floats().tolist()
            return [run_key(repr(int(v) if v.is_integer() else v)) for v in values]
        return [run_key(text) for text in column.texts()]


def run_key(text: str) -> str:
    """Canonical spelling of an OBS_ID: ``' 020136'`` and ``20136`` are the same run."""
    text = text.strip()
    return str(int(text)) if _WHOLE.fullmatch(text) else text


def _field(header: dict[str, Any], number: int) -> tuple[str, str, int]:
    """Name, type letter and repeat count of a column."""
    name = str(header.get(f"TTYPE{number}", f"COL{number}")).strip()
    match = _TFORM.match(str(header.get(f"TFORM{number}", "")))
    if match is None:
        raise DamagedFileError(f"column {name}: TFORM {header.get(f'TFORM{number}')!r}")
    return name, match[2], int(match[1] or 1)


def _dtype(letter: str, repeat: int) -> Any:
    if letter == "A":
        return f"S{repeat}" if repeat else "V0"
    if letter == "X":
        return f"V{(repeat + 7) // 8}"
    if letter in "PQ":
        return f"V{repeat * (8 if letter == 'P' else 16)}"
    return (_DTYPES[letter], (repeat,)) if repeat != 1 else _DTYPES[letter]


def _decode(raw: Array, letter: str, header: dict[str, Any], number: int) -> TableColumn | None:
    unit = str(header.get(f"TUNIT{number}", "") or "").strip()
    if letter in "XPQ" or raw.dtype.kind == "V":
        return None  # bit fields and variable-length arrays have no place in an index
    if letter == "A":
        values = raw.astype(raw.dtype)  # a contiguous copy
        if (np.char.find(values, b"\0") >= 0).any():
            values = np.array([v.split(b"\0", 1)[0] for v in values.tolist()], dtype=raw.dtype)
        return TableColumn(np.char.rstrip(values).astype(raw.dtype), unit)
    if letter == "L":
        return TableColumn(raw == b"T", unit, raw == b"" if (raw == b"").any() else None)
    values = raw.astype(raw.dtype.newbyteorder("="))
    mask = None
    null = header.get(f"TNULL{number}")
    if isinstance(null, int) and values.dtype.kind in "iu" and (values == null).any():
        mask = values == null
    scale, zero = header.get(f"TSCAL{number}", 1), header.get(f"TZERO{number}", 0)
    if scale != 1 or zero != 0:
        whole = scale == 1 and float(zero).is_integer() and values.dtype.kind in "iu"
        if whole and values.dtype.itemsize < 8:
            values = values.astype(np.int64) + int(zero)
        elif whole and int(zero) == 1 << 63:
            unsigned = values.view(np.uint64) ^ np.uint64(1 << 63)
            small = not len(unsigned) or unsigned.max() < 1 << 63
            values = unsigned.astype(np.int64 if small else np.float64)
        else:
            values = values * float(scale) + float(zero)
    return TableColumn(values, unit, mask)


def _inflate_all(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    gunzip, out, size = Gunzipper(), [], 0
    for piece in gunzip.feed(data):
        size += len(piece)
        if size > _MAX_BYTES:
            raise DamagedFileError("an index of more than a gigabyte")
        out.append(piece)
    gunzip.finish()
    return b"".join(out)


def _find_table(data: bytes) -> tuple[dict[str, Any], bytes, int]:
    """Header (parsed and raw) of the first binary table and where its data start."""
    walker = FitsWalker()
    walker.feed(data)
    for hdu in walker.finish():
        if str(hdu.header.get("XTENSION", "")).strip() == "BINTABLE":
            start = hdu.offset
            while True:
                block = data[start : start + BLOCK]
                start += BLOCK
                if any(block[i : i + 8] == b"END     " for i in range(0, BLOCK, CARD)):
                    return hdu.header, data[hdu.offset : start], start
    raise DamagedFileError("no binary table in it")


def read_table(data: bytes) -> IndexTable:
    """Read the first binary table of a FITS file given as bytes, gzipped or not.

    Raises
    ------
    DamagedFileError
        If it is not whole or not a table.
    """
    try:
        return _read_table(_inflate_all(data))
    except DamagedFileError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise DamagedFileError(f"its header makes no sense: {error}") from None


def _read_table(data: bytes) -> IndexTable:
    header, raw, start = _find_table(data)
    count = header.get("TFIELDS")
    if not isinstance(count, int) or not 0 < count < 1000:
        raise DamagedFileError(f"header keyword TFIELDS is {count!r}")
    fields = [_field(header, i + 1) for i in range(count)]
    dtype = np.dtype([(f"f{i}", _dtype(f[1], f[2])) for i, f in enumerate(fields)])
    if dtype.itemsize != header["NAXIS1"]:
        raise DamagedFileError(f"rows of {header['NAXIS1']} bytes, columns of {dtype.itemsize}")
    if data_size(header) > len(data) - start:
        raise DamagedFileError("truncated")
    rows = np.frombuffer(data, dtype=dtype, count=header["NAXIS2"], offset=start)
    columns: dict[str, TableColumn] = {}
    for i, (name, letter, _repeat) in enumerate(fields):
        column = _decode(rows[f"f{i}"], letter, header, i + 1)
        if column is not None and name not in columns:
            columns[name] = column
    kept = {key: value for key, value in header.items() if not _STRUCTURE.match(key)}
    cards = [raw[i : i + CARD] for i in range(0, len(raw), CARD)]
    comments = tuple(c for c in cards if c[:8] in (b"COMMENT ", b"HISTORY "))
    return IndexTable(columns, kept, comments)


def _card(key: str, value: Any) -> bytes:
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, int):
        text = f"{value:>20}"
    elif isinstance(value, float):
        text = f"{value!r}".upper() if np.isfinite(value) else "'nan'"
        text = f"{text:>20}"
    else:
        safe = str(value).encode("ascii", "replace").decode().replace("'", "''")[:67]
        text = f"'{safe.rstrip(chr(39)) if safe.count(chr(39)) % 2 else safe:<8}'"
    return f"{key:<8}= {text}"[:CARD].ljust(CARD).encode("ascii")


def _pad(data: bytes, fill: bytes) -> bytes:
    return data + fill * (-len(data) % BLOCK)


def _encode(column: TableColumn) -> tuple[str, Array, int | None]:
    """TFORM, big-endian values and TNULL of a column to be written."""
    values, mask, null = column.values, column.mask, None
    if column.is_text:
        width = max(values.dtype.itemsize, 1)
        if mask is not None and mask.any():
            values = np.where(mask, b"", values).astype(f"S{width}")
        return f"{width}A", values, None
    if values.dtype.kind == "b":
        out = np.where(values, b"T", b"F").astype("S1")
        if mask is not None:
            out[mask] = b""
        return "L", out, None
    values = values.copy()
    if mask is not None and mask.any():
        if values.dtype.kind == "f":
            values[mask] = np.nan
        else:
            null = int(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else 255
            values[mask] = null
    letter = _LETTERS[values.dtype.str[1:]]
    repeat = values.shape[1] if values.ndim > 1 else 1
    form = letter if repeat == 1 else f"{repeat}{letter}"
    return form, values.astype(values.dtype.newbyteorder(">")), null


def write_table(table: IndexTable) -> bytes:
    """The table as an uncompressed FITS file."""
    encoded = {name: _encode(column) for name, column in table.columns.items()}
    fields = [(f"f{i}", e[1].dtype, e[1].shape[1:]) for i, e in enumerate(encoded.values())]
    rows = np.zeros(len(table), dtype=np.dtype(fields))
    for i, (_form, values, _null) in enumerate(encoded.values()):
        rows[f"f{i}"] = values
    cards = [_card("SIMPLE", True), _card("BITPIX", 8), _card("NAXIS", 0), _card("EXTEND", True)]
    primary = _pad(b"".join([*cards, b"END".ljust(CARD)]), b" ")
    cards = [_card("XTENSION", "BINTABLE"), _card("BITPIX", 8), _card("NAXIS", 2)]
    cards += [_card("NAXIS1", rows.dtype.itemsize), _card("NAXIS2", len(rows))]
    cards += [_card("PCOUNT", 0), _card("GCOUNT", 1), _card("TFIELDS", len(encoded))]
    for i, (name, (form, _values, null)) in enumerate(encoded.items(), start=1):
        cards += [_card(f"TTYPE{i}", name), _card(f"TFORM{i}", form)]
        if table.columns[name].unit:
            cards.append(_card(f"TUNIT{i}", table.columns[name].unit))
        if null is not None:
            cards.append(_card(f"TNULL{i}", null))
    for key, value in table.header.items():
        if value is not None and len(key) <= 8 and not _STRUCTURE.match(key):
            cards.append(_card(key, value))
    cards += table.comments
    head = _pad(b"".join([*cards, b"END".ljust(CARD)]), b" ")
    return primary + head + _pad(rows.tobytes(), b"\0")


def pack(table: IndexTable, name: str) -> bytes:
    """The table as the bytes of a file called `name`: gzipped if that ends in ``.gz``."""
    data = write_table(table)
    return gzip.compress(data, 6, mtime=0) if name.endswith(".gz") else data


def header_of_table(data: bytes) -> dict[str, Any]:
    """All header keywords of the first binary table."""
    return parse_header(_find_table(_inflate_all(data))[1])
