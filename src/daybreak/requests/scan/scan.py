"""``daybreak.scan``: from an event file to sky maps and a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.errors import ConfigError, InterruptedByUser, LedgerError
from daybreak.products.atomic import ensure_folder, remove_stale_partials
from daybreak.products.lock import folder_lock
from daybreak.requests.scan.prepare import (
    DEFAULT_LIKELIHOOD,
    PreparedScan,
    ScanResult,
    prepare_scan,
    to_local,
)

if TYPE_CHECKING:
    from daybreak.neutrino.scan.driver import Report, ScanProgress, ScanRun
    from daybreak.neutrino.scan.pools import Pool
    from daybreak.neutrino.scan.tree import Tree

__all__ = ["PreparedScan", "ScanResult", "prepare_scan", "resume_request", "run_scan", "scan"]

ENGINES = ("local", "threads", "processes")


def scan(
    event: Path | str,
    *,
    out: Path | str,
    gcd: Path | str | None = None,
    geometry: Path | str | None = None,
    ice: Path | str | None = None,
    nsides: Sequence[int] | None = None,
    likelihood: str = DEFAULT_LIKELIHOOD,
    options: Mapping[str, Any] | None = None,
    around: tuple[float, float, float] | None = None,
    number: int | None = None,
    contours: str = "auto",
    force: bool = False,
    workers: int = 0,
    engine: str = "local",
    progress: Report | None = None,
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
        Scan only a circle: right ascension, declination, radius in degrees.
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
    progress
        Called after each block of pixels.

    Returns
    -------
    ScanResult
        The content of ``results.json``.

    Raises
    ------
    ConfigError, EventError, OutputError, EngineError
        See :mod:`daybreak.errors`.
    InterruptedByUser
        On Ctrl-C, after the products of the pixels so far are written.
    """
    prepared = prepare_scan(
        Path(event),
        gcd=_path(gcd), geometry=_path(geometry), ice=_path(ice),
        nsides=nsides, likelihood=likelihood, options=options, around=around, number=number,
        contours=contours, force=force,
    )  # fmt: skip
    return run_scan(prepared, Path(out), workers=workers, engine=engine, progress=progress)


def _path(value: Path | str | None) -> Path | None:
    return None if value is None else Path(value)


def run_scan(
    prepared: PreparedScan,
    out: Path,
    *,
    workers: int = 0,
    engine: str = "local",
    progress: Report | None = None,
) -> ScanResult:
    """Run a prepared scan in its output folder."""
    from daybreak.engine.pools.driver_watch import interruptible
    from daybreak.requests.scan.products import finished, write_products
    from daybreak.requests.scan.record import (
        PIXELS,
        PRODUCTS,
        asked_again,
        recorded,
        settled,
        table_path,
    )

    _check_engine(engine, workers)
    folder = ensure_folder(out.resolve())
    with folder_lock(folder), interruptible():
        remove_stale_partials(folder)
        again = asked_again(prepared, folder)
        if not again and settled(prepared, folder) and finished(folder, prepared.key()):
            return _result(folder, 0)
        if PIXELS in again:
            table_path(prepared, folder).unlink(missing_ok=True)
        with recorded(prepared, folder, workers, engine, progress) as record:
            with record.step(PIXELS):
                tree, run, pool = _fit(prepared, folder, workers, engine, record.look)
                record.complete = run.complete
            if run.complete or len(tree):
                with record.step(PRODUCTS):
                    write_products(prepared, folder, tree, run, pool)
    if not run.complete and not len(tree):
        raise InterruptedByUser("stopped before the first pixel was fitted", "Run it again.")
    result = _result(folder, run.fitted)
    if not run.complete:
        raise InterruptedByUser(
            f"stopped after {len(tree)} pixels; {result.report} shows the map so far",
            "The same command goes on from there.",
        )
    return result


def _result(folder: Path, fitted: int) -> ScanResult:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return ScanResult(folder, results, fitted)


def _fit(
    prepared: PreparedScan, folder: Path, workers: int, engine: str, progress: Report | None
) -> tuple[Tree, ScanRun, dict[str, Any]]:
    """Fit what is missing."""
    import numpy as np

    from daybreak.neutrino.scan.driver import Scan
    from daybreak.neutrino.scan.journal import Journal
    from daybreak.neutrino.scan.tree import Tree
    from daybreak.requests.scan.record import table_path

    tree = Tree(prepared.settings)
    with Journal(table_path(prepared, folder), prepared.fit_key()) as journal:
        known = len(tree.add(journal.rows))
        seeds = np.array([tuple(s) for s in prepared.prepared.seeds()], float).reshape(-1, 4)
        with open_pool(prepared, workers, engine, folder) as pool:
            run = Scan(tree, journal, pool, to_local(prepared), seeds, progress).run()
        return tree, run, {"engine": pool.name, "workers": pool.workers, "resumed_pixels": known}


def _check_engine(engine: str, workers: int) -> None:
    if workers < 0:
        raise ConfigError(f"--workers {workers} is below 0", "0 means one worker per core.")
    if engine not in ENGINES:
        from daybreak.config.engine import load_engine

        load_engine(engine)


@contextmanager
def open_pool(prepared: PreparedScan, workers: int, engine: str, folder: Path) -> Iterator[Pool]:
    """The workers of a scan: threads, processes, or those of an engine profile."""
    from daybreak.neutrino.scan import pools

    count = workers or pools.available_cores()
    if engine not in ENGINES:
        from daybreak.requests.scan.engine_workers import engine_pool

        with engine_pool(prepared, workers, engine, prepared.name, folder) as pool:
            yield pool
        return
    in_threads = engine == "threads" or (engine == "local" and prepared.threads)
    kind = pools.threads if in_threads else pools.processes
    with kind(prepared.prepared, count) as pool:
        yield pool


def resume_request(spec: Mapping[str, Any], out: Path, *, progress: Any = None) -> ScanResult:
    """Go on with a scan as its ledger describes it.

    Parameters
    ----------
    spec
        The request as JSON-able values.
    out
        Its output folder.
    progress
        Told how far it is.

    Raises
    ------
    LedgerError
        If this version does not understand it.
    """
    from daybreak.engine.progress import ProgressEvent
    from daybreak.requests.scan.record import progress_text

    values = dict(spec)
    try:
        workers, engine = int(values.pop("workers")), str(values.pop("engine"))
        for name in ("event", "gcd", "geometry", "ice"):
            if values.get(name) is not None:
                values[name] = Path(values[name])
        if values.get("around") is not None:
            values["around"] = tuple(values["around"])
        event = values.pop("event")
        prepared = prepare_scan(event, **values)
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(
            f"the scan in {out} is not one that this Daybreak understands: {error}",
            "Run its command again.",
        ) from None

    def tell(now: ScanProgress) -> None:
        progress(ProgressEvent(0, 2, message=progress_text(now)))

    report = tell if progress is not None else None
    return run_scan(prepared, out, workers=workers, engine=engine, progress=report)
