"""Tidying an output folder: products that no plan has any more, and what killed drivers left."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daybreak.ledger.database import transaction
from daybreak.ledger.digests import Digests
from daybreak.ledger.reading import reading
from daybreak.products.atomic import PARTIAL_MARK, remove_stale_partials
from daybreak.products.folder import read_manifest, remove_folder, size_of


@dataclass(frozen=True)
class Removable:
    """A file that can go.

    Attributes
    ----------
    path
        Of the file or folder.
    size
        In bytes.
    why
        For people.
    """

    path: Path
    size: int
    why: str


def old_products(root: Path, older_than_s: float) -> list[Removable]:
    """Products that the newest plan of no request makes any more.

    A file that is not as the ledger has recorded it is somebody's own and is left alone.

    Parameters
    ----------
    root
        Output folder.
    older_than_s
        Seconds since it was made.
    """
    with reading(root) as db:
        used = _in_use(db)
        rows = db.execute(
            "SELECT path, digest, size, step FROM products WHERE made < ? ORDER BY path",
            (time.time() - older_than_s,),
        ).fetchall()
    found, digests = {}, Digests()
    for row in rows:
        path = root / row["path"]
        if row["path"] in used:
            continue
        if path.is_relative_to(root) and digests.of(path) == row["digest"]:
            why = f"made by step {row['step']} of a plan that has been replaced"
            found[path] = Removable(path, size_of(path), why)
    return list(found.values())


def _in_use(db: sqlite3.Connection) -> set[str]:
    """Products of the newest request that is done, and of all that are not given up."""
    rows = db.execute(
        "SELECT s.outputs FROM steps s JOIN requests r ON r.id = s.request WHERE s.plan IN "
        "(SELECT number FROM plans WHERE request = s.request) AND (r.state NOT IN "
        "('DONE', 'CANCELLED') OR r.id = (SELECT id FROM requests WHERE state = 'DONE' "
        "ORDER BY updated DESC LIMIT 1))"
    ).fetchall()
    return {name for row in rows for name in json.loads(row["outputs"])}


def leftovers(root: Path) -> list[Removable]:
    """What drivers that were killed left: half-written files, notes, the engine's scratch.

    Parameters
    ----------
    root
        The output folder.

    Returns
    -------
    list of Removable
        Each file by itself, the notes and the scratch as a folder.
    """
    found = [
        Removable(path, path.stat().st_size, "half-written by a process that is gone")
        for path in sorted(root.rglob(f".*{PARTIAL_MARK}*"))
        if path.is_file()
    ]
    for name in ("attempts", "engine"):
        folder = root / ".daybreak" / name
        if folder.is_dir() and any(folder.iterdir()):
            size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
            found.append(Removable(folder, size, "left by a driver that was killed"))
    return found


def remove(root: Path, items: Sequence[Removable]) -> None:
    """Remove files and folders and forget them; the caller holds the folder's lock.

    Parameters
    ----------
    root
        The output folder.
    items
        What to remove, all of it below `root`.
    """
    remove_stale_partials(root)
    for item in items:
        if read_manifest(item.path):
            remove_folder(item.path)
        elif item.path.is_dir():
            shutil.rmtree(item.path, ignore_errors=True)
        elif PARTIAL_MARK not in item.path.name:
            item.path.unlink(missing_ok=True)
    with reading(root) as db, transaction(db):
        names = [(str(item.path.relative_to(root)),) for item in items]
        db.executemany("DELETE FROM products WHERE path=?", names)
