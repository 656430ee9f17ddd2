"""What Gammapy needs to know about a reduction: regions, axes and map geometries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.maps import MapAxis, WcsGeom
from numpy.typing import NDArray
from regions import CircleSkyRegion, PointSkyRegion

from daybreak.science.circle import Circle
from daybreak.science.exclusion import outside_circles
from daybreak.science.irf import filled
from daybreak.science.run import ReductionSetup
from daybreak.science.skymaps import map_plane
from daybreak.science.tangent import TangentPlane


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
    return wcs_geom(map_plane(setup))


def wcs_geom(plane: TangentPlane, axes: Sequence[MapAxis] = ()) -> WcsGeom:
    """Pixels as Gammapy's geometry.

    Parameters
    ----------
    plane
        The pixels.
    axes
        Further axes.
    """
    return WcsGeom.create(
        skydir=SkyCoord(plane.ra_deg, plane.dec_deg, unit="deg"),
        npix=(plane.nx, plane.ny),
        binsz=plane.pixel_deg,
        proj="TAN",
        frame="icrs",
        axes=list(axes),
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
    return outside_circles(coords.ra.deg, coords.dec.deg, exclude)


def fill_missing(background: Any) -> None:
    """Fill empty bins of a Gammapy background between filled ones along energy, in place.

    As :func:`~daybreak.science.irf.fill_empty_bins` does it.

    Parameters
    ----------
    background
        Gammapy's Background2D or Background3D.
    """
    log = background.interp_kwargs.get("values_scale", "lin") == "log"
    background.data = filled(background.data, background.axes.index("energy"), log=log)
