"""Durations as people write and read them."""

from __future__ import annotations

import re

import typer

_DAY_S = 86_400.0
_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": _DAY_S, "w": 7 * _DAY_S}


def duration_text(seconds: float) -> str:
    """A duration as people say it: ``45 s``, ``3 min``, ``2 h 10 min``.

    Parameters
    ----------
    seconds
        The duration.
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def seconds_of(text: str) -> float:
    """A duration as people write it, in s.

    Parameters
    ----------
    text
        For example ``30d``, ``12 h``, ``45 min``.

    Raises
    ------
    typer.BadParameter
        If it is none.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    if match is None or match.group(2) not in _UNITS_S:
        raise typer.BadParameter(f"{text!r}: expected a time such as 30d, 12h or 0d")
    return float(match.group(1)) * _UNITS_S[match.group(2)]
