"""Between directions in the detector and on the sky.

Zenith and azimuth of IceCube point to where a particle comes from. The azimuth is counted from the
detector's x axis (east at the site) towards y (grid north), so that it is 90 deg minus the azimuth
of a horizontal system minus the site's longitude. As in IceCube's own conversion UT1 is taken to be
UTC and there is no refraction, so that no table of the Earth's rotation has to be fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from astropy.time import Time

LATITUDE_DEG = -89.9944
LONGITUDE_DEG = -62.6081
"""Position of the South Pole site in IceCube's conversion."""


def _frame(time: Time) -> Any:
    from astropy import units as u
    from astropy.coordinates import AltAz, EarthLocation
    from astropy.time import Time as AstropyTime

    site = EarthLocation.from_geodetic(LONGITUDE_DEG * u.deg, LATITUDE_DEG * u.deg)
    utc = AstropyTime(time.utc, scale="utc", copy=True)
    utc.delta_ut1_utc = 0.0
    return AltAz(obstime=utc, location=site)


def to_icrs(
    zenith_rad: Any, azimuth_rad: Any, time: Time
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination (ICRS) of directions in the detector.

    Parameters
    ----------
    zenith_rad, azimuth_rad
        Where the particles come from; numbers or arrays.
    time
        When, one time or one per direction.

    Returns
    -------
    ra_rad, dec_rad
        Arrays of the same shape.
    """
    from astropy import units as u
    from astropy.coordinates import ICRS, SkyCoord
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        horizontal = SkyCoord(
            az=(np.pi / 2 - np.asarray(azimuth_rad) - np.deg2rad(LONGITUDE_DEG)) * u.rad,
            alt=(np.pi / 2 - np.asarray(zenith_rad)) * u.rad,
            frame=_frame(time),
        )
        sky = horizontal.transform_to(ICRS())
    return sky.ra.rad, sky.dec.rad


def to_local(
    ra_rad: Any, dec_rad: Any, time: Time
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return zenith and azimuth in the detector of directions on the sky (ICRS).

    Parameters
    ----------
    ra_rad, dec_rad
        Right ascension and declination; numbers or arrays.
    time
        When, one time or one per direction.

    Returns
    -------
    zenith_rad, azimuth_rad
        Arrays of the same shape; azimuth in [0, 2 pi).
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        sky = SkyCoord(np.asarray(ra_rad) * u.rad, np.asarray(dec_rad) * u.rad, frame="icrs")
        horizontal = sky.transform_to(_frame(time))
    azimuth = np.pi / 2 - horizontal.az.rad - np.deg2rad(LONGITUDE_DEG)
    return np.pi / 2 - horizontal.alt.rad, np.mod(azimuth, 2 * np.pi)
