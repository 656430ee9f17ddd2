"""ON region, OFF regions and exclusion: through Gammapy's region finders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.makers import ReflectedRegionsFinder, WobbleRegionsFinder
from gammapy.makers.utils import make_counts_off_rad_max
from gammapy.maps import RegionGeom, WcsGeom, WcsNDMap
from regions import CircleSkyRegion, PointSkyRegion

_MASK_PIXEL_DEG = 0.02


@dataclass(frozen=True)
class Circle:
    """A circle on the sky (ICRS degrees): plain numbers, so that it travels in step parameters."""

    ra_deg: float
    dec_deg: float
    radius_deg: float
    name: str = ""

    @property
    def center(self) -> SkyCoord:
        """Centre as a sky coordinate."""
        return SkyCoord(self.ra_deg, self.dec_deg, unit="deg")

    @property
    def region(self) -> CircleSkyRegion:
        """As a sky region."""
        return CircleSkyRegion(self.center, self.radius_deg * u.deg)


def separation_deg(
    ra_deg: np.ndarray, dec_deg: np.ndarray, ra0_deg: Any, dec0_deg: Any
) -> np.ndarray:
    """Great-circle distance (haversine), in degrees; the arguments broadcast."""
    ra, dec, ra0, dec0 = (np.radians(x) for x in (ra_deg, dec_deg, ra0_deg, dec0_deg))
    h = (
        np.sin((dec - dec0) / 2) ** 2
        + np.cos(dec) * np.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    )
    distance: np.ndarray = np.degrees(2 * np.arcsin(np.sqrt(np.clip(h, 0, 1))))
    return distance


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
    coords = geom.get_coord(frame="icrs")
    ra, dec = coords.skycoord.ra.deg, coords.skycoord.dec.deg
    allowed = np.ones(geom.data_shape, dtype=bool)
    for circle in circles:
        distance = separation_deg(ra, dec, circle.ra_deg, circle.dec_deg)
        allowed &= ~(distance < circle.radius_deg)
    return WcsNDMap(geom, allowed)


def on_region(target: SkyCoord, radius: u.Quantity | None) -> CircleSkyRegion | PointSkyRegion:
    """ON region: a circle, or a point where RAD_MAX gives the energy-dependent radius."""
    return PointSkyRegion(target) if radius is None else CircleSkyRegion(target, radius)


@dataclass(frozen=True)
class OffRegions:
    """OFF regions of a run.

    Attributes
    ----------
    geom
        Gammapy region geometry of all OFF regions with the reconstructed-energy axis.
    centers
        Their centres, ICRS.
    """

    geom: RegionGeom
    centers: SkyCoord

    def __len__(self) -> int:
        return len(self.centers)


def reflected_regions(
    region: CircleSkyRegion,
    pointing: SkyCoord,
    mask: WcsNDMap | None,
    axis: Any,
    *,
    n_off: int = 0,
    min_distance: u.Quantity = 0 * u.deg,
) -> OffRegions | None:
    """Reflected regions of a circular ON region by Gammapy's finder; None if none fits.

    Parameters
    ----------
    region
        ON region.
    pointing
        Centre of the field of view.
    mask
        Exclusion mask, False where excluded.
    axis
        Reconstructed-energy axis of the geometry that is returned.
    n_off
        Most regions to take; 0 for as many as fit.
    min_distance
        Smallest gap between two regions, seen from the pointing.
    """
    offset = region.center.separation(pointing)
    if offset <= region.radius:
        return None
    finder = ReflectedRegionsFinder(
        max_region_number=n_off or 10_000,
        min_distance=(min_distance / offset).to_value("") * u.rad,
    )
    found, wcs = finder.run(region=region, center=pointing, exclusion_mask=mask)
    return _off_regions(found, wcs, axis)


def wobble_regions(
    region: PointSkyRegion,
    pointing: SkyCoord,
    mask: WcsNDMap | None,
    axis: Any,
    *,
    n_off: int,
    largest_radius: u.Quantity,
) -> OffRegions | None:
    """Wobble OFF positions for an energy-dependent ON radius; None if none fits.

    Parameters
    ----------
    region
        ON position.
    pointing
        Centre of the field of view.
    mask
        Exclusion mask, False where excluded.
    axis
        Reconstructed-energy axis.
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
    found, wcs = finder.run(region=region, center=pointing, exclusion_mask=mask)
    return _off_regions(found, wcs, axis)


def _off_regions(found: Sequence[Any], wcs: Any, axis: Any) -> OffRegions | None:
    if not found:
        return None
    geom = RegionGeom.from_regions(regions=list(found), axes=[axis], wcs=wcs)
    ra = [r.center.icrs.ra.deg for r in found]
    dec = [r.center.icrs.dec.deg for r in found]
    return OffRegions(geom, SkyCoord(ra, dec, unit="deg"))


def off_counts_rad_max(off: OffRegions, rad_max: Any, events: Any) -> np.ndarray:
    """OFF counts per energy bin within the energy-dependent radius (Gammapy's function)."""
    counts: np.ndarray = make_counts_off_rad_max(off.geom, rad_max, events).data.ravel()
    return counts
