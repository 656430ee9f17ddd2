"""Light curves per run, per night and in short bins."""

from __future__ import annotations

import json
from pathlib import Path

from daybreak.ledger.step import StepSkipped
from daybreak.requests.analysis.steps.common import (
    Inputs,
    Outputs,
    Params,
    settings,
    used_runs,
    write_table,
)
from daybreak.science import lightcurve_tables
from daybreak.science.lightcurve import (
    energy_selection,
    light_curve,
    minute_intervals,
    night_intervals,
    run_intervals,
)
from daybreak.science.spectrum import model_from_dict


def lightcurve(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Light curves per run, per night and in short bins.

    Parameters
    ----------
    inputs
        ``runs``, ``summary`` of the counts step, and ``model`` of the spectrum where there is one.
    outputs
        A table each for ``run``, ``night`` and ``minutes``.
    params
        Of the step; the settings tell bins and energies.

    Raises
    ------
    StepSkipped
        Without a spectrum, or without an energy range above every run's threshold.
    """
    config = settings(params)
    if "model" not in inputs:
        raise StepSkipped("no light curve: it needs the spectrum, which was not made")
    runs, summary = used_runs(inputs)
    block = json.loads(Path(inputs["model"]).read_text(encoding="utf-8"))
    model = model_from_dict(block)
    own, shared = config.lightcurve, config.spectrum
    use = energy_selection(runs, own.energy_min, own.energy_max)
    if not use.any():
        raise StepSkipped("no energy range is above the threshold of every run")
    index = next((p.value for p in model.parameters if p.name in ("index", "alpha")), float("nan"))
    kinds = {
        "run": run_intervals(runs),
        "night": night_intervals(runs),
        "minutes": minute_intervals(runs, own.minutes),
    }
    for name, intervals in kinds.items():
        curve = light_curve(
            runs,
            summary["method"],
            model,
            intervals,
            use,
            n_sigma_ul=shared.n_sigma_ul,
            bayesian_p0=own.bayesian_p0,
            min_off=shared.min_off_counts,
        )
        table = lightcurve_tables.light_curve_table(
            curve,
            float(index),
            n_sigma_ul=shared.n_sigma_ul,
            ul_below_sigma=shared.ul_below_sigma,
            p0=own.bayesian_p0,
        )
        if name == "minutes":
            table.meta["minutes"] = float(own.minutes.to_value("min"))
        write_table(table, outputs[name], "lightcurve", params)
