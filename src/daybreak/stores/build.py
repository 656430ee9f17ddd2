"""Index files made from the headers of DL3 files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column, MaskedColumn

from daybreak.errors import NoDataError, StoreError
from daybreak.products.fits_headers import DamagedFileError
from daybreak.science.dl3.classes import class_of, columns_of
from daybreak.stores.choose import separation_deg
from daybreak.stores.commit import recover, replace_together
from daybreak.stores.fits import Hdu, check_file
from daybreak.stores.layout import Dataset
from daybreak.stores.master_file import commit_master
from daybreak.stores.merge import convert_times, ids_column, text_column
from daybreak.stores.paths import OWN_FOLDER, folder_of
from daybreak.stores.record import StoreFolder
from daybreak.stores.table import IndexTable, pack, run_key
from daybreak.stores.transfer import looks_like_fits

OBS_INDEX, HDU_INDEX = "obs-index.fits.gz", "hdu-index.fits.gz"

_OBS_COLUMNS = (
    ("RA_PNT", "f8", "deg"),
    ("DEC_PNT", "f8", "deg"),
    ("ZEN_PNT", "f8", "deg"),
    ("ALT_PNT", "f8", "deg"),
    ("AZ_PNT", "f8", "deg"),
    ("RA_OBJ", "f8", "deg"),
    ("DEC_OBJ", "f8", "deg"),
    ("OFFSET_OBJ", "f8", "deg"),
    ("ONTIME", "f8", "s"),
    ("LIVETIME", "f8", "s"),
    ("DEADC", "f8", ""),
    ("TSTART", "f8", "s"),
    ("TSTOP", "f8", "s"),
    ("N_TELS", "i8", ""),
    ("EVENT_COUNT", "i8", ""),
    ("OBJECT", "S", ""),
    ("DATE-OBS", "S", ""),
    ("TIME-OBS", "S", ""),
    ("DATE-END", "S", ""),
    ("TIME-END", "S", ""),
    ("TELLIST", "S", ""),
    ("TELESCOP", "S", ""),
    ("INSTRUME", "S", ""),
    ("OBS_MODE", "S", ""),
)


@dataclass
class IndexResult:
    """Index files that were made.

    Attributes
    ----------
    runs, hdus
        Rows of the two index files.
    skipped
        File to the reason why nothing of it is in the index.
    """

    path: str
    runs: int = 0
    hdus: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class _Scanned:
    path: str
    size: int
    hdus: list[Hdu]


def hdu_class(hdu: Hdu) -> tuple[str, str] | None:
    """HDU_TYPE and HDU_CLASS of an HDU; see :func:`daybreak.science.dl3.classes.class_of`.

    Parameters
    ----------
    hdu
        From the walk over a file.

    Returns
    -------
    tuple of str, or None
        None if it is neither data nor response.
    """
    return class_of(hdu.header, hdu.name, columns_of(hdu.header))


def fits_files(root: Path) -> list[str]:
    """FITS files below a folder, but for index files and what Daybreak keeps there itself.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    list of str
        Paths relative to it, in order.
    """
    found = []
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n != OWN_FOLDER and not n.startswith("."))
        for name in sorted(files):
            index = "obs-index" in name or "hdu-index" in name
            if looks_like_fits(name) and not index and not name.startswith("."):
                found.append(os.path.relpath(Path(folder) / name, root).replace(os.sep, "/"))
    return found


def _scan(root: Path, paths: Iterable[str]) -> tuple[list[_Scanned], dict[str, str]]:
    def one(path: str) -> _Scanned | str:
        try:
            return _Scanned(path, (root / path).stat().st_size, check_file(root / path))
        except DamagedFileError as error:
            return f"damaged: {error}"
        except OSError as error:
            return error.strerror or str(error)

    paths = list(paths)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, paths))
    good = [r for r in results if isinstance(r, _Scanned)]
    bad = {p: r for p, r in zip(paths, results, strict=True) if isinstance(r, str)}
    return good, bad


def _events(scanned: _Scanned) -> dict[str, Any] | None:
    for hdu in scanned.hdus:
        if hdu_class(hdu) == ("events", "events"):
            return hdu.header
    return None


def _run_of(header: dict[str, Any]) -> str:
    value = header.get("OBS_ID")
    return "" if value is None or isinstance(value, bool) else run_key(str(value))


def _obs_values(header: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    values = dict(header)
    alt, zen = header.get("ALT_PNT"), header.get("ZEN_PNT")
    if isinstance(alt, int | float) and zen is None:
        values["ZEN_PNT"] = 90.0 - alt
    elif isinstance(zen, int | float) and alt is None:
        values["ALT_PNT"] = 90.0 - zen
    for key in ("TSTART", "TSTOP"):
        if isinstance(header.get(key), int | float):
            seconds = np.array([float(header[key])])
            values[key] = float(convert_times(seconds, header, first)[0])
    values["EVENT_COUNT"] = header.get("NAXIS2")
    if header.get("RA_PNT") is None or header.get("DEC_PNT") is None:  # as in a drift scan
        from daybreak.science.dl3.pointing import pointing_by_header

        values["RA_PNT"], values["DEC_PNT"] = pointing_by_header(header) or (None, None)
    places = [values.get(k) for k in ("RA_PNT", "DEC_PNT", "RA_OBJ", "DEC_OBJ")]
    if all(isinstance(p, int | float) and not isinstance(p, bool) for p in places):
        ra, dec, ra_obj, dec_obj = (float(p or 0.0) for p in places)
        away = separation_deg(np.array([ra]), np.array([dec]), (ra_obj, dec_obj))
        values["OFFSET_OBJ"] = float(away[0])
    return values


def _column(name: str, kind: str, unit: str, rows: list[dict[str, Any]]) -> Column | None:
    values = [row.get(name) for row in rows]
    if all(value is None for value in values):
        return None
    if kind == "S":
        return text_column(
            ["" if v is None else str(v).encode("ascii", "replace").decode() for v in values]
        )
    numbers = [
        v if isinstance(v, int | float) and not isinstance(v, bool) else None for v in values
    ]
    if kind == "f8":
        return Column(
            np.array([np.nan if v is None else float(v) for v in numbers]), unit=unit or None
        )
    mask = [v is None for v in numbers]
    whole = np.array([0 if v is None else int(v) for v in numbers], dtype=np.int64)
    return MaskedColumn(whole, mask=mask, unit=unit or None)


def build_tables(
    root: Path, base: str = ""
) -> tuple[IndexTable, IndexTable, dict[str, str], dict[str, list[Hdu]]]:
    """Both index tables for the DL3 files below a folder.

    Parameters
    ----------
    root
        The store.
    base
        Folder inside it in which the index files will lie; FILE_DIR is relative to it.

    Returns
    -------
    obs, hdu : IndexTable
        The tables, ordered by run.
    skipped : dict
        File to the reason why nothing of it is in them.
    hdus : dict
        HDUs of each sound file.
    """
    scanned, skipped = _scan(root, fits_files(root))
    rows: dict[str, dict[str, Any]] = {}
    hdu_rows: list[tuple[str, str, str, str, str, str, int]] = []
    first: dict[str, Any] | None = None
    for each in scanned:
        header = _events(each)
        run = "" if header is None else _run_of(header)
        if header is None or not run:
            what = "no EVENTS in it" if header is None else "no OBS_ID in its EVENTS header"
            skipped[each.path] = what
            continue
        if run in rows:
            skipped[each.path] = f"run {run} has another file already"
            continue
        first = first or header
        try:
            rows[run] = _obs_values(header, first)
        except StoreError as error:
            skipped[each.path] = error.what
            continue
        folder = os.path.relpath(folder_of(each.path) or ".", base or ".").replace(os.sep, "/")
        for hdu in each.hdus:
            found = hdu_class(hdu)
            if found is not None:
                name = each.path.rpartition("/")[2]
                hdu_rows.append((run, *found, folder, name, hdu.name, each.size))
    order = sorted(rows, key=lambda r: (not r.lstrip("-").isdigit(), r.zfill(30)))
    tables = _obs_table(order, rows, first or {}), _hdu_table(order, hdu_rows)
    return *tables, skipped, {each.path: each.hdus for each in scanned}


def _obs_table(
    order: list[str], rows: dict[str, dict[str, Any]], first: dict[str, Any]
) -> IndexTable:
    columns = {"OBS_ID": ids_column(order)}
    for name, kind, unit in _OBS_COLUMNS:
        column = _column(name, kind, unit, [rows[run] for run in order])
        if column is not None:
            columns[name] = column
    return IndexTable(columns, meta=_obs_header(first))


def _hdu_table(
    order: list[str], rows: list[tuple[str, str, str, str, str, str, int]]
) -> IndexTable:
    place = {run: i for i, run in enumerate(order)}
    rows = sorted(rows, key=lambda row: place[row[0]])
    texts = list(zip(*rows, strict=True)) or [()] * 7
    names = ("HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
    columns = {"OBS_ID": ids_column([str(run) for run in texts[0]])}
    for name, values in zip(names, texts[1:6], strict=True):
        columns[name] = text_column([str(v) for v in values])
    columns["SIZE"] = Column(np.array(texts[6], dtype=np.int64), unit="byte")
    return IndexTable(columns, meta=_header("HDU"))


def _header(kind: str) -> dict[str, Any]:
    return {
        "EXTNAME": f"{kind}_INDEX",
        "HDUCLASS": "GADF",
        "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
        "HDUVERS": "0.3",
        "HDUCLAS1": "INDEX",
        "HDUCLAS2": kind,
    }


def _obs_header(events: dict[str, Any]) -> dict[str, Any]:
    keys = ("MJDREFI", "MJDREFF", "TIMEUNIT", "TIMESYS", "TIMEREF", "GEOLON", "GEOLAT", "ALTITUDE")
    return {**_header("OBS"), **{k: events[k] for k in keys if events.get(k) is not None}}


def index_store(
    folder: str | Path, *, name: str | None = None, overwrite: bool = False
) -> IndexResult:
    """Make index files for a folder of DL3 files, from their headers.

    Parameters
    ----------
    folder
        Searched with its subfolders.
    name
        Also list the dataset under this name in a `master.json`.
    overwrite
        Replace index files that are there.

    Returns
    -------
    IndexResult
        What was written and what was left out.

    Raises
    ------
    StoreError
        If there is no such folder, or it has index files already.
    NoDataError
        If there is no DL3 file with events in it.
    OutputError
        If it can't be written to.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise StoreError(f"there is no folder {root}", "Name the folder that holds the DL3 files.")
    there = [n for n in (OBS_INDEX, HDU_INDEX) if (root / n).exists()]
    if there and not overwrite:
        raise StoreError(
            f"{root} has {' and '.join(there)} already",
            "Give --overwrite to replace them, or use `daybreak store verify --repair-index`.",
        )
    store = StoreFolder(root)
    obs, hdu, skipped, _hdus = build_tables(store.root)
    if not len(obs):
        reasons = "".join(f"\n  {path}: {why}" for path, why in list(skipped.items())[:5])
        raise NoDataError(f"no DL3 file with events below {root}{reasons}", "Check the folder.")
    result = IndexResult(str(folder), len(obs), len(hdu), skipped)
    store.prepare()
    with store.lock():
        recover(store)
        files = {HDU_INDEX: pack(hdu, HDU_INDEX), OBS_INDEX: pack(obs, OBS_INDEX)}
        replace_together(store, files)
        result.written = list(files)
        if name is not None:
            entry = Dataset(name, OBS_INDEX, HDU_INDEX)
            raw = b"" if (root / "master.json").exists() else b'{"datasets": []}'
            if commit_master(store, [entry], raw, counted={}, everything=False):
                result.written.append("master.json")
    return result
