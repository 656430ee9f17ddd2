"""OFF regions and exclusion in plain numbers; places, tests and centres are Gammapy's.

Gammapy's region finders work in pixels of 0.01 deg on the plane that touches the sky at the
pointing; so does this. What Gammapy finds is compared in the tests, run by run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from daybreak.science.circle import Circle
from daybreak.science.exclusion import outside_circles
from daybreak.science.run import FloatArray
from daybreak.science.sphere import separation_deg
from daybreak.science.tangent import TangentPlane

_MASK_PIXEL_DEG = 0.02
_FINDER_PIXEL_DEG = 0.01
_FINDER_MARGIN_DEG = 0.3
#: Gammapy's defaults: step after a region that overlaps an excluded one, and gap to the ON region
_STEP_RAD = 0.1
_GAP_RAD = 0.1
Places = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class ExclusionMask:
    """Pixels outside the excluded circles around the ON position.

    Attributes
    ----------
    plane
        The pixels.
    allowed
        False inside the excluded circles, shape (ny, nx).
    circles
        The circles.
    """

    plane: TangentPlane
    allowed: NDArray[np.bool_]
    circles: tuple[Circle, ...]

    def excluded(self, other: TangentPlane) -> tuple[FloatArray, FloatArray]:
        """Columns and rows of those pixels of another plane whose middles are excluded here.

        The value is that of the pixel here in which they lie; what lies beyond is allowed.

        Parameters
        ----------
        other
            The other pixels.
        """
        near = np.zeros((other.ny, other.nx), dtype=bool)
        for circle in self.circles:
            x, y = other.pixels(circle.ra_deg, circle.dec_deg)
            reach = 1.05 * circle.radius_deg + 3 * self.plane.pixel_deg
            reach /= min(other.pixel_deg, other.scale_deg(circle.ra_deg, circle.dec_deg))
            if np.isfinite(reach):
                box = [slice(max(int(v - reach), 0), max(int(v + reach) + 2, 0)) for v in (y, x)]
                near[tuple(box)] = True
        rows, columns = np.nonzero(near)
        column, row = self.plane.pixels(*other.sky(columns, rows))
        ny, nx = self.allowed.shape
        i, j = (np.rint(np.nan_to_num(x, nan=-9)).astype(np.intp) for x in (row, column))
        inside = (i >= 0) & (i < ny) & (j >= 0) & (j < nx)
        found = np.zeros(inside.shape, dtype=bool)
        found[inside] = ~self.allowed[i[inside], j[inside]]
        return columns[found].astype(float), rows[found].astype(float)


def exclusion_mask(
    ra_deg: float, dec_deg: float, width_deg: float, circles: Sequence[Circle]
) -> ExclusionMask | None:
    """Mask that is False inside the excluded circles; None if nothing is excluded.

    Parameters
    ----------
    ra_deg, dec_deg
        Centre of the mask, degrees.
    width_deg
        Full width, wide enough for the field of view.
    circles
        What to exclude.
    """
    if not circles:
        return None
    return _exclusion_mask(ra_deg, dec_deg, width_deg, tuple(circles))


@lru_cache(maxsize=4)  # the runs of a target share it
def _exclusion_mask(
    ra_deg: float, dec_deg: float, width_deg: float, circles: tuple[Circle, ...]
) -> ExclusionMask:
    plane = TangentPlane.of_width(ra_deg, dec_deg, _MASK_PIXEL_DEG, width_deg)
    return ExclusionMask(plane, outside_circles(*plane.centers(), circles), circles)


def inside_circle(circle: Circle, ra_deg: FloatArray, dec_deg: FloatArray) -> NDArray[np.bool_]:
    """Which places Gammapy counts into a circle: by distance on the plane that touches there.

    Parameters
    ----------
    circle
        The region.
    ra_deg, dec_deg
        Places, degrees, shape (n,).
    """
    plane = TangentPlane(circle.ra_deg, circle.dec_deg, 0.1, 1, 1)
    x, y = plane.pixels(ra_deg, dec_deg)
    radius = circle.radius_deg / plane.scale_deg(circle.ra_deg, circle.dec_deg)
    return np.asarray(np.nan_to_num(np.hypot(x, y), nan=np.inf) < radius)


@dataclass(frozen=True)
class _Turntable:
    """The finder's pixels around the pointing, and the ON position in them."""

    plane: TangentPlane
    pivot: tuple[float, float]
    arm: tuple[float, float]
    excluded: tuple[FloatArray, FloatArray]

    @classmethod
    def around(
        cls, on: Circle, pointing: tuple[float, float], mask: ExclusionMask | None
    ) -> _Turntable:
        away = float(separation_deg(on.ra_deg, on.dec_deg, *pointing))
        plane = TangentPlane.of_width(*pointing, _FINDER_PIXEL_DEG, 4 * away + _FINDER_MARGIN_DEG)
        px, py = (float(v) for v in plane.pixels(*pointing))
        x, y = (float(v) for v in plane.pixels(on.ra_deg, on.dec_deg))
        if mask is None:
            none = np.empty(0)
            return cls(plane, (px, py), (x - px, y - py), (none, none))
        return cls(plane, (px, py), (x - px, y - py), mask.excluded(plane))

    def turned(self, angle_rad: float) -> tuple[float, float]:
        """The ON position turned around the pointing."""
        sine, cosine = np.sin(angle_rad), np.cos(angle_rad)
        x, y = self.arm
        return self.pivot[0] + cosine * x - sine * y, self.pivot[1] + sine * x + cosine * y

    def hits(self, place: tuple[float, float], radius: float) -> bool:
        """Whether an excluded pixel lies within a radius of a place."""
        x, y = self.excluded
        distance2 = (x - place[0]) ** 2 + (y - place[1]) ** 2
        return bool(np.any(distance2 < radius**2))

    def sky(self, places: Sequence[tuple[float, float]]) -> Places:
        """Right ascension and declination of places, degrees."""
        columns, rows = np.array(places).T
        return self.plane.sky(columns, rows)

    def width_rad(self, radius: float) -> float:
        """Angle that the ON region takes, seen from the pointing: over its pixels."""
        x0, y0 = self.pivot[0] + self.arm[0], self.pivot[1] + self.arm[1]
        reach = int(np.ceil(radius)) + 1
        columns = np.arange(max(int(x0) - reach, 0), min(int(x0) + reach + 2, self.plane.nx))
        rows = np.arange(max(int(y0) - reach, 0), min(int(y0) + reach + 2, self.plane.ny))
        x, y = np.meshgrid(columns, rows)
        inside = np.hypot(x - x0, y - y0) < radius
        angles = np.arctan2(self.pivot[0] - x[inside], self.pivot[1] - y[inside])
        size = float(np.ptp(angles))
        if size > np.pi:
            size = float(np.ptp(angles % (2 * np.pi)))
        return size


def reflected_regions(
    on: Circle,
    pointing: tuple[float, float],
    mask: ExclusionMask | None,
    *,
    n_off: int = 0,
    min_distance_deg: float = 0.0,
) -> Places | None:
    """Centres of the reflected regions of a circular ON region; None if none fits.

    Parameters
    ----------
    on
        ON region.
    pointing
        Right ascension and declination of the centre of the field of view, degrees.
    mask
        What is excluded.
    n_off
        Most regions to take; 0 for as many as fit.
    min_distance_deg
        Smallest gap between two regions, seen from the pointing.

    Returns
    -------
    tuple of numpy.ndarray or None
        Right ascensions and declinations, degrees.
    """
    offset = float(separation_deg(on.ra_deg, on.dec_deg, *pointing))
    if offset <= on.radius_deg:
        return None
    table = _Turntable.around(on, pointing, mask)
    radius = on.radius_deg / table.plane.scale_deg(on.ra_deg, on.dec_deg)
    pitch = table.width_rad(radius) + min_distance_deg / offset
    angle, last = pitch + _GAP_RAD, 2 * np.pi - pitch - _GAP_RAD
    found: list[tuple[float, float]] = []
    while angle < last and (not n_off or len(found) < n_off):
        here = table.turned(angle)
        if table.hits(here, radius):
            angle += _STEP_RAD
        else:
            found.append(here)
            angle += pitch
    return table.sky(found) if found else None


def wobble_regions(
    on: Circle,
    pointing: tuple[float, float],
    mask: ExclusionMask | None,
    *,
    n_off: int,
    largest_radius_deg: float,
) -> Places | None:
    """Wobble OFF positions for an energy-dependent ON radius; None if none fits.

    Parameters
    ----------
    on
        ON position.
    pointing
        Right ascension and declination of the centre of the field of view, degrees.
    mask
        What is excluded.
    n_off
        Number of positions wanted; fewer are taken where they would overlap.
    largest_radius_deg
        Largest RAD_MAX in the energies used.

    Returns
    -------
    tuple of numpy.ndarray or None
        Right ascensions and declinations, degrees.
    """
    offset = float(separation_deg(on.ra_deg, on.dec_deg, *pointing))
    if offset <= largest_radius_deg:
        return None
    count = min(n_off, int(np.pi / np.arcsin(largest_radius_deg / offset)) - 1)
    if count < 1:
        return None
    table = _Turntable.around(on, pointing, mask)
    places = [table.turned(2 * np.pi * k / (count + 1)) for k in range(1, count + 1)]
    found = [place for place in places if not table.hits(place, 1.0)]
    return table.sky(found) if found else None
