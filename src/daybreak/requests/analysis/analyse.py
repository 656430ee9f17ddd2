"""``daybreak.analyse``: from a DL3 store to a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from daybreak.engine.progress import Progress
from daybreak.engine.stop import StopToken
from daybreak.requests.analysis.kind import AnalysisResult
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import run


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
    keep: bool = False,
    stop: StopToken | None = None,
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
    keep
        Keep products that an older version of Daybreak made from the same data and settings; the
        report says so.
    stop
        Asks for an early end, e.g. from another thread.

    Returns
    -------
    AnalysisResult
        The content of ``results.json`` and how each step ended.

    Raises
    ------
    ConfigError, TargetError, StoreError, NoDataError, OutputError, EngineError
        See :mod:`daybreak.errors`; nothing half-written remains.
    """
    request = analysis_request(
        target,
        store=Path(store),
        out=Path(out),
        config=Path(config) if config is not None else None,
        instrument=instrument,
        settings=settings,
        options=options,
        runs=Path(runs) if runs is not None else None,
    )
    result = cast(AnalysisResult, run(request, progress=progress, keep=keep, stop=stop))
    if strict and result.missing:
        raise result.partial_error()
    return result
