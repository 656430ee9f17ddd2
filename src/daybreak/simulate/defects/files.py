"""Files that were cut off, damaged or lost; each function gives back the file's path."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

from astropy.io import fits

from daybreak.errors import StoreError

OBS_INDEX = "obs-index.fits.gz"
HDU_INDEX = "hdu-index.fits.gz"


def copy_store(store: Path, to: Path) -> Path:
    """Copy a whole store.

    Parameters
    ----------
    store
        Folder of the store.
    to
        The new folder, which must not be there.

    Returns
    -------
    pathlib.Path
        The new folder.
    """
    shutil.copytree(store, to)
    return to


def run_file(store: Path, obs_id: int) -> Path:
    """File of a run, by the HDU index.

    Parameters
    ----------
    store
        Folder of the store.
    obs_id
        Number of the run.

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


def load(path: Path) -> fits.HDUList:
    """Read a FITS file whole.

    Parameters
    ----------
    path
        Of the file; it is closed again.
    """
    with fits.open(path, memmap=False) as hdus:
        return fits.HDUList([hdu.copy() for hdu in hdus])


def save(hdus: fits.HDUList, path: Path) -> None:
    """Write a FITS file over what is there.

    Parameters
    ----------
    hdus
        Its whole content.
    path
        Of the file.
    """
    hdus.writeto(path, overwrite=True)


def edit(store: Path, obs_id: int, change: Callable[[fits.HDUList], None]) -> Path:
    """Change a run's FITS file.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    change
        Takes the HDUs and changes them in place.

    Returns
    -------
    pathlib.Path
        The changed file.
    """
    path = run_file(store, obs_id)
    hdus = load(path)
    change(hdus)
    save(hdus, path)
    return path


def truncate(store: Path, obs_id: int, keep: float = 0.5) -> Path:
    """Cut a run's file off, as a broken copy does.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    keep
        Fraction of its bytes that stay, from the start.
    """
    path = run_file(store, obs_id)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def truncate_fits(store: Path, obs_id: int, hdu: str = "AEFF") -> Path:
    """Cut the FITS content off in the middle of an HDU's data, inside a sound gzip file.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    hdu
        Name of the HDU that is cut.
    """
    path = run_file(store, obs_id)
    hdus = load(path)
    plain = path.with_suffix("")
    hdus.writeto(plain)
    with fits.open(plain) as written:
        info = written[hdu].fileinfo()
    data = plain.read_bytes()
    plain.unlink()
    path.write_bytes(gzip.compress(data[: info["datLoc"] + info["datSpan"] // 2], mtime=0))
    return path


def damage_gzip(store: Path, obs_id: int, n_bytes: int = 64) -> Path:
    """Overwrite the middle of a run's compressed file; its length stays.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    n_bytes
        How many bytes are changed.
    """
    path = run_file(store, obs_id)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + n_bytes] = bytes(0xFF ^ b for b in data[middle : middle + n_bytes])
    path.write_bytes(bytes(data))
    return path


def not_fits(store: Path, obs_id: int) -> Path:
    """Put an error page in the place of a run's file, as a failed download does.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """
    path = run_file(store, obs_id)
    path.write_bytes(b"<html><body>503 Service Unavailable</body></html>\n" * 80)
    return path


def empty_file(store: Path, obs_id: int) -> Path:
    """Leave a run's file with no byte in it.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """
    path = run_file(store, obs_id)
    path.write_bytes(b"")
    return path


def remove_file(store: Path, obs_id: int) -> Path:
    """Delete a run's file: index rows without a file.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """
    path = run_file(store, obs_id)
    path.unlink()
    return path
