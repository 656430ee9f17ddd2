"""Reduce one run: spectrum dataset, OFF regions, theta², maps and quality, through Gammapy."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.datasets import SpectrumDataset
from gammapy.makers import SafeMaskMaker, SpectrumDatasetMaker
from gammapy.maps import MapAxis, RegionGeom, WcsNDMap
from regions import CircleSkyRegion

from daybreak.errors import RunDataError
from daybreak.products.night import night_of
from daybreak.science.circle import Circle
from daybreak.science.extension import annulus_deg, expected_weights, psf_leak
from daybreak.science.fov import field_of_view, fill_empty_bins
from daybreak.science.observation import LoadedRun
from daybreak.science.regions import (
    exclusion_mask,
    on_region,
    reflected_regions,
    separation_deg,
    wobble_regions,
)
from daybreak.science.run import Background, BoolArray, FloatArray, ReducedRun, ReductionSetup
from daybreak.science.skymaps import run_maps
from daybreak.science.theta2 import run_theta2

#: more OFF regions than any field of view holds
_AS_MANY_AS_FIT = 100


def energy_axes(setup: ReductionSetup) -> tuple[MapAxis, MapAxis]:
    """Reconstructed and true energy axes of a set-up."""
    reco = MapAxis.from_energy_edges(np.array(setup.energy_edges_tev) * u.TeV)
    true = MapAxis.from_energy_edges(np.array(setup.true_edges_tev) * u.TeV, name="energy_true")
    return reco, true


def _safe_mask(dataset: SpectrumDataset, run: LoadedRun, setup: ReductionSetup) -> tuple[Any, str]:
    """Energy threshold: LO_THRES of the header, or a fraction of the peak effective area."""
    method = setup.threshold
    meta = run.observation.aeff.meta or {}
    lowest = float(dataset.counts.geom.axes["energy"].edges[0].to_value("TeV"))
    if method == "header":
        low = meta.get("LO_THRES")
        usable = isinstance(low, int | float) and np.isfinite(low) and low > lowest
        if not usable:
            method = "aeff"
    if method == "none":
        return np.ones(dataset.data_shape, dtype=bool), "none"
    if method == "header":
        maker = SafeMaskMaker(methods=["aeff-default"])
    else:
        on = dataset.counts.geom.center_skydir
        maker = SafeMaskMaker(
            methods=["aeff-max"], aeff_percent=100 * setup.aeff_fraction, position=on
        )
    return maker.run(dataset, run.observation).mask_safe.data, method


def _spectrum_dataset(run: LoadedRun, setup: ReductionSetup, region: Any) -> SpectrumDataset:
    observation = run.observation
    reco, true = energy_axes(setup)
    geom = RegionGeom.create(region, axes=[reco])
    empty = SpectrumDataset.create(geom, energy_axis_true=true, name=str(run.obs_id))
    circle = isinstance(region, CircleSkyRegion)
    if circle and not setup.extended and observation.psf is None:
        raise RunDataError(
            f"run {run.obs_id}: no PSF, so the share of a point source in the ON region is unknown",
            "Make the run's DL3 file again with its PSF.",
        )
    maker = SpectrumDatasetMaker(
        selection=["exposure", "edisp"],
        containment_correction=circle and not setup.extended,
        use_region_center=not (circle and setup.extended),
    )
    return maker.run(empty, observation)


def _off_centers(
    run: LoadedRun,
    setup: ReductionSetup,
    region: Any,
    pointing: SkyCoord,
    mask: WcsNDMap | None,
    safe: BoolArray,
) -> SkyCoord | None:
    if isinstance(region, CircleSkyRegion):
        return reflected_regions(
            region,
            pointing,
            mask,
            n_off=setup.n_off,
            min_distance=setup.min_distance_deg * u.deg,
        )
    reco, _ = energy_axes(setup)
    offset = region.center.separation(pointing)
    used = reco.center[safe] if safe.any() else reco.center
    radii = run.observation.rad_max.evaluate(energy=used, offset=offset)
    return wobble_regions(
        region, pointing, mask, n_off=setup.n_off or _AS_MANY_AS_FIT, largest_radius=np.max(radii)
    )


def _inside(
    run: LoadedRun, setup: ReductionSetup, centers: SkyCoord
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts per energy bin, times (MJD TT) and energies (TeV) of the events in some regions.

    The ON radius is a great-circle distance; for point-like IRFs each position is cut at RAD_MAX
    by Gammapy. Regions do not overlap, so that no event counts twice.
    """
    events = run.observation.events
    if np.isfinite(setup.on.radius_deg):
        ra, dec = np.atleast_1d(centers.ra.deg), np.atleast_1d(centers.dec.deg)
        place = events.radec
        distance = separation_deg(
            place.ra.deg[:, None], place.dec.deg[:, None], ra[None, :], dec[None, :]
        )
        inside = np.any(distance < setup.on.radius_deg, axis=1)
        time, energy = run.time_mjd[inside], events.energy.to_value("TeV")[inside]
    else:
        rad_max = run.observation.rad_max
        rows = [
            events.select_rad_max(rad_max=rad_max, position=center)
            for center in np.atleast_1d(centers)
        ]
        time = np.concatenate([r.time.tt.mjd for r in rows])
        energy = np.concatenate([r.energy.to_value("TeV") for r in rows])
    counts = np.histogram(energy, np.array(setup.energy_edges_tev))[0].astype(float)
    return counts, np.asarray(time, dtype=float), np.asarray(energy, dtype=float)


def _on_events(
    run: LoadedRun, setup: ReductionSetup, geom: RegionGeom
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ON events: a circle by Gammapy's own test on its geometry, else by RAD_MAX."""
    radius = setup.on.radius_deg
    if not np.isfinite(radius):
        return _inside(run, setup, setup.on.center)
    events = run.observation.events
    place = events.radec
    near = np.flatnonzero(
        separation_deg(place.ra.deg, place.dec.deg, setup.on.ra_deg, setup.on.dec_deg)
        < 1.05 * radius
    )
    coords = {"skycoord": place[near], "energy": geom.axes["energy"].center[0]}
    chosen = near[np.asarray(geom.contains(coords)).ravel()] if near.size else near
    energy = events.energy.to_value("TeV")[chosen]
    counts = np.histogram(energy, np.array(setup.energy_edges_tev))[0].astype(float)
    return counts, run.time_mjd[chosen], np.asarray(energy, dtype=float)


def _reflected_background(
    run: LoadedRun, setup: ReductionSetup, off: SkyCoord, n_bins: int
) -> Background:
    counts, time, energy = _inside(run, setup, off)
    return Background(
        counts_off=counts,
        acceptance_on=np.ones(n_bins),
        acceptance_off=np.full(n_bins, float(len(off))),
        off_time_mjd=time,
        off_energy_tev=energy,
    )


def _run_info(
    run: LoadedRun, setup: ReductionSetup, pointing: SkyCoord, safe: BoolArray, method: str
) -> dict[str, Any]:
    observation = run.observation
    gti = observation.gti
    edges = np.array(setup.energy_edges_tev)
    threshold = float(edges[:-1][safe][0]) if safe.any() else float("nan")
    altitude = run.header.get("ALT_PNT")
    far = observation.events.offset.to_value("deg") > setup.max_theta_deg
    return {
        "obs_id": run.obs_id,
        "object": str(run.header.get("OBJECT", "")).strip(),
        "telescope": str(run.header.get("TELESCOP", "")).strip(),
        "night": night_of(gti.time_start[0], setup.site_longitude_deg),
        "tstart": gti.time_start[0].utc.isot,
        "tstop": gti.time_stop[-1].utc.isot,
        "ontime_s": float(gti.time_sum.to_value("s")),
        "livetime_s": float(observation.observation_live_time_duration.to_value("s")),
        "zenith_deg": 90.0 - float(altitude) if altitude not in (None, "") else float("nan"),
        "ra_pnt_deg": float(pointing.icrs.ra.deg),
        "dec_pnt_deg": float(pointing.icrs.dec.deg),
        "offset_deg": float(pointing.separation(setup.on.center).deg),
        "threshold_tev": threshold,
        "threshold_method": method,
        "events": run.events_total,
        "events_outside_gti": run.events_outside_gti,
        "events_bad": run.events_bad,
        "events_far": int(np.count_nonzero(far)),
        "repaired": list(run.repaired),
        "n_off_regions": 0,
        "background_ratio": float("nan"),
        "background_ratio_error": float("nan"),
        "rate_change_sigma": float("nan"),
        "has_background_irf": observation.bkg is not None,
    }


def _psf_leak(
    run: LoadedRun, setup: ReductionSetup, info: dict[str, Any], exposure: FloatArray
) -> float:
    """What a point source leaves around the ON region; NaN where that can't be told."""
    radii, threshold = annulus_deg(setup), float(info["threshold_tev"])
    if radii is None or run.observation.psf is None or not np.isfinite(threshold):
        return float("nan")
    edges = np.array(setup.true_edges_tev)
    weights = expected_weights(exposure, edges, threshold)
    energy = np.sqrt(edges[:-1] * edges[1:]) * u.TeV
    return psf_leak(run.observation.psf, info["offset_deg"] * u.deg, radii, weights, energy)


def _check_exposure(run: LoadedRun, exposure: FloatArray) -> None:
    if not exposure.max() > 0:
        raise RunDataError(
            f"run {run.obs_id}: the effective area at the target's offset is zero",
            "The target lies outside this run's IRFs: check the pointing, or leave the run out.",
        )


def reduce_run(run: LoadedRun, setup: ReductionSetup) -> ReducedRun:
    """Reduce one run.

    Parameters
    ----------
    run
        The run in memory.
    setup
        ON region, exclusion, axes, maps.

    Returns
    -------
    ReducedRun
        Counts, response, background estimates, theta² and images of this run.

    Raises
    ------
    RunDataError
        If the run can't be used: no livetime, no PSF for a point source, no exposure.
    """
    observation = run.observation
    pointing = observation.get_pointing_icrs(observation.tmid)
    if not observation.observation_live_time_duration > 0:
        raise RunDataError(f"run {run.obs_id}: the livetime is zero", "Check DEADC and the GTI.")
    radius = setup.on.radius_deg * u.deg if np.isfinite(setup.on.radius_deg) else None
    region = on_region(setup.on.center, radius)
    width = 2 * (setup.max_offset_deg + 1.0) * u.deg
    mask = exclusion_mask(setup.on.center, width, setup.exclude)
    dataset = _spectrum_dataset(run, setup, region)
    safe, method = _safe_mask(dataset, run, setup)
    safe = safe.ravel()
    exposure = dataset.exposure.quantity.to_value("cm2 s").ravel()
    _check_exposure(run, exposure)
    info = _run_info(run, setup, pointing, safe, method)
    info["psf_leak"] = _psf_leak(run, setup, info, exposure)

    counts_on, on_time, on_energy = _on_events(run, setup, dataset.counts.geom)
    backgrounds: dict[str, Background] = {}
    off = None
    if setup.background != "fov":
        off = _off_centers(run, setup, region, pointing, mask, safe)
    if off is not None:
        info["n_off_regions"] = len(off)
        backgrounds["reflected"] = _reflected_background(run, setup, off, safe.size)
    fov = None
    if observation.bkg is not None:
        fill_empty_bins(observation.bkg)
        fov = field_of_view(run, setup, region, pointing, safe)
        info.update(fov.quality())
        if fov.surface is not None:
            info["fov_surface"] = fov.surface.to_dict()
        backgrounds["fov"] = fov.background
    maps = {}
    if setup.maps is not None and fov is not None and safe.any():
        maps = run_maps(run, setup, info["threshold_tev"], fov.surface)
    info["in_maps"] = bool(maps)
    return ReducedRun(
        info=info,
        energy_edges_tev=np.array(setup.energy_edges_tev),
        true_edges_tev=np.array(setup.true_edges_tev),
        counts_on=counts_on,
        on_time_mjd=on_time,
        on_energy_tev=on_energy,
        exposure_cm2_s=exposure,
        edisp=_kernel(dataset),
        mask_safe=safe,
        gti_mjd=np.column_stack(
            [observation.gti.time_start.tt.mjd, observation.gti.time_stop.tt.mjd]
        ),
        backgrounds=backgrounds,
        theta2=run_theta2(run, setup, off, safe),
        maps=maps,
        regions=_region_list(setup, info, off),
        null=fov.null if fov is not None else None,
    )


def _kernel(dataset: SpectrumDataset) -> FloatArray:
    """Energy dispersion matrix, shape (true, reconstructed)."""
    kernel = dataset.edisp.get_edisp_kernel(energy_axis=dataset.counts.geom.axes["energy"])
    matrix: FloatArray = np.asarray(kernel.pdf_matrix, dtype=float)
    return matrix


def _region_list(
    setup: ReductionSetup, info: dict[str, Any], off: SkyCoord | None
) -> tuple[tuple[str, Circle], ...]:
    radius = setup.on.radius_deg
    out = [("pointing", Circle(info["ra_pnt_deg"], info["dec_pnt_deg"], 0.0)), ("on", setup.on)]
    if off is not None:
        places = zip(off.ra.deg, off.dec.deg, strict=True)
        out += [("off", Circle(float(ra), float(dec), radius)) for ra, dec in places]
    return tuple(out)
