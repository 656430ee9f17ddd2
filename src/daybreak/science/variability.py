"""Is a light curve constant? Likelihood-ratio chi², fractional variability, Bayesian blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from astropy.stats import bayesian_blocks
from scipy.special import chdtrc

from daybreak.science.norm import NormProblem, NormResult, solve, wstat
from daybreak.science.run import FloatArray


@dataclass(frozen=True)
class Block:
    """A time span of constant flux (1/(cm2 s)); MJD in TT."""

    start_mjd: float
    stop_mjd: float
    flux: float
    flux_err: float


@dataclass(frozen=True)
class Variability:
    """What a light curve says about constancy.

    Attributes
    ----------
    constant, constant_error
        Best constant flux, 1/(cm2 s).
    chi2, dof, p_value
        Likelihood-ratio test of the constant against a free flux in each bin; NaN for one bin.
    fvar, fvar_error
        Fractional variability (Vaughan et al. 2003, eq. 10 and B2); NaN where the scatter is
        below the errors.
    blocks
        Bayesian blocks (Scargle et al. 2013) of the fluxes.
    """

    constant: float
    constant_error: float
    chi2: float
    dof: int
    p_value: float
    fvar: float
    fvar_error: float
    blocks: tuple[Block, ...]


def fractional_variability(flux: FloatArray, error: FloatArray) -> tuple[float, float]:
    """Fvar and its error: excess scatter over the mean (Vaughan et al. 2003, MNRAS 345, 1271).

    Parameters
    ----------
    flux, error
        Same unit, shape (n,).

    Returns
    -------
    fvar, fvar_error : float
        NaN for fewer than two points, a mean that is not positive, or no excess scatter.
    """
    n = len(flux)
    if n < 2 or flux.mean() <= 0:
        return float("nan"), float("nan")
    mean = flux.mean()
    noise = float(np.mean(error**2))
    excess = float(np.var(flux, ddof=1)) - noise
    if excess <= 0:
        return float("nan"), float("nan")
    fvar = np.sqrt(excess) / mean
    first = np.sqrt(1 / (2 * n)) * noise / (mean**2 * fvar)
    second = np.sqrt(noise / n) / mean
    return float(fvar), float(np.hypot(first, second))


def _single(p: NormProblem) -> NormProblem:
    return NormProblem(p.n_on, p.n_off, p.alpha, p.signal, np.zeros_like(p.group), 1)


def variability(
    p: NormProblem,
    solved: NormResult,
    intervals: Sequence[Any],
    reference_flux: float,
    bayesian_p0: float,
) -> Variability:
    """Measures of variability of a light curve.

    Parameters
    ----------
    p
        All bins of the light curve.
    solved
        Its solution.
    intervals
        Time bins with ``start_mjd`` and ``stop_mjd``.
    reference_flux
        Flux for a norm of one, 1/(cm2 s).
    bayesian_p0
        False-alarm rate of a change point.
    """
    constant = solve(_single(p))
    norm = float(constant.norm[0])
    dof = p.n_groups - 1
    chi2 = p_value = float("nan")
    if dof > 0 and np.isfinite(norm):
        at_constant = p.sum(wstat(p.n_on, p.n_off, p.alpha, norm * p.signal))
        chi2 = float(np.sum(np.maximum(at_constant - solved.stat, 0.0)))
        p_value = float(chdtrc(dof, chi2))
    flux, error = solved.norm * reference_flux, solved.norm_err * reference_flux
    good = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    fvar, fvar_error = fractional_variability(flux[good], error[good])
    return Variability(
        constant=norm * reference_flux,
        constant_error=float(constant.norm_err[0]) * reference_flux,
        chi2=chi2,
        dof=dof,
        p_value=p_value,
        fvar=fvar,
        fvar_error=fvar_error,
        blocks=blocks(flux, error, good, intervals, bayesian_p0),
    )


def blocks(
    flux: FloatArray,
    error: FloatArray,
    good: np.ndarray,
    intervals: Sequence[Any],
    p0: float,
) -> tuple[Block, ...]:
    """Bayesian blocks of point measurements; one block for each stretch of constant flux.

    Parameters
    ----------
    flux, error
        Fluxes with their errors, shape (n,).
    good
        Bins with a measured flux, shape (n,).
    intervals
        Times of the bins.
    p0
        False-alarm probability.
    """
    if np.count_nonzero(good) < 3:
        return ()
    start = np.array([i.start_mjd for i in intervals])[good]
    stop = np.array([i.stop_mjd for i in intervals])[good]
    middle = 0.5 * (start + stop)
    order = np.argsort(middle)
    start, stop, middle = start[order], stop[order], middle[order]
    value, sigma = flux[good][order], error[good][order]
    unit = float(np.abs(value).max()) or 1.0
    edges = bayesian_blocks(middle, value / unit, sigma / unit, fitness="measures", p0=p0)
    out = []
    for low, high in pairwise(edges):
        last = high == edges[-1]
        inside = (middle >= low) & ((middle <= high) if last else (middle < high))
        if inside.any():
            weight = 1 / sigma[inside] ** 2
            out.append(
                Block(
                    float(start[inside].min()),
                    float(stop[inside].max()),
                    float(np.sum(weight * value[inside]) / weight.sum()),
                    float(1 / np.sqrt(weight.sum())),
                )
            )
    return tuple(out)
