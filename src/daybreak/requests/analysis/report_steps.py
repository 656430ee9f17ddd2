"""The report's steps: figures from tables, results.json, the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daybreak.products.digest import file_digest
from daybreak.report.analysis.figures import draw_figures
from daybreak.report.analysis.html import write_report
from daybreak.report.analysis.results_json import write_results

Inputs = Mapping[str, Any]
Outputs = Mapping[str, Path]
Params = Mapping[str, Any]


def figures(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Draw every figure that the tables allow; the index lists them with their digests."""
    folder = Path(params["figures"])
    drawn = draw_figures(Path(params["results"]), folder, tuple(params["formats"]))
    index = {path.name: file_digest(path) for path in sorted(drawn)}
    outputs["index"].write_text(json.dumps(index, indent=1), encoding="utf-8")


def results_json(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Write results.json from the tables."""
    write_results(Path(params["results"]), outputs["results"])


def page(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Write the HTML report."""
    write_report(Path(params["results"]), Path(params["figures"]), outputs["report"])
