"""Index tables: Astropy's tables, asked by column name whatever the case and make of the column.

Text columns stay byte strings, and each text is decoded once, so that the 60,000 rows of a large
HDU index are read in a fraction of a second. What a table can't say is masked.
"""

from __future__ import annotations

import gzip
import io
import re
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table

from daybreak.errors import StoreError
from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.fits import FitsWalker, Gunzipper

_WHOLE = re.compile(r"-?[0-9]{1,4000}")
_NOTHING = frozenset({"", "--", "N/A"})
_FILL: dict[str, Any] = {"f": np.nan, "c": np.nan, "S": b"", "U": ""}
_MAX_BYTES = 1 << 30


class IndexTable(Table):  # type: ignore[misc]  # Astropy has no types
    """An index table: an Astropy table, whose columns are found by name whatever the case."""

    def column(self, name: str) -> Column | None:
        """Find a column.

        Parameters
        ----------
        name
            In any case.

        Returns
        -------
        Column or None
            None if there is no such column.
        """
        if name in self.columns:
            return self.columns[name]
        wanted = name.upper()
        return next((c for key, c in self.columns.items() if key.upper() == wanted), None)

    def texts(self, name: str) -> list[str]:
        """A column as texts.

        Parameters
        ----------
        name
            In any case.

        Returns
        -------
        list of str
            Without blanks around them; empty where there is no value or a placeholder such as
            ``--``, and everywhere if there is no such column.
        """
        column = self.column(name)
        if column is None:
            return [""] * len(self)
        values = column.data.tolist()
        if column.ndim > 1:
            return [str(value) for value in values]
        known = {value: _text(value) for value in set(values)}
        return [known[value] for value in values]

    def floats(self, name: str) -> npt.NDArray[np.float64]:
        """A column as numbers, also where the index spells them as text.

        Parameters
        ----------
        name
            In any case.

        Returns
        -------
        ndarray of float
            Shape (rows,), in the column's unit; NaN where there is no number, and everywhere if
            there is no such column or it holds vectors.
        """
        column = self.column(name)
        if column is None or column.ndim > 1:
            return np.full(len(self), np.nan)
        if column.dtype.kind in "SU":
            return np.array([_number(text) for text in self.texts(name)], dtype=np.float64)
        values = np.ma.getdata(column.data).astype(np.float64)
        values[np.ma.getmaskarray(column.data)] = np.nan
        return values

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
        if column.dtype.kind == "f":
            values = self.floats("OBS_ID").tolist()
            return [run_key(repr(int(v) if v.is_integer() else v)) for v in values]
        texts = self.texts("OBS_ID")
        known = {text: run_key(text) for text in set(texts)}
        return [known[text] for text in texts]


def _text(value: Any) -> str:
    """A cell's value as text; an empty one where it is masked or a placeholder."""
    if isinstance(value, bytes):
        value = value.split(b"\0", 1)[0].decode("utf-8", "replace")
    text = "" if value is None else str(value).strip()
    return "" if text in _NOTHING else text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def run_key(text: str) -> str:
    """Canonical spelling of an OBS_ID: ``' 020136'`` and ``20136`` are the same run.

    Parameters
    ----------
    text
        As an index, a header or a run list spells it.

    Returns
    -------
    str
        Equal for equal runs.
    """
    text = text.strip()
    return str(int(text)) if _WHOLE.fullmatch(text) else text


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


def read_table(data: bytes) -> IndexTable:
    """Read the first binary table of a FITS file.

    Parameters
    ----------
    data
        The file's bytes, gzipped or not.

    Returns
    -------
    IndexTable
        Its columns of numbers and text, and the header's other keywords as ``meta``; of a
        keyword that stands twice the first counts.

    Raises
    ------
    DamagedFileError
        If it is not whole or not a table.
    """
    data = _inflate_all(data)
    walker = FitsWalker()  # Astropy would not say that it is truncated
    walker.feed(data)
    walker.finish()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(io.BytesIO(data), memmap=False, character_as_bytes=True) as hdus:
                hdu = next((h for h in hdus if isinstance(h, fits.BinTableHDU)), None)
                if hdu is None:
                    raise DamagedFileError("no binary table in it")
                return _from_hdu(hdu)
        except DamagedFileError:
            raise
        except Exception as error:  # whatever a senseless header leads to within Astropy
            raise DamagedFileError(f"its header makes no sense: {error}") from None


def _from_hdu(hdu: Any) -> IndexTable:
    table: IndexTable = IndexTable.read(
        hdu, format="fits", mask_invalid=False, strip_spaces=True, unit_parse_strict="silent"
    )
    # vectors of variable length and objects of Astropy's own have no place in an index, and of a
    # column of no width Astropy reads what lies behind it
    empty = {column.name for column in hdu.columns if not column.dtype.itemsize}
    plain = [n for n, c in table.columns.items() if isinstance(c, Column) and c.dtype.kind != "O"]
    table.keep_columns([name for name in plain if name not in empty])
    for key, value in list(table.meta.items()):
        if key in {"CHECKSUM", "DATASUM"} or isinstance(value, fits.card.Undefined):
            del table.meta[key]
        elif isinstance(value, list) and key not in {"comments", "HISTORY"}:
            table.meta[key] = value[0]
    return table


def _writable(column: Column) -> Column:
    """The column with FITS's way of saying that there is no value."""
    if not isinstance(column, MaskedColumn):
        return column
    kind = column.dtype.kind
    if not column.mask.any() or kind in _FILL:
        return Column(column.filled(_FILL.get(kind)), unit=column.unit)
    if kind == "b":
        column = MaskedColumn(column.data.astype(np.uint8), unit=column.unit)
    limits = np.iinfo(column.dtype)
    column = column.copy()
    column.fill_value = limits.min if kind == "i" else limits.max
    return column


def write_table(table: IndexTable) -> bytes:
    """The table as an uncompressed FITS file.

    Parameters
    ----------
    table
        Columns of numbers and text; ``meta`` becomes the header.

    Returns
    -------
    bytes
        A primary HDU without data, and the table.
    """
    columns = {name: _writable(column) for name, column in table.columns.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units and keywords are those of the sources
        hdu = fits.table_to_hdu(Table(columns, meta=dict(table.meta)), character_as_bytes=True)
        out = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
    return out.getvalue()


def pack(table: IndexTable, name: str) -> bytes:
    """The table as the bytes of a file.

    Parameters
    ----------
    table
        See `write_table`.
    name
        Of the file: it is gzipped if that ends in ``.gz``.

    Returns
    -------
    bytes
        The same for the same table.
    """
    data = write_table(table)
    return gzip.compress(data, 6, mtime=0) if name.endswith(".gz") else data
