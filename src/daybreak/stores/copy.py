"""Copy a data store, all of it or some runs, over links that break, again and again."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from daybreak.errors import (
    ConfigError,
    InterruptedByUser,
    NoDataError,
    OutputError,
    StoreError,
)
from daybreak.products.atomic import output_error
from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.choose import RunChoice, choose
from daybreak.stores.commit import commit, recover
from daybreak.stores.copy_plan import CopyPlan, Known, make_plan, read_sums
from daybreak.stores.copy_progress import CopyResult, DatasetCopy, NoProgress, Progress
from daybreak.stores.landing import Arrived, Landing
from daybreak.stores.layout import (
    Dataset,
    Index,
    datasets_of,
    load_index,
    read_master,
    select_datasets,
)
from daybreak.stores.master_file import check_names, commit_master
from daybreak.stores.opening import open_source
from daybreak.stores.paths import MASTER
from daybreak.stores.record import FileRecord, StoreFolder
from daybreak.stores.source import (
    LocalSource,
    MissingSourceError,
    StoreSource,
    TransientError,
)
from daybreak.stores.transfer import FileCarrier, Job, StoppedError

_CHECKPOINT_S = 2.0
_AHEAD = 16  # files that a disk may read ahead


@dataclass
class _Session:
    source: StoreSource
    store: StoreFolder
    result: CopyResult
    progress: Progress
    keep: bool
    parts: list[tuple[Dataset, Index, DatasetCopy, list[str]]] = field(default_factory=list)
    sound: set[str] = field(default_factory=set)
    fresh: list[FileRecord] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    master: bytes = b""
    whole_store: bool = False

    def checkpoint(self) -> None:
        """Write down what is here: manifest, indices, master."""
        with self.store.lock():
            recover(self.store)
            fresh, self.fresh = self.fresh, []
            self.store.append(fresh)
            self.store.refresh_sums(fresh)
            counts = {}
            for dataset, index, part, asked in self.parts:
                whole = {
                    run
                    for run, files in index.files.items()
                    if run not in index.unsafe and files and self.sound.issuperset(files)
                }
                done = commit(self.store, dataset, index, whole, keep=self.keep)
                part.indexed = len(done.indexed)
                part.dropped_runs = sorted({*part.dropped_runs, *done.dropped} - done.indexed)
                part.incomplete_runs = [run for run in asked if run not in done.indexed]
                if done.indexed != set(index.runs):
                    counts[dataset.name] = _counter(self.store, dataset)
            commit_master(
                self.store,
                [d for d, _i, part, _r in self.parts if part.indexed],
                self.master,
                counted=counts,
                everything=self.whole_store and not counts,
            )


def _counter(store: StoreFolder, dataset: Dataset) -> Any:
    def count() -> dict[str, float]:
        from daybreak.stores.listing import count_dataset

        found = count_dataset(LocalSource(store.root), dataset)
        return {
            "observations": float(found.observations),
            "events": float(found.events or 0),
            "hours": found.ontime_h,
            "bytes": float(found.size_bytes or 0),
        }

    return count


@dataclass(frozen=True)
class CopyOptions:
    """How to copy.

    Attributes
    ----------
    dataset
        Name of the dataset; all available ones by default.
    selection
        Which runs; all by default.
    overwrite
        Transfer every file anew, even if it is here.
    keep
        Never replace a sound file or an index row that is here, even if the source's differ.
    dry_run
        Only find out what would be transferred.
    verify
        Read every file that is here again and compare it with its recorded SHA-256.
    workers
        Transfers at a time; by default what suits the source.
    """

    dataset: str | None = None
    selection: RunChoice = field(default_factory=RunChoice)
    overwrite: bool = False
    keep: bool = False
    dry_run: bool = False
    verify: bool = False
    workers: int | None = None

    def check(self) -> None:
        """Raise a `ConfigError` if they contradict one another."""
        if self.overwrite and self.keep:
            raise ConfigError("--overwrite and --keep exclude each other", "Choose one of them.")
        if self.workers is not None and self.workers < 1:
            raise ConfigError("the number of workers must be at least 1")


def copy_store(
    source: str | Path,
    destination: str | Path,
    how: CopyOptions | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> CopyResult:
    """Copy a store or some of its runs; what is here already and whole is not transferred.

    Parameters
    ----------
    source
        Folder, master file, or URL of either (``file:``, ``http:``, ``https:``, ``sftp:``, and
        whatever fsspec opens).
    destination
        Folder; made if it is missing. Several stores may be copied into one.
    how
        Which runs, and what to do with what is here.
    options
        For fsspec.
    progress
        A display.

    Returns
    -------
    CopyResult
        Also if files could not be had: look at ``complete``.

    Raises
    ------
    StoreError
        If the source has no such dataset or its index can't be read.
    OutputError
        If the destination can't be written to; what was finished is kept.
    InterruptedByUser
        If it was stopped by the keyboard; what was finished is kept and indexed.
    """
    how = how or CopyOptions()
    how.check()
    started = time.monotonic()
    where, master = open_source(source, options)
    folder = _destination(where, Path(destination))
    result = CopyResult(where.name, str(destination), dry_run=how.dry_run)
    session = _Session(where, StoreFolder(folder), result, progress or NoProgress(), how.keep)
    _open_datasets(session, master, how.dataset, how.selection)
    known = Known(session.store.records() if folder.is_dir() else {}, read_sums(where))
    if not how.dry_run:
        session.store.prepare()
        with session.store.lock():
            recover(session.store)
    jobs = _plan(session, known, how)
    if not how.dry_run:
        _run(session, jobs, how.workers or _workers(where, folder))
    result.seconds = time.monotonic() - started
    return result


def _workers(source: StoreSource, folder: Path) -> int:
    """How many transfers at a time: on one disk, more than there are cores only get in the way."""
    if source.is_local and Path(source.root).stat().st_dev == folder.stat().st_dev:
        return max(2, min(8, os.cpu_count() or 2))
    return source.workers


def _destination(source: StoreSource, folder: Path) -> Path:
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file", "Name a folder as the destination.")
    real = Path(os.path.realpath(folder))
    if source.is_local:
        root = Path(source.root)
        if real == root or real in root.parents or root in real.parents:
            raise StoreError(
                f"the destination {folder} and the source {source.name} are the same or inside "
                "one another",
                "Choose another destination.",
            )
    return real


def _open_datasets(
    session: _Session, master: str | None, name: str | None, selection: RunChoice
) -> None:
    source = session.source
    everything = datasets_of(source, master)
    chosen = select_datasets(everything, name, source.name)
    session.master = read_master(source, master)[1]
    session.whole_store = selection.is_all and len(chosen) == len(everything)
    check_names(session.store.root, chosen)
    nothing: NoDataError | None = None
    for dataset in chosen:
        index = load_index(source, dataset)
        try:
            runs, absent = choose(index.obs, selection)
        except NoDataError as error:
            nothing = error
            continue
        part = DatasetCopy(dataset.name, len(runs), absent)
        session.parts.append((dataset, index, part, runs))
        session.result.datasets.append(part)
        for run in runs:
            if run in index.unsafe:
                session.result.failed[f"run {run}"] = index.unsafe[run]
    if nothing is not None and not session.parts:
        raise nothing
    missing = [set(part.absent_runs) for part in session.result.datasets]
    for part in session.result.datasets:  # a run list may span datasets
        part.absent_runs = [r for r in part.absent_runs if all(r in other for other in missing)]


def _plan(session: _Session, known: Known, how: CopyOptions) -> list[Job]:
    wanted: dict[str, None] = {}
    others: dict[str, None] = {}
    reserved = {MASTER}
    for dataset, index, _part, runs in session.parts:
        reserved |= {dataset.obs_path, dataset.hdu_path}
        asked = set(runs) - set(index.unsafe)
        for run, files in index.files.items():
            (wanted if run in asked else others).update(dict.fromkeys(files))
    for path in [p for p in wanted if p in reserved]:
        session.result.failed[path] = "an index file can't be a data file too"
        del wanted[path]
    documents = [] if session.result.dry_run else session.source.documents()
    plan: CopyPlan = make_plan(
        session.source,
        session.store.root,
        known,
        wanted=list(wanted),
        others=[p for p in others if p not in wanted and p not in reserved],
        documents=[d for d in documents if d not in reserved and d not in wanted],
        overwrite=how.overwrite,
        keep=how.keep,
        verify=how.verify,
        workers=how.workers or session.source.workers,
    )
    result = session.result
    session.sound, session.fresh = plan.sound, plan.fresh
    result.files, result.present, result.kept = len(wanted), plan.present, plan.kept
    result.failed.update(plan.failed)
    result.to_copy = [job.path for job in plan.jobs]
    sizes = [job.stat.size if job.stat else None for job in plan.jobs]
    known_sizes = [size for size in sizes if size is not None]
    result.to_copy_bytes = sum(known_sizes) if len(known_sizes) == len(sizes) else None
    result.documents = [d for d in documents if d in set(result.to_copy)]
    return plan.jobs


Queue = SimpleQueue[tuple[Job, Future[Arrived]]]


def _run(session: _Session, jobs: list[Job], workers: int) -> None:
    for job, later in zip(jobs, jobs[_AHEAD:], strict=False):
        job.later = later.path
    carrier = FileCarrier(session.source, session.store, session.stop, session.progress.advance)
    session.progress.start(len(jobs), session.result.to_copy_bytes)
    pool = ThreadPoolExecutor(max_workers=max(1, min(workers, len(jobs))))
    landing, ready = Landing(session.store), Queue()
    try:
        for job in jobs:
            future = pool.submit(carrier.bring, job)
            future.add_done_callback(lambda done, job=job: ready.put((job, done)))  # type: ignore[misc]
        _collect(session, landing, ready, len(jobs))
    except KeyboardInterrupt:
        session.stop.set()
        pool.shutdown(cancel_futures=True)
        while not ready.empty():
            _take(session, landing, *ready.get())
        _settle(session, landing)
        session.checkpoint()
        raise InterruptedByUser(
            f"stopped; {session.result.copied} of {len(jobs)} files were copied, are checked and "
            "stay",
            "The same command goes on from there.",
        ) from None
    except OSError as error:
        session.stop.set()
        pool.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError, OutputError):  # index what is here, if that is possible
            _settle(session, landing)
            session.checkpoint()
        raise output_error(session.store.root, error) from error
    finally:
        session.stop.set()
        pool.shutdown(cancel_futures=True)
    session.checkpoint()
    with session.store.lock():
        session.store.compact()


def _collect(session: _Session, landing: Landing, ready: Queue, count: int) -> None:
    """Take the files as they come; write them down every few seconds."""
    last, pause = time.monotonic(), _CHECKPOINT_S
    while count:
        with contextlib.suppress(Empty):
            job, future = ready.get(timeout=0.1)
            count -= 1
            _take(session, landing, job, future)
        if landing.is_due() or not count:
            _settle(session, landing)
        if session.fresh and time.monotonic() - last > pause:
            before = time.monotonic()
            session.checkpoint()
            last = time.monotonic()
            pause = max(_CHECKPOINT_S, 10.0 * (last - before))


def _take(session: _Session, landing: Landing, job: Job, future: Future[Arrived]) -> None:
    """Take one file that came, or note why it did not; errors of writing are raised."""
    if future.cancelled():
        return
    try:
        landing.add(future.result())
    except (MissingSourceError, TransientError, DamagedFileError) as error:
        session.result.failed[job.path] = str(error)
        session.progress.done(job.path)
    except StoppedError:
        return


def _settle(session: _Session, landing: Landing) -> None:
    result = session.result
    landing.settle()
    while landing.named:
        record, error = landing.named[0]
        if error is not None:
            result.failed[record.path] = error.what if isinstance(error, StoreError) else str(error)
        else:
            session.sound.add(record.path)
            session.fresh.append(record)
            result.copied += 1
            result.copied_bytes += record.size
            result.checks[record.check] = result.checks.get(record.check, 0) + 1
        landing.named.pop(0)
        session.progress.done(record.path)
