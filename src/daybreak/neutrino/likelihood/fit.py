"""The fit of many directions: from several starts each, the best one kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.neutrino.likelihood.compiled import compiled
from daybreak.neutrino.likelihood.minimise import HDG, P, minimise
from daybreak.neutrino.likelihood.value import KAPPA, Z_IN, C, T, X, Y

#: two starts that come as near as this are one
NEAR_M, NEAR_NS = 25.0, 50.0
#: two minima whose values differ by less are one
SAME_LLH = 0.3
#: each start is followed until a step promises less than this, the best one to the end
COARSE = 0.1
#: evaluations and goal of the walk in a wider likelihood
ROUGH_MOST, ROUGH_GOAL = 15, 0.3
#: more rows of the work array: the best place of a direction, and the reference point
BEST, CENTRE = HDG + 1, HDG + 2

Floats = NDArray[np.float64]


@compiled
def frame(zenith: float, azimuth: float, hits: Any, axes: Any, along: Any) -> None:
    """Axes along and across a track that comes from a direction, and the DOMs' coordinates.

    Parameters
    ----------
    zenith
        Zenith angle, radians.
    azimuth
        Azimuth, radians.
    hits
        Hits of the event as the kernel takes them.
    axes
        Axes of the frame of the direction.
    along
        Distances along the direction, m.
    """
    sz, cz = math.sin(zenith), math.cos(zenith)
    sa, ca = math.sin(azimuth), math.cos(azimuth)
    d, u, v = axes[0], axes[1], axes[2]
    d[0], d[1], d[2] = -sz * ca, -sz * sa, -cz
    u[0], u[1], u[2] = -sa, ca, 0.0
    v[0] = d[1] * u[2] - d[2] * u[1]
    v[1] = d[2] * u[0] - d[0] * u[2]
    v[2] = d[0] * u[1] - d[1] * u[0]
    for i in range(hits.shape[0]):
        for k in range(3):
            along[i, k] = (
                hits[i, X] * axes[k, 0] + hits[i, Y] * axes[k, 1] + hits[i, Z_IN] * axes[k, 2]
            )


@compiled
def nth_smallest(values: Any, n: int) -> float:
    """The n-th value by size, from 0; the values are left in another order.

    Hoare's selection: parts that can't hold it are left alone. Numba's own sort takes a second to
    compile.

    Parameters
    ----------
    values
        Finite numbers, shape (m,).
    n
        Which one, below m.
    """
    low, high = 0, values.shape[0] - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if n <= j:
            high = j
        elif n >= i:
            low = i
        else:
            break
    return float(values[n])


@compiled
def quantile_time(p: Any, along: Any, hits: Any, times: Any) -> float:
    """Time of the track for which a quarter of the hits come too early.

    Parameters
    ----------
    p
        Where the track passes: parameters of the fit, the first two across it, m.
    along
        Distances along the direction, m.
    hits
        Hits of the event as the kernel takes them.
    times
        Where the times are put, ns.
    """
    n = hits.shape[0]
    for i in range(n):
        ru, rv = along[i, 1] - p[0], along[i, 2] - p[1]
        rho = math.sqrt(ru * ru + rv * rv)
        times[i] = hits[i, T] - (along[i, 0] + KAPPA * rho) / C
    return nth_smallest(times, n // 4)


@compiled
def place(p: Any, seed: Any, reference: Any, axes: Any) -> bool:
    """Turn a vertex and its time into p; False where the vertex is not finite.

    Parameters
    ----------
    p
        Filled with the parameters of the fit.
    seed
        Vertex where the search starts.
    reference
        Reference point and time of the event, m and ns.
    axes
        Axes of the frame of the direction.
    """
    ahead = 0.0
    p[0] = p[1] = 0.0
    for m in range(3):
        offset = seed[m] - reference[m]
        ahead += offset * axes[0, m]
        p[0] += offset * axes[1, m]
        p[1] += offset * axes[2, m]
    p[2] = seed[3] - ahead / C
    return math.isfinite(p[0]) and math.isfinite(p[1])


def work_arrays(n_hits: int) -> tuple[Floats, ...]:
    """The last arguments of `fit_many`, for one thread: made here, they need not be compiled.

    Parameters
    ----------
    n_hits
        Number of hits of the event.
    """
    shapes = ((n_hits, 3), (n_hits,), (3, 3), (2,), (3, 3), (CENTRE + 1, 9))
    return tuple(np.zeros(shape) for shape in shapes)


@compiled
def copy(to: Any, place: Any) -> None:
    """Copy u, v and t.

    Parameters
    ----------
    to
        Where they go.
    place
        Where they are.
    """
    for m in range(3):
        to[m] = place[m]


@compiled
def fit_many(
    zenith: Any,
    azimuth: Any,
    seeds: Any,
    reference: Any,
    hits: Any,
    ice: Any,
    settings: Any,
    rough: Any,
    log_g: Any,
    log_s: Any,
    most: int,
    goal: float,
    out: Any,
    counts: Any,
    along: Any,
    times: Any,
    axes: Any,
    uz: Any,
    h: Any,
    work: Any,
) -> None:
    """Fit each direction from each of its seeds and from the reference point, keep the best.

    A seed with a time is taken to be near a minimum. The others get a time by the hits, and are
    first brought near with `rough`, rows of settings of wider likelihoods: seeds with the first
    one, the reference point with each. Where that ends at a minimum that is known already it is
    left at that, and once the reference point has led to the minimum of a seed no more is tried.
    `out` (n, 5) is filled with vertex, time and value, `counts` (n, 2) with evaluations and status.
    `along` to `work` come from `work_arrays`.

    Parameters
    ----------
    zenith
        Zenith angle, radians.
    azimuth
        Azimuth, radians.
    seeds
        Where the searches start, shape (directions, seeds, 4); zenith and azimuth are of shape
        (directions,).
    reference
        Reference point and time of the event, m and ns.
    hits
        Hits of the event as the kernel takes them.
    ice
        The ice as the kernel takes it.
    settings
        Settings of the likelihood.
    rough
        Rows of settings of wider likelihoods.
    log_g
        Table of the density's logarithm.
    log_s
        Table of the survival's logarithm.
    most
        Most evaluations of a search.
    goal
        Change of the likelihood at which a search ends.
    out
        Where the result is written.
    counts
        Where numbers of evaluations are written.
    along
        Work array, as the next ones: from `work_arrays`.
    times
        Work array.
    axes
        Work array.
    uz
        Work array.
    h
        Work array.
    work
        Work array.
    """
    n_seeds, p, best, centre = seeds.shape[1], work[P], work[BEST], work[CENTRE]
    for m in range(3):
        centre[m] = reference[m]
    centre[3] = math.nan
    last = n_seeds + rough.shape[0]
    few, far = min(most, ROUGH_MOST), max(goal, COARSE)
    for i in range(zenith.shape[0]):
        frame(zenith[i], azimuth[i], hits, axes, along)
        uz[0], uz[1] = axes[0, 2], axes[2, 2]
        f_best, status, total = math.inf, 2, 0
        best[0] = best[1] = best[2] = 0.0
        k, polish, walk = 0, False, False
        while k <= last:
            # what follows is one walk: in a wider likelihood, in the own one, or the last mile
            polish = k == last
            if polish:
                if not f_best < math.inf:
                    break
                copy(p, best)
                walk = True
            elif not walk:
                if not place(p, seeds[i, k] if k < n_seeds else centre, reference, axes):
                    k += 1
                    continue
                walk = math.isfinite(p[2])
                if not walk:
                    p[2] = quantile_time(p, along, hits, times)
            chosen = settings if walk else rough[max(k - n_seeds, 0)]
            steps = most if walk else few
            target = (goal if polish else far) if walk else ROUGH_GOAL
            f, n, end = minimise(work, h, along, uz, hits, ice, chosen, log_g, log_s, steps, target)
            total += n
            if polish:
                f_best, status = f, end
                copy(best, p)
                break
            if not walk:
                across = math.hypot(p[0] - best[0], p[1] - best[1])
                if f_best < math.inf and across < NEAR_M and abs(p[2] - best[2]) < NEAR_NS:
                    k = last if k >= n_seeds else k + 1
                else:
                    walk = True
                continue
            walk = False
            same = abs(f - f_best) < SAME_LLH
            if f < f_best:
                f_best, status = f, end
                copy(best, p)
            k = last if same and k >= n_seeds else k + 1
        counts[i, 0], counts[i, 1] = total, status
        for m in range(3):
            out[i, m] = reference[m] + best[0] * axes[1, m] + best[1] * axes[2, m]
        out[i, 3], out[i, 4] = best[2], f_best
