r"""Tables of the Pandel function smeared with the time resolution.

The density of a photon's delay t is a gamma density of shape xi and rate r, convolved with a
Gaussian of width sigma. Completing the square (as van Eijndhoven, Fadiran and Japaridze do in
Astropart. Phys. 28, 2007, 456) leaves with eps = r sigma and y = t / sigma - eps

.. math:: p(t) = \frac{\epsilon^\xi}{\sigma} e^{-r t + \epsilon^2 / 2} G(\xi, y), \qquad
          G(\xi, y) = \frac{1}{\Gamma(\xi)} \int_0^\infty x^{\xi-1} \varphi(x - y) \, dx

so that a table of two dimensions, without ice or resolution in it, serves every case. The survival

.. math:: S(t) = \Phi(-z) + \int_0^\infty Q(\xi, \epsilon x) \varphi(x - z) dx, \qquad
          z = t / \sigma = y + \epsilon

has three; along w = ln(eps) + asinh(y / 2) it depends little on eps. Both are kept as coefficients
of cubic B-splines, and are made once per user.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 2
Floats = NDArray[np.float64]

LOG_XI_MIN, LOG_XI_MAX = np.log(0.01), np.log(100.0)
N_XI_G, N_XI_S = 128, 64
Y_MIN, Y_MAX = -10.0, 2500.0
V_MIN, V_MAX = np.arcsinh(Y_MIN / 2), np.arcsinh(Y_MAX / 2)
N_V = 176
LOG_EPS_MIN, LOG_EPS_MAX = np.log(0.003), 0.0
N_EPS = 20
W_MIN, W_MAX = -8.2, np.log(300.0)
N_W = 140
_LOG_FLOOR = -300.0


@dataclass(frozen=True, eq=False)
class Tables:
    """Coefficients of the splines, float32.

    Attributes
    ----------
    log_g
        (N_XI_G + 2, N_V + 2): cubic in ln xi and v = asinh(y / 2).
    log_s
        (N_EPS + 2, N_XI_S + 2, N_W + 2): cubic in ln eps, ln xi and w.
    """

    log_g: NDArray[np.float32]
    log_s: NDArray[np.float32]


def cache_folder() -> Path:
    """Where tables are kept: ``$DAYBREAK_CACHE``, else the user's cache folder."""
    named = os.environ.get("DAYBREAK_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "daybreak"


@lru_cache(maxsize=1)
def tables() -> Tables:
    """Load the tables, after making them if this user has none; kept for the process."""
    shapes = ((N_XI_G + 2, N_V + 2), (N_EPS + 2, N_XI_S + 2, N_W + 2))
    sizes = [int(np.prod(shape)) for shape in shapes]
    path = cache_folder() / f"pandel-{VERSION}.npy"
    flat = _load(path, sum(sizes))
    if flat is None:
        flat = np.concatenate([part.ravel() for part in build()]).astype(np.float32)
        flat.setflags(write=False)
        _save(path, flat)
    return Tables(flat[: sizes[0]].reshape(shapes[0]), flat[sizes[0] :].reshape(shapes[1]))


def _load(path: Path, size: int) -> NDArray[np.float32] | None:
    """A stored table, mapped into memory; None if there is none that can be used."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if found.shape != (size,) or found.dtype != np.float32 or not np.isfinite(found).all():
        return None
    return np.asarray(found)


def _save(path: Path, flat: NDArray[np.float32]) -> None:
    """Keep the table if the folder can be written to; if not, it is made again next time."""
    from daybreak.errors import OutputError
    from daybreak.products.atomic import atomic_path

    try:
        with atomic_path(path) as partial:
            np.save(partial, flat, allow_pickle=False)
    except (OSError, OutputError):
        return


def build() -> tuple[Floats, Floats]:
    """Compute the coefficients of both tables (seconds)."""
    xi = np.exp(np.linspace(LOG_XI_MIN, LOG_XI_MAX, N_XI_G))
    y = 2 * np.sinh(np.linspace(V_MIN, V_MAX, N_V))
    log_g = _coefficients(log_gauss_moment(xi, y))
    xi = np.exp(np.linspace(LOG_XI_MIN, LOG_XI_MAX, N_XI_S))
    eps = np.exp(np.linspace(LOG_EPS_MIN, LOG_EPS_MAX, N_EPS))
    w = np.linspace(W_MIN, W_MAX, N_W)
    log_s = np.stack([_log_survival(xi, float(e), w) for e in eps])
    return log_g, _coefficients(log_s)


def _coefficients(values: Floats) -> Floats:
    """Coefficients of the cubic B-spline through values on a regular grid, one more at each end.

    The ends are closed by a vanishing third difference.
    """
    for axis in range(values.ndim):
        values = _line_coefficients(np.moveaxis(values, axis, 0))
        values = np.moveaxis(values, 0, axis)
    return np.ascontiguousarray(values)


def _line_coefficients(values: Floats) -> Floats:
    from scipy.linalg import solve_banded

    n = len(values) + 2
    band = np.zeros((7, n))
    right = np.zeros((n, *values.shape[1:]))
    right[1:-1] = values

    def put(row: int, column: int, value: float) -> None:
        band[3 + row - column, column] = value

    for i in range(1, n - 1):
        for offset, value in ((-1, 1 / 6), (0, 4 / 6), (1, 1 / 6)):
            put(i, i + offset, value)
    for j, value in enumerate((-1.0, 3.0, -3.0, 1.0)):
        put(0, j, value)
        put(n - 1, n - 4 + j, value)
    flat = right.reshape(n, -1)
    return np.asarray(solve_banded((3, 3), band, flat)).reshape(right.shape)


def _legendre(n: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights


def log_gauss_moment(xi: Floats, y: Floats) -> Floats:
    """Return ln G(xi, y), shape (len(xi), len(y)), by quadrature.

    Below x = 0.05 the Gaussian is expanded in Hermite polynomials, above it the integral is done
    in ln x, or in x where the Gaussian is far from zero.

    Parameters
    ----------
    xi
        Exponent of Pandel's function, distance over scattering length, shape (n,).
    y
        Middle of the Gaussian, in units of the resolution, shape (m,).
    """
    from scipy.special import gammaln

    split, reach = 0.05, 10.0
    nodes, weights = _legendre(160)
    out = np.empty((len(xi), len(y)))
    for j, at in enumerate(y):
        # a common factor keeps everything in range: the largest value of phi for x >= 0
        shift = 0.5 * min(at, 0.0) ** 2
        if at - reach > 1.0:
            x = at + reach * nodes
            log_f = (xi[:, None] - 1) * np.log(x) - 0.5 * (x - at) ** 2
            total = _log_sum(log_f, np.log(reach * weights))
        else:
            low, high = np.log(split), np.log(max(at, 0.0) + reach)
            u = 0.5 * (high - low) * nodes + 0.5 * (high + low)
            log_f = xi[:, None] * u - 0.5 * (np.exp(u) - at) ** 2 + shift
            above = _log_sum(log_f, np.log(0.5 * (high - low) * weights))
            below = np.log(_head(xi, at, split)) - 0.5 * at**2 + shift
            total = np.logaddexp(above, below) - shift
        out[:, j] = total - gammaln(xi) - 0.5 * np.log(2 * np.pi)
    return out


def _log_sum(log_f: Floats, log_weight: Floats) -> Floats:
    values = log_f + log_weight
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)))


def _head(xi: Floats, y: float, split: float) -> Floats:
    """Integral of x^(xi-1) phi(x-y)/phi(y) from 0 to `split`, by Hermite polynomials of y."""
    y, before, now = float(y), 0.0, 1.0  # He_k(y) / k!
    total = np.zeros(len(xi))
    for k in range(24):
        total += now * split ** (xi + k) / (xi + k)
        before, now = now, (y * now - before) / (k + 1)
    return total


def _log_survival(xi: Floats, eps: float, w: Floats) -> Floats:
    """Return ln S on the grid (len(xi), len(w)) for one eps."""
    y = 2 * np.sinh(np.clip(w - np.log(eps), V_MIN - 1.0, None))
    return log_survival(xi, eps, y + eps)


def log_survival(xi: Floats, eps: float, z: Floats) -> Floats:
    """Return ln S(xi, eps, z), shape (len(xi), len(z)), by quadrature; not below -300.

    Parameters
    ----------
    xi
        Exponent of Pandel's function, distance over scattering length, shape (n,).
    eps
        Resolution times the rate of Pandel's function.
    z
        Delay in units of the resolution, shape (m,).
    """
    from scipy.special import gammaincc, ndtr

    reach = 9.0
    nodes, weights = _legendre(40)
    out = np.zeros((len(xi), len(z)))
    for j, at in enumerate(z):
        if at <= -reach:
            continue
        if at - reach > 1.0:
            x = at + reach * nodes
            weight = reach * weights
        else:
            low, high = np.log(1e-9), np.log(max(at, 0.0) + reach)
            fine, fine_weights = _legendre(120)
            x = np.exp(0.5 * (high - low) * fine + 0.5 * (high + low))
            weight = 0.5 * (high - low) * fine_weights * x
        gauss = np.exp(-0.5 * (x - at) ** 2) / np.sqrt(2 * np.pi)
        q = gammaincc(xi[:, None], eps * x[None, :])
        out[:, j] = ndtr(-at) + q @ (gauss * weight)
    clipped = np.log(np.clip(out, np.exp(_LOG_FLOOR), 1.0))
    clipped[:, z <= -reach] = 0.0
    return np.asarray(clipped)


def describe() -> dict[str, Any]:
    """Return what the tables are, for the provenance."""
    return {"version": VERSION, "kind": "exact convolution of gamma and Gaussian, cubic splines"}
