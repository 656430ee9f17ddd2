"""Run table, theta², cumulative significance; decides on the background method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from daybreak.errors import NoDataError, RunDataError
from daybreak.requests.analysis.steps.common import (
    Inputs,
    Outputs,
    Params,
    reduced_runs,
    settings,
    write_table,
)
from daybreak.science import tables
from daybreak.science.background_choice import choose_method
from daybreak.science.extension import surroundings
from daybreak.science.geoms import map_geom
from daybreak.science.run import ReducedRun, ReductionSetup
from daybreak.science.stack import total_counts


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


def _left_out(params: Params) -> list[dict[str, Any]]:
    """Runs without a reduction: those not selected, and those that failed, with the stage."""
    rows = list(params["left_out"])
    for name, outcome in params["upstream"].items():
        if outcome["state"] == "DONE":
            continue
        read = outcome["error"] != RunDataError.__name__
        rows.append(
            {
                **params["runs"][name],
                "stage": "reduction" if read else "reading",
                "reason": outcome["reason"],
            }
        )
    return rows


def counts(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Run table, theta², cumulative significance; decides on the background method.

    Parameters
    ----------
    inputs
        ``runs``, the reduced runs that there are.
    outputs
        A table each for ``runs``, ``left_out``, ``oddities``, ``theta2``, ``cumulative``,
        ``regions`` and ``exclusion``; ``summary``, a JSON file for the steps that follow.
    params
        ``setup``, ``left_out`` (runs that were not selected), ``runs`` (number and file by step),
        ``upstream`` (how each reduction ended).

    Raises
    ------
    NoDataError
        If no run could be used.
    """
    config = settings(params)
    runs = reduced_runs(inputs)
    left_out = _left_out(params)
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
        fov = _fov_theta2(reduced_runs(inputs, maps=True), setup)
    radius = setup.on.radius_deg
    theta2 = tables.theta2_table(used, np.array(setup.theta2_edges_deg2), radius, totals, fov)
    around = surroundings(theta2, used, setup, config.quality)
    step = "counts"
    write_table(tables.runs_table(runs, method, config.quality), outputs["runs"], step, params)
    write_table(tables.left_out_table(left_out), outputs["left_out"], step, params)
    write_table(tables.oddities_table(runs), outputs["oddities"], step, params)
    write_table(theta2, outputs["theta2"], step, params)
    write_table(tables.cumulative_table(used, method), outputs["cumulative"], step, params)
    write_table(tables.regions_table(runs, method), outputs["regions"], step, params)
    write_table(tables.circles_table(setup.exclude), outputs["exclusion"], step, params)
    summary = {
        "method": method,
        "reason": reason,
        "counts": tables.counts_header(totals),
        "detected": bool(totals.significance >= config.spectrum.detection_sigma),
        "runs_in_spectrum": [run.obs_id for run in used],
        "threshold_tev": float(np.nanmin([run.info["threshold_tev"] for run in used])),
        "nights": sorted({str(run.info["night"]) for run in runs}),
        "telescopes": sorted({str(run.info["telescope"]) for run in runs}),
        "surroundings": None if around is None else asdict(around),
        "threshold_methods": sorted({str(run.info["threshold_method"]) for run in runs}),
    }
    outputs["summary"].write_text(json.dumps(summary, indent=1, sort_keys=True), encoding="utf-8")
