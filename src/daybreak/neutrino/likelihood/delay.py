"""Density of the delay of a hit, with its derivatives."""

from __future__ import annotations

import math
from typing import Any

from daybreak.neutrino.likelihood import jitter
from daybreak.neutrino.likelihood.compiled import inlined
from daybreak.neutrino.likelihood.tables import log_g, log_s

_LX0 = float(jitter.LOG_XI_MIN)
_LX1 = float(jitter.LOG_XI_MAX)
_Y_MIN = jitter.Y_MIN
_Y_MAX = jitter.Y_MAX
_W0 = float(jitter.W_MIN)


@inlined
def hit(
    t: float, xi: float, r: float, n: float, sigma: float, table_g: Any, table_s: Any
) -> tuple[float, float, float, float]:
    """Log density of a first hit at the delay t, and derivatives along t, xi, r.

    n > 1: the first of n photons (MPE), ln n + ln p + (n - 1) ln S.

    Parameters
    ----------
    t
        Delay, ns.
    xi
        Pandel's xi.
    r
        Pandel's rate, 1/ns.
    n
        Number of photons of which the hit is the first.
    sigma
        Time resolution, ns.
    table_g
        Table of the density's logarithm.
    table_s
        Table of the survival's logarithm.
    """
    eps = r * sigma
    y = t / sigma - eps
    if not _Y_MIN < y < _Y_MAX:
        return -1e3, 0.0, 0.0, 0.0
    root = math.sqrt(y * y + 4)
    v = math.log(0.5 * (y + root)) if y > 0 else -math.log(0.5 * (root - y))
    v_y = 1 / root
    lx = math.log(xi)
    moves = 1.0
    if lx < _LX0:
        lx, moves = _LX0, 0.0
    elif lx > _LX1:
        lx, moves = _LX1, 0.0
    le = math.log(eps)
    g, g_x, g_v = log_g(table_g, lx, v)
    f = xi * le - math.log(sigma) - r * t + 0.5 * eps * eps + g
    by_y = g_v * v_y
    f_t = -r + by_y / sigma
    f_x = le + moves * g_x / xi
    f_r = xi / r - t + eps * sigma - by_y * sigma
    if n > 1.0:
        w = le + v
        m = n - 1.0
        if w > _W0:
            s, s_x, s_e, s_w = log_s(table_s, lx, le, w)
            by_y = s_w * v_y
            f += m * s
            f_t += m * by_y / sigma
            f_x += m * moves * s_x / xi
            f_r += m * ((s_e + s_w) / r - by_y * sigma)
        f += math.log(n)
    return f, f_t, f_x, f_r
