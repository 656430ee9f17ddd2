"""Engines from Python: which are known, what a profile says, and whether it works."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from daybreak.config.engine import EngineProfile, engine_names, engines_folder, load_engine
from daybreak.engine.check import EngineCheck, EngineReport, check_engine
from daybreak.errors import OutputError

__all__ = [
    "EngineCheck",
    "EngineProfile",
    "EngineReport",
    "engine_names",
    "engines_folder",
    "load_engine",
    "test_engine",
]


def test_engine(
    name: str | Path | None = None,
    *,
    settings: Iterable[str] = (),
    folder: Path | None = None,
    timeout_s: float = 300.0,
) -> EngineReport:
    """Run a tiny plan in each pool of an engine and say what works.

    Parameters
    ----------
    name
        Of a profile, or the path of one; by default ``local``.
    settings
        ``key.key=value`` texts that beat the profile.
    folder
        Where output folders will lie: a folder that this host and the nodes share. By default the
        current one.
    timeout_s
        How long to wait for a worker of each pool, in seconds.

    Returns
    -------
    EngineReport
        What works.

    Raises
    ------
    ConfigError
        If the profile is not right.
    OutputError
        If nothing can be written in the folder.
    """
    profile = load_engine(name, overrides=settings)
    base = folder or Path.cwd()
    try:
        private = Path(tempfile.mkdtemp(prefix="daybreak-engine-test-", dir=base))
    except OSError as error:
        raise OutputError(
            f"can't write in {base}: {error.strerror}", "Choose another folder with --folder."
        ) from None
    try:
        return check_engine(profile, private, timeout_s=timeout_s)
    finally:
        shutil.rmtree(private, ignore_errors=True)


test_engine.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's
