"""Index tables of different make put together, by column name and never by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daybreak.errors import StoreError
from daybreak.stores.layout import rows_of
from daybreak.stores.table import Array, IndexTable, TableColumn

Floats = npt.NDArray[np.float64]

HDU_KEYS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
_TIMES = ("TSTART", "TSTOP")
_FACTORS = {
    ("rad", "deg"): 180.0 / np.pi,
    ("deg", "rad"): np.pi / 180.0,
    ("min", "s"): 60.0,
    ("h", "s"): 3600.0,
    ("hr", "s"): 3600.0,
    ("d", "s"): 86400.0,
    ("gev", "tev"): 1e-3,
    ("tev", "gev"): 1e3,
    ("mev", "tev"): 1e-6,
    ("km", "m"): 1e3,
    ("cm", "m"): 1e-2,
    ("ms", "s"): 1e-3,
}
_SPELLINGS = {"degree": "deg", "degrees": "deg", "sec": "s", "second": "s", "seconds": "s"}
_SPELLINGS |= {"hour": "h", "hours": "h", "day": "d", "minute": "min"}


def _factor(name: str, old: str, new: str) -> float:
    """What a value in the unit `old` is worth in `new`."""
    a, b = (_SPELLINGS.get(u.lower(), u.lower()) for u in (old, new))
    if a == b or not a or not b:
        return 1.0
    if (a, b) in _FACTORS:
        return _FACTORS[a, b]
    if (b, a) in _FACTORS:
        return 1.0 / _FACTORS[b, a]
    from astropy import units

    try:
        return float(units.Unit(old).to(units.Unit(new)))
    except (ValueError, TypeError, units.UnitConversionError):
        raise StoreError(
            f"the index column {name} is in {old!r} in one store and in {new!r} in the other",
            "Copy to separate folders, or correct TUNIT in one of the indices.",
        ) from None


def _missing(like: TableColumn, rows: int) -> TableColumn:
    values = np.zeros((rows, *like.values.shape[1:]), dtype=like.values.dtype)
    if like.values.dtype.kind == "f":
        values[:] = np.nan
        return TableColumn(values, like.unit)
    return TableColumn(
        values, like.unit, None if like.is_text else np.ones(values.shape, dtype=bool)
    )


def _as_text(column: TableColumn) -> Array:
    return column.values if column.is_text else np.array(column.texts(), dtype="S")


def _join(name: str, first: TableColumn, second: TableColumn) -> TableColumn:
    """One column below the other, in the unit of the first (if it has one)."""
    a, b = first.values, second.values
    if first.is_text != second.is_text:
        if name.upper() == "OBS_ID":
            return _join_ids(first, second)
        a, b = _as_text(first), _as_text(second)
    elif not first.is_text:
        factor = _factor(name, second.unit, first.unit)
        if factor != 1.0:
            b = b * factor
        if a.shape[1:] != b.shape[1:]:
            raise StoreError(f"the index column {name} has vectors of different length")
        if "b" in (a.dtype.kind, b.dtype.kind) and a.dtype != b.dtype:
            a, b = a.astype(np.int64), b.astype(np.int64)
    mask = None
    if first.mask is not None or second.mask is not None:
        parts = [
            np.zeros(c.values.shape, dtype=bool) if c.mask is None else c.mask
            for c in (first, second)
        ]
        mask = np.concatenate(parts)
    return TableColumn(np.concatenate([a, b]), first.unit or second.unit, mask)


def _join_ids(first: TableColumn, second: TableColumn) -> TableColumn:
    """OBS_ID as whole numbers in one store and as text in the other."""
    texts = [*first.texts(), *second.texts()]
    try:
        return TableColumn(np.array([int(text) for text in texts], dtype=np.int64))
    except (ValueError, OverflowError):
        return TableColumn(np.array([text.encode() for text in texts], dtype="S"))


def _has_reference(header: dict[str, Any]) -> bool:
    return isinstance(header.get("MJDREFI"), int | float)


def _reference(header: dict[str, Any]) -> tuple[float, float, str]:
    scale = str(header.get("TIMESYS") or "").strip().lower()
    return float(header["MJDREFI"]), float(header.get("MJDREFF") or 0.0), scale


def convert_times(values: Floats, old: dict[str, Any], new: dict[str, Any]) -> Floats:
    """Seconds that count from the reference of `old`, counted from that of `new`.

    Unchanged where one of the headers has no reference (MJDREFI).

    Raises
    ------
    StoreError
        If the time scales differ and one of them is not a known scale.
    """
    if not (_has_reference(old) and _has_reference(new)):
        return values
    (day, part, scale), (new_day, new_part, new_scale) = _reference(old), _reference(new)
    if scale and new_scale and scale != new_scale:
        from astropy.time import Time

        if not {scale, new_scale} <= {"utc", "tt", "tai", "tdb", "tcb", "tcg"}:
            raise StoreError(
                f"one index counts time in {scale!r}, the other in {new_scale!r}",
                "Copy the stores to separate folders.",
            )
        good = np.isfinite(values)
        moments = Time(day, part + np.where(good, values, 0.0) / 86400.0, format="mjd", scale=scale)
        zero = Time(new_day, new_part, format="mjd", scale=new_scale)
        moved = getattr(moments, new_scale)
        days = (moved.jd1 - zero.jd1) + (moved.jd2 - zero.jd2)
        return np.where(good, days * 86400.0, np.nan)
    shift = (day - new_day) * 86400.0 + (part - new_part) * 86400.0
    return values + shift if shift else values


def _with_times_of(table: IndexTable, header: dict[str, Any]) -> IndexTable:
    columns = dict(table.columns)
    for name, column in table.columns.items():
        if name.upper() in _TIMES and column.values.dtype.kind == "f":
            values = convert_times(column.values.astype(np.float64), table.header, header)
            if not np.array_equal(values, column.values, equal_nan=True):
                columns[name] = TableColumn(values, column.unit, column.mask)
    return IndexTable(columns, table.header, table.comments)


def stack(first: IndexTable, second: IndexTable) -> IndexTable:
    """Rows of both, columns of either matched by name whatever their case and order.

    The header, spellings, units and time reference of the first are kept; a value that one of
    them does not have is NaN, empty or masked.

    Raises
    ------
    StoreError
        If columns of one name can't be brought together (units, time scales).
    """
    if not len(first) and not first.columns:
        return second
    second = _with_times_of(second, first.header)
    columns: dict[str, TableColumn] = {}
    for name, column in first.columns.items():
        other = second.column(name)
        columns[name] = _join(
            name, column, other if other is not None else _missing(column, len(second))
        )
    for name, column in second.columns.items():
        if first.column(name) is None:
            columns[name] = _join(name, _missing(column, len(first)), column)
    comments = tuple(dict.fromkeys([*first.comments, *second.comments]))
    header = {**second.header, **first.header}
    return IndexTable(columns, header, comments)


def unique(table: IndexTable, names: tuple[str, ...]) -> IndexTable:
    """The rows that differ in at least one of the named columns; the first of equals is kept."""
    rows = [table.run_keys() if n == "OBS_ID" else table.texts(n) for n in names]
    first: dict[tuple[str, ...], int] = {}
    for i, key in enumerate(zip(*rows, strict=True)):
        first.setdefault(key, i)
    if len(first) == len(table):
        return table
    return table.take(np.array(list(first.values()), dtype=np.intp))


def without(table: IndexTable, runs: set[str]) -> IndexTable:
    """The table without these runs."""
    return table.take(~rows_of(table.run_keys(), runs)) if runs else table


def only(table: IndexTable, runs: set[str]) -> IndexTable:
    """The rows of these runs."""
    return table.take(rows_of(table.run_keys(), runs))


def merge(
    local: IndexTable | None,
    incoming: IndexTable,
    runs: set[str],
    names: tuple[str, ...],
    *,
    keep: bool = False,
) -> IndexTable:
    """Put the rows of `runs` from `incoming` into `local`.

    Parameters
    ----------
    local
        The index that is there; None if there is none.
    incoming
        The source's index.
    runs
        Runs to take from it.
    names
        Columns that tell rows apart: ``("OBS_ID",)`` or `HDU_KEYS`.
    keep
        Let the local rows win for runs that both have.
    """
    if local is None or not len(local):
        return unique(only(incoming, runs), names)
    here = set(local.run_keys())
    taken = runs - here if keep else runs
    incoming = only(incoming, taken)
    if not keep:
        local = without(local, runs & here)
    if not len(local):
        return unique(incoming, names)
    return unique(stack(local, incoming) if len(incoming) else local, names)
