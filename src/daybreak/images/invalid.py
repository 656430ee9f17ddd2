"""Pixels that gave no signal: filled with the mean of their working neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.images.camera import Camera
from daybreak.images.kernels import compiled


@compiled
def _fill(values: Any, invalid: Any, indptr: Any, indices: Any) -> None:
    for event in range(len(values)):
        for pixel in range(values.shape[1]):
            if not invalid[event, pixel]:
                continue
            total, count = np.float32(0.0), 0
            for k in range(indptr[pixel], indptr[pixel + 1]):
                j = indices[k]
                if not invalid[event, j]:
                    total += values[event, j]
                    count += 1
            values[event, pixel] = total / count if count else total


def interpolate_invalid(
    charge: NDArray[np.float32],
    time_ns: NDArray[np.float32],
    invalid: NDArray[np.bool_],
    camera: Camera,
) -> None:
    """Fill invalid pixels, in place, with the mean of their valid neighbours; 0 where none is.

    As ``ctapipe.image.invalid_pixels.NeighborAverage``.

    Parameters
    ----------
    charge, time_ns
        Shape (events, pixels), float32; changed.
    invalid
        Which pixels, shape (events, pixels).
    camera
        Neighbours.
    """
    for values in (charge, time_ns):
        _fill(values, invalid, camera.indptr, camera.indices)
