"""The night that a time belongs to: the civil date of its evening at the site."""

from __future__ import annotations

from astropy import units as u
from astropy.time import Time


def night_of(time: Time, longitude_deg: float) -> str:
    """Civil date of the evening of the night at the site that a time belongs to.

    Local mean solar time, from the site's longitude (east positive), with the date changing at
    noon.

    Parameters
    ----------
    time
        Of any scale.
    longitude_deg
        Of the site in degrees, east positive.

    Returns
    -------
    str
        YYYY-MM-DD.
    """
    shifted = time.utc + (longitude_deg / 360.0 - 0.5) * u.day
    return str(shifted.isot[:10])
