"""Checksums of files and of values."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal text.

    Parameters
    ----------
    path
        Of the file; it is read in pieces of 1 MiB.

    Raises
    ------
    OSError
        If it can't be read.
    """
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            sha.update(chunk)
    return sha.hexdigest()


def value_digest(value: Any) -> str:
    """SHA-256 of a JSON-able value, whatever the order of its keys.

    Parameters
    ----------
    value
        What JSON can't hold counts as its text.

    Returns
    -------
    str
        Hexadecimal.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 over the package's own source files: changed code makes products again."""
    root = Path(__file__).resolve().parent.parent
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", ".html", ".css", ".yaml", ".ecsv", ".json"}:
            sha.update(path.relative_to(root).as_posix().encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()
