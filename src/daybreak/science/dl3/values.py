"""Numbers of headers and columns, with what is wrong about them named."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u

from daybreak.science.dl3.files import READ_ERRORS
from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.run import FloatArray


def finite_number(value: Any) -> float | None:
    """A header's value as a number; None for anything else, and for what is not finite.

    Parameters
    ----------
    value
        Of a keyword.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if np.isfinite(value) else None


def shown(header: Mapping[str, Any], key: str) -> str:
    """A keyword's value for a message; ``missing`` without one.

    Parameters
    ----------
    header
        Keywords.
    key
        The keyword.
    """
    value = header.get(key)
    return "missing" if value is None else repr(value)


def number_of(header: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    """A keyword's number if it lies between two limits, else None.

    Parameters
    ----------
    header
        Keywords.
    key
        The keyword.
    low, high
        The limits, both included.
    """
    value = finite_number(header.get(key))
    return value if value is not None and low <= value <= high else None


@lru_cache(maxsize=256)
def unit_factor(text: str, wanted: str) -> float | None:
    """By what a number in a unit is multiplied to be in another; None if that can't be done.

    Parameters
    ----------
    text, wanted
        Both units as FITS has them.
    """
    try:
        return float(u.Unit(text.strip()).to(u.Unit(wanted)))
    except (ValueError, TypeError):
        return None


def has_column(hdu: Any, name: str) -> bool:
    """Whether a table has a column.

    Parameters
    ----------
    hdu
        The table.
    name
        In capitals.
    """
    return name in hdu.columns.names


def numbers(
    hdu: Any,
    name: str,
    unit: str,
    where: str,
    oddities: list[Oddity],
    usual: str = "",
) -> FloatArray:
    """A column of numbers, one per row.

    Parameters
    ----------
    hdu
        The table.
    name
        Of the column, in capitals.
    unit
        What is wanted.
    where
        File and HDU, for messages.
    oddities
        Here it is noted if the column's own unit is missing.
    usual
        Unit to assume without another; empty: `unit`.

    Raises
    ------
    RunDataError
        If there is no such column, it holds no numbers, or more than one per row.
    """
    if not has_column(hdu, name):
        raise unusable(where, f"no column {name}")
    try:
        values = np.asarray(hdu.data[name], dtype=np.float64)
    except READ_ERRORS as error:
        raise unusable(where, f"column {name} holds no numbers") from error
    if values.ndim != 1:
        raise unusable(where, f"column {name} holds more than one number in a row")
    factor = column_factor(hdu.columns[name].unit, usual or unit, unit, name, where, oddities)
    return values if factor == 1 else values * factor


def column_factor(
    given: object, usual: str, wanted: str, name: str, where: str, oddities: list[Oddity]
) -> float:
    """Factor from a column's unit to another.

    Parameters
    ----------
    given
        What the header says.
    usual
        Unit to assume if that says nothing.
    wanted
        The unit that is wanted.
    name, where
        Column, and its file and HDU, for messages.
    oddities
        Here it is noted if the usual unit was assumed.

    Returns
    -------
    float
        The factor.
    """
    text = "" if given is None else str(given).strip()
    if not text and not wanted:
        return 1.0
    factor = unit_factor(text, wanted) if text else None
    if factor is not None:
        return factor
    what = f"unit {text!r}, which is none of its kind" if text else "no unit"
    oddities.append(Oddity("UNIT_ASSUMED", f"{where}: column {name} has {what}: taken as {usual}"))
    return float(unit_factor(usual, wanted) or 1.0)
