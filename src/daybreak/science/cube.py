"""One run as a cube for the three-dimensional fit: counts, background and response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from gammapy.datasets import MapDataset
from gammapy.makers import FoVBackgroundMaker, MapDatasetMaker
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap
from gammapy.modeling.models import PowerLawNormSpectralModel

from daybreak.errors import RunDataError
from daybreak.science.circle import Circle
from daybreak.science.gammapy_run import gammapy_observation
from daybreak.science.geoms import allowed_pixels, fill_missing
from daybreak.science.observation import LoadedRun
from daybreak.science.sphere import offsets_deg, separation_deg
from daybreak.science.surface import Surface

_PSF_PIXEL_DEG = 0.5
_PSF_REACH_DEG = 0.66
_N_PSF = 66


@dataclass(frozen=True)
class CubeSetup:
    """Geometry of the cubes; the same for all runs.

    Attributes
    ----------
    on
        Centre of the cube.
    exclude
        Circles kept out of the background; the first is the target.
    width_deg, pixel_deg
        Of the square field.
    energy_edges_tev, true_edges_tev
        Energy axes.
    max_offset_deg
        Field of view that is used.
    """

    on: Circle
    exclude: tuple[Circle, ...]
    width_deg: float
    pixel_deg: float
    energy_edges_tev: tuple[float, ...]
    true_edges_tev: tuple[float, ...]
    max_offset_deg: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CubeSetup:
        """Build from JSON-able values (step parameters).

        Parameters
        ----------
        values
            JSON-able values, as they travel in the parameters of a step.
        """
        known = dict(values)
        known["on"] = Circle(**known["on"])
        known["exclude"] = tuple(Circle(**c) for c in known["exclude"])
        for key in ("energy_edges_tev", "true_edges_tev"):
            known[key] = tuple(known[key])
        return cls(**known)

    @property
    def geom(self) -> WcsGeom:
        """Gnomonic, centred on the target."""
        axis = MapAxis.from_energy_edges(np.array(self.energy_edges_tev) * u.TeV)
        return WcsGeom.create(
            skydir=self.on.center,
            width=self.width_deg * u.deg,
            binsz=self.pixel_deg,
            proj="TAN",
            frame="icrs",
            axes=[axis],
        )


def allowed_map(geom: WcsGeom, circles: Sequence[Circle]) -> WcsNDMap:
    """True outside all circles, at every energy.

    Parameters
    ----------
    geom
        Geometry with an energy axis.
    circles
        What is excluded.
    """
    inside = allowed_pixels(geom.to_image(), circles)
    return WcsNDMap(geom, np.broadcast_to(inside, geom.data_shape).copy())


def run_cube(
    run: LoadedRun, setup: CubeSetup, threshold_tev: float, surface: Surface | None
) -> MapDataset:
    """Make the cube of a run.

    Parameters
    ----------
    run
        The run, with a PSF and a background IRF.
    setup
        Geometry.
    threshold_tev
        Energies below are not used.
    surface
        By what the background model is multiplied.

    Returns
    -------
    gammapy.datasets.MapDataset
        Its background is scaled by a norm and a tilt that were fitted outside the excluded
        circles.

    Raises
    ------
    RunDataError
        If the run has no PSF, no background IRF, or nothing above the threshold in the field.
    """
    observation = gammapy_observation(run)
    missing = [k for k in ("psf", "bkg") if getattr(observation, k) is None]
    if missing:
        raise RunDataError(
            f"run {run.obs_id}: no {' and no '.join(missing)} among its IRFs",
            "A three-dimensional fit needs full-enclosure IRFs with a PSF and a background.",
        )
    geom = setup.geom
    true = MapAxis.from_energy_edges(np.array(setup.true_edges_tev) * u.TeV, name="energy_true")
    empty = MapDataset.create(
        geom,
        energy_axis_true=true,
        rad_axis=MapAxis.from_bounds(0, _PSF_REACH_DEG, _N_PSF, unit="deg", name="rad"),
        binsz_irf=_PSF_PIXEL_DEG,
        name=str(run.obs_id),
    )
    fill_missing(observation.bkg)
    dataset = MapDatasetMaker(background_interp_missing_data=False).run(empty, observation)
    pointing = observation.get_pointing_icrs(observation.tmid)
    place = geom.to_image().get_coord(frame="icrs").skycoord
    ra, dec = place.ra.deg, place.dec.deg
    centre = geom.axes["energy"].center.to_value("TeV")
    if surface is not None:
        offsets = offsets_deg(ra, dec, pointing.ra.deg, pointing.dec.deg)
        dataset.background.data *= surface(*offsets, centre)
    near = separation_deg(ra, dec, pointing.ra.deg, pointing.dec.deg) < setup.max_offset_deg
    above = geom.axes["energy"].edges.to_value("TeV")[:-1] >= threshold_tev * (1 - 1e-6)
    dataset.mask_safe = WcsNDMap(geom, above[:, None, None] & near)
    if not dataset.mask_safe.data.any():
        raise RunDataError(
            f"run {run.obs_id}: nothing above its threshold in the field of the cube",
            "Check fit3d.width and the energy axis.",
        )
    return _scaled(dataset, setup.exclude)


def _scaled(dataset: MapDataset, exclude: Sequence[Circle]) -> MapDataset:
    """Fit norm and tilt outside the excluded circles, and make them part of the background."""
    tilt = PowerLawNormSpectralModel()
    tilt.tilt.frozen = False
    maker = FoVBackgroundMaker(
        method="fit", exclusion_mask=allowed_map(dataset.counts.geom, exclude), spectral_model=tilt
    )
    fitted = maker.run(dataset)
    background = fitted.npred_background()
    fitted.models = None
    fitted.background = background
    return fitted
