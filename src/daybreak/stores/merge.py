"""Index tables of different make put together, by column name and never by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import units
from astropy.table import Column, TableMergeError, vstack
from astropy.time import Time

from daybreak.errors import StoreError
from daybreak.stores.layout import rows_of
from daybreak.stores.table import IndexTable

Floats = npt.NDArray[np.float64]

HDU_KEYS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
_TIMES = ("TSTART", "TSTOP")
_SCALES = {"utc", "tt", "tai", "tdb", "tcb", "tcg"}
_SPELLINGS = {"sec": "s", "hr": "h", "mev": "MeV", "gev": "GeV", "tev": "TeV"}


def _unit(text: str) -> Any:
    """The unit that an index means: also words such as *seconds*, and capitals."""
    lowered = text.lower()
    for spelling in (text, _SPELLINGS.get(lowered, lowered), lowered.removesuffix("s")):
        unit = units.Unit(spelling, parse_strict="silent")
        if not isinstance(unit, units.UnrecognizedUnit):
            return unit
    return units.Unit(text)


def _factor(name: str, old: Any, new: Any) -> float:
    """What a value in the unit `old` is worth in `new`; 1 where one of them says nothing."""
    first, second = (str(unit or "") for unit in (old, new))
    if not first or not second or first.lower() == second.lower():
        return 1.0
    try:
        return float(_unit(first).to(_unit(second)))
    except (ValueError, TypeError, units.UnitConversionError):
        raise StoreError(
            f"the index column {name} is in {first!r} in one store and in {second!r} in the other",
            "Copy to separate folders, or correct TUNIT in one of the indices.",
        ) from None


def ids_column(texts: list[str]) -> Column:
    """OBS_IDs as a column: whole numbers if all are.

    Parameters
    ----------
    texts
        One per row.

    Returns
    -------
    Column
        Of 64-bit integers, else of bytes.
    """
    try:
        return Column(np.array([int(text) for text in texts], dtype=np.int64))
    except (ValueError, OverflowError):
        return text_column(texts)


def text_column(texts: list[str]) -> Column:
    """A column of byte strings.

    Parameters
    ----------
    texts
        One per row.

    Returns
    -------
    Column
        UTF-8, as wide as the longest.
    """
    encoded = [text.encode("utf-8") for text in texts]
    return Column(np.array(encoded or [b""], dtype="S")[: len(encoded)])


def _match(name: str, first: IndexTable, second: IndexTable) -> None:
    """Give a column of both tables the same type and unit, those of the first if they can be."""
    a, b = first[name], second[name]
    kinds = {a.dtype.kind, b.dtype.kind}
    if name.upper() == "OBS_ID" and len(kinds) > 1:
        ids = ids_column([*first.run_keys(), *second.run_keys()])
        first[name], second[name] = ids[: len(a)], ids[len(a) :]
    elif "S" in kinds and len(kinds) > 1:
        for table in (first, second):
            if table[name].dtype.kind != "S":
                table[name] = text_column(table.texts(name))
    elif a.shape[1:] != b.shape[1:]:
        raise StoreError(f"the index column {name} has vectors of different length")
    elif "b" in kinds and len(kinds) > 1:
        for table in (first, second):
            table[name] = table[name].astype(np.int64)
    elif kinds != {"S"}:
        factor = _factor(name, b.unit, a.unit)
        if factor != 1.0:
            second[name] = type(b)(b.data * factor, unit=a.unit)
    second[name].unit = first[name].unit = first[name].unit or second[name].unit


def _has_reference(header: dict[str, Any]) -> bool:
    return isinstance(header.get("MJDREFI"), int | float)


def _reference(header: dict[str, Any]) -> tuple[float, float, str]:
    scale = str(header.get("TIMESYS") or "").strip().lower()
    return float(header["MJDREFI"]), float(header.get("MJDREFF") or 0.0), scale


def convert_times(values_s: Floats, old: dict[str, Any], new: dict[str, Any]) -> Floats:
    """Seconds that count from the reference of one header, counted from that of another.

    Parameters
    ----------
    values_s
        Seconds since the reference of `old`; any shape, NaN is kept.
    old, new
        Keywords MJDREFI, MJDREFF and TIMESYS.

    Returns
    -------
    ndarray of float
        Seconds since the reference of `new`; unchanged where one of the headers has no reference
        (MJDREFI).

    Raises
    ------
    StoreError
        If the time scales differ and one of them is not a known scale.
    """
    if not (_has_reference(old) and _has_reference(new)):
        return values_s
    (day, part, scale), (new_day, new_part, new_scale) = _reference(old), _reference(new)
    if scale and new_scale and scale != new_scale:
        if not {scale, new_scale} <= _SCALES:
            raise StoreError(
                f"one index counts time in {scale!r}, the other in {new_scale!r}",
                "Copy the stores to separate folders.",
            )
        good = np.isfinite(values_s)
        seconds = np.where(good, values_s, 0.0)
        moments = Time(day, part + seconds / 86400.0, format="mjd", scale=scale)
        zero = Time(new_day, new_part, format="mjd", scale=new_scale)
        moved = getattr(moments, new_scale)
        days = (moved.jd1 - zero.jd1) + (moved.jd2 - zero.jd2)
        return np.where(good, days * 86400.0, np.nan)
    shift_s = (day - new_day) * 86400.0 + (part - new_part) * 86400.0
    return values_s + shift_s if shift_s else values_s


def _move_times(table: IndexTable, header: dict[str, Any]) -> None:
    for name, column in list(table.columns.items()):
        if name.upper() in _TIMES and column.dtype.kind == "f":
            old = table.floats(name)
            values = convert_times(old, table.meta, header)
            if not np.array_equal(values, old, equal_nan=True):
                table[name] = Column(values, unit=column.unit)


def stack(first: IndexTable, second: IndexTable) -> IndexTable:
    """Rows of both, columns of either matched by name whatever their case and order.

    Parameters
    ----------
    first
        Its header, spellings, units and time reference are kept.
    second
        Its rows come below; what only its header says is added.

    Returns
    -------
    IndexTable
        A value that one of them does not have is masked.

    Raises
    ------
    StoreError
        If columns of one name can't be brought together (units, time scales).
    """
    if not first.colnames:
        return second
    first, second = first.copy(copy_data=False), second.copy(copy_data=False)
    _move_times(second, first.meta)
    spelled = {name.upper(): name for name in first.colnames}
    for name in second.colnames:
        ours = spelled.get(name.upper())
        if ours is not None:
            second.rename_column(name, ours)
            _match(ours, first, second)
    comments = dict.fromkeys([*first.meta.get("comments", []), *second.meta.get("comments", [])])
    header = {**second.meta, **first.meta}
    try:
        both: IndexTable = vstack([first, second], metadata_conflicts="silent")
    except (TableMergeError, ValueError, TypeError) as error:
        raise StoreError(f"the two indices can't be put together: {error}") from None
    both.meta.clear()
    both.meta.update({**header, "comments": list(comments)} if comments else header)
    return both


def _take(table: IndexTable, rows: npt.NDArray[Any]) -> IndexTable:
    taken: IndexTable = table[rows]
    return taken


def unique(table: IndexTable, names: tuple[str, ...]) -> IndexTable:
    """The rows that differ in at least one of some columns; the first of equals is kept.

    Parameters
    ----------
    table
        An index.
    names
        The columns, ``OBS_ID`` among them as a rule.

    Returns
    -------
    IndexTable
        In the order of the given one.
    """
    rows = [table.run_keys() if n == "OBS_ID" else table.texts(n) for n in names]
    first: dict[tuple[str, ...], int] = {}
    for i, key in enumerate(zip(*rows, strict=True)):
        first.setdefault(key, i)
    if len(first) == len(table):
        return table
    return _take(table, np.array(list(first.values()), dtype=np.intp))


def without(table: IndexTable, runs: set[str]) -> IndexTable:
    """The table without some runs.

    Parameters
    ----------
    table
        An index.
    runs
        OBS_IDs as `daybreak.stores.table.run_key` spells them.

    Returns
    -------
    IndexTable
        In the order of the given one.
    """
    return _take(table, ~rows_of(table.run_keys(), runs)) if runs else table


def only(table: IndexTable, runs: set[str]) -> IndexTable:
    """The rows of some runs.

    Parameters
    ----------
    table
        An index.
    runs
        OBS_IDs as `daybreak.stores.table.run_key` spells them.

    Returns
    -------
    IndexTable
        In the order of the given one.
    """
    return _take(table, rows_of(table.run_keys(), runs))


def merge(
    local: IndexTable | None,
    incoming: IndexTable,
    runs: set[str],
    names: tuple[str, ...],
    *,
    keep: bool = False,
) -> IndexTable:
    """Put the rows of some runs from one index into another.

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

    Returns
    -------
    IndexTable
        The local rows that stay, then the incoming ones.

    Raises
    ------
    StoreError
        If columns of one name can't be brought together (units, time scales).
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
