"""The systematic error of the background, beside the statistical one."""

from __future__ import annotations

import json
from pathlib import Path

from astropy.table import Table

from daybreak.ledger.step import StepSkipped
from daybreak.requests.analysis.steps.common import (
    Inputs,
    Outputs,
    Params,
    settings,
    used_runs,
    write_table,
)
from daybreak.science.systematics import background_scatter, parameter_shifts, scatter_header

_NO_REGIONS = (
    "no systematic error of the background: no run has regions without a source at the offset of "
    "ON, or none has a background IRF"
)


def systematics(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Measure norm and tilt of the background in null regions and repeat the fit with them.

    Parameters
    ----------
    inputs
        ``runs``, ``summary`` of the counts step, ``model`` and ``models`` of the spectrum where
        there is one.
    outputs
        ``systematics``, a table; empty where the spectrum's index is assumed.
    params
        Of the step; the settings tell the energies of the fit.

    Raises
    ------
    StepSkipped
        Without a spectrum, or if no run has regions without a source.
    """
    if "model" not in inputs:
        raise StepSkipped("no systematic errors: they need the spectrum, which was not made")
    chosen = settings(params).spectrum
    runs, summary = used_runs(inputs)
    method = summary["method"]
    scatter = background_scatter(runs, method)
    if scatter is None:
        raise StepSkipped(_NO_REGIONS)
    models = Table.read(inputs["models"], format="ascii.ecsv")
    table = Table()
    if not models.meta["assumed"]:
        block = json.loads(Path(inputs["model"]).read_text(encoding="utf-8"))
        limits = {"fit_min": chosen.fit_min, "fit_max": chosen.fit_max}
        table = parameter_shifts(runs, method, block, scatter, **limits)
        table.add_column(str(models["model"][models["chosen"]][0]), name="model", index=0)
    table.meta.update(scatter_header(scatter), method=method)
    write_table(table, outputs["systematics"], "systematics", params)
