"""Bad index files; functions on a run give back the path of its file, others that of the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from daybreak.simulate.defects.files import HDU_INDEX, OBS_INDEX, load, run_file, save


def remove_rows(store: Path, obs_id: int, *indices: str) -> Path:
    """Take a run's rows out of the index files: a file without index rows.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    *indices
        Names of the index files; none: both.
    """
    path = run_file(store, obs_id)
    for name in indices or (OBS_INDEX, HDU_INDEX):
        index = load(store / name)
        index[1].data = index[1].data[index[1].data["OBS_ID"] != obs_id]
        save(index, store / name)
    return path


def double_rows(store: Path, obs_id: int) -> Path:
    """Write a run's rows twice into both index files, as a repeated merge does.

    Parameters
    ----------
    store, obs_id
        As for `run_file`.
    """
    for name in (OBS_INDEX, HDU_INDEX):
        index = load(store / name)
        rows = index[1].data
        both = np.concatenate([rows, rows[rows["OBS_ID"] == obs_id]])
        index[1] = fits.BinTableHDU(both, header=index[1].header, name=index[1].name)
        save(index, store / name)
    return run_file(store, obs_id)


def remove_index(store: Path, name: str = HDU_INDEX) -> Path:
    """Delete an index file.

    Parameters
    ----------
    store
        Folder of the store.
    name
        Of the index file.
    """
    path = store / name
    path.unlink()
    return path


def damage_index(store: Path, name: str = OBS_INDEX) -> Path:
    """Cut an index file off in the middle.

    Parameters
    ----------
    store
        Folder of the store.
    name
        Of the index file.
    """
    path = store / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def drop_index_column(store: Path, column: str, name: str = OBS_INDEX) -> Path:
    """Take a column out of an index file.

    Parameters
    ----------
    store
        Folder of the store.
    column
        Its name.
    name
        Of the index file.
    """
    path = store / name
    index = load(path)
    table = Table(index[1].data)
    table.remove_column(column)
    header = index[1].header
    kept = {k: header[k] for k in ("MJDREFI", "MJDREFF", "TIMESYS", "TIMEUNIT") if k in header}
    hdu = fits.BinTableHDU(table, name=index[1].name)
    hdu.header.update(kept)
    save(fits.HDUList([fits.PrimaryHDU(), hdu]), path)
    return path
