"""The steps that follow the tables of an analysis: figures, results.json, report."""

from __future__ import annotations

import json
from pathlib import Path

from daybreak.config.analysis import AnalysisConfig
from daybreak.ledger.step import Step
from daybreak.products.digest import file_digest
from daybreak.requests.analysis.plan import AnalysisPlan

_STEPS = "daybreak.requests.analysis.report_steps"
INDEX = "figures.json"


def report_steps(analysis: AnalysisPlan, config: AnalysisConfig, out: Path) -> list[Step]:
    """Steps from result tables to the report of an analysis.

    Parameters
    ----------
    analysis
        The plan up to the tables.
    config
        The resolved configuration.
    out
        Output folder.
    """
    tables = tuple(sorted(analysis.tables[k] for k in _made(analysis)))
    folders = {"results": str(out / "results"), "figures": str(out / "figures")}
    index = out / "figures" / INDEX
    return [
        Step(
            name="figures",
            function=f"{_STEPS}:figures",
            inputs={"context": analysis.context, "tables": tables},
            outputs={"index": index},
            params=folders | {"formats": list(config.report.formats)},
            label="figures",
            tolerant=True,
        ),
        Step(
            name="results",
            function=f"{_STEPS}:results_json",
            inputs={"context": analysis.context, "tables": tables},
            outputs={"results": out / "results.json"},
            params=folders,
            label="results.json",
            tolerant=True,
        ),
        Step(
            name="report",
            function=f"{_STEPS}:page",
            inputs={"context": analysis.context, "tables": tables, "index": index},
            outputs={"report": out / "report.html"},
            params=folders,
            label="report",
            tolerant=True,
        ),
    ]


def _made(analysis: AnalysisPlan) -> list[str]:
    made = {path for step in analysis.plan.steps for path in step.outputs.values()}
    return [key for key, path in analysis.tables.items() if path in made]


def drop_stale_index(out: Path) -> None:
    """Forget the index of figures if one of them is gone or changed: they are drawn again.

    Called by the driver that holds the folder's lock, before the plan runs.
    """
    index = out / "figures" / INDEX
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))
        whole = all(file_digest(out / "figures" / n) == d for n, d in listed.items())
    except (OSError, ValueError, AttributeError):
        whole = False
    if not whole:
        index.unlink(missing_ok=True)
