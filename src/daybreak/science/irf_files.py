"""Responses from GADF tables (https://gamma-astro-data-formats.readthedocs.io, version 0.3)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u

from daybreak.science.irf import Irf, IrfAxis

#: GADF class: columns of its axes in the order that Gammapy gives them, column of the values,
#: their unit here
_LAYOUT: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "aeff_2d": (("ENERG", "THETA"), ("EFFAREA",), "m2"),
    "edisp_2d": (("ENERG", "MIGRA", "THETA"), ("MATRIX",), ""),
    "psf_table": (("ENERG", "THETA", "RAD"), ("RPSF",), "sr-1"),
    "bkg_2d": (("ENERG", "THETA"), ("BKG", "BGD"), "s-1 TeV-1 sr-1"),
    "bkg_3d": (("ENERG", "DETX", "DETY"), ("BKG", "BGD"), "s-1 TeV-1 sr-1"),
    "rad_max_2d": (("ENERG", "THETA"), ("RAD_MAX",), "deg"),
}
_NAMES = {
    "ENERG": "energy_true",
    "ETRUE": "energy_true",
    "THETA": "offset",
    "RAD": "rad",
    "MIGRA": "migra",
    "DETX": "fov_lon",
    "DETY": "fov_lat",
}
_AXIS_UNITS = {"ENERG": "TeV", "ETRUE": "TeV", "MIGRA": ""}
_BACKGROUND_UNIT = "s-1 MeV-1 sr-1"
_WORDS = ("LO_THRES", "HI_THRES", "RAD_MAX", "FOVALIGN")


@lru_cache(maxsize=64)
def _factor(unit: str, wanted: str) -> float:
    """By what a number in a unit is multiplied; ValueError if it is another kind of quantity."""
    return float(u.Unit(unit).to(u.Unit(wanted)))


def _background_factor(unit: str) -> float:
    """For backgrounds without a unit that can be read, the format's own unit is assumed."""
    wanted = _LAYOUT["bkg_2d"][2]
    try:
        return _factor(unit or _BACKGROUND_UNIT, wanted)
    except ValueError:
        return _factor(_BACKGROUND_UNIT, wanted)


def _prefix(names: set[str], prefix: str) -> str:
    return "ETRUE" if prefix == "ENERG" and "ENERG_LO" not in names else prefix


def _axis(hdu: Any, prefix: str, reconstructed: bool) -> IrfAxis:
    prefix = _prefix(set(hdu.columns.names), prefix)
    wanted = _AXIS_UNITS.get(prefix, "deg")
    sides = []
    for side in ("LO", "HI"):
        column = hdu.columns[f"{prefix}_{side}"]
        values = np.atleast_1d(np.asarray(hdu.data[column.name][0], dtype=np.float64))
        sides.append(values * _factor(column.unit or "", wanted))
    low, high = sides
    log = wanted == "TeV"
    name = "energy" if reconstructed and log else _NAMES[prefix]
    if np.allclose(high, low):
        return IrfAxis.from_nodes(name, high, log)
    return IrfAxis.from_edges(name, np.append(low, high[-1]), log)


def read_irf(hdu: Any, hdu_class: str) -> Irf | None:
    """Read a response.

    Parameters
    ----------
    hdu
        Binary table with one row.
    hdu_class
        GADF class, e.g. ``aeff_2d``.

    Returns
    -------
    Irf or None
        None for a class, a unit, axes or an orientation of the field of view that are not
        covered here: Gammapy may know them.
    """
    if hdu_class not in _LAYOUT:
        return None
    prefixes, columns, unit = _LAYOUT[hdu_class]
    background = hdu_class.startswith("bkg")
    names = set(hdu.columns.names)
    if hdu_class == "bkg_3d" and str(hdu.header.get("FOVALIGN", "RADEC")) not in (
        "RADEC",
        "REVERSE_LON_RADEC",
    ):
        return None
    try:
        column = hdu.columns[next(name for name in columns if name in names)]
        given = column.unit or ""
        factor = _background_factor(given) if background else _factor(given, unit)
        reconstructed = background or hdu_class == "rad_max_2d"
        axes = tuple(_axis(hdu, prefix, reconstructed) for prefix in prefixes)
        data = np.asarray(hdu.data[column.name][0])
    except (StopIteration, KeyError, ValueError, TypeError):
        return None
    data = np.ascontiguousarray(data.astype(data.dtype.newbyteorder("=")).T)
    shape = tuple(len(axis.nodes) for axis in axes)
    if background and data.shape != shape:
        data = np.ascontiguousarray(data.T)
    if data.size == np.prod(shape):
        data = data.reshape(shape)
    ordered = all(np.all(np.diff(axis.nodes) > 0) for axis in axes)
    single = hdu_class == "bkg_3d" and min(shape) < 2
    if data.shape != shape or not ordered or single or data.dtype.kind != "f":
        return None
    words = {word: hdu.header[word] for word in _WORDS if word in hdu.header}
    return Irf(hdu_class, axes, data, factor, background, words)
