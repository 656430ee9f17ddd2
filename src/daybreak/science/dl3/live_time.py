"""Which part of the good time the telescopes could record events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.dl3.values import finite_number, number_of, shown

#: from this difference of LIVETIME and DEADC * GTI on it is noted
_NOTED = 0.005


@dataclass(frozen=True)
class LiveTime:
    """Live time of a run.

    Attributes
    ----------
    fraction
        Of the good time, as used.
    by_header_s
        LIVETIME of the header; NaN if it tells none.
    by_good_time_s
        Good time less the dead time.
    """

    fraction: float
    by_header_s: float
    by_good_time_s: float


def live_time(
    header: Mapping[str, Any], where: str, ontime_s: float, believe: str, oddities: list[Oddity]
) -> LiveTime:
    """Live time of a run from its header and good time.

    Parameters
    ----------
    header
        Of the EVENTS.
    where
        Its file and HDU.
    ontime_s
        Sum of the good time.
    believe
        ``gti``: good time times DEADC. ``header``: LIVETIME.
    oddities
        Here it is noted if the two differ or DEADC is missing.

    Raises
    ------
    RunDataError
        If there is no live time, or DEADC is no fraction.
    """
    declared = number_of(header, "LIVETIME", 0.0, np.inf)
    dead = _live_fraction(header, where, declared, oddities)
    counted = dead * ontime_s
    if "LIVETIME" in header and (declared is None or abs(declared - counted) > _NOTED * counted):
        used = "LIVETIME" if believe == "header" and declared else "DEADC times GTI"
        said = f"{declared:.1f} s" if declared is not None else repr(header["LIVETIME"])
        text = (
            f"{where}: LIVETIME is {said}, DEADC times the good time is {counted:.1f} s: {used} is "
            "used (quality.livetime); a lower live time gives a higher flux"
        )
        oddities.append(Oddity("LIVETIME_DIFFERS", text))
    fraction = dead
    if believe == "header":
        if not declared:
            raise unusable(
                where,
                f"quality.livetime is header, and LIVETIME is {shown(header, 'LIVETIME')}",
                "Set quality.livetime: gti, or have the file made again.",
            )
        fraction = declared / ontime_s
    if not fraction > 0:
        raise unusable(where, "the livetime is zero (DEADC is 0)", "Check DEADC and the GTI.")
    by_header = float("nan") if declared is None else declared
    return LiveTime(fraction, by_header, counted)


def _live_fraction(
    header: Mapping[str, Any], where: str, declared: float | None, oddities: list[Oddity]
) -> float:
    value = header.get("DEADC")
    known = number_of(header, "DEADC", 0.0, 1.0)
    if known is not None:
        return known
    if finite_number(value) is not None:
        raise unusable(where, f"DEADC is {value!r}, which is no fraction between 0 and 1")
    ontime = number_of(header, "ONTIME", 1e-9, np.inf)
    if declared and ontime and declared <= ontime:
        text = f"LIVETIME / ONTIME, {declared / ontime:.4f}, is taken"
        found = declared / ontime
    else:
        text, found = "no dead time is assumed", 1.0
    oddities.append(Oddity("HEADER_ODD", f"{where}: DEADC is {shown(header, 'DEADC')}: {text}"))
    return found
