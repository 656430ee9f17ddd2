"""A file of camera data as an open EventSource of ctapipe, or a named error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daybreak.errors import ConfigError, RunDataError
from daybreak.products.hdf5 import INSTALL, tables_without_pickle

_log = logging.getLogger(__name__)


@contextmanager
def open_source(path: Path, focal_length: str) -> Iterator[Any]:
    """Open a file.

    Parameters
    ----------
    path
        What a ctapipe EventSource reads.
    focal_length
        ``effective`` or ``equivalent``: which of a sim_telarray file's.

    Yields
    ------
    ctapipe.io.EventSource
        Open.

    Raises
    ------
    RunDataError
        If it is not there or can't be read as camera data.
    ConfigError
        If ctapipe is not installed.
    """
    try:
        tables_without_pickle()
        from ctapipe.io import EventSource
    except ImportError:
        raise ConfigError("reading camera data needs ctapipe", INSTALL) from None
    if not path.is_file():
        raise RunDataError(f"{path} is not there", "Check the path.")
    try:
        source = EventSource(input_url=path, focal_length_choice=focal_length.upper())
    except Exception as error:  # sources are plug-ins, and raise what they like
        _log.debug("source of %s", path, exc_info=error)
        reason = " ".join(str(error).split())[:160]
        focal = "focal length" in reason.lower()
        raise RunDataError(
            f"{path.name}: it can't be read as camera data ({reason})",
            "Set focal_length: equivalent." if focal else "See `daybreak check` for what it is.",
        ) from error
    with source:
        yield source
