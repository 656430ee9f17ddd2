"""The responses of a run through Gammapy: the reference, and the way for what is not covered."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.datasets import SpectrumDataset
from gammapy.makers import SafeMaskMaker, SpectrumDatasetMaker
from gammapy.makers.utils import make_map_background_irf
from gammapy.maps import MapAxis, RegionGeom
from regions import CircleSkyRegion

from daybreak.errors import RunDataError
from daybreak.science.gammapy_run import gammapy_observation
from daybreak.science.geoms import energy_axes, fill_missing, on_region, wcs_geom
from daybreak.science.observation import LoadedRun
from daybreak.science.response import header_threshold_tev
from daybreak.science.run import BoolArray, FloatArray, ReductionSetup
from daybreak.science.tangent import TangentPlane


class GammapyResponse:
    """The responses from Gammapy's own classes and makers.

    Parameters
    ----------
    run
        The run.
    setup
        How it is reduced.
    """

    def __init__(self, run: LoadedRun, setup: ReductionSetup) -> None:
        self.run, self.setup = run, setup
        self.observation = gammapy_observation(run)
        if self.observation.bkg is not None:
            fill_missing(self.observation.bkg)
        radius = setup.on.radius_deg * u.deg if np.isfinite(setup.on.radius_deg) else None
        self.region = on_region(setup.on.center, radius)
        self.circle = isinstance(self.region, CircleSkyRegion)
        self._dataset: SpectrumDataset | None = None

    @property
    def dataset(self) -> SpectrumDataset:
        """Exposure and energy dispersion of the ON region.

        Raises
        ------
        RunDataError
            If a point source needs a PSF and there is none.
        """
        if self._dataset is None:
            self._dataset = self._make()
        return self._dataset

    def _make(self) -> SpectrumDataset:
        setup, observation = self.setup, self.observation
        reco, true = energy_axes(setup)
        point = self.circle and not setup.extended
        if point and observation.psf is None:
            raise RunDataError(
                f"run {self.run.obs_id}: no PSF, so the share of a point source in the ON region "
                "is unknown",
                "Make the run's DL3 file again with its PSF.",
            )
        geom = RegionGeom.create(self.region, axes=[reco])
        empty = SpectrumDataset.create(geom, energy_axis_true=true, name=str(self.run.obs_id))
        maker = SpectrumDatasetMaker(
            selection=["exposure", "edisp"],
            containment_correction=point,
            use_region_center=not (self.circle and setup.extended),
        )
        return maker.run(empty, observation)

    def exposure_cm2_s(self) -> FloatArray:
        """See :class:`RunResponse`."""
        exposure: FloatArray = self.dataset.exposure.quantity.to_value("cm2 s").ravel()
        return exposure

    def kernel(self) -> FloatArray:
        """See :class:`RunResponse`."""
        axis = self.dataset.counts.geom.axes["energy"]
        kernel = self.dataset.edisp.get_edisp_kernel(energy_axis=axis)
        return np.asarray(kernel.pdf_matrix, dtype=float)

    def safe_mask(self) -> tuple[BoolArray, str]:
        """See :class:`RunResponse`."""
        setup, method = self.setup, self.setup.threshold
        low = (self.observation.aeff.meta or {}).get("LO_THRES")
        if method == "header" and header_threshold_tev(low, setup.energy_edges_tev[0]) is None:
            method = "aeff"
        if method == "none":
            return np.ones(len(setup.energy_edges_tev) - 1, dtype=bool), "none"
        if method == "header":
            maker = SafeMaskMaker(methods=["aeff-default"])
        else:
            maker = SafeMaskMaker(
                methods=["aeff-max"],
                aeff_percent=100 * setup.aeff_fraction,
                position=setup.on.center,
            )
        mask = maker.run(self.dataset, self.observation).mask_safe.data
        return np.asarray(mask, dtype=bool).ravel(), method

    def containment(self, radius_deg: float, energy_tev: FloatArray) -> FloatArray:
        """See :class:`RunResponse`."""
        pointing = self.observation.get_pointing_icrs(self.observation.tmid)
        values = self.observation.psf.containment(
            rad=radius_deg * u.deg,
            energy_true=energy_tev * u.TeV,
            offset=pointing.separation(self.setup.on.center),
        )
        return np.ravel(np.asarray(values, dtype=float))

    def rad_max_deg(
        self, energy_tev: FloatArray, ra_deg: float, dec_deg: float, *, nearest: bool = False
    ) -> FloatArray:
        """See :class:`RunResponse`."""
        pointing = self.observation.get_pointing_icrs(self.observation.tmid)
        offset = pointing.separation(SkyCoord(ra_deg, dec_deg, unit="deg"))
        values = self.observation.rad_max.evaluate(
            method="nearest" if nearest else None, energy=energy_tev * u.TeV, offset=offset
        )
        return np.ravel(values.to_value("deg"))

    def _background(self, geom: Any, center_only: bool, beyond: bool = False) -> FloatArray:
        observation = self.observation
        bkg = observation.bkg
        if beyond and bkg.has_offset_axis:
            bkg = bkg.pad(1, mode="edge", axis_name="offset")
        model = make_map_background_irf(
            pointing=observation.pointing,
            ontime=observation.observation_time_duration,
            bkg=bkg,
            geom=geom,
            time_start=observation.gti.time_start[0],
            use_region_center=center_only,
            location=observation.observatory_earth_location,
        )
        return np.asarray(model.data, dtype=float)

    def background_on(self) -> FloatArray:
        """See :class:`RunResponse`."""
        axis = MapAxis.from_energy_edges(np.array(self.setup.energy_edges_tev) * u.TeV)
        geom = RegionGeom.create(self.region, axes=[axis])
        return self._background(geom, not self.setup.extended).ravel()

    def background_map(
        self, plane: TangentPlane, edges_tev: FloatArray, *, beyond: bool = False
    ) -> FloatArray:
        """See :class:`RunResponse`."""
        geom = wcs_geom(plane, [MapAxis.from_energy_edges(edges_tev * u.TeV)])
        return self._background(geom, True, beyond)
