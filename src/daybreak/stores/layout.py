"""The datasets of a store and the files of their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from daybreak.errors import StoreError
from daybreak.products.fits_headers import DamagedFileError
from daybreak.products.jsontext import loads_shallow
from daybreak.stores.paths import MASTER, UnsafePathError, folder_of, resolve
from daybreak.stores.source import MissingSourceError, StoreSource, TransientError
from daybreak.stores.table import IndexTable, read_table

INDEX_KEYS = ("name", "hduindx", "obsindx")
_NAMES = [f"{kind}-index.fits{end}" for end in (".gz", "") for kind in ("obs", "hdu")]
_MAX_MASTER = 1 << 26


@dataclass(frozen=True)
class Dataset:
    """One pair of index files.

    Attributes
    ----------
    name
        As `master.json` says, or the folder's name where there is none.
    obs_path, hdu_path
        Index files as they are named on disk, relative to the store.
    keys
        The entry of `master.json`, verbatim; empty where there is none.
    problem
        Why it is not available; an empty text if it is.
    """

    name: str
    obs_path: str = ""
    hdu_path: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def available(self) -> bool:
        """Whether both index files are there."""
        return not self.problem

    def description(self) -> dict[str, Any]:
        """The keys of the entry that describe, verbatim."""
        return {key: value for key, value in self.keys.items() if key not in INDEX_KEYS}


@dataclass
class Index:
    """Both index tables of a dataset and what they say about files.

    Attributes
    ----------
    obs, hdu
        The tables.
    obs_bytes, hdu_bytes
        The files as they are.
    obs_runs, hdu_runs
        OBS_ID of each row, as `daybreak.stores.table.run_key` spells them.
    hdu_paths
        File of each HDU row, relative to the store; empty where it was refused.
    files
        Run to the files it needs.
    unsafe
        Run to the reason why one of its paths was refused.
    """

    obs: IndexTable
    hdu: IndexTable
    obs_bytes: bytes
    hdu_bytes: bytes
    obs_runs: list[str]
    hdu_runs: list[str]
    hdu_paths: list[str]
    files: dict[str, tuple[str, ...]]
    unsafe: dict[str, str]

    @property
    def runs(self) -> list[str]:
        """Runs of the observation index, each once, in its order."""
        return list(dict.fromkeys(self.obs_runs))


def parse_master(data: bytes, name: str) -> dict[str, Any]:
    """Content of a `master.json`.

    Parameters
    ----------
    data
        UTF-8 text.
    name
        What to call it in messages.

    Returns
    -------
    dict
        As it is, checked no deeper than the list of entries.

    Raises
    ------
    StoreError
        If it is not JSON with a list ``datasets`` of entries.
    """
    hint = 'It should be {"datasets": [{"name": ..., "obsindx": ..., "hduindx": ...}]}.'
    try:
        content = loads_shallow(data)
    except ValueError as error:
        raise StoreError(f"{name} is not JSON: {str(error).splitlines()[0]}", hint) from None
    entries = content.get("datasets") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise StoreError(f"{name} has no list 'datasets' of entries", hint)
    return dict(content)


def read_master(source: StoreSource, master: str | None) -> tuple[dict[str, Any] | None, bytes]:
    """The store's master file, parsed and as it is; None and no bytes if it has none.

    Parameters
    ----------
    source
        The store that is read from.
    master
        Name of the file if the user named one.

    Returns
    -------
    content : dict or None
        Parsed.
    data : bytes
        As it is.

    Raises
    ------
    StoreError
        If it was asked for and is not there, or is not what it should be.
    """
    name = master or MASTER
    try:
        data = source.read(name, _MAX_MASTER)
    except (MissingSourceError, TransientError) as error:
        if master is not None or isinstance(error, TransientError):
            raise StoreError(
                f"can't read {name} in {source.name}: {error}", "Check the path."
            ) from None
        return None, b""
    return parse_master(data, f"{source.name}/{name}"), data


def _locate(source: StoreSource, path: Any) -> tuple[str, str]:
    """Path of an index file that an entry names, with or without ``.gz``, or the problem."""
    if not isinstance(path, str) or not path:
        return "", "the entry does not name it"
    try:
        safe = resolve("", path, root=source.root)
    except UnsafePathError as error:
        return "", error.what
    other = safe.removesuffix(".gz") if safe.endswith(".gz") else f"{safe}.gz"
    for candidate in (safe, other):
        if source.stat(candidate) is not None:
            return candidate, ""
    return safe, f"{path} is not there"


def datasets_of(source: StoreSource, master: str | None = None) -> list[Dataset]:
    """All datasets of a store, in the order of its master file.

    Parameters
    ----------
    source
        The store that is read from.
    master
        Name of the master file if the user named one.

    Returns
    -------
    list of Dataset
        Available or not.

    Raises
    ------
    StoreError
        If it has neither a master file nor index files.
    """
    content, _raw = read_master(source, master)
    if content is None:
        return _unnamed_datasets(source)
    found = []
    for entry in content["datasets"]:
        obs, problem_obs = _locate(source, entry.get("obsindx"))
        hdu, problem_hdu = _locate(source, entry.get("hduindx"))
        problem = "; ".join(
            f"{kind} index: {text}"
            for kind, text in (("observation", problem_obs), ("HDU", problem_hdu))
            if text
        )
        found.append(Dataset(str(entry.get("name", "")), obs, hdu, dict(entry), problem))
    return found


def _unnamed_datasets(source: StoreSource) -> list[Dataset]:
    found: list[Dataset] = []
    for folder in source.indexed_folders():
        paths = [f"{folder}/{name}".lstrip("/") for name in _NAMES]
        there = [p for p in paths if source.stat(p) is not None]
        obs = next((p for p in there if "obs-index" in p), None)
        hdu = next((p for p in there if "hdu-index" in p), None)
        if obs and hdu:
            name = folder or source.name.rstrip("/").rpartition("/")[2] or "store"
            found.append(Dataset(name, obs, hdu))
            if not folder:
                break
    if not found:
        raise StoreError(
            f"no data store at {source.name}: neither master.json nor obs-index.fits.gz "
            "with hdu-index.fits.gz",
            "Name the folder that holds them; `daybreak store index DIR` makes index files "
            "for a folder of DL3 files.",
        )
    return found


def select_datasets(datasets: list[Dataset], name: str | None, where: str) -> list[Dataset]:
    """The available datasets, or the one of that name.

    Parameters
    ----------
    datasets
        All of a store.
    name
        Of the wanted one; None for all.
    where
        What to call the store in messages.

    Returns
    -------
    list of Dataset
        At least one.

    Raises
    ------
    StoreError
        If it is unknown or not available, naming those that are.
    """
    usable = [d for d in datasets if d.available]
    names = ", ".join(repr(d.name) for d in usable) or "none"
    if name is None:
        if not usable:
            problems = "; ".join(f"{d.name!r}: {d.problem}" for d in datasets) or "it lists none"
            raise StoreError(f"no dataset of {where} is available ({problems})", "Check the store.")
        return usable
    chosen = [d for d in datasets if d.name == name]
    if not chosen:
        raise StoreError(f"{where} has no dataset {name!r}", f"Available: {names}.")
    if not chosen[0].available:
        raise StoreError(
            f"the dataset {name!r} of {where} is not available: {chosen[0].problem}",
            f"Available: {names}.",
        )
    return chosen[:1]


def _read_index(source: StoreSource, path: str) -> tuple[IndexTable, bytes]:
    for attempt in (1, 2, 3, 4):
        try:
            data = source.read(path)
            return read_table(data), data
        except MissingSourceError as error:
            raise StoreError(f"can't read {path} in {source.name}: {error}") from None
        except (TransientError, DamagedFileError) as error:
            if attempt == 4 or (source.is_local and isinstance(error, DamagedFileError)):
                raise StoreError(
                    f"the index {path} in {source.name} is damaged: {error}",
                    "`daybreak store verify PATH --repair-index` makes it anew from the files.",
                ) from None
    raise AssertionError


def load_index(source: StoreSource, dataset: Dataset) -> Index:
    """Read both index files of a dataset and find the files of each run.

    Parameters
    ----------
    source
        The store that is read from.
    dataset
        A pair of index files.

    Returns
    -------
    Index
        Both tables and the files of each run.

    Raises
    ------
    StoreError
        If one can't be read or lacks a column that is needed.
    """
    obs, obs_bytes = _read_index(source, dataset.obs_path)
    hdu, hdu_bytes = _read_index(source, dataset.hdu_path)
    if hdu.column("FILE_NAME") is None:
        raise StoreError(
            f"the index {dataset.hdu_path} in {source.name} has no FILE_NAME column",
            "`daybreak store verify PATH --repair-index` makes it anew from the files.",
        )
    base = folder_of(dataset.hdu_path)
    paths, problems = row_paths(hdu, base, source.root)
    runs = hdu.run_keys()
    files: dict[str, dict[str, None]] = {}
    unsafe: dict[str, str] = {}
    for run, path, problem in zip(runs, paths, problems, strict=True):
        mine = files.setdefault(run, {})
        if problem:
            unsafe.setdefault(run, problem)
        elif path:
            mine[path] = None
    whole = {run: tuple(paths) for run, paths in files.items()}
    return Index(obs, hdu, obs_bytes, hdu_bytes, obs.run_keys(), runs, paths, whole, unsafe)


def row_paths(hdu: IndexTable, base: str, root: str) -> tuple[list[str], list[str]]:
    """Store path of each HDU row, and why it was refused (an empty text if not).

    Rows without a file name have an empty path and no problem.

    Parameters
    ----------
    hdu
        An HDU index.
    base
        Its folder inside the store.
    root
        Absolute path of the store; empty if it is remote.

    Returns
    -------
    paths : list of str
        One per row, relative to the store.
    problems : list of str
        One per row.
    """
    folders, names = hdu.texts("FILE_DIR"), hdu.texts("FILE_NAME")
    known: dict[tuple[str, str], tuple[str, str]] = {}
    paths, problems = [], []
    for pair in zip(folders, names, strict=True):
        found = known.get(pair)
        if found is None:
            try:
                found = (resolve(base, *pair, root=root) if pair[1] else "", "")
            except UnsafePathError as error:
                found = ("", error.what)
            known[pair] = found
        paths.append(found[0])
        problems.append(found[1])
    return paths, problems


def rows_of(keys: list[str], wanted: set[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows belong to the wanted runs.

    Parameters
    ----------
    keys
        OBS_ID of each row.
    wanted
        OBS_IDs.

    Returns
    -------
    ndarray of bool
        Shape (rows,).
    """
    return np.fromiter((key in wanted for key in keys), dtype=bool, count=len(keys))
