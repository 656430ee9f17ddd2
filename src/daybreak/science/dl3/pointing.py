"""Where a run pointed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from daybreak.science.dl3.clock import reference_of
from daybreak.science.dl3.events import EventTable, drifted_deg, middle_of
from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.dl3.values import number_of, shown
from daybreak.science.sphere import separation_deg

#: an hour moves a fixed telescope by up to 15 degrees; what stays within this has tracked
_TRACKED_DEG = 0.5
#: a difference between file and index that is noted
_NOTED_DEG = 0.05


def _fixed_on_the_sky(header: Mapping[str, Any]) -> tuple[float, float] | None:
    ra, dec = number_of(header, "RA_PNT", -360, 360), number_of(header, "DEC_PNT", -90, 90)
    return (ra, dec) if ra is not None and dec is not None else None


def _from_altaz(header: Mapping[str, Any], middle: Time) -> tuple[float, float] | None:
    """Right ascension and declination of ALT_PNT, AZ_PNT in the middle of a run."""
    alt, az = number_of(header, "ALT_PNT", -90, 90), number_of(header, "AZ_PNT", -360, 360)
    longitude = number_of(header, "GEOLON", -360, 360)
    latitude = number_of(header, "GEOLAT", -90, 90)
    if alt is None or az is None or longitude is None or latitude is None:
        return None
    height = number_of(header, "ALTITUDE", -500, 9000) or 0.0
    place = EarthLocation(lon=longitude * u.deg, lat=latitude * u.deg, height=height * u.m)
    frame = AltAz(obstime=middle, location=place)
    icrs = SkyCoord(az * u.deg, alt * u.deg, frame=frame).icrs
    return float(icrs.ra.deg), float(icrs.dec.deg)


def pointing_by_header(header: Mapping[str, Any]) -> tuple[float, float] | None:
    """Right ascension and declination of a run, degrees, by the header of its events alone.

    Parameters
    ----------
    header
        Of the EVENTS.

    Returns
    -------
    tuple of float, or None
        RA_PNT and DEC_PNT; without them ALT_PNT and AZ_PNT in the middle of TSTART to TSTOP;
        None if the header does not tell.
    """
    fixed = _fixed_on_the_sky(header)
    if fixed is not None:
        return fixed
    reference = reference_of(header, "", [])
    start, stop = (number_of(header, key, -1e12, 1e12) for key in ("TSTART", "TSTOP"))
    if reference is None or start is None or stop is None:
        return None
    return _from_altaz(header, reference + (start + stop) / 2 * u.s)


def pointing_of(
    table: EventTable,
    middle: Time,
    index: tuple[float, float] | None,
    oddities: list[Oddity],
) -> tuple[float, float]:
    """Right ascension and declination of a run's pointing, degrees.

    Without RA_PNT and DEC_PNT, or with OBS_MODE DRIFT, it is that of the observation index or that
    of ALT_PNT and AZ_PNT in the middle of the run (as in Gammapy), whichever is nearer to the
    middle of the events: files of runs that tracked hold means of ALT_PNT and AZ_PNT over the run,
    which are half a degree off.

    Parameters
    ----------
    table
        Usable events and their header.
    middle
        Of the good time.
    index
        Pointing in the observation index; None if there is none.
    oddities
        Here it is noted if other words than RA_PNT and DEC_PNT were used.

    Raises
    ------
    RunDataError
        If nothing tells the pointing, or it moved over the sky.
    """
    header, where = table.header, table.where
    drift = str(header.get("OBS_MODE") or "").strip().upper() == "DRIFT"
    fixed = _fixed_on_the_sky(header)
    if fixed is not None and not drift:
        _compare(fixed, index, where, oddities)
        return fixed
    words = "OBS_MODE is DRIFT" if drift else _what_is_wrong(header)
    moved = drifted_deg(table)
    if moved > _TRACKED_DEG:
        raise unusable(
            where,
            f"{words} and the events moved by {moved:.1f} deg over the sky during the run: a drift "
            "of that length can't be reduced with one pointing",
            "Have it divided into runs of a minute or two.",
        )
    known = {"RA_PNT, DEC_PNT of the observation index": index}
    known["ALT_PNT, AZ_PNT in the middle of the run"] = _from_altaz(header, middle)
    found = {name: place for name, place in known.items() if place is not None}
    if not found:
        raise unusable(
            where,
            f"{words}, ALT_PNT, AZ_PNT, GEOLON, GEOLAT don't tell the pointing either, and the "
            "index has none",
        )
    name, place = min(found.items(), key=lambda item: _away(table, item[1]))
    text = f"the pointing is that of {name}, RA {place[0]:.3f}, Dec {place[1]:.3f} deg"
    if len(table):
        text += (
            f" ({_away(table, place):.2f} deg from the middle of the events, which moved by "
            f"{moved:.2f} deg)"
        )
    oddities.append(Oddity("POINTING_ODD", f"{where}: {words}: {text}"))
    return place


def _away(table: EventTable, place: tuple[float, float]) -> float:
    return float(separation_deg(*place, *middle_of(table))) if len(table) else 0.0


def _compare(
    place: tuple[float, float],
    index: tuple[float, float] | None,
    where: str,
    oddities: list[Oddity],
) -> None:
    if index is None:
        return
    away = float(separation_deg(*place, *index))
    if away > _NOTED_DEG:
        text = (
            f"{where}: RA_PNT, DEC_PNT are {away:.2f} deg from those of the index "
            f"({index[0]:.3f}, {index[1]:.3f}): those of the file are used"
        )
        oddities.append(Oddity("INDEX_WRONG", text))


def _what_is_wrong(header: Mapping[str, Any]) -> str:
    parts = [
        f"{key} is {shown(header, key)}"
        for key, most in (("RA_PNT", 360), ("DEC_PNT", 90))
        if number_of(header, key, -most, most) is None
    ]
    return " and ".join(parts)
