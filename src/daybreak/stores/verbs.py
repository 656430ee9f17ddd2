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
from typing import TYPE_CHECKING, Any, TypeAlias

from astropy import units as u

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


if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

_RADIUS = 3 * u.deg
Place: TypeAlias = "str | SkyCoord | tuple[u.Quantity, u.Quantity]"


def _degrees(value: Any, what: str) -> float:
    try:
        return float(u.Quantity(value).to_value(u.deg))
    except (TypeError, ValueError, u.UnitConversionError):
        raise ConfigError(
            f"{what} is {value!r}, which is no angle", "Give it with its unit: 3 * u.deg, '3 deg'."
        ) from None


def _position_deg(position: Place | None) -> tuple[float, float] | None:
    if position is None:
        return None
    icrs = getattr(position, "icrs", None)
    if icrs is not None:  # a SkyCoord, whose import would take time from each listing
        return float(icrs.ra.deg), float(icrs.dec.deg)
    if isinstance(position, str):
        try:
            ra, dec = (float(part) for part in position.replace(",", " ").split())
        except ValueError:
            raise ConfigError(
                f"{position!r} is not a position",
                "Write right ascension and declination in degrees.",
            ) from None
    else:
        ra, dec = (_degrees(part, "a coordinate of the position") for part in position)
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise ConfigError(f"the position {position!r} is not on the sky")
    return ra, dec


def select(
    *,
    runs: str | Path | Iterable[str | int] | None = None,
    target: str | None = None,
    position: Place | None = None,
    radius: u.Quantity = _RADIUS,
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
        A `SkyCoord`, right ascension and declination as quantities, or a text with both in
        degrees (``83.63,22.01``).
    radius
        Largest angle between position and pointing.
    after, before
        ISO dates (or MJD) between which the run starts, in the index's time scale.

    Returns
    -------
    RunChoice
        For `list_store`.

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
    radius_deg = _degrees(radius, "the radius")
    return RunChoice(chosen, target, _position_deg(position), radius_deg, after, before)


def list_store(
    path: str | Path | None = None,
    *,
    dataset: str | None = None,
    runs: bool = False,
    selection: RunChoice | None = None,
    options: Mapping[str, Any] | None = None,
) -> StoreInfo:
    """Datasets of a store and what is really there.

    Parameters
    ----------
    path
        Folder, master file or URL; the environment variable VHEFITS by default.
    dataset
        Only this one.
    runs
        List the observations too.
    selection
        Which runs to list, see `select`; implies `runs`.
    options
        For fsspec, where the path is a URL that it opens.

    Returns
    -------
    StoreInfo
        Numbers counted from the files, where they are on a disk.

    Raises
    ------
    StoreError
        If there is no store, or no such dataset.
    NoDataError
        If the selection leaves nothing.
    """
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
    position: Place | None = None,
    radius: u.Quantity = _RADIUS,
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
    source
        Folder, master file, or URL of either.
    destination
        Folder; made if it is missing. Several stores may be copied into one.
    dataset
        Name of the dataset; all available ones by default.
    runs, target, position, radius, after, before
        Which runs, see `select`; all by default.
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
    options
        For fsspec, where the source is a URL that it opens.
    progress
        A display.

    Returns
    -------
    CopyResult
        Also if something could not be had; `require_complete` turns that into an error.

    Raises
    ------
    ConfigError
        If a value can't be understood, or two contradict each other.
    StoreError
        If the source has no such dataset or its index can't be read.
    OutputError
        If the destination can't be written to; what was finished is kept.
    InterruptedByUser
        If it was stopped by the keyboard; what was finished is kept and indexed.
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

    Parameters
    ----------
    result
        Of `copy_store`.

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

    Parameters
    ----------
    result
        Of `verify_store`.

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
