"""The steps of an analysis: each reads files, calls the science, writes files."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from daybreak.config.analysis import AnalysisConfig
from daybreak.errors import NoDataError
from daybreak.ledger.step import StepSkipped
from daybreak.products.digest import file_digest
from daybreak.products.provenance import provenance
from daybreak.science import spectrum_tables, tables
from daybreak.science.lightcurve import (
    energy_selection,
    light_curve,
    minute_intervals,
    night_intervals,
    run_intervals,
)
from daybreak.science.mapstack import stack_maps
from daybreak.science.observation import HduLocation, load_run
from daybreak.science.reduce import reduce_run
from daybreak.science.run import ReducedRun, ReductionSetup
from daybreak.science.run_io import read_run, write_run
from daybreak.science.skymaps import map_geom
from daybreak.science.spectrum import (
    SpectrumFits,
    assumed_fit,
    fit_models,
    flux_points,
    model_from_dict,
    point_edges,
    total_flux,
)
from daybreak.science.stack import dataset_response, stack_runs, total_counts

log = logging.getLogger(__name__)
Inputs = Mapping[str, Any]
Outputs = Mapping[str, Path]
Params = Mapping[str, Any]


def _write_table(table: Table, path: Path, step: str, params: Params) -> None:
    table.meta["provenance"] = provenance(step, str(params["config_digest"]), {})
    table.write(path, format="ascii.ecsv", overwrite=True)


def _config(params: Params) -> AnalysisConfig:
    return AnalysisConfig.model_validate(params["config"])


def _runs(inputs: Inputs, *, maps: bool = False) -> list[ReducedRun]:
    runs = [read_run(Path(p), maps=maps) for p in inputs.get("runs", ())]
    return sorted(runs, key=lambda r: (float(r.gti_mjd[0, 0]), r.obs_id))


def reduce(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Reduce one run."""
    hdus = {
        h["kind"]: HduLocation(h["kind"], h["hdu_class"], Path(h["path"]), h["hdu"])
        for h in params["hdus"]
    }
    run = load_run(int(params["obs_id"]), hdus)
    reduced = reduce_run(run, ReductionSetup.from_dict(params["setup"]))
    digests = {p.name: file_digest(p) for p in sorted({h.path for h in hdus.values()})}
    write_run(reduced, outputs["run"], provenance("reduce", str(params["config_digest"]), digests))


def choose_method(runs: Sequence[ReducedRun], requested: str) -> tuple[str, str]:
    """Which background all runs are analysed with, and why.

    Reflected regions if they fit in every run; otherwise the FoV background for all runs, so that
    none is dropped. Without background IRFs the runs in which no region fits stay out.
    """
    reflected = [r for r in runs if "reflected" in r.backgrounds]
    fov = [r for r in runs if "fov" in r.backgrounds]
    n = len(runs)
    if requested == "reflected":
        if not reflected:
            raise NoDataError(
                "no OFF region fits in any run", "Use regions.background: fov, or a smaller ON."
            )
        return "reflected", "asked for in the configuration"
    if requested == "fov":
        if not fov:
            raise NoDataError(
                "no run has a background IRF, which the FoV background needs",
                "Use regions.background: reflected.",
            )
        return "fov", "asked for in the configuration"
    if len(reflected) == n:
        return "reflected", f"reflected regions fit in all {n} runs"
    if len(fov) >= max(len(reflected), 1):
        return "fov", (
            f"reflected regions fit in only {len(reflected)} of {n} runs, so that all runs use "
            "the FoV background"
        )
    if reflected:
        return "reflected", (
            f"OFF regions fit in {len(reflected)} of {n} runs; too few background IRFs for the "
            "FoV background, so that the other runs stay out of the spectrum"
        )
    raise NoDataError(
        "no background can be estimated: no OFF region fits in any run and no run has a "
        "background IRF",
        "Use a smaller ON radius or runs with a larger offset.",
    )


def _fov_theta2(runs: Sequence[ReducedRun], setup: ReductionSetup) -> np.ndarray | None:
    """Background per theta² bin from the scaled FoV model; None without maps."""
    if setup.maps is None or not all(run.maps for run in runs):
        return None
    geom = map_geom(setup)
    distance = geom.separation(setup.on.center).to_value("deg") ** 2
    total = np.sum([run.maps["fov_background"] for run in runs], axis=0, dtype=float)
    edges = np.array(setup.theta2_edges_deg2)
    background: np.ndarray = np.histogram(distance.ravel(), edges, weights=total.ravel())[0]
    return background


def counts(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Run table, theta², cumulative significance; decides on the background method."""
    config = _config(params)
    runs = _runs(inputs)
    left_out = list(params["left_out"])
    for name, outcome in params["upstream"].items():
        if outcome["state"] != "DONE":
            obs_id = int(name.removeprefix("reduce-"))
            stage = "reading" if "damaged" in outcome["reason"] else "reduction"
            row = {"obs_id": obs_id, "file": params["files"].get(str(obs_id), "")}
            left_out.append(row | {"stage": stage, "reason": outcome["reason"]})
    if not runs:
        reasons = "; ".join(f"run {r['obs_id']}: {r['reason']}" for r in left_out[:4])
        raise NoDataError(
            f"none of the {len(params['upstream'])} runs could be used ({reasons})",
            "Repair or copy the files again; the run logs are in runs/.",
        )
    method, reason = choose_method(runs, config.regions.background)
    used = [run for run in runs if method in run.backgrounds]
    setup = ReductionSetup.from_dict(params["setup"])
    totals = total_counts(used, method)
    fov = None
    if method == "fov":
        fov = _fov_theta2(_runs(inputs, maps=True), setup)
    radius = setup.on.radius_deg
    theta2 = tables.theta2_table(used, np.array(setup.theta2_edges_deg2), radius, totals, fov)
    step = "counts"
    _write_table(tables.runs_table(runs, method, config.quality), outputs["runs"], step, params)
    _write_table(tables.left_out_table(left_out), outputs["left_out"], step, params)
    _write_table(theta2, outputs["theta2"], step, params)
    _write_table(tables.cumulative_table(used, method), outputs["cumulative"], step, params)
    _write_table(tables.regions_table(runs, method), outputs["regions"], step, params)
    _write_table(tables.circles_table(setup.exclude), outputs["exclusion"], step, params)
    summary = {
        "method": method,
        "reason": reason,
        "counts": tables.counts_header(totals),
        "detected": bool(totals.significance >= config.spectrum.detection_sigma),
        "runs_in_spectrum": [run.obs_id for run in used],
        "threshold_tev": float(np.nanmin([run.info["threshold_tev"] for run in used])),
        "nights": sorted({str(run.info["night"]) for run in runs}),
        "telescopes": sorted({str(run.info["telescope"]) for run in runs}),
        "threshold_methods": sorted({str(run.info["threshold_method"]) for run in runs}),
    }
    outputs["summary"].write_text(json.dumps(summary, indent=1, sort_keys=True), encoding="utf-8")


def maps(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Stacked sky maps and the distribution of their significances."""
    config = _config(params)
    runs = [run for run in _runs(inputs, maps=True) if run.maps]
    if not runs:
        raise StepSkipped("no sky maps: no run has a background IRF to tell the acceptance")
    setup = ReductionSetup.from_dict(params["setup"])
    stacked = stack_maps(
        runs,
        map_geom(setup),
        setup.exclude,
        config.maps.methods,
        correlation_radius=config.maps.correlation_radius,
    )
    block = provenance("maps", str(params["config_digest"]), {})
    tables.maps_hdulist(stacked, block).writeto(outputs["maps"], overwrite=True)
    _write_table(tables.map_significance_table(stacked), outputs["significance"], "maps", params)


def _summary(inputs: Inputs) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(Path(inputs["summary"]).read_text(encoding="utf-8"))
    return value


def _used_runs(inputs: Inputs) -> tuple[list[ReducedRun], dict[str, Any]]:
    summary = _summary(inputs)
    wanted = set(summary["runs_in_spectrum"])
    runs = [r for r in _runs(inputs) if r.obs_id in wanted and r.mask_safe.any()]
    if not runs:
        raise StepSkipped("no run has energies above its threshold")
    return runs, summary


def spectrum(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Fits on the stacked data, the choice of a model, flux points."""
    config = _config(params)
    settings = config.spectrum
    runs, summary = _used_runs(inputs)
    dataset = stack_runs(runs, summary["method"])
    reco = dataset.counts.geom
    if settings.fit_min is not None or settings.fit_max is not None:
        dataset.mask_fit = reco.energy_mask(settings.fit_min, settings.fit_max)
    response = dataset_response(dataset)
    fitted = dataset.mask.data.ravel()
    reference = 1.0 * u.TeV if settings.reference is None else settings.reference
    significance = summary["counts"]["significance"]
    if not np.any(response.predicted_any() > 0):
        raise StepSkipped("no exposure above the energy threshold")
    if significance >= settings.fit_above_sigma:
        fits = fit_models(
            dataset,
            response,
            settings.models,
            reference=reference,
            start_index=settings.assumed_index,
            choice_sigma=settings.model_choice_sigma,
        )
        if not fits.best.success:
            fits = assumed_fit(
                response,
                reference,
                settings.assumed_index,
                f"power law of assumed index {settings.assumed_index:g}: the fit failed "
                f"({fits.best.message})",
            )
    else:
        fits = assumed_fit(
            response,
            reference,
            settings.assumed_index,
            f"power law of assumed index {settings.assumed_index:g}: at {significance:.1f} sigma "
            f"(below {settings.fit_above_sigma:g}) no shape is fitted",
        )
    log.info("chosen: %s", fits.choice)
    _write_spectrum(fits, response, fitted, outputs, config, params)


def _write_spectrum(
    fits: SpectrumFits,
    response: Any,
    fitted: np.ndarray,
    outputs: Outputs,
    config: AnalysisConfig,
    params: Params,
) -> None:
    settings = config.spectrum
    wanted = [float(e.to_value("TeV")) for e in settings.point_edges]
    edges = point_edges(response, settings.points_per_decade, wanted)
    if len(edges) < 2:
        raise StepSkipped("no counts above the energy threshold, neither ON nor OFF")
    limits = {"n_sigma_ul": settings.n_sigma_ul, "min_off": settings.min_off_counts}
    points = flux_points(response, fits.shape, edges, **limits)
    table = spectrum_tables.flux_points_table(
        points,
        fits.chosen,
        n_sigma_ul=settings.n_sigma_ul,
        ul_below_sigma=settings.ul_below_sigma,
    )
    step = "spectrum"
    _write_table(table, outputs["flux_points"], step, params)
    counts_table = spectrum_tables.spectrum_counts_table(response, fits, fitted)
    _write_table(counts_table, outputs["counts"], step, params)
    total = total_flux(response, fits.shape, **limits)
    _write_table(spectrum_tables.models_table(fits, total), outputs["models"], step, params)
    band = spectrum_tables.butterfly_table(fits, float(edges[0]), float(edges[-1]))
    _write_table(band, outputs["butterfly"], step, params)
    model = fits.shape.to_dict(full_output=True)
    outputs["model"].write_text(json.dumps(model, indent=1, default=float), encoding="utf-8")


def lightcurve(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Light curves per run, per night and in short bins."""
    config = _config(params)
    if "model" not in inputs:
        raise StepSkipped("no light curve: it needs the spectrum, which was not made")
    runs, summary = _used_runs(inputs)
    block = json.loads(Path(inputs["model"]).read_text(encoding="utf-8"))
    model = model_from_dict(block)
    settings, shared = config.lightcurve, config.spectrum
    low = settings.energy_min.to_value("TeV") if settings.energy_min is not None else None
    high = settings.energy_max.to_value("TeV") if settings.energy_max is not None else None
    use = energy_selection(runs, low, high)
    if not use.any():
        raise StepSkipped("no energy range is above the threshold of every run")
    index = next((p.value for p in model.parameters if p.name in ("index", "alpha")), float("nan"))
    minutes = float(settings.minutes.to_value("min"))
    kinds = {
        "run": run_intervals(runs),
        "night": night_intervals(runs),
        "minutes": minute_intervals(runs, minutes),
    }
    for name, intervals in kinds.items():
        curve = light_curve(
            runs,
            summary["method"],
            model,
            intervals,
            use,
            n_sigma_ul=shared.n_sigma_ul,
            bayesian_p0=settings.bayesian_p0,
            min_off=shared.min_off_counts,
        )
        table = spectrum_tables.light_curve_table(
            curve,
            float(index),
            n_sigma_ul=shared.n_sigma_ul,
            ul_below_sigma=shared.ul_below_sigma,
            p0=settings.bayesian_p0,
        )
        if name == "minutes":
            table.meta["minutes"] = minutes
        _write_table(table, outputs[name], "lightcurve", params)


_WIDE = 1.2


def _map_notes(files: Sequence[Path]) -> list[str]:
    """Say where the background does not describe the field to its statistical precision."""
    path = next((p for p in files if p.name == "map_significance.ecsv"), None)
    if path is None:
        return []
    meta = Table.read(path, format="ascii.ecsv").meta
    return [
        f"The OFF pixels of the {method} map scatter by {meta[method]['off_width']:.2f} sigma: "
        "the background model does not describe this field to its statistical precision, and "
        "significances by this method are too large by about that factor."
        for method in ("ring", "fov")
        if method in meta and meta[method]["off_width"] > _WIDE
    ]


def context(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """What all tables have in common, and what could not be made."""
    summary = _summary(inputs)
    setup = ReductionSetup.from_dict(params["setup"])
    failures = [
        {"step": name, "reason": outcome["reason"]}
        for name, outcome in params["upstream"].items()
        if outcome["state"] == "FAILED"
    ]
    notes = list(params["notes"]) + [
        outcome["reason"]
        for name, outcome in params["upstream"].items()
        if outcome["state"] == "SKIPPED"
    ]
    notes += _map_notes(inputs.get("made", ()))
    block = {
        **params["facts"],
        "background": {
            "requested": params["config"]["regions"]["background"],
            "used": summary["method"],
            "reason": summary["reason"],
        },
        "energy_threshold_tev": summary["threshold_tev"],
        "threshold_methods": summary["threshold_methods"],
        "detected": summary["detected"],
        "counts": summary["counts"],
        "nights": summary["nights"],
        "telescopes": summary["telescopes"],
        "on_radius_deg": setup.on.radius_deg if np.isfinite(setup.on.radius_deg) else None,
        "extended": setup.extended,
        "notes": notes,
        "failures": failures,
        "config_digest": params["config_digest"],
        "config": params["config"],
        "versions": provenance("context", "", {})["versions"],
    }
    text = json.dumps(block, indent=1, sort_keys=True, default=str, allow_nan=True)
    outputs["context"].write_text(text, encoding="utf-8")
