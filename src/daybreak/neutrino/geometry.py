"""Where the DOMs are: tables of positions, and GCD files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import EventError
from daybreak.neutrino.event import Geometry

ENVIRONMENT = "DAYBREAK_GEOMETRY"
DATASET = "icecube-geometry"
DATASET_FILE = "icecube.parquet"
ICE_CENTRE_DEPTH_M = 1948.07
"""Depth of the origin of IceCube's coordinates below the surface that some tables count z from."""
IN_ICE_OMS = 60
_MAX_DOMS = 200_000
_MAX_BYTES = 100 << 20
_COLUMNS = (
    ("string", "om", "x", "y", "z"),
    ("string", "om", "x_m", "y_m", "z_m"),
    ("string", "dom_number", "dom_x", "dom_y", "dom_z"),
    ("sensor_string_id", None, "sensor_pos_x", "sensor_pos_y", "sensor_pos_z"),
)
_HINT = (
    "Give a table (parquet, CSV or ECSV) with the columns string, om, x, y, z in metres, one row "
    "per DOM, or a GCD file."
)


def make_geometry(name: str, string: Any, om: Any, xyz_m: Any) -> Geometry:
    """Make a geometry of in-ice DOMs, checked.

    Parameters
    ----------
    name
        What to call it.
    string, om
        Numbers, one per DOM; rows with om above 60 (IceTop) are left out.
    xyz_m
        Positions, shape (n, 3).

    Raises
    ------
    EventError
        A position or number is missing or not finite, a DOM occurs twice, or there is none.
    """
    columns = [np.asarray(c, dtype=np.float64) for c in (string, om)]
    xyz = np.asarray(xyz_m, dtype=np.float64)
    if xyz.shape != (len(columns[0]), 3) or columns[0].shape != columns[1].shape:
        raise EventError(f"the columns of the geometry {name} differ in length", _HINT)
    if len(xyz) > _MAX_DOMS:
        raise EventError(f"the geometry {name} has {len(xyz)} rows, more than {_MAX_DOMS}", _HINT)
    if not all(np.isfinite(c).all() for c in (*columns, xyz)):
        raise EventError(f"the geometry {name} has a value that is missing or not finite", _HINT)
    if any(((c != np.round(c)) | (c < 0) | (c > 32767)).any() for c in columns):
        raise EventError(f"the geometry {name} has a string or om that is no number", _HINT)
    keep = (columns[1] >= 1) & (columns[1] <= IN_ICE_OMS) & (columns[0] >= 1)
    strings, oms = (c[keep].astype(np.int16) for c in columns)
    if not len(strings):
        raise EventError(f"the geometry {name} has no in-ice DOM", _HINT)
    order = np.lexsort((oms, strings))
    geometry = Geometry(name, strings[order], oms[order], xyz[keep][order])
    both = np.stack([geometry.string, geometry.om], axis=1)
    if (np.diff(both, axis=0) == 0).all(axis=1).any():
        raise EventError(f"a DOM occurs twice in the geometry {name}", _HINT)
    return geometry


def _columns(path: Path, kind: str) -> Mapping[str, NDArray[Any]]:
    """Read all columns of a table."""
    if path.stat().st_size > _MAX_BYTES:
        raise EventError(f"{path} is larger than {_MAX_BYTES} bytes", _HINT)
    if kind == "parquet":
        try:
            import pyarrow.parquet
        except ImportError:
            raise EventError(
                f"{path} is a parquet table, and pyarrow is not installed",
                "pip install pyarrow, or convert the table to CSV.",
            ) from None
        file = pyarrow.parquet.ParquetFile(path)
        if file.metadata.num_rows > _MAX_DOMS:
            raise EventError(f"{path} has {file.metadata.num_rows} rows", _HINT)
        table = file.read()
        return {c: np.asarray(table[c].to_numpy()) for c in table.column_names}
    from astropy.table import Table

    form = "ascii.ecsv" if kind == "ecsv" else "ascii.csv"
    found = Table.read(path, format=form)
    return {c: np.ma.filled(np.ma.asarray(found[c], dtype=float), np.nan) for c in found.colnames}


def _om_from_depth(string: NDArray[Any], z: NDArray[Any]) -> NDArray[np.int64]:
    """Number the DOMs of each string from the top."""
    order = np.lexsort((-z, string))
    sorted_string = string[order]
    first = np.searchsorted(sorted_string, sorted_string, side="left")
    om = np.empty(len(z), np.int64)
    om[order] = np.arange(len(z)) - first + 1
    return om


def _from_table(path: Path, kind: str) -> Geometry:
    columns = _columns(path, kind)
    for string, om, *xyz in _COLUMNS:
        if not {string, *xyz, *([om] if om else [])} <= set(columns):
            continue
        position = np.stack([np.asarray(columns[c], dtype=float) for c in xyz], axis=1)
        strings = np.asarray(columns[str(string)], dtype=float)
        if om:
            oms = columns[om]
        else:  # positions below the surface, DOMs not numbered
            position[:, 2] += ICE_CENTRE_DEPTH_M
            oms = _om_from_depth(strings, position[:, 2])
        return make_geometry(path.stem, strings, oms, position)
    raise EventError(f"{path} has none of the sets of columns that a geometry needs", _HINT)


def load_geometry(path: str | Path) -> Geometry:
    """Read the positions of the DOMs.

    Parameters
    ----------
    path
        A table (parquet, CSV or ECSV) with columns ``string, om, x, y, z`` (m), GraphNeT's
        ``string, dom_number, dom_x, dom_y, dom_z``, or Prometheus' ``sensor_string_id,
        sensor_pos_x, sensor_pos_y, sensor_pos_z``. The last counts z from the surface and does not
        number the DOMs: 1948.07 m is added, and a string's DOMs are numbered from the top. Or a
        GCD file (``.i3``, also compressed).

    Raises
    ------
    EventError
        The file can't be read or is no geometry.
    """
    from daybreak.neutrino.i3.files import MAGIC, kind_of_file, opened

    path = Path(path)
    if kind_of_file(path) in dict(MAGIC):
        return _from_gcd(path)
    with opened(path) as file:
        head = file.read(64)
    if head.startswith(b"PAR1"):
        kind = "parquet"
    else:
        kind = "ecsv" if head.startswith(b"# %ECSV") else "csv"
    try:
        return _from_table(path, kind)
    except EventError:
        raise
    except Exception as error:  # the table readers have many errors of their own
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EventError(f"{path} can't be read as a {kind} table: {text}", _HINT) from None


def _from_gcd(path: Path) -> Geometry:
    from daybreak.neutrino.i3.files import read_i3

    for frame in read_i3(path):
        geometry = geometry_of_frame(frame, path.name)
        if geometry is not None:
            return geometry
    raise EventError(
        f"{path} holds no geometry (I3Geometry or I3OMGeoMap)",
        "A difference to a baseline (I3GeometryDiff) is not enough; give a full GCD file or a "
        "table of positions.",
    )


def geometry_of_frame(frame: Any, name: str) -> Geometry | None:
    """Return the geometry that an i3 frame holds itself, or None.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    name
        Its name.

    Raises
    ------
    EventError
        It can't be decoded.
    """
    from daybreak.neutrino.i3.decode import decode_as
    from daybreak.neutrino.i3.detector import Positions

    for key in ("I3OMGeoMap", "I3Geometry"):
        if key in frame.slots:
            doms = decode_as(frame, key, Positions)
            if not doms:
                continue
            keys = np.array(list(doms), dtype=float)
            return make_geometry(name, keys[:, 0], keys[:, 1], np.array(list(doms.values())))
    return None


def default_geometry() -> Geometry:
    """Return the geometry to use where none is given.

    It is the file that ``$DAYBREAK_GEOMETRY`` names, else the one that ``daybreak data fetch
    icecube-geometry`` has put into the current folder.

    Raises
    ------
    EventError
        There is neither, or the file can't be read.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        return load_geometry(named)
    fetched = Path(DATASET) / DATASET_FILE
    if fetched.is_file():
        return load_geometry(fetched)
    raise EventError(
        "the positions of the DOMs are needed, and no geometry is given",
        f"Give --geometry FILE (a table of DOM positions) or --gcd FILE, set ${ENVIRONMENT}, or "
        f"run: daybreak data fetch {DATASET}",
    )
