"""From a direction to a pixel: projection, blur, and which pixel a place belongs to."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daybreak.images.camera import Camera
from daybreak.simulate.showers.kernels import compiled

FloatArray = NDArray[np.float64]


class PixelGrid(NamedTuple):
    """A fine square grid over the camera with the pixel nearest to each cell, for kernels."""

    cell: NDArray[np.int32]
    low_m: float
    step_m: float
    x_m: FloatArray
    y_m: FloatArray
    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    reach_m: float


def pixel_grid(camera: Camera, cells_per_pixel: int = 6) -> PixelGrid:
    """Make the grid of a camera.

    Parameters
    ----------
    camera
        Its pixels are searched.
    cells_per_pixel
        Cells of the grid along the width of a pixel.

    Returns
    -------
    PixelGrid
        A place farther from every pixel's centre than a pixel's corner is outside.
    """
    from scipy.spatial import cKDTree

    width = float(camera.width_m.max())
    half = float(max(np.abs(camera.x_m).max(), np.abs(camera.y_m).max())) + 1.5 * width
    step = width / cells_per_pixel
    count = math.ceil(2 * half / step)
    middle = -half + step * (np.arange(count) + 0.5)
    places = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1)
    distance, nearest = cKDTree(np.column_stack([camera.x_m, camera.y_m])).query(places)
    corner = width / math.sqrt(3.0) if camera.hexagonal else width / math.sqrt(2.0)
    cell = np.where(distance < corner + step, nearest, -1).astype(np.int32)
    return PixelGrid(
        cell,
        -half,
        step,
        np.ascontiguousarray(camera.x_m, dtype=np.float64),
        np.ascontiguousarray(camera.y_m, dtype=np.float64),
        np.ascontiguousarray(camera.indptr, dtype=np.int32),
        np.ascontiguousarray(camera.indices, dtype=np.int32),
        corner,
    )


@compiled
def find_pixel(grid: Any, x_m: Any, y_m: Any) -> Any:
    """Pixel at a place in the camera.

    Parameters
    ----------
    grid
        Of :func:`pixel_grid`.
    x_m, y_m
        Place, m.

    Returns
    -------
    int
        Number of the pixel, or -1.
    """
    i = math.floor((x_m - grid.low_m) / grid.step_m)
    j = math.floor((y_m - grid.low_m) / grid.step_m)
    if i < 0 or j < 0 or i >= grid.cell.shape[0] or j >= grid.cell.shape[1]:
        return -1
    first = grid.cell[i, j]
    if first < 0:
        return -1
    best = first
    nearest = (grid.x_m[first] - x_m) ** 2 + (grid.y_m[first] - y_m) ** 2
    for k in range(grid.indptr[first], grid.indptr[first + 1]):
        other = grid.indices[k]
        distance = (grid.x_m[other] - x_m) ** 2 + (grid.y_m[other] - y_m) ** 2
        if distance < nearest:
            nearest, best = distance, other
    return best if nearest <= grid.reach_m**2 else -1


def pointing_basis(altitude_rad: float, azimuth_rad: float) -> FloatArray:
    """Where a telescope looks, and where the axes of its camera point on the sky.

    The ground frame is that of ctapipe: x north, y west, z up; azimuth goes from north over east.
    A camera's x axis is along increasing altitude and its y axis along increasing azimuth.

    Parameters
    ----------
    altitude_rad, azimuth_rad
        Pointing.

    Returns
    -------
    numpy.ndarray
        Unit vectors in rows: pointing, camera x, camera y; shape (3, 3).
    """
    ca, sa = math.cos(altitude_rad), math.sin(altitude_rad)
    cz, sz = math.cos(azimuth_rad), math.sin(azimuth_rad)
    return np.array([[ca * cz, -ca * sz, sa], [-sa * cz, sa * sz, ca], [-sz, -cz, 0.0]])


@compiled
def turned(ux: Any, uy: Any, uz: Any, theta_x: Any, theta_y: Any) -> Any:
    """A direction after small deflections along two axes perpendicular to it.

    Parameters
    ----------
    ux, uy, uz
        Unit vector.
    theta_x, theta_y
        Tangents of the deflections.

    Returns
    -------
    float, float, float
        Unit vector.
    """
    # first axis: horizontal, or along x for a vertical direction
    norm = math.sqrt(ux * ux + uy * uy)
    if norm > 1e-9:
        ax, ay = -uy / norm, ux / norm
    else:
        ax, ay = 1.0, 0.0
    # second axis = direction x first axis
    bx, by, bz = -uz * ay, uz * ax, ux * ay - uy * ax
    vx = ux + theta_x * ax + theta_y * bx
    vy = uy + theta_x * ay + theta_y * by
    vz = uz + theta_y * bz
    scale = 1.0 / math.sqrt(vx * vx + vy * vy + vz * vz)
    return vx * scale, vy * scale, vz * scale
