"""Direct solver for a single norm: the likelihood of ON/OFF counts is convex in it.

With the background of each bin profiled out, the W statistic (Cash statistic with measured
background; Wachter, Leach & Kellogg 1979, and the XSPEC manual, appendix B) depends on one number
only when the shape of the spectrum is fixed: ``signal = norm * reference``. Its derivatives are
analytic, so that the best norm, its errors and its upper limit are roots of smooth monotonic
functions. Many such problems (flux points, bins of a light curve) are solved at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr

FloatArray = NDArray[np.float64]
_MAX_STEPS = 200


@dataclass(frozen=True)
class NormProblem:
    """Bins of all problems in one flat list.

    Attributes
    ----------
    n_on, n_off
        Counts per bin.
    alpha
        ON over OFF exposure per bin (where no OFF exposure exists: 1 with ``n_off`` 0).
    signal
        Counts that a norm of one predicts in each bin.
    group
        Number of the problem that a bin belongs to, from 0.
    n_groups
        How many problems there are.
    """

    n_on: FloatArray
    n_off: FloatArray
    alpha: FloatArray
    signal: FloatArray
    group: NDArray[np.intp]
    n_groups: int

    def sum(self, values: FloatArray) -> FloatArray:
        """Sum over the bins of each problem.

        Parameters
        ----------
        values
            One per bin, shape (n,).
        """
        total: FloatArray = np.bincount(self.group, values, self.n_groups).astype(np.float64)
        return total


@dataclass(frozen=True)
class NormResult:
    """Solutions, one entry per problem; NaN where a quantity is not defined.

    Attributes
    ----------
    norm, norm_err, norm_errn, norm_errp, norm_ul
        Best norm, its symmetric error (curvature), asymmetric errors (statistic up by one),
        upper limit (statistic up by ``n_sigma_ul`` squared above the best norm).
    ts
        Statistic without signal minus statistic at the best norm.
    stat, stat_null
        Both statistics.
    """

    norm: FloatArray
    norm_err: FloatArray
    norm_errn: FloatArray
    norm_errp: FloatArray
    norm_ul: FloatArray
    ts: FloatArray
    stat: FloatArray
    stat_null: FloatArray


def merge_sparse(p: NormProblem, min_off: float) -> NormProblem:
    """Merge neighbouring bins of each problem until each holds `min_off` OFF counts.

    The W statistic is biased where OFF counts are near zero, since it then takes the background
    for zero. A rest below `min_off` joins the bin before it. alpha of a merged bin is the mean
    weighted by OFF counts (plain mean without any).

    Parameters
    ----------
    p
        Bins in the order in which they may be merged (energy).
    min_off
        Fewest OFF counts; 0 leaves everything as it is.
    """
    if min_off <= 0 or not p.n_on.size:
        return p
    order = np.argsort(p.group, kind="stable")
    label = np.zeros(len(order), dtype=np.intp)
    current, total, group, first = -1, 0.0, -1, 0
    for position, index in enumerate(order):
        if p.group[index] != group:
            group, total = int(p.group[index]), min_off
            first = current + 1
        if total >= min_off:
            current, total = current + 1, 0.0
        label[position] = current
        total += p.n_off[index]
        last = position + 1 == len(order) or p.group[order[position + 1]] != group
        if last and total < min_off and current > first:
            label[: position + 1][label[: position + 1] == current] = current - 1
            current -= 1
    size = current + 1

    def add(values: FloatArray) -> FloatArray:
        total: FloatArray = np.bincount(label, values[order], size).astype(np.float64)
        return total

    n_off, plain = add(p.n_off), add(np.ones_like(p.n_off))
    weighted = np.divide(add(p.alpha * p.n_off), n_off, out=np.zeros(size), where=n_off > 0)
    alpha = np.where(n_off > 0, weighted, add(p.alpha) / plain)
    groups = np.zeros(size, dtype=np.intp)
    groups[label] = p.group[order]
    return NormProblem(add(p.n_on), n_off, alpha, add(p.signal), groups, p.n_groups)


def profiled_background(
    n_on: FloatArray, n_off: FloatArray, alpha: FloatArray, signal: FloatArray
) -> FloatArray:
    """Most likely background counts in the ON region for a given signal (never negative).

    Solves ``n_on / (s + b) - 1 + (n_off / b - 1/alpha) = 0``, a quadratic equation in b.

    Parameters
    ----------
    n_on, n_off
        Counts, shape (n,).
    alpha
        ON over OFF exposure, shape (n,).
    signal
        Expected signal counts, shape (n,).
    """
    total = alpha * (n_on + n_off) - (1 + alpha) * signal
    root = np.sqrt(np.maximum(total**2 + 4 * (1 + alpha) * alpha * n_off * signal, 0.0))
    background: FloatArray = np.maximum((total + root) / (2 * (1 + alpha)), 0.0)
    return background


def _xlogy_ratio(n: FloatArray, mu: FloatArray) -> FloatArray:
    """Poisson deviance term ``mu - n + n ln(n / mu)``, with its limit at n = 0."""
    out = mu - n
    positive = n > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        term = n[positive] * np.log(n[positive] / mu[positive])
    out[positive] += np.where(mu[positive] > 0, term, np.inf)
    return out


def wstat(n_on: FloatArray, n_off: FloatArray, alpha: FloatArray, signal: FloatArray) -> FloatArray:
    """W statistic per bin: twice the deviance of ON and OFF, the background profiled out.

    Parameters
    ----------
    n_on, n_off
        Counts, shape (n,).
    alpha
        ON over OFF exposure, shape (n,).
    signal
        Expected signal counts, shape (n,).
    """
    background = profiled_background(n_on, n_off, alpha, signal)
    on = _xlogy_ratio(n_on, signal + background)
    off = _xlogy_ratio(n_off, background / alpha)
    total: FloatArray = 2 * (on + off)
    return total


def _slope(p: NormProblem, norm: FloatArray) -> FloatArray:
    """D stat / d norm of each problem.

    With b the profiled background the derivative by the signal is ``2 (n_off / b - 1 / alpha)``,
    which also holds where a negative signal forces ``b`` up to keep the ON expectation at zero;
    where ``b`` is zero it is ``2 (1 - n_on / signal)``.
    """
    signal = norm[p.group] * p.signal
    b = profiled_background(p.n_on, p.n_off, p.alpha, signal)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(b > 0, p.n_off / b - 1 / p.alpha, 1 - p.n_on / signal)
    slope = np.where((b == 0) & (p.n_on == 0), np.where(signal < 0, -1 / p.alpha, 1.0), slope)
    return p.sum(2 * p.signal * slope)


def _stat(p: NormProblem, norm: FloatArray) -> FloatArray:
    return p.sum(wstat(p.n_on, p.n_off, p.alpha, norm[p.group] * p.signal))


def _bisect(
    function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray
) -> FloatArray:
    """Root of increasing functions, all at once: Illinois false position, bisection as a guard."""
    f_low, f_high = function(low), function(high)
    last = np.zeros(len(low), dtype=int)
    for step in range(_MAX_STEPS):
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = high - f_high * (high - low) / (f_high - f_low)
        centre = 0.5 * (low + high)
        bad = ~np.isfinite(middle) | (middle <= low) | (middle >= high) | (step % 4 == 3)
        middle = np.where(bad, centre, middle)
        value = function(middle)
        up = value < 0
        f_high = np.where(~up, value, np.where(last == 1, 0.5 * f_high, f_high))
        f_low = np.where(up, value, np.where(last == -1, 0.5 * f_low, f_low))
        low = np.where(up | (value == 0), middle, low)
        high = np.where(up, high, middle)
        last = np.where(up, 1, -1)
        if np.all(high - low <= 1e-9 * np.maximum(np.abs(low), np.abs(high)) + 1e-300):
            break
    return 0.5 * (low + high)


def _grow(
    function: Callable[[FloatArray], FloatArray], start: FloatArray, width: FloatArray
) -> FloatArray:
    """Move away from `start` by doubling steps until the function is positive."""
    end = start + width
    for _ in range(_MAX_STEPS):
        missing = ~(function(end) > 0)
        if not missing.any():
            break
        width = np.where(missing, 2 * width, width)
        end = np.where(missing, start + width, end)
    return end


def _curvature(p: NormProblem, norm: FloatArray) -> FloatArray:
    step = 1e-4 * np.maximum(np.abs(norm), 1e-3 * _scale(p))
    return (_slope(p, norm + step) - _slope(p, norm - step)) / (2 * step)


def _scale(p: NormProblem) -> FloatArray:
    """A norm of the order of one count's worth or the error, whichever is larger."""
    signal = np.maximum(p.sum(p.signal), 1e-300)
    spread = np.sqrt(p.sum(p.n_on) + p.sum(p.alpha**2 * p.n_off)) + 1.0
    scale: FloatArray = spread / signal
    return scale


def solve(p: NormProblem, *, n_sigma_ul: float = 2.0) -> NormResult:
    """Solve all problems.

    Parameters
    ----------
    p
        The problems.
    n_sigma_ul
        The upper limit is where the statistic is ``n_sigma_ul**2`` above its minimum. Where a
        problem has no ON counts at all the statistic has no minimum: the norm is 0, its errors
        are NaN, and the limit is the classical Poisson one of the same confidence, where the
        signal alone would give at least one count that often (``-ln(1 - CL)`` counts).

    Returns
    -------
    NormResult
        NaN everywhere for a problem without predicted signal.
    """
    usable = p.sum(p.signal) > 0
    empty = usable & (p.sum(p.n_on * (p.signal > 0)) == 0)
    fit = usable & ~empty
    zero = np.zeros(p.n_groups)
    nan = np.full(p.n_groups, np.nan)
    scale = np.where(usable, _scale(p), 1.0)

    def masked(function: Callable[[FloatArray], FloatArray]) -> Callable[..., FloatArray]:
        return lambda x: np.where(fit, function(np.where(fit, x, 0.0)), x)

    slope = masked(lambda x: _slope(p, x))
    high = _grow(slope, zero, np.where(fit, scale, 1.0))
    low = -_grow(masked(lambda x: -_slope(p, -x)), zero, np.where(fit, scale, 1.0))
    norm = np.where(fit, _bisect(slope, low, high), 0.0)
    stat_null = _stat(p, zero)
    stat = np.where(fit, _stat(p, norm), stat_null)

    def above(delta: float, sign: int) -> FloatArray:
        def rise(distance: FloatArray) -> FloatArray:
            return _stat(p, norm + sign * distance) - stat - delta

        function = masked(rise)
        end = _grow(function, zero, np.where(fit, scale, 1.0))
        return np.where(fit, _bisect(function, zero, end), np.nan)

    errn, errp = above(1.0, -1), above(1.0, +1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(fit, np.sqrt(2.0 / _curvature(p, norm)), np.nan)
        # where OFF is empty the statistic may have a kink or a straight piece: no curvature there
        smooth = (error > 0.5 * np.fmin(errn, errp)) & (error < 2 * np.fmax(errn, errp))
        error = np.where(smooth, error, 0.5 * (errn + errp))
        confidence = float(chdtr(1, n_sigma_ul**2))
        counts = -np.log1p(-confidence)
        empty_ul = counts / p.sum(p.signal)
    limit = np.where(empty, empty_ul, norm + above(n_sigma_ul**2, +1))
    return NormResult(
        norm=np.where(usable, norm, nan),
        norm_err=error,
        norm_errn=errn,
        norm_errp=errp,
        norm_ul=np.where(usable, limit, nan),
        ts=np.where(usable, np.maximum(stat_null - stat, 0.0), nan),
        stat=np.where(usable, stat, nan),
        stat_null=np.where(usable, stat_null, nan),
    )
