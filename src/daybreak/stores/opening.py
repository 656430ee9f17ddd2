"""Open the store that the user named: a folder, a web server, or anything that fsspec can open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from daybreak.errors import StoreError
from daybreak.stores.remote import FsspecSource, HttpSource
from daybreak.stores.source import LocalSource, StoreSource


def open_source(
    where: str | Path, options: Mapping[str, Any] | None = None
) -> tuple[StoreSource, str | None]:
    """Open what the user named.

    Parameters
    ----------
    where
        Folder, path of a master file (``*.json``), or URL of either.
    options
        For fsspec.

    Returns
    -------
    source : StoreSource
        The store's folder.
    master : str or None
        Name of the master file, if one was named.

    Raises
    ------
    StoreError
        If there is no such folder, or the URL can't be opened.
    """
    text = str(where)
    protocol, separator, rest = text.partition("://")
    protocol = protocol.lower()
    if separator and protocol == "file":
        text, separator = unquote(urlsplit(text).path or rest), ""
    master = None
    if text.split("?", 1)[0].lower().endswith(".json"):
        text, _slash, master = text.partition("?")[0].rpartition("/")
        text = text or ("/" if _slash else ".")
    if not separator:
        folder = Path(os.path.expandvars(text)).expanduser()
        if not folder.is_dir():
            raise StoreError(
                f"there is no folder {folder}", "Name the folder that holds the index files."
            )
        return LocalSource(folder), master
    if protocol in {"http", "https"}:
        return HttpSource(text), master
    return FsspecSource(text, options), master
