"""The search for the best vertex from one start."""

from __future__ import annotations

import math
from typing import Any

from daybreak.neutrino.likelihood.compiled import compiled
from daybreak.neutrino.likelihood.value import value

#: rows of the work array
P, G, P_NEW, G_NEW, STEP_ROW, DG, HDG = range(7)


@compiled
def invert(g: Any, ridge: float, out: Any) -> None:
    """Inverse of a symmetric 3 x 3 matrix, its diagonal raised.

    Parameters
    ----------
    g
        As `value` leaves it: the matrix (uu, vv, tt, uv, ut, vt) begins at 3.
    ridge
        The part by which the diagonal is raised.
    out
        (3, 3), filled.
    """
    a = g[3] * (1 + ridge) + 1e-6
    b = g[4] * (1 + ridge) + 1e-6
    c = g[5] * (1 + ridge) + 1e-7
    d, e, f = g[6], g[7], g[8]
    m0, m3, m4 = b * c - f * f, e * f - d * c, d * f - b * e
    det = a * m0 + d * m3 + e * m4
    if det <= 1e-12 * a * b * c:
        out[0, 0], out[1, 1], out[2, 2] = 1 / a, 1 / b, 1 / c
        out[0, 1] = out[1, 0] = out[0, 2] = out[2, 0] = out[1, 2] = out[2, 1] = 0.0
        return
    out[0, 0], out[0, 1], out[0, 2] = m0 / det, m3 / det, m4 / det
    out[1, 0], out[1, 1], out[1, 2] = out[0, 1], (a * c - e * e) / det, (d * e - a * f) / det
    out[2, 0], out[2, 1], out[2, 2] = out[0, 2], out[1, 2], (a * b - d * d) / det


@compiled
def minimise(
    work: Any,
    h: Any,
    along: Any,
    uz: Any,
    hits: Any,
    ice: Any,
    settings: Any,
    log_g: Any,
    log_s: Any,
    most: int,
    goal: float,
) -> tuple[float, int, int]:
    """Walk downhill from work[0, :3] by BFGS, which starts from the outer products.

    The value is computed at one place of the loop, the start included, since each place is
    compiled by itself.

    Parameters
    ----------
    work, h
        (7 or more, 9) and (3, 3), to work with.
    along, uz, hits, ice, settings, log_g, log_s
        See `value`.
    most, goal
        Evaluations at most; a step that promises less than this is the last one.

    Returns
    -------
    tuple
        The value, evaluations and status; the place is left in work[0, :3].
    """
    p, g, p_new, g_new = work[P], work[G], work[P_NEW], work[G_NEW]
    step, dg, hdg = work[STEP_ROW], work[DG], work[HDG]
    f, n, small = math.inf, 0, 0
    starting, restart, ridge, fresh = True, False, 0.1, False
    while starting or n < most:
        if restart:
            invert(g, ridge, h)
            restart, fresh = False, True
        slope, length = 0.0, 0.0
        if starting:
            for i in range(3):
                step[i] = 0.0
        else:
            for i in range(3):
                step[i] = -(h[i, 0] * g[0] + h[i, 1] * g[1] + h[i, 2] * g[2])
            slope = step[0] * g[0] + step[1] * g[1] + step[2] * g[2]
            if not slope < 0.0:
                if fresh:
                    return f, n, 0 if abs(slope) < goal else 1
                restart, ridge = True, 0.1
                continue
            if -slope < goal:
                if fresh or small:
                    return f, n, 0
                restart, ridge, small = True, 0.0, 1  # is it still small by the other measure?
                continue
            # not farther than 50 m and 200 ns at once
            size = max(abs(step[0]) / 50.0, abs(step[1]) / 50.0, abs(step[2]) / 200.0, 1.0)
            length = 1.0 / size
        f_new = f
        better = False
        for _ in range(8):
            for i in range(3):
                p_new[i] = p[i] + length * step[i]
            f_new = value(p_new, along, uz, hits, ice, settings, log_g, log_s, g_new)
            n += 1
            if starting:
                break
            if f_new <= f + 1e-4 * length * slope:
                better = True
                break
            curve = 2 * (f_new - f - length * slope)  # the parabola through what is known
            ratio = -length * slope / curve if curve > 0 else 0.3
            length *= min(max(ratio, 0.1), 0.5)
            if n >= most:
                break
        if starting:
            if not math.isfinite(f_new):
                return math.inf, n, 2
            f = f_new
            for i in range(9):
                g[i] = g_new[i]
            starting, restart, ridge = False, True, 0.1
            continue
        if not better:
            if fresh:
                return f, n, 0 if -slope < 20 * goal else 1
            restart, ridge = True, 0.1
            continue
        sy = 0.0
        for i in range(3):
            dg[i] = g_new[i] - g[i]
            step[i] = p_new[i] - p[i]
            sy += step[i] * dg[i]
            p[i] = p_new[i]
        gain = f - f_new
        f = f_new
        for i in range(9):
            g[i] = g_new[i]
        fresh = False
        if sy > 1e-10:
            yhy = 0.0
            for i in range(3):
                hdg[i] = h[i, 0] * dg[0] + h[i, 1] * dg[1] + h[i, 2] * dg[2]
                yhy += hdg[i] * dg[i]
            c = (1 + yhy / sy) / sy
            for i in range(3):
                for j in range(3):
                    h[i, j] += c * step[i] * step[j] - (hdg[i] * step[j] + step[i] * hdg[j]) / sy
        else:
            restart, ridge = True, 0.1
        small = small + 1 if gain < 0.1 * goal else 0
        if small >= 3:
            return f, n, 0
    return f, n, 1
