"""Analyses among the kinds of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from daybreak.config.load import to_yaml
from daybreak.instruments.profiles import profile_for
from daybreak.ledger.step import StepResult
from daybreak.requests.analysis.plan import PRELOAD, plan_analysis
from daybreak.requests.analysis.request import AnalysisRequest
from daybreak.requests.kind import Kind
from daybreak.requests.result import Result
from daybreak.requests.stages import Stage, Stages
from daybreak.runs.catalogue import Catalogue, read_catalogue, telescope
from daybreak.runs.select import select_runs
from daybreak.runs.targets import resolve_target


@dataclass(frozen=True)
class AnalysisResult(Result):
    """What an analysis left in its folder."""

    @property
    def missing(self) -> list[str]:
        """What had to be left out because of an error, a line each; runs by number or file."""
        rows = [r for r in self.results["runs_left_out"] if r["stage"] != "selection"]
        lines = [f"run {r['obs_id']} ({r['file']}): {r['reason']}" for r in rows]
        failed = [r for r in self.failed if not r.name.startswith("reduce-")]
        return lines + [f"{r.name}: {r.reason}" for r in failed]


def _instrument(catalogue: Catalogue, request: AnalysisRequest) -> str:
    """Name of the profile; ``auto`` asks the first readable file for its TELESCOP."""
    if request.instrument != "auto":
        return request.instrument
    names = (telescope(run) for run in catalogue.runs[:5])
    return profile_for(next((n for n in names if n), ""))


def stages(request: AnalysisRequest) -> Stages:
    """The one plan of an analysis.

    Parameters
    ----------
    request
        What is wanted.

    Raises
    ------
    TargetError, StoreError, NoDataError, ConfigError
        If it can't be planned.
    """
    catalogue = read_catalogue(request.store)
    config = request.config(_instrument(catalogue, request))
    place = resolve_target(request.target.text, catalogue)
    longitude = float(config.selection.site_longitude.to_value("deg"))
    selection = select_runs(catalogue, place, config.selection, longitude)
    plan = plan_analysis(request, config, place, selection)
    yield Stage(
        replace(plan, texts={request.out / "config.yaml": to_yaml(config)}),
        engine=config.engine.profile,
        workers=config.engine.workers,
        preload=PRELOAD,
        about=selection,
    )


def result(request: AnalysisRequest, steps: Mapping[str, StepResult]) -> AnalysisResult:
    """What an analysis has left.

    Parameters
    ----------
    request
        What was wanted.
    steps
        How each step ended.
    """
    text = (request.out / "results.json").read_text(encoding="utf-8")
    return AnalysisResult(request.out, json.loads(text), steps)


def summary(result: Any) -> list[str]:
    """The main results in a few lines.

    Parameters
    ----------
    result
        Of the analysis.
    """
    from daybreak.report.analysis.summary import summary_lines

    return summary_lines(result.results)


ANALYSIS = Kind(AnalysisRequest, stages, result, AnalysisResult, summary, PRELOAD)
