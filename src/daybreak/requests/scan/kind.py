"""Sky scans among the kinds of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daybreak.errors import ConfigError
from daybreak.ledger.step import Place, Plan, Step, StepResult
from daybreak.products.digest import value_digest
from daybreak.requests.kind import Kind
from daybreak.requests.result import Result
from daybreak.requests.scan.request import ScanRequest
from daybreak.requests.stages import Stage, Stages

_STEPS = "daybreak.requests.scan.steps"
_FILES = {
    "skymap": "skymap.fits.gz",
    "multiorder": "skymap.multiorder.fits",
    "results_json": "results.json",
    "circular": "circular.txt",
    "report": "report.html",
}
_FOLDERS = ("results", "figures", "skyreader")
_DATA = ("report/common/templates", "report/scan/templates", "neutrino/data")


@dataclass(frozen=True)
class ScanResult(Result):
    """What a scan left in its folder."""

    @property
    def fitted(self) -> int:
        """Pixels fitted by this call; 0 if everything was there."""
        pixels = self.steps.get("pixels")
        if pixels is None or pixels.cached:
            return 0
        return int(self.results["work"]["pixels_fitted_now"])

    @property
    def complete(self) -> bool:
        """Whether the scan went to its end."""
        return bool(self.results["complete"])


def stages(request: ScanRequest) -> Stages:
    """The one plan of a scan.

    Parameters
    ----------
    request
        What is wanted.

    Raises
    ------
    EventError, ConfigError
        If it can't be planned.
    """
    from daybreak.requests.scan.prepare import prepare_scan

    where, workers = request.where
    if workers < 0:
        raise ConfigError(f"--workers {workers} is below 0", "0 means one worker per core.")
    params = {
        "number": request.number,
        "force": request.force,
        "settings": request.config().of_products(),
    }
    about = prepare_scan(request.files, params)
    digest = value_digest(params | {"inputs": dict(about.inputs)})
    common: dict[str, Any] = {
        "params": params,
        "place": Place.DRIVER,
        "provenance": {"config_digest": digest, "where": where, "workers": workers},
    }
    folder = request.out / ".daybreak" / "scan"
    fitted = {"pixels": folder / "pixels.bin", "run": folder / "run.json"}
    pixels = Step(
        name="pixels",
        function=f"{_STEPS}.pixels:pixels",
        inputs=request.files,
        outputs=fitted,
        label="fit the pixels",
        data=("neutrino/data",),
        **common,
    )
    products = Step(
        name="products",
        function=f"{_STEPS}.products:products",
        inputs={**request.files, **fitted},
        outputs={name: request.out / name for name in _FOLDERS}
        | {name: request.out / file for name, file in _FILES.items()},
        folders=frozenset(_FOLDERS),
        label="contours, maps, report",
        data=_DATA,
        tolerant=True,
        to_the_end=True,
        **common,
    )
    yield Stage(Plan((pixels, products)), engine=request.engine, about=about)


def result(request: ScanRequest, steps: Mapping[str, StepResult]) -> ScanResult:
    """What a scan has left.

    Parameters
    ----------
    request
        What was wanted.
    steps
        How each step ended.
    """
    text = (request.out / "results.json").read_text(encoding="utf-8")
    return ScanResult(request.out, json.loads(text), steps)


def summary(result: Any) -> list[str]:
    """The main results in a few lines.

    Parameters
    ----------
    result
        Of the scan.
    """
    from daybreak.report.scan.scan_results import scan_summary

    lines = scan_summary(dict(result.results))
    return lines if result.fitted else [*lines, "nothing to fit: every pixel was there"]


def stopped(request: ScanRequest) -> str:
    """What there is of a scan that was stopped.

    Parameters
    ----------
    request
        What was wanted.
    """
    page = request.out / "report.html"
    return f"{page} shows the map so far" if page.is_file() else "before the first pixel was fitted"


SCAN = Kind(ScanRequest, stages, result, ScanResult, summary, stopped=stopped)
