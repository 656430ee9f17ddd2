"""Responses from GADF tables (https://gamma-astro-data-formats.readthedocs.io, version 0.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.science.dl3.files import READ_ERRORS
from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.dl3.values import column_factor, has_column
from daybreak.science.irf import Irf, IrfAxis
from daybreak.science.run import FloatArray

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
#: gaps or overlaps of bins, as a part of their width, that are noted
_GAP = 0.01


def _prefix(names: set[str], prefix: str) -> str:
    return "ETRUE" if prefix == "ENERG" and "ETRUE_LO" in names else prefix


def _side(hdu: Any, name: str, wanted: str, where: str, oddities: list[Oddity]) -> FloatArray:
    """Lower or upper edges of the bins of an axis."""
    if not has_column(hdu, name):
        raise unusable(where, f"no column {name}")
    try:
        values = np.atleast_1d(np.asarray(hdu.data[name][0], dtype=np.float64))
    except READ_ERRORS as error:
        raise unusable(where, f"column {name} holds no numbers") from error
    values = values * column_factor(hdu.columns[name].unit, wanted, wanted, name, where, oddities)
    if not len(values) or values.ndim != 1 or not np.isfinite(values).all():
        raise unusable(where, f"column {name} holds numbers that are not finite, or none")
    return values


def _axis(
    hdu: Any, prefix: str, reconstructed: bool, where: str, oddities: list[Oddity]
) -> IrfAxis:
    prefix = _prefix(set(hdu.columns.names), prefix)
    wanted = _AXIS_UNITS.get(prefix, "deg")
    low, high = (_side(hdu, f"{prefix}_{s}", wanted, where, oddities) for s in ("LO", "HI"))
    columns = f"columns {prefix}_LO, {prefix}_HI"
    if len(low) != len(high):
        raise unusable(where, f"{columns}: {len(low)} lower and {len(high)} upper edges")
    log = wanted == "TeV"
    name = "energy" if reconstructed and log else _NAMES[prefix]
    points = np.allclose(high, low)
    edges = high if points else np.append(low, high[-1])
    if np.any(np.diff(edges) <= 0) or (log and edges[0] < 0) or (log and edges[-1] <= 0):
        raise unusable(where, f"{columns} do not rise from bin to bin")
    if points:
        return IrfAxis.from_nodes(name, high, log)
    gaps = np.abs(low[1:] - high[:-1]) / np.diff(edges)[:-1]
    if len(gaps) and gaps.max() > _GAP:
        text = f"{where}: {columns}: an upper edge is not the next lower one: the lower ones count"
        oddities.append(Oddity("RESPONSE_ODD", text))
    return IrfAxis.from_edges(name, edges, log)


def _values(
    hdu: Any, name: str, axes: tuple[IrfAxis, ...], where: str, oddities: list[Oddity]
) -> NDArray[np.floating]:
    """The table, its dimensions in the order of the axes."""
    try:
        data = np.asarray(hdu.data[name][0])
        data = data.astype(data.dtype.newbyteorder("=") if data.dtype.kind == "f" else np.float64)
    except READ_ERRORS as error:
        raise unusable(where, f"column {name} holds no numbers") from error
    data = np.atleast_1d(data).T
    shape = tuple(len(axis.nodes) for axis in axes)
    if data.size != np.prod(shape):
        sizes = " x ".join(map(str, shape))
        raise unusable(where, f"column {name} has {data.size} numbers, its axes have {sizes}")
    if data.shape != shape and data.T.shape == shape:
        data = data.T  # the order of the axes turned round, as in backgrounds of some writers
    elif data.shape != shape:  # in the order of FITS the first axis runs fastest
        if data.ndim > 1 and max(shape) < data.size:
            text = f"{where}: column {name}: TDIM does not fit the axes"
            oddities.append(Oddity("RESPONSE_ODD", f"{text}: taken in the order of the axes"))
        elif max(shape) < data.size:
            text = f"{where}: column {name} has no TDIM: taken in the order of the axes"
            oddities.append(Oddity("RESPONSE_ODD", text))
        data = data.T.reshape(shape[::-1]).T
    return np.ascontiguousarray(data)


def _alignment(hdu: Any, where: str, oddities: list[Oddity]) -> str:
    """Along which axes the coordinates of the field of view lie."""
    found = str(hdu.header.get("FOVALIGN", "RADEC")).strip().upper()
    if found in ("RADEC", "ALTAZ", "REVERSE_LON_RADEC"):
        return found
    oddities.append(Oddity("HEADER_ODD", f"{where}: FOVALIGN is {found!r}: taken as RADEC"))
    return "RADEC"


def read_irf(hdu: Any, hdu_class: str, where: str, oddities: list[Oddity]) -> Irf | None:
    """Read a response.

    Parameters
    ----------
    hdu
        Binary table with one row.
    hdu_class
        GADF class, e.g. ``aeff_2d``.
    where
        File and HDU, for messages.
    oddities
        Here it is noted what was odd about it.

    Returns
    -------
    Irf or None
        None for a class or an orientation of the field of view that is not covered here:
        Gammapy may know it.

    Raises
    ------
    RunDataError
        If it is not what its class says.
    """
    if hdu_class not in _LAYOUT:
        return None
    prefixes, columns, unit = _LAYOUT[hdu_class]
    background = hdu_class.startswith("bkg")
    if hdu_class == "bkg_3d" and _alignment(hdu, where, oddities) == "ALTAZ":
        return None
    if not len(hdu.data):
        raise unusable(where, "the table has no row (NAXIS2 is 0)")
    column = next((name for name in columns if has_column(hdu, name)), None)
    if column is None:
        raise unusable(where, f"no column {' or '.join(columns)}")
    usual = _BACKGROUND_UNIT if background else unit
    given = hdu.columns[column].unit
    factor = column_factor(given, usual, unit, column, where, oddities)
    reconstructed = background or hdu_class == "rad_max_2d"
    axes = tuple(_axis(hdu, prefix, reconstructed, where, oddities) for prefix in prefixes)
    values = _values(hdu, column, axes, where, oddities)
    if hdu_class == "bkg_3d" and min(values.shape) < 2:
        return None
    words = {word: hdu.header[word] for word in _WORDS if word in hdu.header}
    return Irf(hdu_class, axes, values, factor, background, words)
