"""Files that IceCube's ``skyreader`` loads: the scan as JSON and npz.

The layout is that of skyreader 1.x (``SkyScanResult``, pixel type of version 1): a table per nside
with pixel (RING), llh (negative log-likelihood), the losses that this scan does not fit (NaN) and
the vertex.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daybreak.neutrino.event import Event
from daybreak.neutrino.scan.journal import Rows
from daybreak.products.atomic import atomic_path, write_text

_COLUMNS = ("index", "llh", "E_in", "E_tot", "X", "Y", "Z", "T")
_DTYPE = np.dtype([("index", int), *((name, float) for name in _COLUMNS[1:])])
#: how skyreader writes NaN, which JSON does not have
_NAN = "<skyreader.nan>"
_REAL_RUNS = range(100_000, 1_000_000)


def metadata(event: Event, nside: int) -> dict[str, Any]:
    """The metadata of one nside.

    Parameters
    ----------
    event
        The event.
    nside
        HEALPix nside (nested scheme).
    """
    header = event.header
    simulated = event.truth is not None or "simulation" in event.kind
    return {
        "run_id": int(header.run),
        "event_id": int(header.event),
        "mjd": float("nan") if header.start is None else float(header.start.utc.mjd),
        "event_type": re.sub(r"[^\w-]+", "-", event.kind)[:64] or "neutrino",
        "nside": int(nside),
        "is_real_event": bool(not simulated and header.run in _REAL_RUNS),
        "version": 1,
    }


def _table(rows: Rows) -> Any:
    out = np.zeros(len(rows), _DTYPE)
    for name in ("E_in", "E_tot"):
        out[name] = np.nan
    rows = rows[np.argsort(rows["pixel"])]
    pairs = zip(_COLUMNS, ("pixel", "llh", "", "", "x_m", "y_m", "z_m", "t_ns"), strict=True)
    for name, source in pairs:
        if source:
            out[name] = rows[source]
    return out


def file_stem(event: Event, nsides: Sequence[int]) -> str:
    """Name that skyreader itself gives to the files, without the suffix.

    Parameters
    ----------
    event
        The event.
    nsides
        nside of each level of the scan.
    """
    found = metadata(event, nsides[0])
    name = f"run{found['run_id']:08d}.evt{found['event_id']:012d}.{found['event_type']}"
    return f"{name}_{'_'.join(map(str, nsides))}"


def write_json(path: Path, event: Event, levels: Mapping[int, Rows]) -> None:
    """Write the JSON file.

    Parameters
    ----------
    path
        File name.
    event
        For the metadata.
    levels
        Rows per nside.
    """
    block = {}
    for nside, rows in levels.items():
        block[f"nside-{nside}"] = {
            "columns": list(_COLUMNS),
            "metadata": {k: _nan_as_text(v) for k, v in metadata(event, nside).items()},
            "data": [[_nan_as_text(v) for v in row] for row in _table(rows).tolist()],
        }
    write_text(path, json.dumps(block, allow_nan=False))


def _nan_as_text(value: Any) -> Any:
    return _NAN if isinstance(value, float) and not np.isfinite(value) else value


def write_npz(path: Path, event: Event, levels: Mapping[int, Rows]) -> None:
    """Write the npz file.

    Parameters
    ----------
    path
        The file.
    event
        The event.
    levels
        Pixels by nside.
    """
    heads = [metadata(event, nside) for nside in levels]
    kinds: dict[str, Any] = {"mjd": float, "is_real_event": bool, "event_type": "U64"}
    dtype = [(name, kinds.get(name, int)) for name in heads[0]]
    header = np.array([tuple(head.values()) for head in heads], dtype)
    arrays = {f"nside-{nside}": _table(rows) for nside, rows in levels.items()}
    with atomic_path(path) as partial, partial.open("wb") as stream:
        np.savez(stream, header=header, **arrays)
