"""Damage a DL3 store on purpose: one defect per function, for tests of bad input.

Every function changes the store it is given in place, so give it a copy
(:func:`copy_store`). All work on any store whose runs have a file of their own. Files are
rewritten the way a careless program would leave them, so nothing here is atomic.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from daybreak.errors import StoreError

OBS_INDEX = "obs-index.fits.gz"
HDU_INDEX = "hdu-index.fits.gz"
_IRF_COLUMN = {
    "AEFF": "EFFAREA",
    "EDISP": "MATRIX",
    "PSF": "RPSF",
    "BKG": "BKG",
    "RAD_MAX": "RAD_MAX",
}


def copy_store(store: Path, to: Path) -> Path:
    """Copy a whole store to the new folder `to` and return it."""
    shutil.copytree(store, to)
    return to


def run_file(store: Path, obs_id: int) -> Path:
    """File of a run, by the HDU index.

    Raises
    ------
    StoreError
        If the index has no row of that run.
    """
    with fits.open(store / HDU_INDEX) as hdus:
        rows = hdus[1].data
        for row in rows:
            if row["OBS_ID"] == obs_id:
                return store / str(row["FILE_DIR"]) / str(row["FILE_NAME"])
    raise StoreError(f"run {obs_id} is not in {store / HDU_INDEX}", "Name a run of this store.")


def _load(path: Path) -> fits.HDUList:
    with fits.open(path, memmap=False) as hdus:
        return fits.HDUList([hdu.copy() for hdu in hdus])


def _save(hdus: fits.HDUList, path: Path) -> None:
    hdus.writeto(path, overwrite=True)


def _edit(store: Path, obs_id: int, change: Callable[[fits.HDUList], None]) -> Path:
    path = run_file(store, obs_id)
    hdus = _load(path)
    change(hdus)
    _save(hdus, path)
    return path


def truncate(store: Path, obs_id: int, keep: float = 0.5) -> Path:
    """Cut a run's file off after the fraction `keep` of its bytes, as a broken copy does."""
    path = run_file(store, obs_id)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def truncate_fits(store: Path, obs_id: int, hdu: str = "AEFF") -> Path:
    """Cut the FITS content off in the middle of an HDU's data, inside a sound gzip file."""
    path = run_file(store, obs_id)
    hdus = _load(path)
    plain = path.with_suffix("")
    hdus.writeto(plain)
    with fits.open(plain) as written:
        info = written[hdu].fileinfo()
    data = plain.read_bytes()
    plain.unlink()
    path.write_bytes(gzip.compress(data[: info["datLoc"] + info["datSpan"] // 2], mtime=0))
    return path


def damage_gzip(store: Path, obs_id: int, n_bytes: int = 64) -> Path:
    """Overwrite `n_bytes` in the middle of a run's compressed file; its length stays."""
    path = run_file(store, obs_id)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + n_bytes] = bytes(0xFF ^ b for b in data[middle : middle + n_bytes])
    path.write_bytes(bytes(data))
    return path


def not_fits(store: Path, obs_id: int) -> Path:
    """Put an error page in the place of a run's file, as a failed download does."""
    path = run_file(store, obs_id)
    path.write_bytes(b"<html><body>503 Service Unavailable</body></html>\n" * 80)
    return path


def empty_file(store: Path, obs_id: int) -> Path:
    """Leave a run's file with no byte in it."""
    path = run_file(store, obs_id)
    path.write_bytes(b"")
    return path


def drop_hdu(store: Path, obs_id: int, hdu: str) -> Path:
    """Take an HDU (``EVENTS``, ``GTI``, ``PSF``...) out of a file; the index still lists it."""

    def change(hdus: fits.HDUList) -> None:
        del hdus[hdu]

    return _edit(store, obs_id, change)


def drop_irf(store: Path, obs_id: int, hdu: str = "BKG") -> Path:
    """Take a response out of the file *and* its row out of the index: a run that never had it."""
    path = drop_hdu(store, obs_id, hdu)
    index = _load(store / HDU_INDEX)
    rows = index[1].data
    kind = np.char.lower(np.char.strip(np.asarray(rows["HDU_TYPE"]).astype(str)))
    drop = (rows["OBS_ID"] == obs_id) & (kind == hdu.lower())
    index[1].data = rows[~drop]
    _save(index, store / HDU_INDEX)
    return path


def negative_irf(store: Path, obs_id: int, hdu: str = "AEFF", share: float = 0.02) -> Path:
    """Make `share` of a response's values negative, evenly spread, of the size that is there."""

    def change(hdus: fits.HDUList) -> None:
        values = _irf_values(hdus, hdu)
        flat = values.reshape(-1)
        step = max(1, round(1 / share))
        flat[::step] = -0.1 * np.abs(values).max()

    return _edit(store, obs_id, change)


def nan_irf(store: Path, obs_id: int, hdu: str = "AEFF", share: float = 0.02) -> Path:
    """Make `share` of a response's values not-a-number, evenly spread."""

    def change(hdus: fits.HDUList) -> None:
        flat = _irf_values(hdus, hdu).reshape(-1)
        flat[:: max(1, round(1 / share))] = np.nan

    return _edit(store, obs_id, change)


def zero_irf(store: Path, obs_id: int, hdu: str = "BKG") -> Path:
    """Make all values of a response zero."""

    def change(hdus: fits.HDUList) -> None:
        _irf_values(hdus, hdu)[...] = 0

    return _edit(store, obs_id, change)


def _irf_values(hdus: fits.HDUList, hdu: str) -> Any:
    return hdus[hdu].data[_IRF_COLUMN[hdu.upper()]]


def nan_energies(store: Path, obs_id: int, every: int = 10) -> Path:
    """Make the energy of each `every`-th event not-a-number."""

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].data["ENERGY"][::every] = np.nan

    return _edit(store, obs_id, change)


def nan_positions(store: Path, obs_id: int, every: int = 10) -> Path:
    """Make the right ascension of each `every`-th event not-a-number."""

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].data["RA"][::every] = np.nan

    return _edit(store, obs_id, change)


def no_events(store: Path, obs_id: int) -> Path:
    """Leave the event table without a row; good time and livetime stay."""

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].data = hdus["EVENTS"].data[:0]

    return _edit(store, obs_id, change)


def empty_gti(store: Path, obs_id: int) -> Path:
    """Leave the table of good time intervals without a row."""

    def change(hdus: fits.HDUList) -> None:
        hdus["GTI"].data = hdus["GTI"].data[:0]

    return _edit(store, obs_id, change)


def zero_length_gti(store: Path, obs_id: int) -> Path:
    """Let the good time stop when it starts."""

    def change(hdus: fits.HDUList) -> None:
        hdus["GTI"].data["STOP"] = hdus["GTI"].data["START"]

    return _edit(store, obs_id, change)


def events_after_gti(store: Path, obs_id: int, n: int = 50, late: float = 5.0) -> Path:
    """Move the last `n` events to within `late` seconds after the end of the good time."""

    def change(hdus: fits.HDUList) -> None:
        time = hdus["EVENTS"].data["TIME"]
        moved = min(n, len(time))
        stop = hdus["GTI"].data["STOP"].max()
        time[len(time) - moved :] = stop + np.linspace(late / (moved + 1), late, moved)

    return _edit(store, obs_id, change)


def wrong_obs_id(store: Path, obs_id: int, other: int = 999999) -> Path:
    """Write another run's number into the headers of a run's file."""

    def change(hdus: fits.HDUList) -> None:
        for hdu in hdus[1:]:
            if "OBS_ID" in hdu.header:
                hdu.header["OBS_ID"] = other

    return _edit(store, obs_id, change)


def zero_livetime(store: Path, obs_id: int) -> Path:
    """Say in the event header and in the index that the array was never live."""

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].header.update({"LIVETIME": 0.0, "DEADC": 0.0})

    path = _edit(store, obs_id, change)
    index = _load(store / OBS_INDEX)
    chosen = index[1].data["OBS_ID"] == obs_id
    for column in ("LIVETIME", "DEADC"):
        index[1].data[column][chosen] = 0.0
    _save(index, store / OBS_INDEX)
    return path


def remove_file(store: Path, obs_id: int) -> Path:
    """Delete a run's file: index rows without a file."""
    path = run_file(store, obs_id)
    path.unlink()
    return path


def remove_rows(store: Path, obs_id: int, *indices: str) -> Path:
    """Take a run's rows out of the index files (default: both): a file without index rows."""
    path = run_file(store, obs_id)
    for name in indices or (OBS_INDEX, HDU_INDEX):
        index = _load(store / name)
        index[1].data = index[1].data[index[1].data["OBS_ID"] != obs_id]
        _save(index, store / name)
    return path


def double_rows(store: Path, obs_id: int) -> Path:
    """Write a run's rows twice into both index files, as a repeated merge does."""
    for name in (OBS_INDEX, HDU_INDEX):
        index = _load(store / name)
        rows = index[1].data
        both = np.concatenate([rows, rows[rows["OBS_ID"] == obs_id]])
        index[1] = fits.BinTableHDU(both, header=index[1].header, name=index[1].name)
        _save(index, store / name)
    return run_file(store, obs_id)


def remove_index(store: Path, name: str = HDU_INDEX) -> Path:
    """Delete an index file."""
    path = store / name
    path.unlink()
    return path


def damage_index(store: Path, name: str = OBS_INDEX) -> Path:
    """Cut an index file off in the middle."""
    path = store / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def drop_index_column(store: Path, column: str, name: str = OBS_INDEX) -> Path:
    """Take a column out of an index file."""
    path = store / name
    index = _load(path)
    table = Table(index[1].data)
    table.remove_column(column)
    header = index[1].header
    kept = {k: header[k] for k in ("MJDREFI", "MJDREFF", "TIMESYS", "TIMEUNIT") if k in header}
    hdu = fits.BinTableHDU(table, name=index[1].name)
    hdu.header.update(kept)
    _save(fits.HDUList([fits.PrimaryHDU(), hdu]), path)
    return path


RUN_DEFECTS: dict[str, Callable[[Path, int], Path]] = {
    "truncated file": truncate,
    "truncated FITS": truncate_fits,
    "damaged gzip": damage_gzip,
    "not FITS": not_fits,
    "empty file": empty_file,
    "missing file": remove_file,
    "no EVENTS HDU": lambda store, obs_id: drop_hdu(store, obs_id, "EVENTS"),
    "no GTI HDU": lambda store, obs_id: drop_hdu(store, obs_id, "GTI"),
    "no AEFF HDU": lambda store, obs_id: drop_hdu(store, obs_id, "AEFF"),
    "no EDISP HDU": lambda store, obs_id: drop_hdu(store, obs_id, "EDISP"),
    "no PSF HDU": lambda store, obs_id: drop_hdu(store, obs_id, "PSF"),
    "no BKG HDU": lambda store, obs_id: drop_hdu(store, obs_id, "BKG"),
    "no background response": drop_irf,
    "negative AEFF": negative_irf,
    "negative EDISP": lambda store, obs_id: negative_irf(store, obs_id, "EDISP"),
    "negative PSF": lambda store, obs_id: negative_irf(store, obs_id, "PSF"),
    "negative BKG": lambda store, obs_id: negative_irf(store, obs_id, "BKG"),
    "NaN in AEFF": nan_irf,
    "NaN in BKG": lambda store, obs_id: nan_irf(store, obs_id, "BKG"),
    "BKG all zero": zero_irf,
    "NaN energies": nan_energies,
    "NaN positions": nan_positions,
    "no events": no_events,
    "empty GTI": empty_gti,
    "GTI of no length": zero_length_gti,
    "events after GTI": events_after_gti,
    "wrong OBS_ID": wrong_obs_id,
    "no livetime": zero_livetime,
    "no index rows": remove_rows,
    "doubled index rows": double_rows,
}
"""Defects of one run, by name: each takes the store and the run's number."""
