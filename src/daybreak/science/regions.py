"""ON region, OFF regions and exclusion: through Gammapy's region finders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.makers import ReflectedRegionsFinder, WobbleRegionsFinder
from gammapy.maps import WcsGeom, WcsNDMap
from numpy.typing import NDArray
from regions import CircleSkyRegion, PointSkyRegion

from daybreak.science.circle import Circle

_MASK_PIXEL_DEG = 0.02
BoolImage = NDArray[np.bool_]


def separation_deg(
    ra_deg: np.ndarray, dec_deg: np.ndarray, ra0_deg: Any, dec0_deg: Any
) -> np.ndarray:
    """Great-circle distance (haversine), in degrees; the arguments broadcast."""
    degrees = (np.asarray(x, dtype=np.float64) for x in (ra_deg, dec_deg, ra0_deg, dec0_deg))
    ra, dec, ra0, dec0 = (np.radians(x) for x in degrees)
    h = np.sin((dec - dec0) / 2) ** 2 + np.cos(dec) * np.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    distance: np.ndarray = np.degrees(2 * np.arcsin(np.sqrt(np.clip(h, 0, 1))))
    return distance


def allowed_pixels(geom: WcsGeom, exclude: Sequence[Circle]) -> BoolImage:
    """Pixels outside all excluded circles, shape (ny, nx)."""
    coords = geom.get_coord(frame="icrs").skycoord
    allowed = np.ones(coords.shape, dtype=bool)
    for circle in exclude:
        distance = separation_deg(coords.ra.deg, coords.dec.deg, circle.ra_deg, circle.dec_deg)
        allowed &= ~(distance < circle.radius_deg)
    return allowed


def exclusion_mask(
    center: SkyCoord, width: u.Quantity, circles: Sequence[Circle]
) -> WcsNDMap | None:
    """Mask that is False inside the excluded circles; None if nothing is excluded.

    Parameters
    ----------
    center
        Centre of the mask.
    width
        Full width, wide enough for the field of view.
    circles
        What to exclude.
    """
    if not circles:
        return None
    geom = WcsGeom.create(skydir=center, width=width, binsz=_MASK_PIXEL_DEG, proj="TAN")
    return WcsNDMap(geom, allowed_pixels(geom, circles))


def on_region(target: SkyCoord, radius: u.Quantity | None) -> CircleSkyRegion | PointSkyRegion:
    """ON region: a circle, or a point where RAD_MAX gives the energy-dependent radius."""
    return PointSkyRegion(target) if radius is None else CircleSkyRegion(target, radius)


class CircleFinder(ReflectedRegionsFinder):  # type: ignore[misc]
    """Gammapy's finder of reflected regions, faster for circles.

    The angles tried, the test against the excluded pixels and the centres found are Gammapy's;
    only the loop works on plain numbers and the centres go to the sky all at once.
    """

    def centers(
        self, region: CircleSkyRegion, center: SkyCoord, mask: WcsNDMap | None
    ) -> SkyCoord | None:
        """Centres of the reflected regions, None if there are none."""
        geom = self._create_reference_geometry(region, center)
        pivot = self._get_center_pixel(center, geom)
        circle = self._get_region_pixels(region, geom)
        excluded = self._get_excluded_pixels(geom, mask)
        low, high = self._get_angle_range(region=region, reference_geom=geom, center_pix=pivot)
        x, y = circle.center.x - pivot.x, circle.center.y - pivot.y
        radius2 = circle.radius**2
        angle, last = float((low + self.min_distance_input).rad), float(high.rad)
        found: list[tuple[float, float]] = []
        while angle < last and len(found) < self.max_region_number:
            sine, cosine = np.sin(angle), np.cos(angle)
            here = (pivot.x + cosine * x - sine * y, pivot.y + sine * x + cosine * y)
            distance2 = (excluded.x - here[0]) ** 2 + (excluded.y - here[1]) ** 2
            if np.any(distance2 < radius2):
                angle += float(self.angle_increment.rad)
            else:
                found.append(here)
                angle += float(low.rad)
        if not found:
            return None
        columns, rows = np.array(found).T
        return SkyCoord.from_pixel(columns, rows, geom.wcs).icrs


def reflected_regions(
    region: CircleSkyRegion,
    pointing: SkyCoord,
    mask: WcsNDMap | None,
    *,
    n_off: int = 0,
    min_distance: u.Quantity = 0 * u.deg,
) -> SkyCoord | None:
    """Centres of the reflected regions of a circular ON region; None if none fits.

    Parameters
    ----------
    region
        ON region.
    pointing
        Centre of the field of view.
    mask
        Exclusion mask, False where excluded.
    n_off
        Most regions to take; 0 for as many as fit.
    min_distance
        Smallest gap between two regions, seen from the pointing.
    """
    offset = region.center.separation(pointing)
    if offset <= region.radius:
        return None
    finder = CircleFinder(
        max_region_number=n_off or 10_000,
        min_distance=(min_distance / offset).to_value("") * u.rad,
    )
    return finder.centers(region, pointing, mask)


def wobble_regions(
    region: PointSkyRegion,
    pointing: SkyCoord,
    mask: WcsNDMap | None,
    *,
    n_off: int,
    largest_radius: u.Quantity,
) -> SkyCoord | None:
    """Wobble OFF positions for an energy-dependent ON radius; None if none fits.

    Parameters
    ----------
    region
        ON position.
    pointing
        Centre of the field of view.
    mask
        Exclusion mask, False where excluded.
    n_off
        Number of positions wanted; fewer are taken where they would overlap.
    largest_radius
        Largest RAD_MAX in the energies used.
    """
    offset = region.center.separation(pointing)
    if offset <= largest_radius:
        return None
    fits = int(np.pi / np.arcsin((largest_radius / offset).to_value(""))) - 1
    count = min(n_off, fits)
    if count < 1:
        return None
    finder = WobbleRegionsFinder(n_off_regions=count)
    found, _ = finder.run(region=region, center=pointing, exclusion_mask=mask)
    if not found:
        return None
    return SkyCoord([r.center.icrs for r in found])
