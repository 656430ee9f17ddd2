"""Sound FITS files with bad content; each function gives back the path of the damaged file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from daybreak.simulate.defects.files import HDU_INDEX, OBS_INDEX, edit, load, save

_IRF_COLUMN = {
    "AEFF": "EFFAREA",
    "EDISP": "MATRIX",
    "PSF": "RPSF",
    "BKG": "BKG",
    "RAD_MAX": "RAD_MAX",
}


def drop_hdu(store: Path, obs_id: int, hdu: str) -> Path:
    """Take an HDU out of a run's file; the index still lists it.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    hdu
        Name of the HDU: ``EVENTS``, ``GTI``, ``PSF``...
    """

    def change(hdus: fits.HDUList) -> None:
        del hdus[hdu]

    return edit(store, obs_id, change)


def drop_irf(store: Path, obs_id: int, hdu: str = "BKG") -> Path:
    """Take a response out of the file *and* its row out of the index: a run that never had it.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    hdu
        Name of the response's HDU.
    """
    path = drop_hdu(store, obs_id, hdu)
    index = load(store / HDU_INDEX)
    rows = index[1].data
    kind = np.char.lower(np.char.strip(np.asarray(rows["HDU_TYPE"]).astype(str)))
    drop = (rows["OBS_ID"] == obs_id) & (kind == hdu.lower())
    index[1].data = rows[~drop]
    save(index, store / HDU_INDEX)
    return path


def negative_irf(store: Path, obs_id: int, hdu: str = "AEFF", share: float = 0.02) -> Path:
    """Make some of a response's values negative, evenly spread, of the size that is there.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    hdu
        Name of the response's HDU.
    share
        Fraction of the values.
    """

    def change(hdus: fits.HDUList) -> None:
        values = _irf_values(hdus, hdu)
        flat = values.reshape(-1)
        step = max(1, round(1 / share))
        flat[::step] = -0.1 * np.abs(values).max()

    return edit(store, obs_id, change)


def nan_irf(store: Path, obs_id: int, hdu: str = "AEFF", share: float = 0.02) -> Path:
    """Make some of a response's values not-a-number, evenly spread.

    Parameters
    ----------
    store, obs_id, hdu, share
        As for `negative_irf`.
    """

    def change(hdus: fits.HDUList) -> None:
        flat = _irf_values(hdus, hdu).reshape(-1)
        flat[:: max(1, round(1 / share))] = np.nan

    return edit(store, obs_id, change)


def zero_irf(store: Path, obs_id: int, hdu: str = "BKG") -> Path:
    """Make all values of a response zero.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    hdu
        Name of the response's HDU.
    """

    def change(hdus: fits.HDUList) -> None:
        _irf_values(hdus, hdu)[...] = 0

    return edit(store, obs_id, change)


def _irf_values(hdus: fits.HDUList, hdu: str) -> Any:
    return hdus[hdu].data[_IRF_COLUMN[hdu.upper()]]


def nan_energies(store: Path, obs_id: int, every: int = 10) -> Path:
    """Make the energy of some events not-a-number.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    every
        10: of each tenth event, beginning with the first.
    """

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].data["ENERGY"][::every] = np.nan

    return edit(store, obs_id, change)


def nan_positions(store: Path, obs_id: int, every: int = 10) -> Path:
    """Make the right ascension of some events not-a-number.

    Parameters
    ----------
    store, obs_id, every
        As for `nan_energies`.
    """

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].data["RA"][::every] = np.nan

    return edit(store, obs_id, change)


def no_events(store: Path, obs_id: int) -> Path:
    """Leave the event table without a row; good time and livetime stay.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].data = hdus["EVENTS"].data[:0]

    return edit(store, obs_id, change)


def empty_gti(store: Path, obs_id: int) -> Path:
    """Leave the table of good time intervals without a row.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """

    def change(hdus: fits.HDUList) -> None:
        hdus["GTI"].data = hdus["GTI"].data[:0]

    return edit(store, obs_id, change)


def zero_length_gti(store: Path, obs_id: int) -> Path:
    """Let the good time stop when it starts.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """

    def change(hdus: fits.HDUList) -> None:
        hdus["GTI"].data["STOP"] = hdus["GTI"].data["START"]

    return edit(store, obs_id, change)


def events_after_gti(store: Path, obs_id: int, n: int = 50, late: float = 5.0) -> Path:
    """Move the last events to shortly after the end of the good time.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    n
        How many events; all if there are fewer.
    late
        Seconds after the end, at most.
    """

    def change(hdus: fits.HDUList) -> None:
        time = hdus["EVENTS"].data["TIME"]
        moved = min(n, len(time))
        stop = hdus["GTI"].data["STOP"].max()
        time[len(time) - moved :] = stop + np.linspace(late / (moved + 1), late, moved)

    return edit(store, obs_id, change)


def wrong_obs_id(store: Path, obs_id: int, other: int = 999999) -> Path:
    """Write another run's number into the headers of a run's file.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    other
        The number that is written.
    """

    def change(hdus: fits.HDUList) -> None:
        for hdu in hdus[1:]:
            if "OBS_ID" in hdu.header:
                hdu.header["OBS_ID"] = other

    return edit(store, obs_id, change)


def zero_livetime(store: Path, obs_id: int) -> Path:
    """Say in the event header and in the index that the array was never live.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """

    def change(hdus: fits.HDUList) -> None:
        hdus["EVENTS"].header.update({"LIVETIME": 0.0, "DEADC": 0.0})

    path = edit(store, obs_id, change)
    index = load(store / OBS_INDEX)
    chosen = index[1].data["OBS_ID"] == obs_id
    for column in ("LIVETIME", "DEADC"):
        index[1].data[column][chosen] = 0.0
    save(index, store / OBS_INDEX)
    return path
