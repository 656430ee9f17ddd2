"""Write what a copy brought into the indices and the `master.json` of the destination.

Everything happens under the store's lock: the files are read again, so that two copies into one
store add up. The new versions are first written beside the old ones and listed in a journal, so
that a process that is killed between two renames leaves a store that the next one completes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from daybreak.errors import StoreError
from daybreak.products.atomic import output_error
from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.layout import Dataset, Index, row_paths
from daybreak.stores.merge import HDU_KEYS, merge, unique, without
from daybreak.stores.paths import MASTER, UnsafePathError, folder_of, inside, resolve
from daybreak.stores.record import StoreFolder, sync_folder
from daybreak.stores.table import IndexTable, pack, read_table
from daybreak.stores.times import with_exact_times

JOURNAL = "journal.json"


def recover(store: StoreFolder) -> bool:
    """Finish the renames that a killed process began; the lock must be held.

    Parameters
    ----------
    store
        The store, whose lock is held.

    Returns
    -------
    bool
        Whether there was something to finish.
    """
    journal = store.own / JOURNAL
    try:
        moves = json.loads(journal.read_bytes())
    except (OSError, ValueError):
        return False
    for part, target in moves if isinstance(moves, list) else []:
        try:
            source = store.own / "pending" / Path(str(part)).name
            goal = inside(store.root, resolve_own(str(target)))
        except UnsafePathError:
            continue
        if source.is_file():
            goal.parent.mkdir(parents=True, exist_ok=True)
            source.replace(goal)
    journal.unlink(missing_ok=True)
    return True


def resolve_own(path: str) -> str:
    """Like `resolve`, but the store's own `master.json` is allowed.

    Parameters
    ----------
    path
        As the journal has it.

    Returns
    -------
    str
        Relative path inside the store.
    """
    return path if path == MASTER else resolve("", path)


def replace_together(store: StoreFolder, files: dict[str, bytes]) -> None:
    """Replace several files of the store so that all or none change, even if we are killed.

    Parameters
    ----------
    store
        Whose lock is held.
    files
        New content by path; in the order in which they should appear.

    Raises
    ------
    OutputError
        If the disk is full or the folder can't be written to; nothing has changed then.
    """
    if not files:
        return
    pending = store.own / "pending"
    moves: list[tuple[str, str]] = []
    try:
        pending.mkdir(exist_ok=True)
        for number, (path, data) in enumerate(files.items()):
            store.replace(pending / str(number), data)
            moves.append((str(number), path))
            inside(store.root, path).parent.mkdir(parents=True, exist_ok=True)
        store.replace(store.own / JOURNAL, json.dumps(moves).encode())
        for name, path in moves:
            (pending / name).replace(store.root / path)
        for folder in {(store.root / path).parent for _name, path in moves}:
            sync_folder(folder)
        (store.own / JOURNAL).unlink(missing_ok=True)
    except OSError as error:
        raise output_error(store.root, error) from error


@dataclass
class CommitResult:
    """What one commit did.

    Attributes
    ----------
    indexed
        Runs that the destination's index lists now.
    dropped
        Runs that it listed although one of their files is not here.
    changed
        Paths that were rewritten.
    """

    indexed: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def local_table(store: StoreFolder, path: str) -> tuple[IndexTable | None, bytes]:
    """An index of the destination, parsed and as it is; None and no bytes if it is not there.

    Parameters
    ----------
    store
        The destination.
    path
        Relative to the store, with ``/``.

    Returns
    -------
    table : IndexTable or None
        The index.
    data : bytes
        The file's content.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    target = inside(store.root, path)
    try:
        data = target.read_bytes()
    except FileNotFoundError:
        return None, b""
    except OSError as error:
        raise StoreError(f"can't read {target}: {error.strerror}") from error
    try:
        return read_table(data), data
    except DamagedFileError as error:
        raise StoreError(
            f"the index {target} is damaged: {error}",
            f"`daybreak store verify {store.root} --repair-index` makes it anew from the files.",
        ) from None


def runs_not_here(store: StoreFolder, hdu: IndexTable, base: str) -> set[str]:
    """Runs of an HDU index that lack a file on disk.

    Parameters
    ----------
    store
        The store, a folder of this host.
    hdu
        Its HDU index.
    base
        Folder of that index inside the store.

    Returns
    -------
    set of str
        OBS_IDs.
    """
    paths, problems = row_paths(hdu, base, str(store.root))
    root = str(store.root)
    there: dict[str, bool] = {}
    missing = set()
    for run, path, problem in zip(hdu.run_keys(), paths, problems, strict=True):
        if path and path not in there:
            there[path] = os.path.isfile(f"{root}/{path}")  # noqa: PTH113 - many thousand times
        if problem or (path and not there[path]):
            missing.add(run)
    return missing


def commit(
    store: StoreFolder, dataset: Dataset, index: Index, whole: set[str], *, keep: bool
) -> CommitResult:
    """Make the destination's two index files list exactly the runs that are here.

    Parameters
    ----------
    store
        The destination, whose lock is held.
    dataset, index
        What is copied, and its indices at the source.
    whole
        Runs of the source all of whose files are here and checked.
    keep
        Local rows win over the source's.

    Returns
    -------
    CommitResult
        What the index lists now, and what was rewritten.
    """
    obs, obs_bytes = local_table(store, dataset.obs_path)
    hdu, hdu_bytes = local_table(store, dataset.hdu_path)
    identical = obs_bytes == index.obs_bytes and hdu_bytes == index.hdu_bytes
    if identical and whole.issuperset(index.runs):
        return CommitResult(set(index.runs))
    known = set(index.obs_runs) & set(index.hdu_runs)
    theirs = index.obs
    if obs is not None and hdu is not None and set(obs.run_keys()) - set(index.obs_runs):
        obs = with_exact_times(store, dataset, obs, hdu)
        theirs = with_exact_times(store, dataset, theirs, index.hdu)
    new_obs = merge(obs, theirs, whole & known, ("OBS_ID",), keep=keep)
    new_hdu = merge(hdu, index.hdu, whole & known, HDU_KEYS, keep=keep)
    base = folder_of(dataset.hdu_path)
    listed = set(new_obs.run_keys())
    gone = runs_not_here(store, new_hdu, base) & (listed | set(new_hdu.run_keys()))
    gone |= listed - set(new_hdu.run_keys())
    new_obs = without(new_obs, gone)
    new_hdu = without(new_hdu, (set(new_hdu.run_keys()) - listed) | gone)
    result = CommitResult(set(new_obs.run_keys()), sorted(gone))
    if not len(new_obs) and obs is None:
        return result
    files = _new_bytes(dataset, index, (obs, obs_bytes), (hdu, hdu_bytes), (new_obs, new_hdu))
    replace_together(store, files)
    result.changed = list(files)
    return result


def _new_bytes(
    dataset: Dataset,
    index: Index,
    old_obs: tuple[IndexTable | None, bytes],
    old_hdu: tuple[IndexTable | None, bytes],
    new: tuple[IndexTable, IndexTable],
) -> dict[str, bytes]:
    """New content of the index files that change: HDU rows first, so that none is missing."""
    out = {}
    for path, (old, old_bytes), table, theirs, theirs_bytes in (
        (dataset.hdu_path, old_hdu, new[1], index.hdu, index.hdu_bytes),
        (dataset.obs_path, old_obs, new[0], index.obs, index.obs_bytes),
    ):
        if same_table(table, theirs):
            data = theirs_bytes  # the source's own bytes, so that a full copy is identical
        elif old is not None and same_table(table, old):
            data = old_bytes
        else:
            data = pack(table, path)
        if data != old_bytes:
            out[path] = data
    return out


def same_table(first: IndexTable, second: IndexTable) -> bool:
    """Whether two tables hold the same rows in the same order, columns and header.

    Parameters
    ----------
    first, second
        Two indices.

    Returns
    -------
    bool
        Whether nothing would change if one replaced the other.
    """
    if len(first) != len(second) or first.colnames != second.colnames:
        return False
    for column, other in zip(first.columns.values(), second.columns.values(), strict=True):
        types = [c.dtype.newbyteorder("=") for c in (column, other)]
        if types[0] != types[1] or str(column.unit or "") != str(other.unit or ""):
            return False
        masks = [np.ma.getmaskarray(c.data) for c in (column, other)]
        values = [np.ma.getdata(c.data) for c in (column, other)]
        numbers = types[0].kind in "fc"
        if not np.array_equal(masks[0], masks[1]):
            return False
        if not np.array_equal(values[0], values[1], equal_nan=numbers):
            return False
    return {k: repr(v) for k, v in first.meta.items()} == {
        k: repr(v) for k, v in second.meta.items()
    }


def tidy(store: StoreFolder, dataset: Dataset) -> CommitResult:
    """Drop duplicate rows and runs whose files are not here; the lock must be held.

    Parameters
    ----------
    store
        The store, whose lock is held.
    dataset
        A pair of index files.

    Returns
    -------
    CommitResult
        What was dropped and rewritten.
    """
    obs, _ = local_table(store, dataset.obs_path)
    hdu, _ = local_table(store, dataset.hdu_path)
    if obs is None or hdu is None:
        return CommitResult()
    gone = runs_not_here(store, hdu, folder_of(dataset.hdu_path))
    new_obs = unique(without(obs, gone), ("OBS_ID",))
    new_hdu = unique(without(hdu, gone), HDU_KEYS)
    files = {}
    for path, old, new in ((dataset.hdu_path, hdu, new_hdu), (dataset.obs_path, obs, new_obs)):
        if not same_table(old, new):
            files[path] = pack(new, path)
    replace_together(store, files)
    return CommitResult(set(new_obs.run_keys()), sorted(gone), list(files))
