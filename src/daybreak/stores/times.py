"""Times of index rows made comparable before the rows of two stores are put together."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.table import Column

from daybreak.errors import StoreError
from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.fits import header_of
from daybreak.stores.layout import Dataset, row_paths
from daybreak.stores.merge import convert_times
from daybreak.stores.paths import UnsafePathError, folder_of, inside
from daybreak.stores.record import StoreFolder
from daybreak.stores.table import IndexTable

_TIMES = ("TSTART", "TSTOP")
_REFERENCE = ("MJDREFI", "MJDREFF", "TIMESYS", "TIMEUNIT")


def with_exact_times(
    store: StoreFolder, dataset: Dataset, obs: IndexTable, hdu: IndexTable
) -> IndexTable:
    """The index with the time reference and the exact times of its event lists.

    Some indices don't say from when they count, and some hold times in single precision, good to
    16 s only; beside the rows of another store both would be wrong. The event lists that are here
    say it better. Indices without these faults come back as they are.

    Parameters
    ----------
    store
        Where the files of the runs are looked for.
    dataset
        Whose index files they are.
    obs
        Its observation index.
    hdu
        Its HDU index.

    Returns
    -------
    IndexTable
        The observation index; TSTART and TSTOP in seconds since its reference.
    """
    names = [name for name in obs.colnames if name.upper() in _TIMES]
    no_reference = not isinstance(obs.meta.get("MJDREFI"), int | float)
    single = any(obs[name].dtype.itemsize == 4 for name in names)
    if not names or not (no_reference or single):
        return obs
    headers = _event_headers(store, dataset, hdu)
    if not headers:
        return obs
    obs = obs.copy(copy_data=False)
    if no_reference:
        first = next(iter(headers.values()))
        obs.meta.update({key: first[key] for key in _REFERENCE if first.get(key) is not None})
    for name in names if single else ():
        values_s = obs.floats(name)
        for i, run in enumerate(obs.run_keys()):
            value = headers.get(run, {}).get(name.upper())
            if isinstance(value, int | float):
                try:
                    exact = convert_times(np.array([float(value)]), headers[run], obs.meta)
                except StoreError:
                    continue
                values_s[i] = exact[0]
        obs[name] = Column(values_s, unit=obs[name].unit)
    return obs


def _event_headers(
    store: StoreFolder, dataset: Dataset, hdu: IndexTable
) -> dict[str, dict[str, Any]]:
    """EVENTS header by run, of the files that are here and say from when they count."""
    paths, _problems = row_paths(hdu, folder_of(dataset.hdu_path), str(store.root))
    found = {}
    for run, kind, path in zip(hdu.run_keys(), hdu.texts("HDU_TYPE"), paths, strict=True):
        if kind.lower() == "events" and path:
            try:
                header = header_of(inside(store.root, path)) or {}
            except (OSError, DamagedFileError, UnsafePathError):
                continue
            if isinstance(header.get("MJDREFI"), int | float):
                found[run] = header
    return found
