"""What Gammapy needs to know about a reduction: regions, axes and map geometries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.maps import MapAxis, WcsGeom
from gammapy.utils.interpolation import interpolation_scale
from numpy.typing import NDArray
from regions import CircleSkyRegion, PointSkyRegion

from daybreak.science.circle import Circle
from daybreak.science.run import ReductionSetup
from daybreak.science.sphere import separation_deg


def energy_axes(setup: ReductionSetup) -> tuple[MapAxis, MapAxis]:
    """Reconstructed and true energy axes.

    Parameters
    ----------
    setup
        How runs are reduced.
    """
    reco = MapAxis.from_energy_edges(np.array(setup.energy_edges_tev) * u.TeV)
    true = MapAxis.from_energy_edges(np.array(setup.true_edges_tev) * u.TeV, name="energy_true")
    return reco, true


def on_region(target: SkyCoord, radius: u.Quantity | None) -> CircleSkyRegion | PointSkyRegion:
    """ON region: a circle, or a point where RAD_MAX gives the energy-dependent radius.

    Parameters
    ----------
    target
        Its middle.
    radius
        Angle; None for RAD_MAX.
    """
    return PointSkyRegion(target) if radius is None else CircleSkyRegion(target, radius)


def map_geom(setup: ReductionSetup) -> WcsGeom:
    """Geometry of the sky maps: gnomonic, centred on the ON position.

    Parameters
    ----------
    setup
        How runs are reduced, with maps.
    """
    assert setup.maps is not None
    return WcsGeom.create(
        skydir=setup.on.center,
        width=setup.maps["width_deg"] * u.deg,
        binsz=setup.maps["pixel_deg"],
        proj="TAN",
        frame="icrs",
    )


def allowed_pixels(geom: WcsGeom, exclude: Sequence[Circle]) -> NDArray[np.bool_]:
    """Pixels outside all excluded circles, shape (ny, nx).

    Parameters
    ----------
    geom
        An image.
    exclude
        The circles.
    """
    coords = geom.get_coord(frame="icrs").skycoord
    allowed = np.ones(coords.shape, dtype=bool)
    for circle in exclude:
        distance = separation_deg(coords.ra.deg, coords.dec.deg, circle.ra_deg, circle.dec_deg)
        allowed &= ~(distance < circle.radius_deg)
    return allowed


def fill_missing(background: Any) -> None:
    """Fill empty bins of a Gammapy background between filled ones along energy, in place.

    What Gammapy's ``IRF.interp_missing_data("energy")`` does (linear interpolation in the IRF's
    own scale, no extrapolation), column by column instead of bin by bin.

    Parameters
    ----------
    background
        Gammapy's Background2D or Background3D.
    """
    data = np.array(background.data)
    scale = interpolation_scale(background.interp_kwargs.get("values_scale", "lin"))
    columns = np.moveaxis(data, background.axes.index("energy"), -1)
    empty = ~np.isfinite(columns) | (columns == 0)
    mixed = empty.any(axis=-1) & ~empty.all(axis=-1)
    positions = np.arange(columns.shape[-1])
    for where in zip(*np.nonzero(mixed), strict=True):
        column, missing = columns[where], empty[where]
        inside = missing.copy()
        filled = positions[~missing]
        inside[: filled[0]] = False
        inside[filled[-1] :] = False
        if inside.any():
            values = np.interp(positions[inside], filled, scale(column[~missing]))
            column[inside] = scale.inverse(values)
    background.data = data
