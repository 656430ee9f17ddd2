"""The likelihood of a track with its gradient.

Nothing is allocated per evaluation. Arguments are bare
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
from typing import Any

from daybreak.neutrino.likelihood.compiled import compiled
from daybreak.neutrino.likelihood.delay import hit
from daybreak.neutrino.likelihood.tables import ice_at

C = 0.299792458
N_PHASE = 1.3195
N_GROUP = 1.35634
KAPPA = (N_GROUP * N_PHASE - 1) / math.sqrt(N_PHASE**2 - 1)
COS_C = 1 / N_PHASE
SIN_C = math.sqrt(1 - COS_C**2)
COT_C = COS_C / SIN_C
C_ICE = C / N_GROUP

#: columns of a row of the hits array
#: (X, Y, Z_IN from the reference point; Z in the detector; BZ, AZ the integrals of the ice there)
X, Y, Z_IN, T, N, Z, BZ, AZ = range(8)
#: entries of the settings array
SIGMA, LAMBDA_B, TAU_B, LOG_NOISE, MPE, ICE_Z0, N_SETTINGS = range(7)


@compiled
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
            be, whole_b, ae, whole_a = ice_at(ice, hits[i, Z] - path, settings[ICE_Z0])
            b, a = (hits[i, BZ] - whole_b) / path, (hits[i, AZ] - whole_a) / path
            b_path, a_path = (be - b) / path, (ae - a) / path
        else:
            b, _, a, _ = ice_at(ice, hits[i, Z] - 0.5 * path, settings[ICE_Z0])
            b_path = a_path = 0.0
        xi = d_eff * b / settings[LAMBDA_B]
        r = b / settings[TAU_B] + C_ICE * a
        n = hits[i, N] if mpe else 1.0
        f, f_t, f_x, f_r = hit(t, xi, r, n, sigma, log_g, log_s)
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
