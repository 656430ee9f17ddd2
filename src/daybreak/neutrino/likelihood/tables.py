"""Looking up the ice and the tables of the time distribution, with derivatives."""

from __future__ import annotations

from typing import Any

from daybreak.neutrino.likelihood import jitter
from daybreak.neutrino.likelihood.compiled import compiled, inlined

_LX0 = float(jitter.LOG_XI_MIN)
_LX1 = float(jitter.LOG_XI_MAX)
_GX = (jitter.N_XI_G - 1) / (_LX1 - _LX0)
_SX = (jitter.N_XI_S - 1) / (_LX1 - _LX0)
_V0 = float(jitter.V_MIN)
_GV = float((jitter.N_V - 1) / (jitter.V_MAX - jitter.V_MIN))
_NV = jitter.N_V
_Y_MIN = jitter.Y_MIN
_Y_MAX = jitter.Y_MAX
_E0 = float(jitter.LOG_EPS_MIN)
_SE = float((jitter.N_EPS - 1) / (jitter.LOG_EPS_MAX - jitter.LOG_EPS_MIN))
_NE = jitter.N_EPS
_W0 = float(jitter.W_MIN)
_SW = float((jitter.N_W - 1) / (jitter.W_MAX - jitter.W_MIN))
_NW = jitter.N_W
_NXG = jitter.N_XI_G
_NXS = jitter.N_XI_S
_STEP = 10.0


@compiled
def ice_at(table: Any, z: float, z0: float) -> tuple[float, float, float, float]:
    """b, integral of b, a, integral of a at z; beyond the table its ends go on.

    Parameters
    ----------
    table
        Coefficients of the ice with their integrals, in steps of 10 m.
    z
        Height, m.
    z0
        Height of the first row of the table, m.
    """
    n = table.shape[0]
    at = (z - z0) / _STEP
    i = int(min(max(at, 0.0), n - 1.001))
    s = at - i
    if s < 0.0 or s > 1.0:
        if s > 1.0:
            i, s = n - 1, at - (n - 1)
        b, a = table[i, 0], table[i, 2]
        return b, table[i, 1] + b * s * _STEP, a, table[i, 3] + a * s * _STEP
    db, da = table[i + 1, 0] - table[i, 0], table[i + 1, 2] - table[i, 2]
    b, a = table[i, 0] + db * s, table[i, 2] + da * s
    whole_b = table[i, 1] + _STEP * s * (table[i, 0] + 0.5 * db * s)
    whole_a = table[i, 3] + _STEP * s * (table[i, 2] + 0.5 * da * s)
    return b, whole_b, a, whole_a


@inlined
def weights(s: float) -> tuple[float, float, float, float, float, float, float, float]:
    """Weights of four coefficients of a uniform cubic B-spline, and of its derivative.

    Parameters
    ----------
    s
        Place between two nodes, 0 to 1.
    """
    r = 1 - s
    return (
        r * r * r / 6,
        (4 - 3 * s * s * (2 - s)) / 6,
        (4 - 3 * r * r * (2 - r)) / 6,
        s * s * s / 6,
        -0.5 * r * r,
        s * (1.5 * s - 2),
        -r * (1.5 * r - 2),
        0.5 * s * s,
    )


@inlined
def log_g(table: Any, lx: float, v: float) -> tuple[float, float, float]:
    """Return ln G and its derivatives along ln xi and v.

    Parameters
    ----------
    table
        Coefficients of the spline.
    lx
        ln xi.
    v
        The second axis, from the middle of the Gaussian.
    """
    p = (lx - _LX0) * _GX
    i = int(p)
    i = min(max(i, 0), _NXG - 2)
    s = p - i
    q = (v - _V0) * _GV
    j = int(q)
    j = min(max(j, 0), _NV - 2)
    t = q - j
    a0, a1, a2, a3, d0, d1, d2, d3 = weights(s)
    b0, b1, b2, b3, e0, e1, e2, e3 = weights(t)
    f = fx = fv = 0.0
    for k in range(4):
        a = a0 if k == 0 else a1 if k == 1 else a2 if k == 2 else a3
        d = d0 if k == 0 else d1 if k == 1 else d2 if k == 2 else d3
        c0, c1 = table[i + k, j], table[i + k, j + 1]
        c2, c3 = table[i + k, j + 2], table[i + k, j + 3]
        row = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3
        f += a * row
        fx += d * row
        fv += a * (e0 * c0 + e1 * c1 + e2 * c2 + e3 * c3)
    return f, fx * _GX, fv * _GV


@inlined
def log_s(table: Any, lx: float, le: float, w: float) -> tuple[float, float, float, float]:
    """Return ln S and its derivatives along ln xi, ln eps and w.

    Parameters
    ----------
    table
        Coefficients of the spline.
    lx
        ln xi.
    le
        ln eps.
    w
        The third axis, from the delay.
    """
    h = min(max((le - _E0) * _SE, 0.0), _NE - 1.0)
    m = min(int(h), _NE - 2)
    p = (lx - _LX0) * _SX
    i = min(max(int(p), 0), _NXS - 2)
    q = (w - _W0) * _SW
    j = min(max(int(q), 0), _NW - 2)
    b0, b1, b2, b3, e0, e1, e2, e3 = weights(q - j)
    x0, x1, x2, x3, y0, y1, y2, y3 = weights(p - i)
    k0, k1, k2, k3, n0, n1, n2, n3 = weights(h - m)
    f = fx = fe = fw = 0.0
    for k in range(4):
        g = gx = gw = 0.0
        for l in range(4):  # noqa: E741
            c0, c1 = table[m + k, i + l, j], table[m + k, i + l, j + 1]
            c2, c3 = table[m + k, i + l, j + 2], table[m + k, i + l, j + 3]
            along = b0 * c0 + b1 * c1 + b2 * c2 + b3 * c3
            x = x0 if l == 0 else x1 if l == 1 else x2 if l == 2 else x3
            g += x * along
            gx += (y0 if l == 0 else y1 if l == 1 else y2 if l == 2 else y3) * along
            gw += x * (e0 * c0 + e1 * c1 + e2 * c2 + e3 * c3)
        weight = k0 if k == 0 else k1 if k == 1 else k2 if k == 2 else k3
        f += weight * g
        fx += weight * gx
        fw += weight * gw
        fe += (n0 if k == 0 else n1 if k == 1 else n2 if k == 2 else n3) * g
    inside = 0.0 < h < _NE - 1.0
    return f, fx * _SX, fe * _SE if inside else 0.0, fw * _SW
