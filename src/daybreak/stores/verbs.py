"""Data stores from Python: list, copy, verify and index, as the commands do.

::

    from daybreak.stores.verbs import copy_store, list_store

    result = copy_store("/mnt/observatory/dl3", "dl3", target="Crab")
    print(result.copied, result.failed)
    print(list_store("dl3").datasets[0].events)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daybreak.errors import ConfigError, PartialResultError, StoreIntegrityError
from daybreak.stores.build import IndexResult, index_store
from daybreak.stores.choose import RunChoice, parse_date, read_run_list
from daybreak.stores.copy import CopyOptions
from daybreak.stores.copy import copy_store as _copy_store
from daybreak.stores.copy_progress import CopyResult, DatasetCopy, Progress
from daybreak.stores.listing import DatasetInfo, RunInfo, StoreInfo
from daybreak.stores.listing import list_store as _list_store
from daybreak.stores.table import run_key
from daybreak.stores.verify import Finding, VerifyResult, verify_store

__all__ = [
    "CopyResult",
    "DatasetCopy",
    "DatasetInfo",
    "Finding",
    "IndexResult",
    "RunChoice",
    "RunInfo",
    "StoreInfo",
    "VerifyResult",
    "copy_store",
    "index_store",
    "list_store",
    "require_complete",
    "require_sound",
    "select",
    "verify_store",
]


def _position(position: str | tuple[float, float] | None) -> tuple[float, float] | None:
    if position is None or not isinstance(position, str):
        return position
    parts = position.replace(",", " ").split()
    try:
        ra, dec = (float(part) for part in parts)
    except ValueError:
        raise ConfigError(
            f"{position!r} is not a position", "Write right ascension and declination in degrees."
        ) from None
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise ConfigError(f"the position {position!r} is not on the sky")
    return ra, dec


def select(
    *,
    runs: str | Path | Iterable[str | int] | None = None,
    target: str | None = None,
    position: str | tuple[float, float] | None = None,
    radius: float = 3.0,
    after: str | None = None,
    before: str | None = None,
) -> RunChoice:
    """Which runs are meant; what is not given does not restrict.

    Parameters
    ----------
    runs
        Path of a run list, or the runs themselves.
    target
        Name, part of a name, or a pattern with ``*``; blanks and dashes don't count.
    position
        Right ascension and declination in degrees, as two numbers or as text.
    radius
        Between position and pointing, in degrees.
    after, before
        ISO dates (or MJD) between which the run starts, in the index's time scale.

    Raises
    ------
    ConfigError
        If a value can't be understood.
    """
    chosen = None
    if isinstance(runs, str | Path):
        chosen = read_run_list(Path(runs))
    elif runs is not None:
        chosen = tuple(dict.fromkeys(run_key(str(run)) for run in runs))
    for date in (after, before):
        if date is not None:
            parse_date(date)
    return RunChoice(chosen, target, _position(position), radius, after, before)


def list_store(
    path: str | Path | None = None,
    *,
    dataset: str | None = None,
    runs: bool = False,
    selection: RunChoice | None = None,
    options: Mapping[str, Any] | None = None,
) -> StoreInfo:
    """Datasets of a store and what is really there; see `daybreak.stores.listing.list_store`."""
    return _list_store(
        path, dataset=dataset, runs=runs, selection=selection, options=dict(options or {})
    )


def copy_store(
    source: str | Path,
    destination: str | Path,
    *,
    dataset: str | None = None,
    runs: str | Path | Iterable[str | int] | None = None,
    target: str | None = None,
    position: str | tuple[float, float] | None = None,
    radius: float = 3.0,
    after: str | None = None,
    before: str | None = None,
    overwrite: bool = False,
    keep: bool = False,
    dry_run: bool = False,
    verify: bool = False,
    workers: int | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> CopyResult:
    """Copy a store or some of its runs; only what is missing or damaged is transferred.

    Parameters
    ----------
    source, destination, options, progress
        See `daybreak.stores.copy.copy_store`.
    dataset, overwrite, keep, dry_run, verify, workers
        See `daybreak.stores.copy.CopyOptions`.
    runs, target, position, radius, after, before
        See `select`.

    Returns
    -------
    CopyResult
        Also if something could not be had; `require_complete` turns that into an error.
    """
    selection = select(
        runs=runs, target=target, position=position, radius=radius, after=after, before=before
    )
    how = CopyOptions(dataset, selection, overwrite, keep, dry_run, verify, workers)
    return _copy_store(source, destination, how, options=options, progress=progress)


def _some(names: list[str], count: int = 8) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def require_complete(result: CopyResult) -> None:
    """Raise if a copy had to leave something out.

    Raises
    ------
    PartialResultError
        Naming the runs and files.
    """
    if result.complete or result.dry_run:
        return
    lines = []
    absent = list(dict.fromkeys(r for d in result.datasets for r in d.absent_runs))
    incomplete = list(dict.fromkeys(r for d in result.datasets for r in d.incomplete_runs))
    if absent:
        lines.append(f"the source does not have {len(absent)} of the runs: {_some(absent)}")
    if result.failed:
        lines.append(f"{len(result.failed)} files could not be had:")
        lines += [f"  {path}: {why}" for path, why in list(result.failed.items())[:20]]
        if len(result.failed) > 20:
            lines.append(f"  and {len(result.failed) - 20} more")
    if incomplete:
        lines.append(f"{len(incomplete)} runs are not complete: {_some(incomplete)}")
    raise PartialResultError(
        "\n".join(lines), "What came is whole and indexed; the same command tries the rest again."
    )


def require_sound(result: VerifyResult) -> None:
    """Raise if a verification found an error.

    Raises
    ------
    StoreIntegrityError
        With the number of errors.
    """
    if result.ok:
        return
    count = len(result.errors)
    raise StoreIntegrityError(
        f"{result.path}: {count} error{'s' if count > 1 else ''} found",
        "Copying the store again over it repairs what is missing or damaged; --repair-index "
        "rebuilds the index from the files.",
    )
