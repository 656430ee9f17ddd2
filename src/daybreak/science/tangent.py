"""Gnomonic (TAN) pixels in plain numbers: as FITS defines them, without a WCS library.

The equations are those of Calabretta & Greisen 2002 (A&A 395, 1077) for the zenithal projection
TAN with the reference point in the middle of the image and north up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from daybreak.science.run import FloatArray
from daybreak.science.sphere import position_angle_rad, separation_deg

_ARCSEC_DEG = 1 / 3600


@dataclass(frozen=True)
class TangentPlane:
    """Square pixels on the plane that touches the sky at a point.

    Attributes
    ----------
    ra_deg, dec_deg
        Where it touches: the middle of the image.
    pixel_deg
        Side of a pixel there.
    nx, ny
        Number of pixels.
    """

    ra_deg: float
    dec_deg: float
    pixel_deg: float
    nx: int
    ny: int

    @classmethod
    def of_width(
        cls, ra_deg: float, dec_deg: float, pixel_deg: float, width_deg: float
    ) -> TangentPlane:
        """A square of about a width: the nearest whole number of pixels.

        Parameters
        ----------
        ra_deg, dec_deg
            Its middle, degrees.
        pixel_deg
            Side of a pixel, degrees.
        width_deg
            Full width, degrees.
        """
        n = int(np.rint(width_deg / pixel_deg))
        return cls(ra_deg, dec_deg, pixel_deg, n, n)

    def pixels(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixel coordinates of places: column and row, 0 in the middle of the first pixel.

        Parameters
        ----------
        ra_deg, dec_deg
            Places, degrees; any shape.

        Returns
        -------
        tuple of numpy.ndarray
            NaN for places more than 90 deg away, which the plane does not show.
        """
        ra = np.radians(np.asarray(ra_deg, dtype=np.float64) - self.ra_deg)
        dec, dec0 = np.radians(np.asarray(dec_deg, dtype=np.float64)), np.radians(self.dec_deg)
        sin_dec, cos_dec = np.sin(dec), np.cos(dec)
        forward = cos_dec * np.cos(ra)
        along = sin_dec * np.sin(dec0) + forward * np.cos(dec0)
        scale = np.degrees(1 / np.where(along > 0, along, np.nan)) / self.pixel_deg
        east = cos_dec * np.sin(ra) * scale
        north = (sin_dec * np.cos(dec0) - forward * np.sin(dec0)) * scale
        return (self.nx - 1) / 2 - east, (self.ny - 1) / 2 + north

    def sky(self, column: ArrayLike, row: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Right ascension (0 to 360) and declination of pixel coordinates, degrees.

        Parameters
        ----------
        column, row
            Pixel coordinates as :meth:`pixels` gives them.
        """
        x = np.radians(((self.nx - 1) / 2 - np.asarray(column)) * self.pixel_deg)
        y = np.radians((np.asarray(row) - (self.ny - 1) / 2) * self.pixel_deg)
        dec0 = np.radians(self.dec_deg)
        along = np.cos(dec0) - y * np.sin(dec0)
        ra = np.degrees(np.arctan2(x, along)) + self.ra_deg
        dec = np.arctan2(np.sin(dec0) + y * np.cos(dec0), np.hypot(x, along))
        return ra % 360.0, np.degrees(dec)

    def centers(self) -> tuple[FloatArray, FloatArray]:
        """Right ascension and declination of all pixels, degrees, shape (ny, nx); not writable."""
        return _centers(self)

    def scale_deg(self, ra_deg: float, dec_deg: float) -> float:
        """Size of a pixel at a place along north: measured over one arcsecond, as regions does.

        Parameters
        ----------
        ra_deg, dec_deg
            The place, degrees.
        """
        x, y = self.pixels(ra_deg, dec_deg)
        x1, y1 = self.pixels(ra_deg, dec_deg + _ARCSEC_DEG)
        return float(_ARCSEC_DEG / np.hypot(x1 - x, y1 - y))

    def solid_angle_sr(self) -> FloatArray:
        """Solid angle of each pixel, shape (ny, nx), as Gammapy takes it; not writable."""
        return _solid_angle_sr(self)


def _fixed(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array


@lru_cache(maxsize=8)
def _centers(plane: TangentPlane) -> tuple[FloatArray, FloatArray]:
    ra, dec = plane.sky(*np.meshgrid(np.arange(plane.nx), np.arange(plane.ny)))
    return _fixed(ra), _fixed(dec)


@lru_cache(maxsize=8)
def _solid_angle_sr(plane: TangentPlane) -> FloatArray:
    """Two plane triangles for each pixel."""
    columns, rows = np.arange(plane.nx + 1) - 0.5, np.arange(plane.ny + 1) - 0.5
    ra, dec = plane.sky(*np.meshgrid(columns, rows))
    # the corners in Gammapy's terms: its first image axis is the row
    a, b = (ra[:-1, :-1], dec[:-1, :-1]), (ra[:-1, 1:], dec[:-1, 1:])
    c, d = (ra[1:, :-1], dec[1:, :-1]), (ra[1:, 1:], dec[1:, 1:])
    low, up = (np.radians(separation_deg(*p, *q)) for p, q in ((a, c), (b, d)))
    left, right = (np.radians(separation_deg(*p, *q)) for p, q in ((a, b), (c, d)))
    angle_right = position_angle_rad(*c, *d) - position_angle_rad(*c, *a)
    angle_left = position_angle_rad(*b, *d) - position_angle_rad(*a, *b)
    lower, upper = low * right * np.sin(angle_right), up * left * np.sin(angle_left)
    return _fixed(np.abs(0.5 * lower + 0.5 * upper))
