"""What was injected into a simulated store: kept beside it as ``truth.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daybreak.errors import ProductError
from daybreak.products.atomic import write_text

SCHEMA = "daybreak-simulation-truth-1"
TRUTH_FILE = "truth.json"


@dataclass(frozen=True)
class RunTruth:
    """What went into one run.

    Attributes
    ----------
    obs_id : int
    target, tag : str
    ra_pnt_deg, dec_pnt_deg : float
    start_utc : str
    ontime_s, livetime_s : float
    n_background : int
        Background events within the field of view.
    n_source : dict
        Source name to number of its events within the field of view.
    """

    obs_id: int
    target: str
    tag: str
    ra_pnt_deg: float
    dec_pnt_deg: float
    start_utc: str
    ontime_s: float
    livetime_s: float
    n_background: int
    n_source: dict[str, int]


@dataclass(frozen=True)
class Truth:
    """The injected truth of a store.

    Attributes
    ----------
    seed : int
        Each run's random numbers follow from this and its ``obs_id`` alone.
    sampler : str
        ``gammapy`` or ``direct``.
    point_like : bool
    instrument : dict
        Parameters of the virtual instrument, with units.
    sources : dict
        Source name to its position (deg), shape, spectrum (value and unit of each parameter) and
        flare.
    runs : tuple of RunTruth
    """

    seed: int
    sampler: str
    point_like: bool
    instrument: dict[str, Any]
    sources: dict[str, dict[str, Any]]
    runs: tuple[RunTruth, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"schema": SCHEMA, **asdict(self)}

    def write(self, folder: Path) -> Path:
        """Write ``truth.json``.

        Parameters
        ----------
        folder
            Of the store.

        Returns
        -------
        pathlib.Path
            Of the file.

        Raises
        ------
        OutputError
            If it can't be written.
        """
        path = folder / TRUTH_FILE
        write_text(path, json.dumps(self.to_dict(), indent=1, sort_keys=True) + "\n")
        return path


def read_truth(folder: Path) -> Truth:
    """Read what :meth:`Truth.write` wrote.

    Parameters
    ----------
    folder
        Of the store.

    Raises
    ------
    ProductError
        If it is missing or something else.
    """
    path = folder / TRUTH_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        runs = tuple(RunTruth(**run) for run in values.pop("runs"))
        return Truth(runs=runs, **values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProductError(
            f"{path} is not the truth of a simulation: {error}", "Simulate the night again."
        ) from None
