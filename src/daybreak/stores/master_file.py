"""The destination's `master.json`: entries of what was copied, with totals that are true."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from daybreak.errors import StoreError
from daybreak.stores.claims import claims_of
from daybreak.stores.commit import replace_together
from daybreak.stores.layout import Dataset, parse_master
from daybreak.stores.paths import MASTER, UnsafePathError, resolve
from daybreak.stores.record import StoreFolder


def commit_master(
    store: StoreFolder,
    entries: Iterable[Dataset],
    raw: bytes,
    *,
    counted: dict[str, Callable[[], dict[str, float]]],
    everything: bool,
) -> bool:
    """Bring the destination's `master.json` up to date; the lock must be held.

    Parameters
    ----------
    entries
        Datasets that were copied.
    raw
        The source's `master.json`; empty if it has none.
    counted
        For each dataset's name, a function that counts what is here, called only if the entry
        claims totals.
    everything
        All datasets were copied whole: the source's bytes are kept where possible.
    store
        The store, whose lock is held.

    Returns
    -------
    bool
        Whether it changed.
    """
    path = store.root / MASTER
    try:
        old_bytes = path.read_bytes()
    except FileNotFoundError:
        old_bytes = b""
    if not raw and not old_bytes:
        return False
    content = parse_master(old_bytes, str(path)) if old_bytes else {}
    theirs = parse_master(raw, MASTER) if raw else {}
    merged = {**{k: v for k, v in theirs.items() if k != "datasets"}, **content}
    kept = [e for e in content.get("datasets", []) if _is_here(store, e)]
    for dataset in entries:
        entry = _entry(dataset, counted.get(dataset.name))
        same = [i for i, e in enumerate(kept) if e.get("name") == dataset.name]
        if not _is_here(store, entry):
            continue
        if same:
            kept[same[0]] = entry
        else:
            kept.append(entry)
    merged["datasets"] = kept
    if everything and raw and theirs == merged:
        data = raw  # the source's own bytes, so that a full copy is identical
    elif old_bytes and merged == content:
        return False
    else:
        data = json.dumps(merged, indent=2, ensure_ascii=False).encode() + b"\n"
    if data == old_bytes:
        return False
    replace_together(store, {MASTER: data})
    return True


def check_names(root: Path, entries: Iterable[Dataset]) -> None:
    """Refuse a dataset whose name the destination's `master.json` uses for other index files.

    Parameters
    ----------
    root
        The destination.
    entries
        Datasets that are to be copied into it.

    Raises
    ------
    StoreError
        If there is one, or if that `master.json` can't be read.
    """
    try:
        content = parse_master((root / MASTER).read_bytes(), str(root / MASTER))
    except OSError:
        return
    store = StoreFolder(root)
    for dataset in entries:
        for entry in content["datasets"]:
            ours = {str(entry.get(k, "")).removesuffix(".gz") for k in ("hduindx", "obsindx")}
            theirs = {p.removesuffix(".gz") for p in (dataset.hdu_path, dataset.obs_path)}
            if entry.get("name") == dataset.name and ours != theirs and _is_here(store, entry):
                raise StoreError(
                    f"{root} has a dataset {dataset.name!r} with other index files "
                    f"({', '.join(sorted(ours))})",
                    "Choose another destination.",
                )


def _entry(dataset: Dataset, count: Callable[[], dict[str, float]] | None) -> dict[str, Any]:
    entry = dict(dataset.keys) or {"name": dataset.name}
    entry.setdefault("hduindx", dataset.hdu_path)
    entry.setdefault("obsindx", dataset.obs_path)
    claims = claims_of(dataset.description())
    if claims and count is not None:
        numbers = count()
        for claim in claims:
            value = numbers.get(claim.kind)
            if value is not None and not claim.agrees(value):
                entry[claim.key] = claim.rewritten(value, entry[claim.key])
    return entry


def _is_here(store: StoreFolder, entry: dict[str, Any]) -> bool:
    for key in ("hduindx", "obsindx"):
        try:
            path = resolve("", str(entry.get(key, "")), root=str(store.root))
        except UnsafePathError:
            return False
        other = path.removesuffix(".gz") if path.endswith(".gz") else f"{path}.gz"
        if not any((store.root / p).is_file() for p in (path, other)):
            return False
    return True
