"""Time references: to which instant the seconds of a table count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astropy import units as u
from astropy.time import Time

from daybreak.science.dl3.oddities import Oddity
from daybreak.science.dl3.values import number_of, unit_factor
from daybreak.science.run import FloatArray

DAY_S = 86400.0
_SCALES = ("tt", "utc", "tai", "tdb", "tcb", "tcg", "ut1")
_EARLIEST_MJD, _LATEST_MJD = 0.0, 100_000.0  # 1858 to 2132
#: before this no array of Cherenkov telescopes took data
_PLAUSIBLE_MJD = 45_000.0


def reference_of(header: Mapping[str, Any], where: str, oddities: list[Oddity]) -> Time | None:
    """Reference of a table's times, in TT.

    Parameters
    ----------
    header
        With ``MJDREFI`` and ``MJDREFF``, or ``MJDREF``, and ``TIMESYS``.
    where
        File and HDU, for messages.
    oddities
        Here it is noted if the time scale is none that is known.

    Returns
    -------
    astropy.time.Time or None
        None if the header does not tell.
    """
    whole = number_of(header, "MJDREFI", _EARLIEST_MJD, _LATEST_MJD)
    part = number_of(header, "MJDREFF", -1.0, 1.0)
    if whole is None:
        whole = number_of(header, "MJDREF", _EARLIEST_MJD, _LATEST_MJD)
        part = 0.0 if whole is not None else None
    elif part is None and "MJDREFF" not in header and not float(whole).is_integer():
        part = 0.0  # all of it in one keyword
    if whole is None or part is None:
        return None
    scale = str(header.get("TIMESYS") or "tt").strip().lower()
    if scale not in _SCALES:
        oddities.append(
            Oddity("HEADER_ODD", f"{where}: TIMESYS is {scale!r}, which is none: taken as TT")
        )
        scale = "tt"
    return Time(whole, part, format="mjd", scale=scale).tt


def plausible(reference: Time | None) -> bool:
    """Whether a reference is of the time of Cherenkov telescopes, not a keyword left at zero.

    Parameters
    ----------
    reference
        Or None.
    """
    return reference is not None and bool(reference.mjd > _PLAUSIBLE_MJD)


def usual_unit(header: Mapping[str, Any]) -> str:
    """Unit of a table's times where the column has none.

    Parameters
    ----------
    header
        With ``TIMEUNIT``.

    Returns
    -------
    str
        Empty if the header does not tell.
    """
    text = str(header.get("TIMEUNIT") or "")
    return text if unit_factor(text, "s") is not None else ""


def mjd(reference: Time, seconds: FloatArray) -> FloatArray:
    """MJD in TT of seconds after a reference.

    Parameters
    ----------
    reference
        In TT.
    seconds
        Any shape.
    """
    days: FloatArray = (reference.jd1 - 2400000.5) + (reference.jd2 + seconds / DAY_S)
    return days


def date_text(reference: Time, seconds: float) -> str:
    """Date and time in UTC, or the seconds where these are too many for a date.

    Parameters
    ----------
    reference
        To which the seconds count.
    seconds
        Of any size.
    """
    if abs(float(seconds)) > 1e11:
        return f"{float(seconds):.3g} s"
    moment = reference + float(seconds) * u.s
    return str(moment.utc.iso[:19])
