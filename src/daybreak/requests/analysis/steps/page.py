"""``report.html``: all results for people."""

from __future__ import annotations

from pathlib import Path

from daybreak.report.analysis.html import write_report
from daybreak.requests.analysis.steps.common import Inputs, Outputs, Params


def page(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Write the page from tables and figures.

    Parameters
    ----------
    inputs
        ``context``, beside which the tables lie, and ``figures``, the folder.
    outputs
        ``report``, the HTML file.
    params
        ``report`` (facts for the page) and ``upstream``, which tells what is kept from an older
        version.
    """
    folder = Path(inputs["context"]).parent
    kept: dict[str, str] = {}
    for outcome in params["upstream"].values():
        kept |= outcome.get("kept", {})
    facts = {**params["report"], "kept": kept}
    write_report(folder, Path(inputs["figures"]), outputs["report"], facts)
