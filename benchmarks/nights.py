"""One simulated night, analysed by the steps of ``daybreak analyse``, in this process.

The plan is the one that the command makes; its steps up to the tables (without sky maps) are run
one after the other by the function that the engine's workers call.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from daybreak.engine.execute import execute
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.demo import power_law_flux
from daybreak.requests.run import first_stage
from daybreak.simulate import Field, crab_like, simulate_store


@dataclass(frozen=True)
class Night:
    """What is simulated.

    Attributes
    ----------
    scale
        Flux over that of the Crab-like source; 0: a blank field.
    sampler
        ``direct`` or ``gammapy``.
    settings
        Settings of the analysis beside the defaults.
    """

    scale: float = 1.0
    sampler: str = "direct"
    settings: tuple[str, ...] = ()


def run_night(seed: int, night: Night) -> dict[str, Any]:
    """Simulate and analyse; the numbers that the benchmarks need."""
    folder = Path(tempfile.mkdtemp(prefix="daybreak-bench-"))
    try:
        source = crab_like(scale=night.scale or 1.0)
        sources = (source,) if night.scale else ()
        field = Field("Virtual source", source.position, sources, "virtual")
        simulate_store(folder / "store", [field], seed=seed, sampler=night.sampler)
        run_steps(folder / "store", folder / "out", night.settings)
        truth = source.parameters()["spectrum"]
        return {"seed": seed, **_numbers(folder / "out", truth, night.scale)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_steps(store: Path, out: Path, settings: tuple[str, ...]) -> None:
    """Every step up to the tables, without maps."""
    off = {"maps": {"enabled": False}, "engine": {"workers": 1}}
    request = analysis_request("virtual", store=store, out=out, settings=settings, options=off)
    plan = first_stage(request).plan
    ended: dict[str, Any] = {}
    before = plan.dependencies()
    for step in plan.steps:
        if step.name in ("figures", "results", "report"):
            continue
        params = dict(step.params) | {"config": step.config, "provenance": step.provenance}
        if step.tolerant:
            params["upstream"] = {name: ended[name] for name in before[step.name]}
        payload = {
            "name": step.name,
            "function": step.function,
            "inputs": {
                key: str(value) if isinstance(value, Path) else [str(p) for p in value]
                for key, value in step.inputs.items()
            },
            "outputs": {key: str(path) for key, path in step.outputs.items()},
            "params": params,
            "log": str(out / f"{step.name}.log"),
        }
        result = execute(payload)
        if result["state"] != "DONE":
            raise RuntimeError(f"step {step.name}: {result['reason']}")
        ended[step.name] = {"state": result["state"], "reason": ""}


def _numbers(out: Path, spectrum: Mapping[str, Any], scale: float) -> dict[str, Any]:
    summary = json.loads((out / "runs" / "summary.json").read_text())
    models = Table.read(out / "results" / "spectrum_models.ecsv", format="ascii.ecsv")
    total = models.meta["total"]
    low, high = total["e_min_tev"], total["e_max_tev"]
    found: dict[str, Any] = {
        **{key: summary["counts"][key] for key in ("n_on", "n_off", "alpha", "significance")},
        **total,
        "flux_truth": power_law_flux(spectrum, low, high) if scale else 0.0,
        "assumed": bool(models.meta["assumed"]),
        "pivot_tev": float(models.meta["fits"]["pl"]["pivot_tev"] or np.nan),
        "chosen": str(models["model"][np.flatnonzero(models["chosen"])[0]]),
    }
    for row in models[models["model"] == "pl"]:
        found[str(row["parameter"])] = float(row["value"])
        found[f"{row['parameter']}_error"] = float(row["error"])
    return found


def _quiet() -> None:
    warnings.simplefilter("ignore")


def run_nights(seeds: Iterable[int], night: Night, what: str) -> list[dict[str, Any]]:
    """Many nights, one process per core; progress on a terminal."""
    todo = list(seeds)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cores = len(os.sched_getaffinity(0))
    done = []
    with multiprocessing.get_context("fork").Pool(cores, _quiet) as pool:
        for row in pool.imap_unordered(partial(run_night, night=night), todo, chunksize=1):
            done.append(row)
            if sys.stderr.isatty():
                print(f"\r{what}: {len(done)}/{len(todo)} nights", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return sorted(done, key=lambda row: row["seed"])
