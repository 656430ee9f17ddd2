"""The runs of a GADF store, read from its index files by column name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from daybreak.errors import StoreError

_OBS_NAMES = ("obs-index.fits.gz", "obs-index.fits")
_HDU_NAMES = ("hdu-index.fits.gz", "hdu-index.fits")
_IRFS = {"aeff", "edisp", "psf", "bkg", "rad_max"}


@dataclass(frozen=True)
class HduEntry:
    """One row of the HDU index."""

    kind: str
    hdu_class: str
    path: Path
    hdu: str


@dataclass(frozen=True)
class RunEntry:
    """One run of the store; NaN or empty where the index says nothing.

    Attributes
    ----------
    obs_id
        Observation id.
    ra_pnt_deg, dec_pnt_deg
        Pointing (ICRS).
    zenith_deg, ontime_s, livetime_s
        As the index has them.
    start, stop
        Times (UTC), None if unknown.
    object, target_name, tag
        Names in the index; OBJECT is unreliable, TARGET_TAG defines sets of runs.
    target_offset_deg
        Offset of the tag's target from the pointing.
    ra_obj_deg, dec_obj_deg
        Position that goes with OBJECT.
    hdus
        HDUs by kind.
    """

    obs_id: int
    ra_pnt_deg: float
    dec_pnt_deg: float
    zenith_deg: float
    ontime_s: float
    livetime_s: float
    start: Time | None
    stop: Time | None
    object: str
    target_name: str
    tag: str
    target_offset_deg: float
    ra_obj_deg: float
    dec_obj_deg: float
    hdus: Mapping[str, HduEntry] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """The run's files, each once."""
        return sorted({entry.path for entry in self.hdus.values()})


@dataclass(frozen=True)
class Catalogue:
    """All runs of a store.

    Attributes
    ----------
    root
        Folder of the index files.
    runs
        One entry per observation, by id.
    unindexed
        FITS files beside the indexed ones that no run of the observation index has.
    """

    root: Path
    runs: tuple[RunEntry, ...]
    unindexed: tuple[Path, ...]


def _index_file(root: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if (root / name).is_file():
            return root / name
    raise StoreError(
        f"{root} has no {what} ({' or '.join(names)})",
        "Give the folder with the index files, or make them with `daybreak store index`.",
    )


def _read_table(path: Path) -> Table:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = Table.read(path, hdu=1)
    except Exception as error:
        raise StoreError(
            f"can't read the index file {path}: {str(error)[:160]}",
            "Copy it again, or make it anew with `daybreak store index`.",
        ) from error
    for name in table.colnames:
        if name != name.upper():
            table.rename_column(name, name.upper())
    return table


def _number(row: Any, names: set[str], column: str) -> float:
    if column not in names or np.ma.is_masked(row[column]):
        return float("nan")
    try:
        return float(row[column])
    except (TypeError, ValueError):
        return float("nan")


def _latitude(row: Any, names: set[str], column: str) -> float:
    value = _number(row, names, column)
    return value if abs(value) <= 90 else float("nan")


def _text(row: Any, names: set[str], column: str) -> str:
    if column not in names or np.ma.is_masked(row[column]):
        return ""
    value = row[column]
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _time(row: Any, names: set[str], which: str, meta: Mapping[str, Any]) -> Time | None:
    date = _text(row, names, "DATE-OBS" if which == "TSTART" else "DATE-END")
    clock = _text(row, names, "TIME-OBS" if which == "TSTART" else "TIME-END")
    try:
        if "T" in date:
            return Time(date, scale="utc")
        if date and clock:
            return Time(f"{date}T{clock}", scale="utc")
        seconds = _number(row, names, which)
        if np.isfinite(seconds) and "MJDREFI" in meta:
            scale = str(meta.get("TIMESYS", "tt")).lower()
            day = float(meta["MJDREFI"]) + float(meta.get("MJDREFF", 0.0))
            scale = scale if scale in Time.SCALES else "tt"
            return Time(day, seconds / 86_400, format="mjd", scale=scale).utc
    except ValueError:
        return None
    return None


def header_times(entry: RunEntry) -> tuple[Time | None, Time | None]:
    """Start and stop from the EVENTS header, for stores whose index has no times."""
    location = entry.hdus.get("events")
    if location is None:
        return None, None
    try:
        header = fits.getheader(location.path, location.hdu)
        day = float(header["MJDREFI"]) + float(header.get("MJDREFF", 0.0))
        scale = str(header.get("TIMESYS", "tt")).lower()
        scale = scale if scale in Time.SCALES else "tt"
        times = [
            Time(day, float(header[key]) / 86_400, format="mjd", scale=scale).utc
            for key in ("TSTART", "TSTOP")
        ]
    except (OSError, KeyError, ValueError):
        return None, None
    return times[0], times[1]


def _obs_id(row: Any, root: Path) -> int:
    try:
        return int(row["OBS_ID"])
    except (TypeError, ValueError, np.ma.MaskError):
        raise StoreError(
            f"an index of {root} has the OBS_ID {str(row['OBS_ID'])!r}, which is no whole number",
            "Make the index anew with `daybreak store index`.",
        ) from None


def _hdu_entries(root: Path, table: Table) -> dict[int, dict[str, HduEntry]]:
    names = set(table.colnames)
    for column in ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_NAME", "HDU_NAME"):
        if column not in names:
            raise StoreError(
                f"the HDU index of {root} has no column {column}",
                "Make it anew with `daybreak store index`.",
            )
    out: dict[int, dict[str, HduEntry]] = {}
    for row in table:
        kind = _text(row, names, "HDU_TYPE").lower()
        folder, name = _text(row, names, "FILE_DIR"), _text(row, names, "FILE_NAME")
        if not name or "\0" in name + folder:
            continue
        path = Path(os.path.normpath(root / ("" if folder == "--" else folder) / name))
        entry = HduEntry(
            kind, _text(row, names, "HDU_CLASS").lower(), path, _text(row, names, "HDU_NAME")
        )
        out.setdefault(_obs_id(row, root), {})[kind] = entry
    return out


def _unindexed(
    hdus: Mapping[int, Mapping[str, HduEntry]], observed: Collection[int]
) -> tuple[Path, ...]:
    listed = {entry.path for run in hdus.values() for entry in run.values()}
    known = {entry.path for i, run in hdus.items() if i in observed for entry in run.values()}
    found = {
        path
        for folder in {path.parent for path in listed}
        if folder.is_dir()
        for path in folder.iterdir()
        if path.name.endswith((".fits", ".fits.gz")) and "index" not in path.name
    }
    return tuple(sorted(found - known))


def read_catalogue(store: Path) -> Catalogue:
    """Read the index files of a store.

    Parameters
    ----------
    store
        Folder with ``obs-index`` and ``hdu-index``.

    Returns
    -------
    Catalogue
        Its runs, whether their files exist or not.

    Raises
    ------
    StoreError
        If the folder or an index file is missing or can't be read.
    """
    if not store.is_dir():
        raise StoreError(
            f"there is no store at {store}", "Check the path given with --store (or $VHEFITS)."
        )
    observations = _read_table(_index_file(store, _OBS_NAMES, "observation index"))
    hdus = _hdu_entries(store, _read_table(_index_file(store, _HDU_NAMES, "HDU index")))
    names = set(observations.colnames)
    for column in ("OBS_ID", "RA_PNT", "DEC_PNT"):
        if column not in names:
            raise StoreError(
                f"the observation index of {store} has no column {column}",
                "Make it anew with `daybreak store index`.",
            )
    seen: dict[int, RunEntry] = {}
    for row in observations:
        obs_id = _obs_id(row, store)
        seen[obs_id] = RunEntry(
            obs_id=obs_id,
            ra_pnt_deg=_number(row, names, "RA_PNT"),
            dec_pnt_deg=_latitude(row, names, "DEC_PNT"),
            zenith_deg=_number(row, names, "ZEN_PNT"),
            ontime_s=_number(row, names, "ONTIME"),
            livetime_s=_number(row, names, "LIVETIME"),
            start=_time(row, names, "TSTART", observations.meta),
            stop=_time(row, names, "TSTOP", observations.meta),
            object=_text(row, names, "OBJECT"),
            target_name=_text(row, names, "TARGET_NAME"),
            tag=_text(row, names, "TARGET_TAG"),
            target_offset_deg=_number(row, names, "TARGET_OFFSET"),
            ra_obj_deg=_number(row, names, "RA_OBJ"),
            dec_obj_deg=_latitude(row, names, "DEC_OBJ"),
            hdus=hdus.get(obs_id, {}),
        )
    runs = tuple(seen[key] for key in sorted(seen))
    return Catalogue(store, runs, _unindexed(hdus, seen))


def is_point_like(entry: RunEntry) -> bool:
    """Whether the run's IRFs come with a directional cut (RAD_MAX)."""
    if "rad_max" in entry.hdus:
        return True
    aeff = entry.hdus.get("aeff")
    if aeff is None:
        return False
    try:
        header = fits.getheader(aeff.path, aeff.hdu)
    except (OSError, KeyError):
        return False
    return str(header.get("HDUCLAS3", "")).strip().upper() == "POINT-LIKE"


def telescope(entry: RunEntry) -> str:
    """TELESCOP of the run's EVENTS header; empty if it can't be read."""
    events = entry.hdus.get("events")
    if events is None:
        return ""
    try:
        return str(fits.getheader(events.path, events.hdu).get("TELESCOP", "")).strip()
    except (OSError, KeyError):
        return ""
