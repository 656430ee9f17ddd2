"""The time gradient along the axis of an image. Kernels for one event.

`weighted_line` is the default: it always gives the same. `trimmed_line` is ctapipe's definition, a
least trimmed squares line from random starts; ctapipe draws these from one generator for all
events, so that its own slopes come out differently from run to run (84 % repeat to 1e-6).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daybreak.images.kernels import compiled

_STARTS, _STEPS = 5, 20
_SHARE = 0.85
_CONVERGED = 1e-12
#: ctapipe's limit for a determinant that is zero
_SINGULAR = 2 * 2.220446049250313e-16
_CLIP = 3.0


@compiled
def _line(s: Any, sx: Any, sy: Any, sxx: Any, sxy: Any) -> Any:
    determinant = s * sxx - sx * sx
    if determinant < _SINGULAR:
        return np.nan, np.nan
    slope = (s * sxy - sx * sy) / determinant
    return slope, (sxx * sy - sx * sxy) / determinant


@compiled
def _weighted(
    longi: Any, time: Any, charge: Any, n: Any, slope: Any, intercept: Any, limit: Any
) -> Any:
    """A weighted line through the points within `limit` of another; all for limit < 0."""
    s = sx = sy = sxx = sxy = 0.0
    used = 0
    for i in range(n):
        if limit < 0 or abs(time[i] - slope * longi[i] - intercept) <= limit:
            w, x, y = charge[i], longi[i], time[i]
            s += w
            sx += w * x
            sy += w * y
            sxx += w * x * x
            sxy += w * x * y
            used += 1
    determinant = s * sxx - sx * sx
    if used < 2 or not determinant > 1e-12 * s * sxx:
        return np.nan, np.nan
    return (s * sxy - sx * sy) / determinant, (sxx * sy - sx * sxy) / determinant


@compiled
def _rms(longi: Any, time: Any, n: Any, slope: Any, intercept: Any) -> Any:
    total = 0.0
    for i in range(n):
        d = time[i] - slope * longi[i] - intercept
        total += d * d
    return np.sqrt(total / n)


@compiled
def weighted_line(longi: Any, time: Any, charge: Any, n: Any, out: Any) -> None:
    """A line weighted by charge, once more without points 3 rms away: always the same.

    Parameters
    ----------
    longi, time, charge
        Coordinates along the axis, peak times (ns) and charges of the kept pixels; the first `n`
        entries count.
    n
        Number of pixels.
    out
        float64, filled: slope (ns per unit of `longi`), intercept and rms of all points (ns).
    """
    slope, intercept = _weighted(longi, time, charge, n, 0.0, 0.0, -1.0)
    if not np.isnan(slope):
        limit = _CLIP * _rms(longi, time, n, slope, intercept)
        again = _weighted(longi, time, charge, n, slope, intercept, limit)
        if not np.isnan(again[0]):
            slope, intercept = again
    out[0], out[1] = slope, intercept
    out[2] = _rms(longi, time, n, slope, intercept)


@compiled
def _random(state: Any) -> Any:
    """Next number of an xorshift generator (Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@compiled
def _select(values: Any, order: Any, n: Any, k: Any) -> None:
    """Put the indices of the `k` smallest values first (Hoare's selection)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[order[(low + high) // 2]]
        i, j = low, high
        while i <= j:
            while values[order[i]] < pivot:
                i += 1
            while values[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            return


@compiled
def _refit(longi: Any, time: Any, order: Any, k: Any) -> Any:
    s = sx = sy = sxx = sxy = 0.0
    for m in range(k):
        x, y = longi[order[m]], time[order[m]]
        s += 1.0
        sx += x
        sy += y
        sxx += x * x
        sxy += x * y
    slope, intercept = _line(s, sx, sy, sxx, sxy)
    error = 0.0
    for m in range(k):
        d = time[order[m]] - slope * longi[order[m]] - intercept
        error += d * d
    return slope, intercept, error


@compiled
def _from_start(
    longi: Any, time: Any, n: Any, first: Any, second: Any, squared: Any, order: Any
) -> Any:
    """Steps from the line through two points to the nearest minimum of the trimmed sum."""
    order[0], order[1] = first, second
    slope, intercept, error = _refit(longi, time, order, 2)
    if np.isnan(slope):
        return slope, intercept, np.nan
    keep = int(_SHARE * n)
    for i in range(n):
        order[i] = i
    for _ in range(_STEPS):
        for i in range(n):
            d = time[i] - slope * longi[i] - intercept
            squared[i] = d * d
        _select(squared, order, n, keep)
        slope, intercept, now = _refit(longi, time, order, keep)
        before, error = error, now
        if abs(before - error) < _CONVERGED or np.isnan(slope):
            break
    return slope, intercept, error


@compiled
def trimmed_line(
    longi: Any, time: Any, n: Any, seed: Any, squared: Any, order: Any, out: Any
) -> None:
    """Least trimmed squares: the line with the least sum over 85 % of the points.

    Parameters
    ----------
    longi, time
        Coordinates along the axis and peak times (ns); the first `n` entries count.
    n
        Number of pixels.
    seed
        Decides on the random starts.
    squared, order
        float64 and int32: work.
    out
        float64, filled: slope (ns per unit of `longi`), intercept and rms of all points (ns).
    """
    state = _random(np.uint64(seed) * np.uint64(2654435761) + np.uint64(88172645463325252))
    slope = intercept = np.nan
    best = np.inf
    for _ in range(_STARTS):
        state = _random(state)
        first = int(state % np.uint64(n))
        state = _random(state)
        second = int(state % np.uint64(n - 1))
        second += second >= first
        found = _from_start(longi, time, n, first, second, squared, order)
        if found[2] < best:
            slope, intercept, best = found
    out[0], out[1] = slope, intercept
    out[2] = _rms(longi, time, n, slope, intercept)
