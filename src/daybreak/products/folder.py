"""Folders as products: a manifest lists their files, and is written last.

The digest of a folder is that of its manifest. A folder is whole if each file of the manifest is
there with its digest; files that the manifest does not list belong to somebody else and are left
alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from daybreak.errors import OutputError
from daybreak.products.atomic import ensure_folder, output_error, partial_path, write_text
from daybreak.products.digest import file_digest

MANIFEST = ".manifest.json"


def read_manifest(folder: Path) -> dict[str, str]:
    """Files of a folder (relative names) and their SHA-256; empty if it has no sound manifest.

    Parameters
    ----------
    folder
        The product.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def folder_digest(folder: Path, digest_of: Callable[[Path], str] = file_digest) -> str:
    """Digest of a folder that is whole; '' if it is not.

    Parameters
    ----------
    folder
        The product.
    digest_of
        How to get the SHA-256 of a file; one that is gone has ''.
    """
    files = read_manifest(folder)
    try:
        if not files or any(digest_of(folder / name) != known for name, known in files.items()):
            return ""
        return digest_of(folder / MANIFEST)
    except FileNotFoundError:
        return ""


def size_of(path: Path) -> int:
    """Bytes of a file, or of the files that a folder's manifest lists; 0 for what is not there.

    Parameters
    ----------
    path
        The product.
    """
    paths = [path / name for name in read_manifest(path)] if path.is_dir() else [path]
    total = 0
    for each in paths:
        with suppress(OSError):
            total += each.stat().st_size
    return total


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into; on leaving without an error it becomes `folder`.

    Files of an earlier manifest that were not written again are removed, other files stay. The
    manifest is taken away first and written last: without it the folder counts as not made.

    Parameters
    ----------
    folder
        The final name.

    Raises
    ------
    OutputError
        If nothing was written, the disk is full, or the folder can't be written to.
    """
    ensure_folder(folder.parent)
    partial = partial_path(folder)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        yield partial
        _commit(partial, folder)
    except OSError as error:
        if error.filename and not Path(error.filename).is_relative_to(folder.parent):
            raise
        raise output_error(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def list_files(folder: Path) -> dict[str, str]:
    """Every file below a folder but its manifest, with its SHA-256, in the order of their names.

    Parameters
    ----------
    folder
        What to list.
    """
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p != folder / MANIFEST]
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}


def write_manifest(folder: Path, files: Mapping[str, str]) -> str:
    """Write the manifest of a folder, and return the folder's digest.

    Parameters
    ----------
    folder
        The product.
    files
        Relative names and SHA-256.
    """
    text = json.dumps({"files": dict(sorted(files.items()))}, indent=1)
    write_text(folder / MANIFEST, text)
    return file_digest(folder / MANIFEST)


def _commit(partial: Path, folder: Path) -> None:
    files = read_manifest(partial) or list_files(partial)
    if not files:
        raise OutputError(f"nothing was written into {folder}", "See the step's log.")
    for name in files:
        with (partial / name).open("rb+") as stream:
            os.fsync(stream.fileno())
    old = read_manifest(folder)
    ensure_folder(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (partial / name).replace(target)
    _remove(folder, set(old) - set(files))
    write_manifest(folder, files)


def remove_folder(folder: Path) -> None:
    """Remove what the manifest lists, and the folder if nothing else is in it.

    Parameters
    ----------
    folder
        The product.
    """
    files = read_manifest(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    _remove(folder, set(files))
    with suppress(OSError):
        folder.rmdir()


def _remove(folder: Path, names: set[str]) -> None:
    """Remove files of a folder, never one outside it, and folders below it that are then empty."""
    inside = folder.resolve()
    for name in sorted(names, reverse=True):
        path = (folder / name).resolve()
        if not path.is_relative_to(inside) or path == inside:
            continue
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == inside:
                break
            with suppress(OSError):
                parent.rmdir()
