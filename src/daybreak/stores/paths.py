"""Which file an index row means, and whether that may be written to.

The rules, also in the documentation: a path is taken relative to the folder of the HDU index;
``..`` is followed as long as it stays inside the store (the folder of `master.json`, or of the
index files where there is no `master.json`); an absolute path is taken if it lies in the store.
Everything else is refused: paths that leave the store, control characters, backslashes, names
that Daybreak keeps for itself. Percent signs mean themselves: nothing is ever unescaped.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from daybreak.errors import StoreError

OWN_FOLDER = ".daybreak"
MASTER = "master.json"
_MAX_LENGTH = 4000
_MAX_NAME = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UnsafePathError(StoreError):
    """A path of an index or of a `master.json` that may not be followed."""


def _refuse(path: str, why: str) -> UnsafePathError:
    return UnsafePathError(
        f"the path {path!r} {why}; it was not followed",
        "If the files do lie outside the folder that you named, name the folder above both.",
    )


def resolve(base: str, *parts: str, root: str = "") -> str:
    """Path inside a store that `parts`, taken relative to `base`, mean.

    Parameters
    ----------
    base
        Folder inside the store, ``/`` between names, empty for the store itself.
    parts
        As the index gives them (FILE_DIR, FILE_NAME); empty ones are skipped.
    root
        Absolute path of the store, where it has one: an absolute path below it is accepted.

    Returns
    -------
    str
        Relative path with ``/``, without ``.`` or ``..``.

    Raises
    ------
    UnsafePathError
        If the path leaves the store or can't be a file name.
    """
    wanted = "/".join(part for part in parts if part)
    if _CONTROL.search(wanted):
        raise _refuse(wanted, "has control characters")
    if "\\" in wanted:
        raise _refuse(wanted, "has backslashes")
    if wanted.startswith("/"):
        inside = root.rstrip("/") + "/"
        if len(inside) < 2 or not wanted.startswith(inside):
            raise _refuse(wanted, "is absolute and not in the store")
        base, wanted = "", wanted[len(inside) :]
    names: list[str] = []
    for name in [*base.split("/"), *wanted.split("/")]:
        if name in {"", "."}:
            continue
        if name == "..":
            if not names:
                raise _refuse(wanted, "leaves the store")
            names.pop()
        else:
            names.append(name)
    path = "/".join(names)
    if not names or len(path) > _MAX_LENGTH or _has_long_name(path):
        raise _refuse(wanted, "is empty or too long" if names else "names no file")
    if names[0] == OWN_FOLDER or path == MASTER:
        raise _refuse(wanted, "is a name that Daybreak keeps for itself")
    return path


def _has_long_name(path: str) -> bool:
    if 4 * len(path) <= _MAX_NAME:  # a character is at most four bytes
        return False
    return any(len(os.fsencode(name)) > _MAX_NAME for name in path.split("/"))


def inside(root: Path, relative: str) -> Path:
    """Local path of a store's file, after making sure that no symbolic link leads outside.

    Parameters
    ----------
    root
        The store's folder, already resolved.
    relative
        What `resolve` gave.

    Returns
    -------
    Path
        Its local path; nothing need be there.

    Raises
    ------
    UnsafePathError
        If a folder on the way is a link to somewhere outside `root`.
    """
    path = root / relative
    parent = Path(os.path.realpath(path.parent))
    if parent != root and root not in parent.parents:
        raise UnsafePathError(
            f"{path.parent} is a link that leads to {parent}, outside {root}",
            "Replace the link by a folder, or choose another destination.",
        )
    return path


def folder_of(path: str) -> str:
    """Folder part of a store path; empty for the store itself.

    Parameters
    ----------
    path
        Relative to the store, with ``/``.

    Returns
    -------
    str
        Without ``/`` at its end.
    """
    return path.rpartition("/")[0]
