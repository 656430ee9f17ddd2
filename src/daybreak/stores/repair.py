"""Index files made anew from the files, with what only the old ones know."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from astropy.table import Column, MaskedColumn

from daybreak.errors import NoDataError, OutputError, StoreError
from daybreak.stores.build import HDU_INDEX, OBS_INDEX, IndexResult, build_tables
from daybreak.stores.commit import local_table, recover, replace_together
from daybreak.stores.layout import Dataset, row_paths
from daybreak.stores.merge import HDU_KEYS, stack, unique
from daybreak.stores.paths import UnsafePathError, folder_of
from daybreak.stores.record import StoreFolder
from daybreak.stores.table import IndexTable, pack


def repair_tables(
    root: Path, base: str, old_obs: IndexTable | None, old_hdu: IndexTable | None
) -> tuple[IndexTable, IndexTable, dict[str, str]]:
    """Index tables made anew, with what only the old ones know.

    Columns that no header has (quality, target tags ...) are taken over by run, and rows for
    files without events (response functions that runs share) where file and HDU are there.

    Parameters
    ----------
    root
        The store.
    base
        Folder of the index files inside it.
    old_obs, old_hdu
        The index tables that are there; None if they can't be read.

    Returns
    -------
    obs, hdu : IndexTable
        The new tables, ordered by run.
    skipped : dict
        File to the reason why nothing of it is in them.
    """
    obs, hdu, skipped, hdus = build_tables(root, base)
    if old_obs is not None and len(old_obs) and old_obs.column("OBS_ID") is not None:
        obs = _with_old_columns(obs, old_obs)
    if old_hdu is not None and len(old_hdu) and old_hdu.column("OBS_ID") is not None:
        runs, new_files = set(obs.run_keys()), {p for p in hdus if p not in skipped}
        paths, problems = row_paths(old_hdu, base, str(root))
        names = [name.upper() for name in old_hdu.texts("HDU_NAME")]
        keep = [
            run in runs
            and not bad
            and path in hdus
            and path not in new_files
            and (not name or any(h.name == name for h in hdus[path]))
            for run, path, bad, name in zip(old_hdu.run_keys(), paths, problems, names, strict=True)
        ]
        shared = old_hdu[np.array(keep, dtype=bool)]
        if len(shared):
            shared = _with_sizes(shared, root, [p for p, k in zip(paths, keep, strict=True) if k])
            hdu = unique(stack(hdu, shared), HDU_KEYS)
            for path in {p for p, good in zip(paths, keep, strict=True) if good}:
                skipped.pop(path, None)
    return obs, hdu, skipped


def _with_sizes(hdu: IndexTable, root: Path, paths: list[str]) -> IndexTable:
    """The rows with the true SIZE of their files."""
    sizes = np.array([(root / path).stat().st_size for path in paths], dtype=np.int64)
    name = next((n for n in hdu.columns if n.upper() == "SIZE"), "SIZE")
    hdu[name] = Column(sizes, unit="byte")
    return hdu


def _with_old_columns(obs: IndexTable, old: IndexTable) -> IndexTable:
    rows = {run: i for i, run in reversed(list(enumerate(old.run_keys())))}
    places = np.array([rows.get(run, -1) for run in obs.run_keys()], dtype=np.intp)
    absent = places < 0
    for name, column in old.columns.items():
        if obs.column(name) is None:
            taken = column[np.maximum(places, 0)]
            if absent.any():
                mask = np.ma.getmaskarray(taken.data).copy()
                mask[absent] = True
                taken = MaskedColumn(taken.data, mask=mask, unit=column.unit)
            obs[name] = taken
    header = {**old.meta, **obs.meta}
    obs.meta.clear()
    obs.meta.update(header)
    return obs


def repair_index(store: StoreFolder, dataset: Dataset) -> IndexResult:
    """Rebuild a dataset's index files from the headers of the files in its store.

    Parameters
    ----------
    store
        The store; its lock is taken.
    dataset
        Which index files; their usual names where it has none.

    Returns
    -------
    IndexResult
        What was written and what was left out.

    Raises
    ------
    NoDataError
        If there is no DL3 file with events.
    OutputError
        If the store can't be written to.
    """
    obs_path, hdu_path = dataset.obs_path or OBS_INDEX, dataset.hdu_path or HDU_INDEX
    store.prepare()
    with store.lock():
        recover(store)
        old = []
        for path in (obs_path, hdu_path):
            try:
                old.append(local_table(store, path)[0])
            except (StoreError, UnsafePathError):
                old.append(None)
        obs, hdu, skipped = repair_tables(store.root, folder_of(hdu_path), old[0], old[1])
        if not len(obs):
            raise NoDataError(f"no DL3 file with events below {store.root}", "Check the folder.")
        files = {hdu_path: pack(hdu, hdu_path), obs_path: pack(obs, obs_path)}
        replace_together(store, files)
    return IndexResult(str(store.root), len(obs), len(hdu), skipped, list(files))


def require_writable(root: Path) -> None:
    """Say early that a store can't be repaired.

    Parameters
    ----------
    root
        Folder of the store.

    Raises
    ------
    OutputError
        If the folder is not writable.
    """
    if not os.access(root, os.W_OK | os.X_OK):
        raise OutputError(f"{root} is not writable", "Copy the store first, then repair the copy.")
