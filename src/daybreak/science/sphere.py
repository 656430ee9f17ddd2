"""Angles on the sphere in plain numbers: distances and the coordinates of a field of view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from daybreak.science.run import FloatArray


def separation_deg(
    ra_deg: ArrayLike, dec_deg: ArrayLike, ra0_deg: ArrayLike, dec0_deg: ArrayLike
) -> Any:
    """Great-circle distance in degrees, by the haversine formula.

    Parameters
    ----------
    ra_deg, dec_deg
        One set of places, degrees.
    ra0_deg, dec0_deg
        The other, degrees; the four broadcast.

    Returns
    -------
    numpy.ndarray
        Distances in degrees; exact to rounding but next to the antipode.
    """
    degrees = (np.asarray(x, dtype=np.float64) for x in (ra_deg, dec_deg, ra0_deg, dec0_deg))
    ra, dec, ra0, dec0 = (np.radians(x) for x in degrees)
    h = np.sin((dec - dec0) / 2) ** 2 + np.cos(dec) * np.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(np.clip(h, 0, 1))))


def offsets_deg(
    ra_deg: ArrayLike, dec_deg: ArrayLike, ra0_deg: float, dec0_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Offsets (east, north) from a pointing: the coordinates of a sky-offset frame, in degrees.

    Parameters
    ----------
    ra_deg, dec_deg
        Places, degrees; any shape.
    ra0_deg, dec0_deg
        The pointing, degrees.
    """
    ra, dec = np.radians(np.asarray(ra_deg) - ra0_deg), np.radians(np.asarray(dec_deg))
    dec0 = np.radians(dec0_deg)
    sin_dec, cos_dec = np.sin(dec), np.cos(dec)
    forward = cos_dec * np.cos(ra)
    along = sin_dec * np.sin(dec0) + forward * np.cos(dec0)
    east = np.arctan2(cos_dec * np.sin(ra), along)
    up = sin_dec * np.cos(dec0) - forward * np.sin(dec0)
    return np.degrees(east), np.degrees(np.arcsin(np.clip(up, -1, 1)))


def position_angle_rad(
    ra_deg: ArrayLike, dec_deg: ArrayLike, ra1_deg: ArrayLike, dec1_deg: ArrayLike
) -> Any:
    """Direction in which the second place is seen from the first: radians, east of north.

    Parameters
    ----------
    ra_deg, dec_deg
        Where one looks from, degrees.
    ra1_deg, dec1_deg
        Where to, degrees; the four broadcast.
    """
    ra, dec, ra1, dec1 = (np.radians(x) for x in (ra_deg, dec_deg, ra1_deg, dec1_deg))
    cos_dec1, apart = np.cos(dec1), ra1 - ra
    north = np.sin(dec1) * np.cos(dec) - cos_dec1 * np.sin(dec) * np.cos(apart)
    return np.arctan2(np.sin(apart) * cos_dec1, north)


def unit_vectors(ra_deg: ArrayLike, dec_deg: ArrayLike) -> FloatArray:
    """Unit vectors of places on the sky, shape (3, n): for many distances from the same places.

    Parameters
    ----------
    ra_deg, dec_deg
        Places, degrees, shape (n,).
    """
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    cos_dec = np.cos(dec)
    return np.stack([cos_dec * np.cos(ra), cos_dec * np.sin(ra), np.sin(dec)])


def distances_deg(vectors: FloatArray, ra_deg: float, dec_deg: float) -> FloatArray:
    """Distances in degrees of one place from many.

    Parameters
    ----------
    vectors
        The many, from :func:`unit_vectors`.
    ra_deg, dec_deg
        The one, degrees.
    """
    x, y, z = unit_vectors(ra_deg, dec_deg)
    chord2 = (vectors[0] - x) ** 2 + (vectors[1] - y) ** 2 + (vectors[2] - z) ** 2
    away: FloatArray = np.degrees(2 * np.arcsin(np.sqrt(np.minimum(chord2, 4.0)) / 2))
    return away
