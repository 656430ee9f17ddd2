"""``daybreak.analyse`` and ``daybreak.scan``: what the commands do, from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from daybreak.engine.progress import Progress, ProgressEvent
from daybreak.engine.stop import StopToken
from daybreak.requests.run import run

if TYPE_CHECKING:
    from daybreak.neutrino.scan.driver import ScanProgress
    from daybreak.requests.analysis.kind import AnalysisResult
    from daybreak.requests.scan.kind import ScanResult


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
    from daybreak.requests.analysis.request import analysis_request

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
    result = cast("AnalysisResult", run(request, progress=progress, keep=keep, stop=stop))
    if strict and result.missing:
        raise result.partial_error()
    return result


def scan(
    event: Path | str,
    *,
    out: Path | str,
    gcd: Path | str | None = None,
    geometry: Path | str | None = None,
    ice: Path | str | None = None,
    nsides: Sequence[int] | None = None,
    likelihood: str | None = None,
    options: Mapping[str, Any] | None = None,
    around: tuple[Any, Any, Any] | None = None,
    number: int | None = None,
    contours: str | None = None,
    force: bool = False,
    workers: int | None = None,
    engine: str | None = None,
    config: Path | str | None = None,
    settings: Iterable[str] = (),
    progress: Callable[[ScanProgress], None] | None = None,
    stop: StopToken | None = None,
) -> ScanResult:
    """Scan the likelihood of a track event over the sky and write maps and a report.

    Pixels that are in the folder already are not fitted again.

    Parameters
    ----------
    event
        An i3 file or an alert message.
    out
        Output folder.
    gcd, geometry
        Where the DOMs are: a GCD file or a table of positions.
    ice
        Table of ice layers; by default that of the likelihood.
    nsides
        Resolutions from coarse to fine; by default 1, 8, 64, 512.
    likelihood, options
        Name of the likelihood and what it takes.
    around
        Scan only a circle: right ascension, declination, radius, as quantities or in degrees.
    number
        Which event of a file with several, from 0.
    contours
        Calibration of the contours: ``auto``, ``resimulation``, ``wilks`` or ``millipede``.
    force
        Scan events that a track likelihood can't describe.
    workers
        0: one per core.
    engine
        ``local`` (threads, or processes where the likelihood holds the interpreter's lock),
        ``threads``, ``processes``, or an engine profile: a name or a file.
    config
        YAML file with settings.
    settings
        ``section.key=value`` texts, e.g. ``["scan.n_best=20"]``.
    progress
        Called after each block of pixels, in another thread.
    stop
        Asks for an early end, e.g. from another thread.

    Returns
    -------
    ScanResult
        The content of ``results.json`` and how the two steps ended.

    Raises
    ------
    ConfigError, EventError, OutputError, EngineError
        See :mod:`daybreak.errors`.
    InterruptedByUser
        On Ctrl-C, after the products of the pixels so far are written.
    """
    from daybreak.requests.scan.request import scan_options, scan_request

    request = scan_request(
        Path(event), out=Path(out),
        gcd=_path(gcd), geometry=_path(geometry), ice=_path(ice), number=number, force=force,
        config=_path(config), settings=settings,
        options=scan_options(nsides, likelihood, options, around, contours, engine, workers),
    )  # fmt: skip

    def tell(event: ProgressEvent) -> None:
        if progress is not None and event.detail is not None:
            progress(event.detail)

    return cast("ScanResult", run(request, progress=tell, stop=stop))


def _path(value: Path | str | None) -> Path | None:
    return None if value is None else Path(value)
