"""Parameters and images as tables of ctapipe's data model, and where they stand in a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from daybreak.images.parameters import COLUMNS
from daybreak.instruments.dl1.processing import ProcessedImages

PARAMETERS = "/dl1/event/telescope/parameters"
IMAGES = "/dl1/event/telescope/images"

#: our columns in ctapipe's order and with its names and units; angles are radians in ours
_NAMES = {"hillas_cog_x": "hillas_fov_lon", "hillas_cog_y": "hillas_fov_lat"}
_DEGREES = (
    *("hillas_fov_lon", "hillas_fov_lat", "hillas_r", "hillas_length"),
    *("hillas_length_uncertainty", "hillas_width", "hillas_width_uncertainty"),
    "hillas_transverse_cog_uncertainty",
)
_RADIANS = ("hillas_phi", "hillas_psi", "hillas_psi_uncertainty")
_SINGLE = ("leakage_intensity", "intensity_m", "intensity_std", "peak_time_m", "peak_time_std")
#: what ctapipe writes where an image has no parameters, in columns of whole numbers
_NONE = -1


def _index(found: ProcessedImages, tel_id: int) -> dict[str, Any]:
    n = len(found.event_ids)
    return {
        "obs_id": found.obs_ids.astype(np.int32),
        "event_id": found.event_ids,
        "tel_id": np.full(n, tel_id, dtype=np.int16),
    }


def parameter_table(found: ProcessedImages, tel_id: int) -> Table:
    """Parameters of a batch.

    Parameters
    ----------
    found
        The batch.
    tel_id
        Of the telescope.
    """
    columns = _index(found, tel_id)
    for number, ours in enumerate(COLUMNS):
        name, values = _NAMES.get(ours, ours), found.parameters.table[:, number]
        if name.startswith("morphology_"):
            whole = np.where(np.isfinite(values), values, _NONE)
            columns[name] = whole.astype(np.int64)
        elif name in _DEGREES:
            columns[name] = values * u.deg
        elif name in _RADIANS:
            columns[name] = np.degrees(values) * u.deg
        elif name == "timing_slope":
            columns[name] = values / u.deg
        elif name.startswith(_SINGLE):
            columns[name] = values.astype(np.float32)
        else:
            columns[name] = values
    return Table(columns)


def image_table(found: ProcessedImages, tel_id: int) -> Table:
    """Charges, times and masks of a batch.

    Parameters
    ----------
    found
        The batch.
    tel_id
        Of the telescope.
    """
    columns = _index(found, tel_id) | {
        "image": found.charge,
        "peak_time": found.time_ns,
        "image_mask": found.parameters.masks,
        "is_valid": np.ones(len(found.event_ids), dtype=bool),
    }
    return Table(columns)
