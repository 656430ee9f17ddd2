"""The runs of a GADF store, read from its index files by column name."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.time import Time

from daybreak.errors import StoreError
from daybreak.products.fits_headers import DamagedFileError
from daybreak.science.dl3.classes import class_of, columns_of
from daybreak.stores.table import IndexTable, read_table

_OBS_NAMES = ("obs-index.fits.gz", "obs-index.fits")
_HDU_NAMES = ("hdu-index.fits.gz", "hdu-index.fits")
_OBS_COLUMNS = ("OBS_ID", "RA_PNT", "DEC_PNT")
_HDU_COLUMNS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_NAME", "HDU_NAME")


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


def _read_index(path: Path) -> IndexTable:
    try:
        return read_table(path.read_bytes())
    except (OSError, DamagedFileError) as error:
        raise StoreError(
            f"can't read the index file {path}: {str(error)[:160]}",
            "Copy it again, or make it anew with `daybreak store index`.",
        ) from error


def _need(table: IndexTable, columns: tuple[str, ...], what: str) -> None:
    for name in columns:
        if table.column(name) is None:
            raise StoreError(
                f"the {what} has no column {name}", "Make it anew with `daybreak store index`."
            )


def _latitudes(table: IndexTable, name: str) -> npt.NDArray[np.float64]:
    values = table.floats(name)
    return np.where(np.abs(values) <= 90, values, np.nan)


def _times(table: IndexTable, which: str) -> list[Time | None]:
    end = "OBS" if which == "TSTART" else "END"
    rows = zip(
        table.texts(f"DATE-{end}"),
        table.texts(f"TIME-{end}"),
        table.floats(which).tolist(),
        strict=True,
    )
    return [_time(date, clock, seconds, table.meta) for date, clock, seconds in rows]


def _time(date: str, clock: str, seconds: float, header: Mapping[str, Any]) -> Time | None:
    try:
        if "T" in date:
            return Time(date, scale="utc")
        if date and clock:
            return Time(f"{date}T{clock}", scale="utc")
        if np.isfinite(seconds) and "MJDREFI" in header:
            scale = str(header.get("TIMESYS", "tt")).lower()
            day = float(header["MJDREFI"]) + float(header.get("MJDREFF", 0.0))
            scale = scale if scale in Time.SCALES else "tt"
            return Time(day, seconds / 86_400, format="mjd", scale=scale).utc
    except (ValueError, TypeError):
        return None
    return None


def header_times(entry: RunEntry) -> tuple[Time | None, Time | None]:
    """Start and stop from the EVENTS header, for stores whose index has no times.

    Parameters
    ----------
    entry
        A run of the catalogue.

    Returns
    -------
    start, stop : Time or None
        In UTC; None if the header can't be read or does not tell them.
    """
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


def _obs_ids(root: Path, table: IndexTable) -> list[int]:
    out = []
    for key in table.run_keys():
        try:
            out.append(int(key))
        except ValueError:
            raise StoreError(
                f"an index of {root} has the OBS_ID {key!r}, which is no whole number",
                "Make the index anew with `daybreak store index`.",
            ) from None
    return out


def _hdu_entries(root: Path, table: IndexTable) -> dict[int, dict[str, HduEntry]]:
    """HDUs by run and kind.

    Other than a copy, an analysis follows paths that leave the store's folder: it only reads.
    """
    columns = ("HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
    rows = zip(_obs_ids(root, table), *(table.texts(name) for name in columns), strict=True)
    paths: dict[tuple[str, str], Path] = {}
    out: dict[int, dict[str, HduEntry]] = {}
    for obs_id, kind, hdu_class, folder, name, hdu in rows:
        if not name:
            continue
        path = paths.get((folder, name))
        if path is None:
            path = paths[folder, name] = Path(os.path.normpath(root / folder / name))
        entry = HduEntry(kind.lower(), hdu_class.lower(), path, hdu)
        out.setdefault(obs_id, {})[entry.kind] = entry
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
    observations = _read_index(_index_file(store, _OBS_NAMES, "observation index"))
    hdu_table = _read_index(_index_file(store, _HDU_NAMES, "HDU index"))
    _need(hdu_table, _HDU_COLUMNS, f"HDU index of {store}")
    _need(observations, _OBS_COLUMNS, f"observation index of {store}")
    hdus = _hdu_entries(store, hdu_table)
    ids = _obs_ids(store, observations)
    columns = {
        "ra_pnt_deg": observations.floats("RA_PNT").tolist(),
        "dec_pnt_deg": _latitudes(observations, "DEC_PNT").tolist(),
        "zenith_deg": observations.floats("ZEN_PNT").tolist(),
        "ontime_s": observations.floats("ONTIME").tolist(),
        "livetime_s": observations.floats("LIVETIME").tolist(),
        "start": _times(observations, "TSTART"),
        "stop": _times(observations, "TSTOP"),
        "object": observations.texts("OBJECT"),
        "target_name": observations.texts("TARGET_NAME"),
        "tag": observations.texts("TARGET_TAG"),
        "target_offset_deg": observations.floats("TARGET_OFFSET").tolist(),
        "ra_obj_deg": observations.floats("RA_OBJ").tolist(),
        "dec_obj_deg": _latitudes(observations, "DEC_OBJ").tolist(),
    }
    seen: dict[int, RunEntry] = {}
    for row, obs_id in enumerate(ids):
        values: dict[str, Any] = {name: column[row] for name, column in columns.items()}
        seen[obs_id] = RunEntry(obs_id=obs_id, **values, hdus=hdus.get(obs_id, {}))
    runs = tuple(seen[key] for key in sorted(seen))
    return Catalogue(store, runs, _unindexed(hdus, seen))


def is_point_like(entry: RunEntry) -> bool:
    """Whether the run's IRFs come with a directional cut (RAD_MAX).

    Parameters
    ----------
    entry
        A run of the catalogue; the header of its effective area is read if need be.
    """
    if "rad_max" in entry.hdus:
        return True
    header = _header(entry, "aeff")
    return str(header.get("HDUCLAS3", "")).strip().upper() == "POINT-LIKE"


def telescope(entry: RunEntry) -> str:
    """TELESCOP of the run's EVENTS header; empty if it can't be read.

    Parameters
    ----------
    entry
        A run of the catalogue.
    """
    return str(_header(entry, "events").get("TELESCOP", "")).strip()


def _header(entry: RunEntry, kind: str) -> Mapping[str, Any]:
    """Header of an HDU, by its name in the index or, where that is wrong, by what it is."""
    place = entry.hdus.get(kind) or next(iter(entry.hdus.values()), None)
    if place is None:
        return {}
    try:
        with fits.open(place.path) as hdus:
            if place.kind == kind and place.hdu in hdus and _is_a(hdus[place.hdu], kind):
                return dict(hdus[place.hdu].header)
            return next((dict(hdu.header) for hdu in hdus[1:] if _is_a(hdu, kind)), {})
    except Exception:  # of any kind from a damaged file: its reduction says what is wrong
        return {}


def _is_a(hdu: Any, kind: str) -> bool:
    found = class_of(hdu.header, hdu.name, columns_of(hdu.header))
    return found is not None and found[0] == kind
