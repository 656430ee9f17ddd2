"""``results.json``: all results for programs."""

from __future__ import annotations

from pathlib import Path

from daybreak.report.analysis.results_json import write_results
from daybreak.requests.analysis.steps.common import Inputs, Outputs, Params


def results(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Write results.json from the tables.

    Parameters
    ----------
    inputs
        ``context``; the tables lie beside it.
    outputs
        ``results``, the JSON file.
    params
        ``report``, facts that beat those of the context.
    """
    write_results(Path(inputs["context"]).parent, outputs["results"], params["report"])
