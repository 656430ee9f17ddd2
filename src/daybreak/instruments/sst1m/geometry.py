"""Cameras and places of the SST-1M telescopes, from an HDF5 file that ctapipe wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np

from daybreak.errors import ConfigError
from daybreak.images.camera import Camera, FloatArray, neighbor_rows
from daybreak.products.hdf5 import tables_without_pickle


@dataclass(frozen=True, eq=False)
class TelescopeLayout:
    """A telescope: where it stands and its camera.

    Attributes
    ----------
    telescope
        21 or 22.
    position
        North, west and up of the middle of the array, metres, shape (3,), as ctapipe has it.
    camera
        Its camera.
    effective_focal_length
        Metres; the camera's own focal length is the equivalent one, as sst1mpipe uses.
    """

    telescope: int
    position: u.Quantity
    camera: Camera
    effective_focal_length: u.Quantity


def load_layout(path: Path) -> dict[int, TelescopeLayout]:
    """Read the telescopes of an array.

    Parameters
    ----------
    path
        ``sst1m_array.h5`` of sst1mpipe, or another subarray that ctapipe wrote.

    Returns
    -------
    dict
        Number of a telescope to its layout.

    Raises
    ------
    ConfigError
        If the file is missing or not what it should be.
    """
    tables = tables_without_pickle()

    if not path.is_file():
        raise ConfigError(f"{path}: the file of the array is missing")
    base = "/configuration/instrument"
    found: dict[int, TelescopeLayout] = {}
    try:
        with tables.open_file(str(path), "r") as handle:
            layout = handle.get_node(f"{base}/subarray/layout")[:]
            optics = handle.get_node(f"{base}/telescope/optics")[:]
            for row in layout:
                which = int(row["camera_index"])
                own = optics[int(row["optics_index"])]
                geometry = handle.get_node(f"{base}/telescope/camera/geometry_{which}")
                readout = handle.get_node(f"{base}/telescope/camera/readout_{which}")
                camera = _camera(geometry, readout, float(own["equivalent_focal_length"]))
                number = int(row["tel_id"])
                position = [float(row[f"pos_{axis}"]) for axis in "xyz"] * u.m
                effective = float(own["effective_focal_length"]) * u.m
                found[number] = TelescopeLayout(number, position, camera, effective)
    except (
        *(tables.HDF5ExtError, tables.NoSuchNodeError, AttributeError),
        *(OSError, ValueError, IndexError, KeyError),
    ) as error:
        raise ConfigError(f"{path}: this is not the file of an array by ctapipe") from error
    return found


def _camera(geometry: Any, readout: Any, focal_length_m: float) -> Camera:
    pixels, pulses = geometry[:], readout[:]
    attributes, sampling = geometry.attrs, readout.attrs
    x, y = (np.asarray(pixels[name], float) for name in ("pix_x", "pix_y"))
    area = np.asarray(pixels["pix_area"], float)
    # from flat to flat
    width = np.sqrt(2 / np.sqrt(3) * area)
    channels = sorted(n for n in pulses.dtype.names if n.startswith("reference_pulse_shape"))
    indptr, indices = neighbor_rows(x, y, float(_pitch(x, y)))
    return Camera(
        str(attributes["CAM_ID"]),
        x,
        y,
        area,
        width,
        indptr,
        indices,
        focal_length_m,
        float(sampling["SAMPFREQ"]),
        np.asarray(pulses["reference_pulse_sample_time"], float),
        np.array([np.asarray(pulses[name], float) for name in channels]),
        float(np.deg2rad(float(attributes["CAM_ROT"]))),
        str(attributes["PIX_TYPE"]) == "hexagon",
    )


def _pitch(x_m: FloatArray, y_m: FloatArray) -> float:
    """Median distance of each pixel to its nearest."""
    from scipy.spatial import cKDTree

    tree = cKDTree(np.column_stack([x_m, y_m]))
    distances, _ = tree.query(tree.data, k=2)
    return float(np.median(distances[:, 1]))
