"""What is really in a store, counted from its files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daybreak.errors import StoreError
from daybreak.stores.choose import RunChoice, choose, iso, start_mjd, target_names
from daybreak.stores.claims import claims_of
from daybreak.stores.facts import facts_of
from daybreak.stores.layout import Dataset, Index, datasets_of, load_index
from daybreak.stores.opening import open_source
from daybreak.stores.source import StoreSource

_COLUMNS = ("RA_PNT", "DEC_PNT", "ZEN_PNT", "ONTIME", "LIVETIME")


@dataclass
class RunInfo:
    """One observation.

    Attributes
    ----------
    obs_id, target, start
        From the index; the start in the index's time scale.
    ra_deg, dec_deg, zenith_deg
        Pointing.
    ontime_s, livetime_s, events
        From the event list's header where the file is here, else from the index.
    size_bytes
        Of all its files; files that runs share count for each.
    complete
        Whether all its files are here; None where that was not looked at.
    """

    obs_id: str
    target: str
    start: str
    ra_deg: float | None
    dec_deg: float | None
    zenith_deg: float | None
    ontime_s: float | None
    livetime_s: float | None
    events: int | None
    size_bytes: int | None
    complete: bool | None


@dataclass
class DatasetInfo:
    """A dataset: what its entry says and what is there.

    Attributes
    ----------
    observations
        Runs all of whose files are here (for a remote store: runs in the index).
    indexed
        Runs in the observation index.
    ontime_h, livetime_h, events
        Sums over these runs; from the event lists' headers where they are here.
    size_bytes
        Of the files, each once; None where the source does not tell.
    counted
        Whether the numbers come from the files and not from the index alone.
    differences
        Where `master.json` or the index claim something else.
    """

    name: str
    available: bool
    problem: str = ""
    obs_index: str = ""
    hdu_index: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    observations: int = 0
    indexed: int = 0
    ontime_h: float = 0.0
    livetime_h: float = 0.0
    events: int | None = None
    files: int = 0
    size_bytes: int | None = None
    targets: dict[str, int] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    time_scale: str = ""
    counted: bool = False
    incomplete: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    runs: list[RunInfo] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class StoreInfo:
    """A store and its datasets."""

    path: str
    datasets: list[DatasetInfo]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _stats(root: str, paths: Iterable[str]) -> dict[str, os.stat_result]:
    found = {}
    for path in paths:
        try:
            found[path] = os.stat(f"{root}/{path}")  # noqa: PTH116 - many thousand times
        except OSError:
            continue
    return found


def _event_files(index: Index) -> dict[str, str]:
    """Run to the file that holds its events."""
    types, classes = index.hdu.texts("HDU_TYPE"), index.hdu.texts("HDU_CLASS")
    rows = zip(index.hdu_runs, index.hdu_paths, types, classes, strict=True)
    return {
        run: path
        for run, path, kind, cls in rows
        if path and (kind.lower() == "events" or cls.lower() == "events")
    }


def _differences(info: DatasetInfo, index_events: int | None, index_hours: float) -> list[str]:
    found = []
    counted = {
        "observations": float(info.observations),
        "hours": info.ontime_h,
        "events": float(info.events) if info.events is not None else None,
        "bytes": float(info.size_bytes) if info.size_bytes is not None else None,
    }
    for claim in claims_of(info.keys):
        value = counted[claim.kind]
        alternatives = [value, info.livetime_h] if claim.kind == "hours" else [value]
        if value is not None and not any(claim.agrees(v) for v in alternatives if v is not None):
            there = claim.rewritten(value, info.keys[claim.key])
            found.append(f"master.json says {claim.key}: {info.keys[claim.key]}; it is {there}")
    if info.indexed != info.observations and info.counted:
        found.append(f"the index lists {info.indexed} observations, {info.observations} are whole")
    elif index_events is not None and info.events is not None and index_events != info.events:
        found.append(f"the index says {index_events} events, the files hold {info.events}")
    elif info.counted and index_hours > 0 and abs(index_hours - info.ontime_h) > 0.01:
        found.append(f"the index says {index_hours:.2f} h, the files {info.ontime_h:.2f} h")
    return found


def _sum(values: Iterable[float | None]) -> float:
    return float(sum(v for v in values if v is not None and np.isfinite(v)))


def _numbers(values: npt.NDArray[np.float64]) -> list[float | None]:
    good = np.isfinite(values).tolist()
    return [value if ok else None for value, ok in zip(values.tolist(), good, strict=True)]


def run_table(source: StoreSource, index: Index) -> tuple[list[RunInfo], int | None, int]:
    """All runs of an index, with what their files say.

    Parameters
    ----------
    source
        The store that is read from.
    index
        Of one of its datasets.

    Returns
    -------
    runs : list of RunInfo
        In the index's order, each once.
    size : int or None
        Bytes of all files, each once; None for a remote source.
    files : int
        How many files there are.
    """
    paths = dict.fromkeys(p for files in index.files.values() for p in files)
    events_of = _event_files(index)
    stats = _stats(source.root, paths) if source.is_local else {}
    facts = facts_of(source.root, events_of.values(), stats) if source.is_local else {}
    first = {run: i for i, run in reversed(list(enumerate(index.obs_runs)))}
    floats = {name: _numbers(index.obs.floats(name)) for name in _COLUMNS}
    if index.obs.column("ZEN_PNT") is None:
        floats["ZEN_PNT"] = _numbers(90.0 - index.obs.floats("ALT_PNT"))
    claimed = _numbers(index.obs.floats("EVENT_COUNT"))
    rows = list(zip(*floats.values(), claimed, strict=True))
    starts, targets = start_mjd(index.obs).tolist(), target_names(index.obs)
    runs = []
    for run in index.runs:
        i, mine = first[run], index.files.get(run, ())
        fact = facts.get(events_of.get(run, ""))
        ra, dec, zenith, ontime, livetime, count = rows[i]
        events = None if count is None else int(count)
        if fact is not None:
            ontime = fact.ontime if fact.ontime is not None else ontime
            livetime = fact.livetime if fact.livetime is not None else livetime
            events = fact.events if fact.has_events else 0
        size = complete = None
        if source.is_local:
            sizes = [stats[p].st_size for p in mine if p in stats]
            size, complete = sum(sizes), 0 < len(sizes) == len(mine) and run not in index.unsafe
        times = (ontime, livetime, events, size, complete)
        runs.append(RunInfo(run, targets[i], iso(starts[i]), ra, dec, zenith, *times))
    total = sum(s.st_size for s in stats.values()) if source.is_local else None
    return runs, total, len(stats) if source.is_local else len(paths)


def count_dataset(source: StoreSource, dataset: Dataset, index: Index | None = None) -> DatasetInfo:
    """Everything about a dataset but its list of runs.

    Parameters
    ----------
    source
        The store that is read from.
    dataset
        A pair of index files.
    index
        Its tables, if they have been read already.

    Returns
    -------
    DatasetInfo
        Its `runs` are None.

    Raises
    ------
    StoreError
        If an index can't be read.
    """
    info, _runs, _index = _describe(source, dataset, index)
    return info


def _describe(
    source: StoreSource, dataset: Dataset, index: Index | None = None
) -> tuple[DatasetInfo, list[RunInfo], Index]:
    index = index or load_index(source, dataset)
    runs, size, files = run_table(source, index)
    whole = [run for run in runs if run.complete is not False]
    info = DatasetInfo(
        dataset.name,
        available=True,
        obs_index=dataset.obs_path,
        hdu_index=dataset.hdu_path,
        keys=dataset.description(),
        observations=len(whole),
        indexed=len(runs),
        ontime_h=_sum(r.ontime_s for r in whole) / 3600.0,
        livetime_h=_sum(r.livetime_s for r in whole) / 3600.0,
        files=files,
        size_bytes=size,
        counted=source.is_local,
        time_scale=str(index.obs.meta.get("TIMESYS") or "").strip().upper(),
    )
    known = [r.events for r in whole if r.events is not None]
    info.events = sum(known) if len(known) == len(whole) else None
    info.incomplete = [run.obs_id for run in runs if run.complete is False]
    for run in whole:
        info.targets[run.target] = info.targets.get(run.target, 0) + 1
    info.targets = dict(sorted(info.targets.items(), key=lambda item: (-item[1], item[0])))
    starts = sorted(run.start for run in whole if run.start)
    info.first, info.last = (starts[0], starts[-1]) if starts else ("", "")
    claimed = index.obs.floats("EVENT_COUNT")
    total = int(claimed.sum()) if len(claimed) and np.isfinite(claimed).all() else None
    hours = float(np.nansum(index.obs.floats("ONTIME"))) / 3600.0
    info.differences = _differences(info, total, hours)
    return info, runs, index


def list_store(
    path: str | Path | None = None,
    *,
    dataset: str | None = None,
    selection: RunChoice | None = None,
    runs: bool = False,
    options: Mapping[str, Any] | None = None,
) -> StoreInfo:
    """Datasets of a store and what is really there.

    Parameters
    ----------
    path
        Folder, master file or URL; the environment variable VHEFITS by default.
    dataset
        Only this one.
    selection
        Which runs to list; implies `runs`.
    runs
        List the observations too.
    options
        For fsspec.

    Returns
    -------
    StoreInfo
        Its datasets in the order of the master file.

    Raises
    ------
    StoreError
        If there is no store, or no such dataset.
    NoDataError
        If the selection leaves nothing.
    """
    if path is None:
        path = os.environ.get("VHEFITS", "")
        if not path:
            raise StoreError(
                "no store named, and the environment variable VHEFITS is not set",
                "Write `daybreak store list PATH`.",
            )
    source, master = open_source(path, options)
    datasets = datasets_of(source, master)
    if dataset is not None:
        datasets = [d for d in datasets if d.name == dataset]
        if not datasets:
            names = ", ".join(repr(d.name) for d in datasets_of(source, master))
            raise StoreError(f"{source.name} has no dataset {dataset!r}", f"It has: {names}.")
    chosen = selection or RunChoice()
    found = []
    for each in datasets:
        if not each.available:
            found.append(DatasetInfo(each.name, False, each.problem, keys=each.description()))
            continue
        info, table, index = _describe(source, each)
        if runs or not chosen.is_all:
            wanted, _absent = choose(index.obs, chosen)
            by_id = {run.obs_id: run for run in table}
            info.runs = [by_id[run] for run in wanted]
        found.append(info)
    return StoreInfo(source.name, found)
