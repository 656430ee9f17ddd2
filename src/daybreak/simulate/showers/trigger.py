"""The camera's trigger: a pixel and its neighbours with enough light at the same time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daybreak.simulate.showers.kernels import compiled

_PER_WINDOW = 4
_BINS = 64


@compiled
def patch_trigger(
    pixel: Any,
    time_ns: Any,
    image: Any,
    indptr: Any,
    indices: Any,
    threshold_pe: Any,
    window_ns: Any,
    nsb_ghz: Any,
) -> Any:
    """Whether any patch has enough photo-electrons above the mean of the sky within the window.

    The sky is drawn once for each pixel of a patch that has light of the shower near the threshold;
    patches with light of the sky alone never fire.

    Parameters
    ----------
    pixel, time_ns
        Of each photo-electron of the shower, shape (p,).
    image
        Photo-electrons per pixel, shape (n,).
    indptr, indices
        Neighbours, see :class:`~daybreak.images.camera.Camera`.
    threshold_pe, window_ns
        Photo-electrons above the mean, and the width of the window.
    nsb_ghz
        Photo-electrons of the sky per pixel and ns.

    Returns
    -------
    bool
    """
    count = image.shape[0]
    sky = 7.0 * nsb_ghz * window_ns
    least = threshold_pe - 5.0 * math.sqrt(sky) - 1.0
    if pixel.shape[0] < least or pixel.shape[0] == 0:
        return False
    step = window_ns / _PER_WINDOW
    start = np.median(time_ns) - 0.5 * _BINS * step
    rows = np.zeros((count, _BINS), dtype=np.int32)
    for k in range(pixel.shape[0]):
        bin_ = math.floor((time_ns[k] - start) / step)
        if 0 <= bin_ < _BINS:
            rows[pixel[k], bin_] += 1
    total = np.empty(_BINS, dtype=np.int32)
    each = nsb_ghz * window_ns
    night = np.full(count, -1.0)
    for i in range(count):
        charge = image[i]
        for k in range(indptr[i], indptr[i + 1]):
            charge += image[indices[k]]
        if charge < least:
            continue
        total[:] = rows[i]
        if night[i] < 0.0:
            night[i] = np.random.poisson(each)
        excess = night[i] - each
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            total += rows[j]
            if night[j] < 0.0:
                night[j] = np.random.poisson(each)
            excess += night[j] - each
        best = 0
        for j in range(_BINS - _PER_WINDOW + 1):
            best = max(best, total[j : j + _PER_WINDOW].sum())
        if best + excess >= threshold_pe:
            return True
    return False
