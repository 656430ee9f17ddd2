"""What the steps of an analysis share: reading reduced runs, writing tables, their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

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
    runs = [read_run(Path(p), maps=maps) for p in inputs.get("runs", ())]
    return sorted(runs, key=lambda r: (float(r.gti_mjd[0, 0]), r.obs_id))


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
