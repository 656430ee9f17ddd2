"""``daybreak.analyse``: from a DL3 store to a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.engine import load_engine
from daybreak.config.load import to_yaml
from daybreak.engine.run import Progress, run_plan
from daybreak.errors import (
    DaybreakError,
    EngineError,
    LedgerError,
    OutputError,
    PartialResultError,
)
from daybreak.instruments.profiles import profile_for
from daybreak.instruments.settings import resolve_config
from daybreak.ledger.request import AnalysisRequest, RequestInfo
from daybreak.ledger.step import Plan, StepResult, StepState
from daybreak.products.atomic import ensure_folder, remove_stale_partials, write_text
from daybreak.products.lock import folder_lock
from daybreak.requests.analysis.plan import PRELOAD, plan_analysis
from daybreak.runs.catalogue import Catalogue, read_catalogue, telescope
from daybreak.runs.select import Selection, read_run_list, select_runs
from daybreak.runs.targets import Target, resolve_target

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True)
class AnalysisResult:
    """What an analysis left in its folder.

    Attributes
    ----------
    folder
        Output folder.
    results
        Content of ``results.json``.
    steps
        How each step ended.
    """

    folder: Path
    results: Mapping[str, Any]
    steps: Mapping[str, StepResult]

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def failed(self) -> list[StepResult]:
        """Steps that failed: runs that could not be used, results that could not be made."""
        return [r for r in self.steps.values() if r.state is StepState.FAILED]

    @property
    def missing(self) -> list[str]:
        """What had to be left out because of an error, a line each; runs by number or file."""
        rows = [r for r in self.results["runs_left_out"] if r["stage"] != "selection"]
        lines = [f"run {r['obs_id']} ({r['file']}): {r['reason']}" for r in rows]
        failed = [r for r in self.failed if not r.name.startswith("reduce-")]
        return lines + [f"{r.name}: {r.reason}" for r in failed]

    @property
    def cached(self) -> bool:
        """Nothing had to be done."""
        return all(r.cached for r in self.steps.values())

    def table(self, name: str) -> Table:
        """Read one of the tables in ``results/``, e.g. ``flux_points``."""
        from astropy.table import Table

        return Table.read(self.folder / "results" / f"{name}.ecsv", format="ascii.ecsv")


@dataclass(frozen=True)
class PreparedAnalysis:
    """A request with its plan, before anything runs."""

    request: AnalysisRequest
    selection: Selection
    plan: Plan


def prepare(
    target: str,
    *,
    store: Path,
    out: Path,
    config: Path | None = None,
    instrument: str | None = None,
    settings: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
    runs: Path | None = None,
    origin: str = "python",
) -> PreparedAnalysis:
    """Resolve everything and lay out the plan; writes nothing.

    Parameters are those of :func:`analyse`.
    """
    store = store.resolve() if store.is_dir() else store
    catalogue = read_catalogue(store)
    overrides = {key: dict(value) for key, value in (options or {}).items()}
    if runs is not None:
        overrides.setdefault("selection", {})["runs"] = list(read_run_list(runs))
    resolved = _with_instrument(catalogue, config, instrument, settings, overrides)
    place = resolve_target(target, catalogue)
    longitude = float(resolved.selection.site_longitude.to_value("deg"))
    selection = select_runs(catalogue, place, resolved.selection, longitude)
    request = AnalysisRequest(
        target=target, store=store.resolve(), out=out.resolve(), config=resolved, origin=origin
    )
    return _lay_out(request, place, selection)


def prepare_request(request: AnalysisRequest) -> PreparedAnalysis:
    """Lay out the plan of a request that was received earlier; writes nothing.

    Raises
    ------
    TargetError, StoreError, NoDataError
        If what it needs is no longer there.
    """
    catalogue = read_catalogue(request.store)
    place = resolve_target(request.target, catalogue)
    longitude = float(request.config.selection.site_longitude.to_value("deg"))
    selection = select_runs(catalogue, place, request.config.selection, longitude)
    return _lay_out(request, place, selection)


def _lay_out(request: AnalysisRequest, place: Target, selection: Selection) -> PreparedAnalysis:
    return PreparedAnalysis(request, selection, plan_analysis(request, place, selection))


def _with_instrument(
    catalogue: Catalogue,
    config: Path | None,
    instrument: str | None,
    settings: Iterable[str],
    options: Mapping[str, Any],
) -> AnalysisConfig:
    """Resolve the configuration; ``auto`` asks the first readable file for its TELESCOP."""
    settings = tuple(settings)
    resolved, _ = resolve_config(
        config=config, instrument=instrument, settings=settings, options=options
    )
    if resolved.instrument != "auto":
        return resolved
    names = (telescope(run) for run in catalogue.runs[:5])
    found = profile_for(next((n for n in names if n), ""))
    resolved, _ = resolve_config(
        config=config, instrument=found, settings=settings, options=options
    )
    return resolved


def analyse(
    target: str,
    *,
    store: Path | str,
    out: Path | str,
    config: Path | str | None = None,
    instrument: str | None = None,
    settings: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
    runs: Path | str | None = None,
    progress: Progress | None = None,
    strict: bool = False,
) -> AnalysisResult:
    """Analyse the data of a target and write a report.

    What is already there and unchanged is not made again.

    Parameters
    ----------
    target
        Name, coordinates (``"83.63 22.01"``) or a TARGET_TAG of the store.
    store
        Folder with the GADF index files.
    out
        Output folder.
    config
        YAML file with settings.
    instrument
        Instrument profile; by default found from the data.
    settings
        ``section.key=value`` texts, e.g. ``["regions.on_radius=0.3 deg"]``.
    options
        Nested settings as a mapping, e.g. ``{"selection": {"night": "2004-12-04"}}``.
    runs
        File with a run list.
    progress
        Called with a :class:`~daybreak.engine.progress.ProgressEvent` when a step has ended.
    strict
        Raise :class:`~daybreak.errors.PartialResultError` if a run or a result was left out
        because of an error, after everything else is done.

    Returns
    -------
    AnalysisResult
        The content of ``results.json`` and how each step ended.

    Raises
    ------
    ConfigError, TargetError, StoreError, NoDataError, OutputError, EngineError
        See :mod:`daybreak.errors`; nothing half-written remains.
    """
    prepared = prepare(
        target,
        store=Path(store),
        out=Path(out),
        config=Path(config) if config is not None else None,
        instrument=instrument,
        settings=settings,
        options=options,
        runs=Path(runs) if runs is not None else None,
    )
    return run_prepared(prepared, progress=progress, strict=strict)


def resume_request(
    spec: Mapping[str, Any], out: Path, *, progress: Progress | None = None
) -> AnalysisResult:
    """Go on with a request as its ledger describes it.

    Parameters
    ----------
    spec
        The request as JSON-able values.
    out
        Its output folder, which may have been moved.
    progress
        As for :func:`analyse`.
    """
    try:
        request = AnalysisRequest.model_validate({**spec, "out": str(out)})
    except ValidationError as error:
        raise LedgerError(
            f"the request in {out} is not one that this Daybreak understands: {error}",
            "Run its command again.",
        ) from None
    return run_prepared(prepare_request(request), progress=progress)


def run_prepared(
    prepared: PreparedAnalysis, *, progress: Progress | None = None, strict: bool = False
) -> AnalysisResult:
    """Run a prepared analysis in its output folder."""
    request = prepared.request
    engine = load_engine(request.config.engine.profile)
    out = ensure_folder(request.out)
    with folder_lock(out):
        remove_stale_partials(out)
        _write_config(out, request.config)
        steps = run_plan(
            prepared.plan,
            out,
            request=request_info(request),
            engine=engine,
            workers=request.config.engine.workers,
            progress=progress,
            preload=PRELOAD,
        )
    _raise_for(prepared.plan, steps)
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    result = AnalysisResult(out, results, steps)
    if strict and result.missing:
        raise partial_error(result)
    return result


def request_info(request: AnalysisRequest) -> RequestInfo:
    """What the ledger keeps of a request."""
    return RequestInfo(
        id=request.name,
        key=request.key,
        kind=request.kind.value,
        target=request.target,
        origin=request.origin,
        requester=request.requester,
        spec=request.model_dump(mode="json"),
        engine=request.config.engine.profile,
        priority=request.priority,
    )


def _write_config(out: Path, config: AnalysisConfig) -> None:
    text = to_yaml(config)
    path = out / "config.yaml"
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    write_text(path, text)


def _raise_for(plan: Plan, results: Mapping[str, StepResult]) -> None:
    """Raise what a required step's failure, or a full disk anywhere, means."""
    required = {step.name for step in plan.steps if step.required}
    for result in results.values():
        if result.state is not StepState.FAILED:
            continue
        if result.exit_code == OutputError.exit_code:
            raise OutputError(result.reason, result.hint)
    for result in results.values():
        if result.name in required and result.state is StepState.FAILED:
            kinds = {cls.__name__: cls for cls in _subclasses(DaybreakError)}
            raise kinds.get(result.error, EngineError)(result.reason, result.hint)
    for result in results.values():
        if result.name in required and result.state is StepState.SKIPPED and not result.cached:
            raise EngineError(f"step {result.name} could not run: {result.reason}")


def _subclasses(cls: type[DaybreakError]) -> list[type[DaybreakError]]:
    out: list[type[DaybreakError]] = [cls]
    for sub in cls.__subclasses__():
        out += _subclasses(sub)
    return out


def partial_error(result: AnalysisResult) -> PartialResultError:
    """The error that says what had to be left out."""
    return PartialResultError(
        "the analysis is done, but without:\n  " + "\n  ".join(result.missing),
        f"The report {result.report} lists them with their reasons.",
    )
