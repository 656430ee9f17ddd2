"""A camera as plain arrays: places of pixels, neighbours, borders, sampling."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Camera:
    """Pixels of a camera and how they are sampled.

    Attributes
    ----------
    name
        Of the camera, e.g. ``LSTCam``.
    x_m, y_m
        Places of the pixels in the camera frame (that of ctapipe), metres, shape (n,).
    area_m2, width_m
        Area and width of each pixel, shape (n,).
    indptr, indices
        Neighbours in compressed rows: those of pixel i are ``indices[indptr[i]:indptr[i + 1]]``,
        ascending.
    focal_length_m
        Metres in the camera per radian on the sky: the effective focal length where it is known.
    sampling_rate_ghz
        Samples per nanosecond.
    pulse_time_ns, pulse
        Reference pulse: times, shape (m,), and heights, shape (gains, m); empty if not known.
    rotation_rad
        By how much the camera is turned (`cam_rotation` of ctapipe).
    hexagonal
        The pixels are hexagons, else squares.
    """

    name: str
    x_m: FloatArray
    y_m: FloatArray
    area_m2: FloatArray
    width_m: FloatArray
    indptr: IntArray
    indices: IntArray
    focal_length_m: float
    sampling_rate_ghz: float
    pulse_time_ns: FloatArray = field(default_factory=lambda: np.zeros(0))
    pulse: FloatArray = field(default_factory=lambda: np.zeros((1, 0)))
    rotation_rad: float = 0.0
    hexagonal: bool = True

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return len(self.x_m)

    def on_sky(self) -> Camera:
        """The same with places in degrees: longitude and latitude in the field of view.

        As ctapipe's TelescopeFrame, in which the first coordinate grows with azimuth and the second
        with altitude: camera x lies along the latitude, y along the longitude.
        """
        scale = np.degrees(1.0 / self.focal_length_m)
        return replace(
            self,
            x_m=self.y_m * scale,
            y_m=self.x_m * scale,
            area_m2=self.area_m2 * scale**2,
            width_m=self.width_m * scale,
        )

    @cached_property
    def n_neighbors(self) -> IntArray:
        """Number of neighbours of each pixel, shape (n,)."""
        return np.diff(self.indptr).astype(np.int32)

    def border(self, width: int = 1) -> NDArray[np.bool_]:
        """Pixels of the outermost rings.

        Parameters
        ----------
        width
            Number of rings. The first are the pixels with fewer neighbours than others have; with
            each ring more come the neighbours of those before.
        """
        inside = self.n_neighbors < int(self.n_neighbors.max())
        for _ in range(width - 1):
            wider = np.zeros_like(inside)
            for pixel in np.flatnonzero(inside):
                wider[self.indices[self.indptr[pixel] : self.indptr[pixel + 1]]] = True
            inside = wider
        return inside


def neighbor_rows(
    x_m: FloatArray, y_m: FloatArray, pitch_m: float, reach: float = 1.3
) -> tuple[IntArray, IntArray]:
    """Neighbours by distance, in compressed rows.

    Parameters
    ----------
    x_m, y_m
        Places of the pixels, metres, shape (n,).
    pitch_m
        Distance of neighbours' centres.
    reach
        Neighbours are nearer than this many pitches.

    Returns
    -------
    indptr, indices : numpy.ndarray
        See :class:`Camera`.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(np.column_stack([x_m, y_m]))
    pairs = tree.query_pairs(reach * pitch_m, output_type="ndarray")
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    counts = np.bincount(both[:, 0], minlength=len(x_m))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return indptr, both[:, 1].astype(np.int32)


def hexagonal_camera(
    name: str,
    *,
    n_pixels: int,
    pitch_m: float,
    focal_length_m: float,
    sampling_rate_ghz: float,
    rotation_rad: float = 0.0,
) -> Camera:
    """A round camera of hexagonal pixels: those nearest to the middle of a hexagonal lattice.

    Parameters
    ----------
    name
        Of the camera.
    n_pixels
        Number of pixels.
    pitch_m
        Distance of neighbours' centres: the width of a pixel from flat to flat.
    focal_length_m
        Metres in the camera per radian.
    sampling_rate_ghz
        Samples per nanosecond.
    rotation_rad
        By which the lattice is turned.
    """
    half = int(np.ceil(np.sqrt(n_pixels))) + 2
    i, j = (a.ravel() for a in np.mgrid[-half : half + 1, -half : half + 1])
    x, y = pitch_m * (i + 0.5 * j), pitch_m * np.sqrt(0.75) * j
    order = np.lexsort((x, y, np.round(np.hypot(x, y) / pitch_m, 6)))[:n_pixels]
    x, y = x[order], y[order]
    c, s = np.cos(rotation_rad), np.sin(rotation_rad)
    x, y = c * x - s * y, s * x + c * y
    indptr, indices = neighbor_rows(x, y, pitch_m)
    area = np.sqrt(0.75) * pitch_m**2
    return Camera(
        name,
        x,
        y,
        np.full(n_pixels, area),
        np.full(n_pixels, pitch_m),
        indptr,
        indices,
        focal_length_m,
        sampling_rate_ghz,
        rotation_rad=rotation_rad,
    )
