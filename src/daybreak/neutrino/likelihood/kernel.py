"""The inner loop: likelihood of a track with its gradient, and the search for the best vertex.

Everything that Numba compiles is in this file, because its cache on disk notices a change only in
the file of the function that is called. Nothing is allocated per evaluation. Arguments are bare
numbers: metres, nanoseconds, radians.

A track is given by its direction and three numbers: two coordinates of the vertex across it, and
the time at which it passes the plane through the reference point. For a DOM at the distance rho
the photon that comes straight arrives at

    t_geo = t + (l + kappa rho) / c,   kappa = (n_g n_p - 1) / sqrt(n_p^2 - 1)

and leaves the track rho / sin(theta_c) before the DOM. The delay follows the Pandel function
(Ahrens et al. 2004, NIM A 524, 169) with the effective distance

    d_eff = 0.84 rho + 3.1 - 3.9 cos(eta) + 4.6 cos(eta)^2   [m]

cos(eta) being the z component of the photon's direction. Shape and rate of the gamma density are
xi = d_eff / lambda and r = 1 / tau + c_ice / lambda_a, with lambda and tau from the mean
scattering coefficient along the photon's path and lambda_a from the mean absorption coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from daybreak.neutrino.likelihood import jitter

_F = TypeVar("_F", bound=Callable[..., Any])

# a product and a sum may be rounded once; nothing more, or the first run after compilation would
# not give the same numbers as those that find the compiled code on the disk
_MATH = {"contract"}


def _compiled(function: _F) -> _F:
    make = numba.njit(nogil=True, cache=True, fastmath=_MATH, error_model="numpy")
    return cast(_F, make(function))


def _inlined(function: _F) -> _F:
    make = numba.njit(nogil=True, cache=True, fastmath=_MATH, error_model="numpy", inline="always")
    return cast(_F, make(function))


C = 0.299792458
N_PHASE = 1.3195
N_GROUP = 1.35634
KAPPA = (N_GROUP * N_PHASE - 1) / math.sqrt(N_PHASE**2 - 1)
COS_C = 1 / N_PHASE
SIN_C = math.sqrt(1 - COS_C**2)
COT_C = COS_C / SIN_C
C_ICE = C / N_GROUP

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

#: columns of a row of the hits array
#: (X, Y, Z_IN from the reference point; Z in the detector; BZ, AZ the integrals of the ice there)
X, Y, Z_IN, T, N, Z, BZ, AZ = range(8)
#: entries of the settings array
SIGMA, LAMBDA_B, TAU_B, LOG_NOISE, MPE, ICE_Z0, N_SETTINGS = range(7)


@_inlined
def _ice_at(table: Any, z: float, z0: float) -> tuple[float, float, float, float]:
    """b, integral of b, a, integral of a at z; beyond the table its ends go on."""
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


@_inlined
def _weights(s: float) -> tuple[float, float, float, float, float, float, float, float]:
    """Weights of four coefficients of a uniform cubic B-spline, and of its derivative."""
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


@_inlined
def _log_g(table: Any, lx: float, v: float) -> tuple[float, float, float]:
    """Return ln G and its derivatives along ln xi and v."""
    p = (lx - _LX0) * _GX
    i = int(p)
    i = min(max(i, 0), _NXG - 2)
    s = p - i
    q = (v - _V0) * _GV
    j = int(q)
    j = min(max(j, 0), _NV - 2)
    t = q - j
    a0, a1, a2, a3, d0, d1, d2, d3 = _weights(s)
    b0, b1, b2, b3, e0, e1, e2, e3 = _weights(t)
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


@_inlined
def _log_s(table: Any, lx: float, le: float, w: float) -> tuple[float, float, float, float]:
    """Return ln S and its derivatives along ln xi, ln eps and w."""
    h = min(max((le - _E0) * _SE, 0.0), _NE - 1.0)
    m = min(int(h), _NE - 2)
    p = (lx - _LX0) * _SX
    i = min(max(int(p), 0), _NXS - 2)
    q = (w - _W0) * _SW
    j = min(max(int(q), 0), _NW - 2)
    b0, b1, b2, b3, e0, e1, e2, e3 = _weights(q - j)
    x0, x1, x2, x3, y0, y1, y2, y3 = _weights(p - i)
    k0, k1, k2, k3, n0, n1, n2, n3 = _weights(h - m)
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


@_inlined
def _hit(
    t: float, xi: float, r: float, n: float, sigma: float, log_g: Any, log_s: Any
) -> tuple[float, float, float, float]:
    """Log density of a first hit at the delay t, and derivatives along t, xi, r.

    n > 1: the first of n photons (MPE), ln n + ln p + (n - 1) ln S.
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
    g, g_x, g_v = _log_g(log_g, lx, v)
    f = xi * le - math.log(sigma) - r * t + 0.5 * eps * eps + g
    by_y = g_v * v_y
    f_t = -r + by_y / sigma
    f_x = le + moves * g_x / xi
    f_r = xi / r - t + eps * sigma - by_y * sigma
    if n > 1.0:
        w = le + v
        m = n - 1.0
        if w > _W0:
            s, s_x, s_e, s_w = _log_s(log_s, lx, le, w)
            by_y = s_w * v_y
            f += m * s
            f_t += m * by_y / sigma
            f_x += m * moves * s_x / xi
            f_r += m * ((s_e + s_w) / r - by_y * sigma)
        f += math.log(n)
    return f, f_t, f_x, f_r


@_compiled
def value(
    p: Any, along: Any, uz: Any, hits: Any, ice: Any, settings: Any, log_g: Any, log_s: Any, g: Any
) -> float:
    """Negative log-likelihood at p = (u, v, t), its gradient and outer products.

    Parameters
    ----------
    p
        u, v in m from the reference point along two axes across the track, t in ns.
    along
        (n, 3): coordinates of the DOMs along the track and the two axes.
    uz
        z components of the track's direction and of the second axis; that of the first is 0.
    hits, ice, settings, log_g, log_s
        See `models.Pandel`.
    g
        Filled with the gradient (3) and the sum of the outer products of the DOMs' gradients
        (uu, vv, tt, uv, ut, vt).
    """
    sigma, log_noise = settings[SIGMA], settings[LOG_NOISE]
    dz, vz, mpe = uz[0], uz[1], settings[MPE] > 0.0
    total = gu = gv = gt = huu = hvv = htt = huv = hut = hvt = 0.0
    for i in range(hits.shape[0]):
        ru, rv = along[i, 1] - p[0], along[i, 2] - p[1]
        rho = math.sqrt(ru * ru + rv * rv + 0.01)
        t = hits[i, T] - p[2] - (along[i, 0] + KAPPA * rho) / C
        zr = rv * vz
        ce = COS_C * dz + SIN_C * zr / rho
        slope = -3.9 + 9.2 * ce
        d_eff = 0.84 * rho + 3.1 - 3.9 * ce + 4.6 * ce * ce
        d_rho = 0.84 - slope * SIN_C * zr / (rho * rho)
        d_zr = slope * SIN_C / rho
        path = rho * COT_C * dz + zr
        if abs(path) > 1.0:
            be, whole_b, ae, whole_a = _ice_at(ice, hits[i, Z] - path, settings[ICE_Z0])
            b, a = (hits[i, BZ] - whole_b) / path, (hits[i, AZ] - whole_a) / path
            b_path, a_path = (be - b) / path, (ae - a) / path
        else:
            b, _, a, _ = _ice_at(ice, hits[i, Z] - 0.5 * path, settings[ICE_Z0])
            b_path = a_path = 0.0
        xi = d_eff * b / settings[LAMBDA_B]
        r = b / settings[TAU_B] + C_ICE * a
        n = hits[i, N] if mpe else 1.0
        f, f_t, f_x, f_r = _hit(t, xi, r, n, sigma, log_g, log_s)
        above = f - log_noise
        if above < -40.0:
            total -= log_noise
            continue
        if above > 40.0:
            total -= f
        else:
            e = math.exp(-above)
            total -= f + (e if e < 1e-8 else math.log(1 + e))
            weight = 1 / (1 + e)
            f_t, f_x, f_r = f_t * weight, f_x * weight, f_r * weight
        f_path = f_x * d_eff * b_path / settings[LAMBDA_B] + f_r * (
            b_path / settings[TAU_B] + C_ICE * a_path
        )
        f_d = f_x * b / settings[LAMBDA_B]
        f_rho = -f_t * KAPPA / C + f_d * d_rho + f_path * COT_C * dz
        f_zr = f_d * d_zr + f_path
        # of the negative logarithm; rho and zr fall when the vertex moves towards the DOM
        u = f_rho * ru / rho
        w = f_rho * rv / rho + f_zr * vz
        gu += u
        gv += w
        gt += f_t
        huu += u * u
        hvv += w * w
        htt += f_t * f_t
        huv += u * w
        hut += u * f_t
        hvt += w * f_t
    g[0], g[1], g[2] = gu, gv, gt
    g[3], g[4], g[5], g[6], g[7], g[8] = huu, hvv, htt, huv, hut, hvt
    return total


@_compiled
def _invert(h: Any, ridge: float, out: Any) -> None:
    """Inverse of the symmetric 3 x 3 matrix (uu, vv, tt, uv, ut, vt), its diagonal raised."""
    a = h[0] * (1 + ridge) + 1e-6
    b = h[1] * (1 + ridge) + 1e-6
    c = h[2] * (1 + ridge) + 1e-7
    d, e, f = h[3], h[4], h[5]
    m0, m3, m4 = b * c - f * f, e * f - d * c, d * f - b * e
    det = a * m0 + d * m3 + e * m4
    if det <= 1e-12 * a * b * c:
        out[0, 0], out[1, 1], out[2, 2] = 1 / a, 1 / b, 1 / c
        out[0, 1] = out[1, 0] = out[0, 2] = out[2, 0] = out[1, 2] = out[2, 1] = 0.0
        return
    out[0, 0], out[0, 1], out[0, 2] = m0 / det, m3 / det, m4 / det
    out[1, 0], out[1, 1], out[1, 2] = out[0, 1], (a * c - e * e) / det, (d * e - a * f) / det
    out[2, 0], out[2, 1], out[2, 2] = out[0, 2], out[1, 2], (a * b - d * d) / det


#: two starts that come as near as this are one
NEAR_M, NEAR_NS = 25.0, 50.0
#: two minima whose values differ by less are one
SAME_LLH = 0.3
#: each start is followed until a step promises less than this, the best one to the end
COARSE = 0.1

#: rows of the work array
_P, _G, _P_NEW, _G_NEW, _STEP_ROW, _DG, _HDG = range(7)


@_compiled
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

    Returns the value, evaluations and status; the place is left in work[0, :3].
    """
    p, g, p_new, g_new = work[_P], work[_G], work[_P_NEW], work[_G_NEW]
    step, dg, hdg = work[_STEP_ROW], work[_DG], work[_HDG]
    f = value(p, along, uz, hits, ice, settings, log_g, log_s, g)
    n = 1
    if not math.isfinite(f):
        return math.inf, n, 2
    _invert(g[3:9], 0.1, h)
    fresh, small = True, 0
    while n < most:
        for i in range(3):
            step[i] = -(h[i, 0] * g[0] + h[i, 1] * g[1] + h[i, 2] * g[2])
        slope = step[0] * g[0] + step[1] * g[1] + step[2] * g[2]
        if not slope < 0.0:
            if fresh:
                return f, n, 0 if abs(slope) < goal else 1
            _invert(g[3:9], 0.1, h)
            fresh = True
            continue
        if -slope < goal:
            if fresh or small:
                return f, n, 0
            _invert(g[3:9], 0.0, h)  # is it still small by the other measure?
            fresh, small = True, 1
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
            if f_new <= f + 1e-4 * length * slope:
                better = True
                break
            curve = 2 * (f_new - f - length * slope)  # the parabola through what is known
            ratio = -length * slope / curve if curve > 0 else 0.3
            length *= min(max(ratio, 0.1), 0.5)
            if n >= most:
                break
        if not better:
            if fresh:
                return f, n, 0 if -slope < 20 * goal else 1
            _invert(g[3:9], 0.1, h)
            fresh = True
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
            _invert(g[3:9], 0.1, h)
            fresh = True
        small = small + 1 if gain < 0.1 * goal else 0
        if small >= 3:
            return f, n, 0
    return f, n, 1


@_compiled
def _frame(zenith: float, azimuth: float, hits: Any, axes: Any, along: Any) -> None:
    """Axes along and across a track that comes from a direction, and the DOMs' coordinates."""
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


@_compiled
def _quantile_time(p: Any, along: Any, hits: Any, times: Any) -> float:
    """Time of the track for which a quarter of the hits come too early."""
    n = hits.shape[0]
    for i in range(n):
        ru, rv = along[i, 1] - p[0], along[i, 2] - p[1]
        rho = math.sqrt(ru * ru + rv * rv)
        times[i] = hits[i, T] - (along[i, 0] + KAPPA * rho) / C
    times[:n].sort()
    return float(times[n // 4])


@_compiled
def _place(p: Any, seed: Any, reference: Any, axes: Any) -> bool:
    """Turn a vertex and its time into p; False where the vertex is not finite."""
    ahead = 0.0
    p[0] = p[1] = 0.0
    for m in range(3):
        offset = seed[m] - reference[m]
        ahead += offset * axes[0, m]
        p[0] += offset * axes[1, m]
        p[1] += offset * axes[2, m]
    p[2] = seed[3] - ahead / C
    return math.isfinite(p[0]) and math.isfinite(p[1])


@_compiled
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
) -> None:
    """Fit each direction from each of its seeds and from the reference point, keep the best.

    A seed with a time is taken to be near a minimum. The others get a time by the hits, and are
    first brought near with `rough`, rows of settings of wider likelihoods: seeds with the first
    one, the reference point with each. Where that ends at a minimum that is known already it is
    left at that, and once the reference point has led to the minimum of a seed no more is tried.
    `out` (n, 5) is filled with vertex, time and value, `counts` (n, 2) with evaluations and status.
    """
    n_hits, n_seeds = hits.shape[0], seeds.shape[1]
    along, axes, uz = np.empty((n_hits, 3)), np.empty((3, 3)), np.empty(2)
    work, h, times = np.zeros((7, 9)), np.zeros((3, 3)), np.empty(n_hits)
    best, centre = np.zeros(3), np.empty(4)
    centre[:3], centre[3] = reference, math.nan
    p = work[_P]
    for i in range(zenith.shape[0]):
        _frame(zenith[i], azimuth[i], hits, axes, along)
        uz[0], uz[1] = axes[0, 2], axes[2, 2]
        f_best, status, total = math.inf, 2, 0
        best[:] = 0.0
        for k in range(n_seeds + rough.shape[0]):
            wide = rough[max(k - n_seeds, 0)]
            if not _place(p, seeds[i, k] if k < n_seeds else centre, reference, axes):
                continue
            if not math.isfinite(p[2]):
                p[2] = _quantile_time(p, along, hits, times)
                _, n, _ = minimise(work, h, along, uz, hits, ice, wide, log_g, log_s, 15, 0.3)
                total += n
                across = math.hypot(p[0] - best[0], p[1] - best[1])
                if f_best < math.inf and across < NEAR_M and abs(p[2] - best[2]) < NEAR_NS:
                    if k >= n_seeds:
                        break
                    continue
            f, n, end = minimise(
                work, h, along, uz, hits, ice, settings, log_g, log_s, most, max(goal, COARSE)
            )
            total += n
            same = abs(f - f_best) < SAME_LLH
            if f < f_best:
                f_best, status = f, end
                best[:] = p[:3]
            if same and k >= n_seeds:
                break
        if f_best < math.inf:
            p[:3] = best
            f_best, n, status = minimise(
                work, h, along, uz, hits, ice, settings, log_g, log_s, most, goal
            )
            best[:] = p[:3]
            total += n
        counts[i, 0], counts[i, 1] = total, status
        for m in range(3):
            out[i, m] = reference[m] + best[0] * axes[1, m] + best[1] * axes[2, m]
        out[i, 3], out[i, 4] = best[2], f_best
