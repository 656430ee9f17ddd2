"""What the steps of an analysis share: reading reduced runs, writing tables, their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from astropy.table import Table

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.sections import Declared
from daybreak.ledger.step import StepSkipped
from daybreak.products.provenance import provenance
from daybreak.science.run import ReducedRun
from daybreak.science.run_io import read_run

Inputs = Mapping[str, Any]
Outputs = Mapping[str, Path]
Params = Mapping[str, Any]


def write_table(table: Table, path: Path, step: str, params: Params) -> None:
    """Write a result table with its provenance.

    Parameters
    ----------
    table
        What to write; its metadata gets the key ``provenance``.
    path
        The file.
    step
        Name of the step that made it.
    params
        Of the step.
    """
    table.meta["provenance"] = provenance(step, config_digest(params), {})
    table.write(path, format="ascii.ecsv", overwrite=True)


def config_digest(params: Params) -> str:
    """Digest of the whole configuration, for provenance.

    Parameters
    ----------
    params
        Of the step.
    """
    return str(params["provenance"]["config_digest"])


def settings(params: Params) -> AnalysisConfig:
    """The settings that a step declares; any other raises when it is read.

    Parameters
    ----------
    params
        Of the step.
    """
    return cast(AnalysisConfig, Declared(AnalysisConfig, params["config"]))


def reduced_runs(inputs: Inputs, *, maps: bool = False) -> list[ReducedRun]:
    """The reduced runs that there are, by time.

    Parameters
    ----------
    inputs
        Of the step: its files ``runs``.
    maps
        Read the images, too.
    """
    paths = [Path(p) for p in inputs.get("runs", ())]
    runs = [read_run(path, maps=True) if maps else _read(path) for path in paths]
    return sorted(runs, key=lambda r: (float(r.gti_mjd[0, 0]), r.obs_id))


def _read(path: Path) -> ReducedRun:
    try:
        state = path.stat()
    except OSError:
        return read_run(path)  # which says what is wrong
    return _kept(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)  # a worker does several steps of an analysis, all on the same runs
def _kept(path: Path, mtime_ns: int, size: int) -> ReducedRun:
    """A run without its images; its arrays are not writable, as several steps share them."""
    run = read_run(path)
    for value in (*vars(run).values(), *_nested(run)):
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return run


def _nested(run: ReducedRun) -> list[Any]:
    parts = [*run.backgrounds.values(), run.theta2]
    return [value for part in parts if part is not None for value in vars(part).values()]


def read_summary(inputs: Inputs) -> dict[str, Any]:
    """What the counts step has decided.

    Parameters
    ----------
    inputs
        Of the step: its file ``summary``.
    """
    value: dict[str, Any] = json.loads(Path(inputs["summary"]).read_text(encoding="utf-8"))
    return value


def used_runs(inputs: Inputs) -> tuple[list[ReducedRun], dict[str, Any]]:
    """Runs that take part in the spectrum, and the summary of the counts step.

    Parameters
    ----------
    inputs
        Of the step: its files ``runs`` and ``summary``.

    Raises
    ------
    StepSkipped
        If no run has energies above its threshold.
    """
    summary = read_summary(inputs)
    wanted = set(summary["runs_in_spectrum"])
    runs = [r for r in reduced_runs(inputs) if r.obs_id in wanted and r.mask_safe.any()]
    if not runs:
        raise StepSkipped("no run has energies above its threshold")
    return runs, summary
