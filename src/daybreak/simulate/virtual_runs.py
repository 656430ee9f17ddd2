"""Runs of a virtual night, and their rows of the observation index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time, TimeDelta

from daybreak.simulate.instrument import TELESCOPE, VirtualInstrument

MJDREFI = 60310
MJDREFF = 69.184 / 86400  # 2024-01-01T00:00:00 UTC as terrestrial time
REFERENCE = Time(MJDREFI, MJDREFF, format="mjd", scale="tt")


@dataclass(frozen=True)
class Run:
    """One observation of a virtual night.

    Attributes
    ----------
    obs_id : int
    target, tag : str
        Written as ``OBJECT`` and ``TARGET_TAG``.
    position, pointing : SkyCoord
        Of the target and of the field's centre.
    start : Time
    ontime : Quantity
    """

    obs_id: int
    target: str
    tag: str
    position: SkyCoord
    pointing: SkyCoord
    start: Time
    ontime: u.Quantity

    @property
    def tstart(self) -> float:
        """Start in seconds since the reference time, a whole number of milliseconds."""
        return round(float((self.start - REFERENCE).to_value("s")), 3)

    @property
    def tstop(self) -> float:
        """End in seconds since the reference time."""
        return self.tstart + float(self.ontime.to_value("s"))


def altitude_azimuth(
    position: SkyCoord, time: Time, instrument: VirtualInstrument
) -> tuple[float, float]:
    """Altitude and azimuth (from north through east) in deg; good to about 0.3 deg.

    Textbook spherical astronomy with the linear mean sidereal time, without precession, refraction
    or polar motion, so that a simulation never waits for a table from the network.

    Parameters
    ----------
    position
        A direction.
    time
        Of any scale.
    instrument
        Its longitude and latitude count.
    """
    days = (time.utc.jd1 - 2451545.0) + time.utc.jd2
    sidereal = 280.46061837 + 360.98564736629 * days + instrument.longitude.to_value("deg")
    hour = np.radians(sidereal - position.icrs.ra.deg)
    dec, lat = position.icrs.dec.rad, instrument.latitude.to_value("rad")
    up = np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour)
    north = np.cos(lat) * np.sin(dec) - np.sin(lat) * np.cos(dec) * np.cos(hour)
    east = -np.cos(dec) * np.sin(hour)
    return float(np.degrees(np.arcsin(up))), float(np.degrees(np.arctan2(east, north)) % 360)


def observation_row(run: Run, n_events: int, instrument: VirtualInstrument) -> dict[str, Any]:
    """The run's row of the observation index; angles in deg, times in s.

    Parameters
    ----------
    run
        What was observed, and when.
    n_events
        In its event list.
    instrument
        Its site and dead time count.
    """
    middle = run.start + run.ontime / 2
    altitude, azimuth = altitude_azimuth(run.pointing, middle, instrument)
    begin = (REFERENCE + TimeDelta(run.tstart, format="sec")).utc.isot
    end = (REFERENCE + TimeDelta(run.tstop, format="sec")).utc.isot
    ontime = float(run.ontime.to_value("s"))
    return {
        "OBS_ID": run.obs_id,
        "RA_PNT": float(run.pointing.icrs.ra.deg),
        "DEC_PNT": float(run.pointing.icrs.dec.deg),
        "GLON_PNT": float(run.pointing.galactic.l.deg),
        "GLAT_PNT": float(run.pointing.galactic.b.deg),
        "ZEN_PNT": 90.0 - altitude,
        "ALT_PNT": altitude,
        "AZ_PNT": azimuth,
        "OBJECT": run.target,
        "RA_OBJ": float(run.position.icrs.ra.deg),
        "DEC_OBJ": float(run.position.icrs.dec.deg),
        "ONTIME": ontime,
        "LIVETIME": ontime * (1 - instrument.dead_time),
        "DEADC": 1 - instrument.dead_time,
        "TSTART": run.tstart,
        "TSTOP": run.tstop,
        "DATE-OBS": begin[:10],
        "TIME-OBS": begin[11:],
        "DATE-END": end[:10],
        "TIME-END": end[11:],
        "N_TELS": 4,
        "TELLIST": "1,2,3,4",
        "QUALITY": 0,
        "EVENT_COUNT": n_events,
        "TARGET_NAME": run.target,
        "TARGET_TAG": run.tag,
        "TARGET_OFFSET": float(run.position.separation(run.pointing).deg),
        "TELESCOP": TELESCOPE,
        "INSTRUME": "VIRTUAL",
    }
