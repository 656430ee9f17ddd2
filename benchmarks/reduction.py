"""What reducing a run costs, and how soon an analysis begins and ends.

``python -m benchmarks.reduction``: CPU time per run of the H.E.S.S. public data, read and reduced
by Daybreak and with every response through Gammapy, with a check that both gave the same; then
``daybreak analyse`` of two targets as a user starts it, three times each, in turn.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.blank_fields import default_store
from benchmarks.tables import OUT, markdown, publish, stamp
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science.dl3.files import HduLocation
from daybreak.science.observation import load_run
from daybreak.science.reduce import reduce_run
from daybreak.science.run import ReducedRun, ReductionSetup

TAGS = ("crab", "pks2155_flare", "msh1552", "offdata")
TARGETS = ("crab", "PKS 2155-304")
ROUNDS = 3


def inputs(store: Path, tag: str) -> Iterator[tuple[int, dict[str, HduLocation], ReductionSetup]]:
    """Run number, files and set-up of each run, as the plan of an analysis has them."""
    for step in first_stage(analysis_request(tag, store=store, out=OUT / "none")).plan.steps:
        if step.name.startswith("reduce-"):
            hdus = {
                h["kind"]: HduLocation(h["kind"], h["hdu_class"], Path(h["path"]), h["hdu"])
                for h in step.params["hdus"]
            }
            setup = ReductionSetup.from_dict(step.params["setup"])
            yield int(step.params["obs_id"]), hdus, setup


def same(ours: ReducedRun, theirs: ReducedRun) -> None:
    """Stop if the two ways differ by more than 1e-6."""
    pairs = [(ours.exposure_cm2_s, theirs.exposure_cm2_s, 0.0), (ours.edisp, theirs.edisp, 1e-9)]
    for name, background in ours.backgrounds.items():
        other = theirs.backgrounds[name]
        pairs.append((background.acceptance_off, other.acceptance_off, 0.0))
        pairs.append((background.counts_off, other.counts_off, 0.0))
    for a, b, floor in [*pairs, (ours.counts_on, theirs.counts_on, 0.0)]:
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=floor, err_msg=f"run {ours.obs_id}")


def cpu_per_run(store: Path, tag: str) -> tuple[int, float, float]:
    """Number of runs, and the mean CPU seconds of a run in both ways."""
    ours, theirs = [], []
    for number, (obs_id, hdus, setup) in enumerate(inputs(store, tag)):
        for times in (ours, theirs):
            begin = time.process_time()
            run = load_run(obs_id, hdus)
            if times is theirs:
                run = replace(run, irfs={})  # nothing is covered: all of it through Gammapy
            reduced = reduce_run(run, setup)
            times.append(time.process_time() - begin)
            if times is ours:
                first = reduced
        same(first, reduced)
        if not number:  # imports and what is kept for the next run
            ours[0], theirs[0] = np.nan, np.nan
    return len(ours), float(np.nanmean(ours)), float(np.nanmean(theirs))


def wall(store: Path, target: str) -> tuple[float, float]:
    """Seconds from the command to its first step and to its end."""
    out = OUT / "start"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "daybreak", "analyse", target, "--store", store, "-o", out]
    environment = os.environ | {"DAYBREAK_HOME": str(OUT / "start-home")}
    begin = time.time()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    end = time.time()
    with sqlite3.connect(out / ".daybreak" / "ledger.sqlite") as ledger:
        ((first,),) = ledger.execute("SELECT min(started) FROM attempts")
    return first - begin, end - begin


def main(args: list[str] | None = None) -> int:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, default=default_store())
    store = parser.parse_args(args).store
    if not (store / "obs-index.fits.gz").is_file():
        print(f"reduction: skipped, no store at {store} (set DAYBREAK_TEST_DATA)")
        return 0
    load = os.getloadavg()[0]
    numbers: dict[str, Mapping[str, object]] = {}
    rows = []
    for tag in TAGS:
        n, ours, theirs = cpu_per_run(store, tag)
        numbers[tag] = {"runs": n, "daybreak": ours, "gammapy": theirs}
        rows.append([f"{tag}, {n} runs", f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.1f}"])
    found: dict[str, list[tuple[float, float]]] = {target: [] for target in TARGETS}
    for _ in range(ROUNDS):
        for target in TARGETS:
            found[target].append(wall(store, target))
    starts = []
    for target, pairs in found.items():
        first, end = np.median(pairs, axis=0)
        numbers[f"analyse {target}"] = {"first_step": first, "end": end}
        starts.append([target, f"{first:.2f}", f"{end:.2f}"])
    head = ["CPU time per run (s)", "daybreak", "responses by Gammapy", "ratio"]
    second = [f"`daybreak analyse`, median of {ROUNDS} (s)", "first step", "end"]
    parts = [markdown(head, rows), "", markdown(second, starts), ""]
    publish("reduction", "\n".join([*parts, f"Load before: {load:.2f}. {stamp()}"]), numbers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
