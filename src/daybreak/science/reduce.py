"""Reduce one run: counts, response, OFF regions, theta², maps and quality, in plain numbers.

Gammapy's makers give the same numbers; the tests compare them on every run that is at hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daybreak.errors import RunDataError
from daybreak.products.night import night_of
from daybreak.science.circle import Circle
from daybreak.science.dl3.values import number_of
from daybreak.science.extension import annulus_deg, expected_weights, leak
from daybreak.science.fov import field_of_view
from daybreak.science.observation import LoadedRun
from daybreak.science.regions import (
    ExclusionMask,
    Places,
    exclusion_mask,
    inside_circle,
    reflected_regions,
    wobble_regions,
)
from daybreak.science.response import GridResponse, RunResponse
from daybreak.science.run import Background, BoolArray, FloatArray, ReducedRun, ReductionSetup
from daybreak.science.skymaps import run_maps
from daybreak.science.sphere import separation_deg
from daybreak.science.theta2 import run_theta2

#: more OFF regions than any field of view holds
_AS_MANY_AS_FIT = 100
#: how far beyond the field of view the exclusion mask reaches
_MASK_MARGIN_DEG = 1.0


def response_of(run: LoadedRun, setup: ReductionSetup) -> RunResponse:
    """The responses of a run, from plain tables where they are covered, else through Gammapy.

    Parameters
    ----------
    run
        The run.
    setup
        How it is reduced.
    """
    if run.missing:
        from daybreak.science.gammapy_response import GammapyResponse

        return GammapyResponse(run, setup)
    return GridResponse(run, setup)


def _off_centers(
    run: LoadedRun,
    setup: ReductionSetup,
    response: RunResponse,
    mask: ExclusionMask | None,
    safe: BoolArray,
) -> Places | None:
    pointing = run.ra_pnt_deg, run.dec_pnt_deg
    on = setup.on
    if np.isfinite(on.radius_deg):
        return reflected_regions(
            on,
            pointing,
            mask,
            n_off=setup.n_off,
            min_distance_deg=setup.min_distance_deg,
        )
    edges = np.array(setup.energy_edges_tev)
    centers = np.sqrt(edges[:-1] * edges[1:])
    radii = response.rad_max_deg(centers[safe] if safe.any() else centers, on.ra_deg, on.dec_deg)
    return wobble_regions(
        on,
        pointing,
        mask,
        n_off=setup.n_off or _AS_MANY_AS_FIT,
        largest_radius_deg=float(np.max(radii)),
    )


def _near(run: LoadedRun, response: RunResponse, ra_deg: float, dec_deg: float) -> BoolArray:
    """Events within RAD_MAX of a place."""
    events = run.events
    radius = response.rad_max_deg(events.energy_tev, ra_deg, dec_deg, nearest=True)
    return np.asarray(events.away_deg(ra_deg, dec_deg) <= radius)


def _chosen(
    run: LoadedRun, setup: ReductionSetup, chosen: Any
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts per energy bin, times (MJD TT) and energies (TeV) of some events."""
    events = run.events.where(chosen)
    counts = np.histogram(events.energy_tev, np.array(setup.energy_edges_tev))[0].astype(float)
    return counts, events.time_mjd, events.energy_tev


def _off_events(
    run: LoadedRun, setup: ReductionSetup, response: RunResponse, off: Places
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Events in the OFF regions.

    The radius is a great-circle distance; for point-like IRFs each position is cut at RAD_MAX.
    Regions do not overlap, so that no event counts twice.
    """
    ra, dec = off
    if not np.isfinite(setup.on.radius_deg):
        rows = [
            np.flatnonzero(_near(run, response, float(a), float(d)))
            for a, d in zip(ra, dec, strict=True)
        ]
        return _chosen(run, setup, np.concatenate(rows))
    events, inside = run.events, np.zeros(len(run.events), dtype=bool)
    for a, d in zip(ra, dec, strict=True):
        inside |= events.away_deg(float(a), float(d)) < setup.on.radius_deg
    return _chosen(run, setup, inside)


def _on_events(
    run: LoadedRun, setup: ReductionSetup, response: RunResponse
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ON events: a circle by Gammapy's own test, else by RAD_MAX."""
    on, events = setup.on, run.events
    if not np.isfinite(on.radius_deg):
        return _chosen(run, setup, _near(run, response, on.ra_deg, on.dec_deg))
    return _chosen(run, setup, inside_circle(on, events.ra_deg, events.dec_deg))


def _reflected_background(
    run: LoadedRun, setup: ReductionSetup, response: RunResponse, off: Places, n_bins: int
) -> Background:
    counts, time, energy = _off_events(run, setup, response, off)
    return Background(
        counts_off=counts,
        acceptance_on=np.ones(n_bins),
        acceptance_off=np.full(n_bins, float(len(off[0]))),
        off_time_mjd=time,
        off_energy_tev=energy,
    )


def _run_info(
    run: LoadedRun, setup: ReductionSetup, safe: BoolArray, method: str
) -> dict[str, Any]:
    gti, events = run.good_time, run.events
    pointing = run.ra_pnt_deg, run.dec_pnt_deg
    edges = np.array(setup.energy_edges_tev)
    threshold = float(edges[:-1][safe][0]) if safe.any() else float("nan")
    altitude = number_of(run.header, "ALT_PNT", -90, 90)
    far = events.away_deg(*pointing) > setup.max_theta_deg
    return {
        "obs_id": run.obs_id,
        "object": str(run.header.get("OBJECT", "")).strip(),
        "telescope": str(run.header.get("TELESCOP", "")).strip(),
        "night": night_of(gti.first, setup.site_longitude_deg),
        "tstart": gti.first.utc.isot,
        "tstop": gti.last.utc.isot,
        "ontime_s": gti.ontime_s,
        "livetime_s": run.livetime_s,
        "livetime_header_s": run.live.by_header_s,
        "livetime_gti_s": run.live.by_good_time_s,
        "zenith_deg": float("nan") if altitude is None else 90.0 - altitude,
        "ra_pnt_deg": pointing[0],
        "dec_pnt_deg": pointing[1],
        "offset_deg": float(separation_deg(setup.on.ra_deg, setup.on.dec_deg, *pointing)),
        "threshold_tev": threshold,
        "threshold_method": method,
        "events": run.events_total,
        "events_doubled": run.events_doubled,
        "events_outside_gti": run.events_outside_gti,
        "events_bad": run.events_bad,
        "events_far": int(np.count_nonzero(far)),
        "repaired": list(run.repaired),
        "oddities": [[oddity.flag, oddity.text] for oddity in run.oddities],
        "n_off_regions": 0,
        "background_ratio": float("nan"),
        "background_ratio_error": float("nan"),
        "rate_change_sigma": float("nan"),
        "has_background_irf": "bkg" in run.hdus,
    }


def _psf_leak(
    run: LoadedRun,
    setup: ReductionSetup,
    response: RunResponse,
    threshold_tev: float,
    exposure: FloatArray,
) -> float:
    """What a point source leaves around the ON region; NaN where that can't be told."""
    radii = annulus_deg(setup)
    if radii is None or "psf" not in run.hdus or not np.isfinite(threshold_tev):
        return float("nan")
    edges = np.array(setup.true_edges_tev)
    energy = np.sqrt(edges[:-1] * edges[1:])
    weights = expected_weights(exposure, edges, threshold_tev)
    inside, around = (response.containment(radius, energy) for radius in radii)
    return leak(inside, around, weights)


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
        If the run can't be used: no PSF for a point source, no exposure.
    """
    response = response_of(run, setup)
    exposure = response.exposure_cm2_s()
    _check_exposure(run, exposure)
    safe, method = response.safe_mask()
    info = _run_info(run, setup, safe, method)
    info["psf_leak"] = _psf_leak(run, setup, response, info["threshold_tev"], exposure)
    counts_on, on_time, on_energy = _on_events(run, setup, response)
    backgrounds: dict[str, Background] = {}
    off = None
    if setup.background != "fov":
        on, width = setup.on, 2 * (setup.max_offset_deg + _MASK_MARGIN_DEG)
        mask = exclusion_mask(on.ra_deg, on.dec_deg, width, setup.exclude)
        off = _off_centers(run, setup, response, mask, safe)
    if off is not None:
        info["n_off_regions"] = len(off[0])
        backgrounds["reflected"] = _reflected_background(run, setup, response, off, safe.size)
    fov, maps = None, {}
    if info["has_background_irf"]:
        fov = field_of_view(run, setup, response, safe)
        info.update(fov.quality())
        if fov.surface is not None:
            info["fov_surface"] = fov.surface.to_dict()
        backgrounds["fov"] = fov.background
        if setup.maps is not None and safe.any():
            maps = run_maps(run, setup, response, info["threshold_tev"], fov.surface)
    info["in_maps"] = bool(maps)
    return ReducedRun(
        info=info,
        energy_edges_tev=np.array(setup.energy_edges_tev),
        true_edges_tev=np.array(setup.true_edges_tev),
        counts_on=counts_on,
        on_time_mjd=on_time,
        on_energy_tev=on_energy,
        exposure_cm2_s=exposure,
        edisp=response.kernel(),
        mask_safe=safe,
        gti_mjd=run.good_time.mjd,
        backgrounds=backgrounds,
        theta2=run_theta2(run, setup, off, safe),
        maps=maps,
        regions=_region_list(setup, info, off),
        null=fov.null if fov is not None else None,
    )


def _region_list(
    setup: ReductionSetup, info: dict[str, Any], off: Places | None
) -> tuple[tuple[str, Circle], ...]:
    radius = setup.on.radius_deg
    out = [("pointing", Circle(info["ra_pnt_deg"], info["dec_pnt_deg"], 0.0)), ("on", setup.on)]
    if off is not None:
        places = zip(*off, strict=True)
        out += [("off", Circle(float(ra), float(dec), radius)) for ra, dec in places]
    return tuple(out)
