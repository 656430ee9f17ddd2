"""Where the inbox of a site and the ledger of an output folder are."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder() -> Path:
    """Where the inbox is: ``$DAYBREAK_HOME``, or a folder for the state of the user's programs."""
    if os.environ.get("DAYBREAK_HOME"):
        return Path(os.environ["DAYBREAK_HOME"])
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "daybreak"


def ledger_path(root: Path) -> Path:
    """Where the ledger of an output folder is.

    Parameters
    ----------
    root
        The output folder.
    """
    return root / ".daybreak" / "ledger.sqlite"
