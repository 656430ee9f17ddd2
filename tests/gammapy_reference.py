"""A run reduced by Gammapy's own makers, to compare ours with: same regions, axes and maps."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.datasets import MapDataset, SpectrumDataset
from gammapy.makers import (
    MapDatasetMaker,
    ReflectedRegionsFinder,
    RingBackgroundMaker,
    SafeMaskMaker,
    SpectrumDatasetMaker,
)
from gammapy.maps import MapAxis, RegionGeom, WcsGeom, WcsNDMap

from daybreak.science.gammapy_run import gammapy_observation
from daybreak.science.geoms import allowed_pixels, energy_axes, fill_missing, map_geom, on_region
from daybreak.science.run import ReductionSetup


def gammapy_mask(setup: ReductionSetup, width: u.Quantity) -> WcsNDMap:
    """The excluded circles as Gammapy's mask, in the pixels of ours."""
    geom = WcsGeom.create(skydir=setup.on.center, width=width, binsz=0.02, proj="TAN")
    return WcsNDMap(geom, allowed_pixels(geom, setup.exclude))


def spectrum(observation, setup: ReductionSetup) -> tuple[SpectrumDataset, np.ndarray]:
    """Counts, exposure and dispersion of the ON region, and the safe energy bins."""
    reco, true = energy_axes(setup)
    region = on_region(setup.on.center, setup.on.radius_deg * u.deg)
    geom = RegionGeom.create(region, axes=[reco])
    maker = SpectrumDatasetMaker(
        selection=["counts", "exposure", "edisp"],
        containment_correction=not setup.extended,
        use_region_center=not setup.extended,
    )
    dataset = maker.run(SpectrumDataset.create(geom, energy_axis_true=true), observation)
    if setup.threshold == "header":
        safe = SafeMaskMaker(methods=["aeff-default"])
    else:
        safe = SafeMaskMaker(
            methods=["aeff-max"],
            aeff_percent=100 * setup.aeff_fraction,
            position=setup.on.center,
        )
    mask = safe.run(dataset, observation).mask_safe.data.ravel()
    return dataset, mask


def maps(
    observation, setup: ReductionSetup, threshold_tev: float, surface: Callable | None
) -> SimpleNamespace:
    """Counts, model and ring sums of the maps; the model may be multiplied by a surface."""
    axis = MapAxis.from_energy_bounds(
        threshold_tev * u.TeV, setup.energy_edges_tev[-1] * u.TeV, nbin=8
    )
    geom = map_geom(setup).to_cube([axis])
    fill_missing(observation.bkg)
    maker = MapDatasetMaker(
        selection=["counts", "background"], background_interp_missing_data=False
    )
    dataset = maker.run(MapDataset.create(geom, name="map"), observation)
    if surface is not None:
        place = geom.to_image().get_coord(frame="icrs").skycoord
        pointing = observation.get_pointing_icrs(observation.tmid)
        offsets = place.transform_to(pointing.skyoffset_frame())
        east = offsets.lon.wrap_at(180 * u.deg).deg
        dataset.background.data *= surface(east, offsets.lat.deg, axis.center.to_value("TeV"))
    safe = SafeMaskMaker(methods=["offset-max"], offset_max=setup.max_offset_deg * u.deg)
    image = safe.run(dataset, observation).to_image(name="image")
    flat = image.counts.geom.to_image()
    ring = RingBackgroundMaker(
        r_in=setup.maps["ring_inner_deg"] * u.deg,
        width=setup.maps["ring_width_deg"] * u.deg,
        exclusion_mask=WcsNDMap(flat, allowed_pixels(flat, setup.exclude)),
    )
    on_off = ring.run(image)
    return SimpleNamespace(
        valid=image.mask_safe.data[0],
        counts=image.counts.data[0],
        ring_acceptance=on_off.acceptance.data[0],
        ring_off=on_off.counts_off.data[0],
        ring_acceptance_off=on_off.acceptance_off.data[0],
    )


def compare(loaded, run, setup: ReductionSetup, rtol: float = 1e-6) -> None:
    """Hold a reduced run against what Gammapy makes of the same run: to `rtol` everywhere."""

    def same(ours, theirs, what, floor=0.0) -> None:
        np.testing.assert_allclose(
            ours, theirs, rtol=rtol, atol=floor, err_msg=f"run {run.obs_id}: {what}"
        )

    observation = gammapy_observation(loaded)
    dataset, mask = spectrum(observation, setup)
    assert run.mask_safe.tolist() == mask.tolist()
    assert run.counts_on.tolist() == dataset.counts.data.ravel().tolist()
    same(run.exposure_cm2_s, dataset.exposure.quantity.to_value("cm2 s").ravel(), "exposure")
    axis = dataset.counts.geom.axes["energy"]
    kernel = dataset.edisp.get_edisp_kernel(energy_axis=axis).pdf_matrix
    same(run.edisp, kernel, "energy dispersion", floor=1e-9)
    livetime = observation.observation_live_time_duration.to_value("s")
    same(run.livetime_s, livetime, "livetime")

    if "reflected" in run.backgrounds and np.isfinite(setup.on.radius_deg):
        finder = ReflectedRegionsFinder(max_region_number=setup.n_off or 10000)
        theirs, _ = finder.run(
            region=on_region(setup.on.center, setup.on.radius_deg * u.deg),
            center=observation.get_pointing_icrs(observation.tmid),
            exclusion_mask=gammapy_mask(setup, 2 * (setup.max_offset_deg + 1) * u.deg),
        )
        ours = [c for kind, c in run.regions if kind == "off"]
        assert len(ours) == len(theirs), f"run {run.obs_id}: OFF regions"
        places = SkyCoord([r.center for r in theirs])
        away = places.separation(SkyCoord([c.center for c in ours])).deg
        assert away.max() < 1e-7

    if run.maps:
        surface = None
        if "fov_surface" in run.info:
            from daybreak.science.surface import Surface

            surface = Surface(**run.info["fov_surface"])
        theirs = maps(observation, setup, run.info["threshold_tev"], surface)
        assert run.maps["valid"].astype(bool).tolist() == theirs.valid.tolist()
        valid = theirs.valid
        assert run.maps["counts"][valid].tolist() == theirs.counts[valid].tolist()
        for name in ("ring_acceptance", "ring_acceptance_off", "ring_off"):
            values = getattr(theirs, name)[valid]
            # images are kept in single precision; sums by Fourier transform have its rounding
            floor = 1e-9 * float(np.abs(values).max())
            same(
                run.maps[name][valid], values, name, floor=floor if name != "ring_acceptance" else 0
            )
