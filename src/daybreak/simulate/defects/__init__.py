"""Damage a DL3 store on purpose: one defect per function, for tests of bad input.

Every function changes the store it is given in place, so give it a copy
(:func:`copy_store`). All work on any store whose runs have a file of their own. Files are
rewritten the way a careless program would leave them, so nothing here is atomic.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from daybreak.simulate.defects.content import (
    drop_hdu,
    drop_irf,
    empty_gti,
    events_after_gti,
    nan_energies,
    nan_irf,
    nan_positions,
    negative_irf,
    no_events,
    wrong_obs_id,
    zero_irf,
    zero_length_gti,
    zero_livetime,
)
from daybreak.simulate.defects.files import (
    HDU_INDEX,
    OBS_INDEX,
    copy_store,
    damage_gzip,
    empty_file,
    not_fits,
    remove_file,
    run_file,
    truncate,
    truncate_fits,
)
from daybreak.simulate.defects.indices import (
    damage_index,
    double_rows,
    drop_index_column,
    remove_index,
    remove_rows,
)

__all__ = [
    "HDU_INDEX",
    "OBS_INDEX",
    "RUN_DEFECTS",
    "copy_store",
    "damage_gzip",
    "damage_index",
    "double_rows",
    "drop_hdu",
    "drop_index_column",
    "drop_irf",
    "empty_file",
    "empty_gti",
    "events_after_gti",
    "nan_energies",
    "nan_irf",
    "nan_positions",
    "negative_irf",
    "no_events",
    "not_fits",
    "remove_file",
    "remove_index",
    "remove_rows",
    "run_file",
    "truncate",
    "truncate_fits",
    "wrong_obs_id",
    "zero_irf",
    "zero_length_gti",
    "zero_livetime",
]

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
