"""HEALPix pixels in the RING order; right ascension = phi, declination = 90 deg - theta.

Gorski et al. 2005, ApJ 622, 759; the sums are astropy-healpix's.
"""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy_healpix import HEALPix, healpix_to_lonlat, lonlat_to_healpix
from astropy_healpix import neighbours as _neighbours
from numpy.typing import NDArray

Pixels = NDArray[np.int64]
Floats = NDArray[np.float64]


def _to_nested(nside: int, pixels: Pixels) -> Pixels:
    found = HEALPix(nside, order="ring").ring_to_nested(np.asarray(pixels, np.int64))
    return np.asarray(found, np.int64)


def _to_ring(nside: int, nested: Pixels) -> Pixels:
    return np.asarray(HEALPix(nside, order="ring").nested_to_ring(nested), np.int64)


def n_pixels(nside: int) -> int:
    """Pixels of the whole sky.

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    """
    return 12 * nside * nside


def centres(nside: int, pixels: Pixels) -> tuple[Floats, Floats]:
    """Right ascension and declination of pixel centres in radians.

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    pixels
        Numbers of pixels, shape (n,).
    """
    lon, lat = healpix_to_lonlat(pixels, nside, order="ring")
    return np.asarray(lon.to_value(u.rad), float), np.asarray(lat.to_value(u.rad), float)


def pixel_at(nside: int, ra_rad: Floats, dec_rad: Floats) -> Pixels:
    """The pixels in which directions lie.

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    ra_rad
        Right ascensions, radians.
    dec_rad
        Declinations, radians.
    """
    found = lonlat_to_healpix(ra_rad * u.rad, dec_rad * u.rad, nside, order="ring")
    return np.asarray(found, np.int64)


def children(nside: int, pixels: Pixels, finer: int) -> Pixels:
    """Pixels of the `finer` nside inside `pixels`, shape (n, (finer/nside)²).

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    pixels
        Numbers of pixels, shape (n,).
    finer
        nside of the finer level.
    """
    factor = (finer // nside) ** 2
    nested = _to_nested(nside, pixels)
    below = nested[:, None] * factor + np.arange(factor)
    return _to_ring(finer, below)


def parents(nside: int, pixels: Pixels, coarser: int) -> Pixels:
    """Pixels of the `coarser` nside in which `pixels` lie.

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    pixels
        Numbers of pixels, shape (n,).
    coarser
        nside of the coarser level.
    """
    factor = (nside // coarser) ** 2
    nested = _to_nested(nside, pixels)
    return _to_ring(coarser, nested // factor)


def neighbours(nside: int, pixels: Pixels) -> Pixels:
    """The eight neighbours of each pixel, shape (n, 8); -1 where there are only seven.

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    pixels
        Numbers of pixels, shape (n,).
    """
    with np.errstate(invalid="ignore"):  # astropy-healpix warns where there are only seven
        found = _neighbours(np.asarray(pixels, np.int64), nside, order="ring")
    return np.asarray(found, np.int64).T.reshape(-1, 8)


def disc(nside: int, ra_deg: float, dec_deg: float, radius_deg: float) -> Pixels:
    """Pixels that a circle may touch, sorted: those whose centre is near enough.

    No corner of a pixel is farther from its centre than 1.15 times the root of its area.

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    ra_deg
        Right ascension, degrees.
    dec_deg
        Declination, degrees.
    radius_deg
        Radius, degrees.
    """
    ra, dec = centres(nside, np.arange(n_pixels(nside)))
    away = separation_rad(np.radians(ra_deg), np.radians(dec_deg), ra, dec)
    return np.flatnonzero(np.degrees(away) <= radius_deg + 1.15 * size_deg(nside))


def uniq(nside: int, pixels: Pixels) -> Pixels:
    """NUNIQ numbers of pixels: 4 nside² + the NESTED index (IVOA MOC 2.0).

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    pixels
        Numbers of pixels, shape (n,).
    """
    nested = _to_nested(nside, pixels)
    return np.asarray(4 * nside * nside + nested, np.int64)


def size_deg(nside: int) -> float:
    """Square root of a pixel's area in degrees.

    Parameters
    ----------
    nside
        HEALPix nside (nested scheme).
    """
    return float(np.degrees(np.sqrt(4 * np.pi / n_pixels(nside))))


def separation_rad(ra0: float, dec0: float, ra_rad: Floats, dec_rad: Floats) -> Floats:
    """Angle between one direction and others, exact for small ones (haversine).

    Parameters
    ----------
    ra0
        Right ascension of the one place, radians.
    dec0
        Its declination, radians.
    ra_rad
        Right ascensions of the others, radians.
    dec_rad
        Their declinations, radians.
    """
    h = (
        np.sin((dec_rad - dec0) / 2) ** 2
        + np.cos(dec_rad) * np.cos(dec0) * np.sin((ra_rad - ra0) / 2) ** 2
    )
    return np.asarray(2 * np.arcsin(np.sqrt(np.clip(h, 0, 1))))
