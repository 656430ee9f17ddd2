"""Light curves by the direct solver, and what they say about variability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from astropy import units as u
from gammapy.modeling.models import SpectralModel

from daybreak.science.norm import NormResult, merge_sparse, solve
from daybreak.science.run import BoolArray, FloatArray, ReducedRun
from daybreak.science.stack import alpha_of, problem, run_response
from daybreak.science.variability import Variability, variability

_SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True)
class Interval:
    """A time bin: MJD (TT) and a label (run, night)."""

    start_mjd: float
    stop_mjd: float
    label: str


@dataclass(frozen=True)
class LightCurve:
    """A light curve in a fixed energy range.

    Attributes
    ----------
    intervals
        Time bins with livetime.
    livetime_s, n_on, n_off, alpha, excess
        Per bin.
    solved
        Norms relative to the reference model.
    reference_flux
        Integral flux of the reference model, 1/(cm2 s).
    e_min_tev, e_max_tev
        Energy range.
    variability
        Constant fit, chi², Fvar, Bayesian blocks.
    """

    intervals: tuple[Interval, ...]
    livetime_s: FloatArray
    n_on: FloatArray
    n_off: FloatArray
    alpha: FloatArray
    excess: FloatArray
    solved: NormResult
    reference_flux: float
    e_min_tev: float
    e_max_tev: float
    variability: Variability


def run_intervals(runs: Sequence[ReducedRun]) -> list[Interval]:
    """One bin per run.

    Parameters
    ----------
    runs
        The reduced runs.
    """
    return [Interval(float(r.gti_mjd[0, 0]), float(r.gti_mjd[-1, 1]), str(r.obs_id)) for r in runs]


def night_intervals(runs: Sequence[ReducedRun]) -> list[Interval]:
    """One bin per night (civil date of its evening at the site).

    Parameters
    ----------
    runs
        The reduced runs.
    """
    out: dict[str, list[float]] = {}
    for run in runs:
        night = str(run.info["night"])
        low, high = float(run.gti_mjd[0, 0]), float(run.gti_mjd[-1, 1])
        span = out.setdefault(night, [low, high])
        span[0], span[1] = min(span[0], low), max(span[1], high)
    return [Interval(span[0], span[1], night) for night, span in out.items()]


def minute_intervals(runs: Sequence[ReducedRun], length: u.Quantity) -> list[Interval]:
    """Short bins from the start of each run; a rest below half a bin joins the last.

    Parameters
    ----------
    runs
        The runs.
    length
        Of a bin.
    """
    out = []
    width = float(length.to_value("d"))
    for run in runs:
        start, stop = float(run.gti_mjd[0, 0]), float(run.gti_mjd[-1, 1])
        count = max(int(np.floor((stop - start) / width + 0.5)), 1)
        edges = [start + k * width for k in range(count)] + [stop]
        out += [Interval(a, b, str(run.obs_id)) for a, b in pairwise(edges)]
    return out


def _overlap_s(gti_mjd: FloatArray, start: float, stop: float) -> float:
    low = np.maximum(gti_mjd[:, 0], start)
    high = np.minimum(gti_mjd[:, 1], stop)
    return float(np.clip(high - low, 0, None).sum() * _SECONDS_PER_DAY)


def energy_selection(
    runs: Sequence[ReducedRun], low: u.Quantity | None, high: u.Quantity | None
) -> BoolArray:
    """Reconstructed bins of the light curve: above every run's threshold, inside the range.

    Parameters
    ----------
    runs
        The runs.
    low, high
        Ends of the energy range, moved to the nearest edge of a bin; None for no limit.
    """
    edges = runs[0].energy_edges_tev * u.TeV
    use = np.all([run.mask_safe for run in runs], axis=0)

    def nearest(energy: u.Quantity) -> u.Quantity:
        return edges[np.argmin(np.abs(np.log((edges / energy).to_value(""))))]

    nearest_low = edges[0] if low is None else nearest(low)
    nearest_high = edges[-1] if high is None else nearest(high)
    inside = (edges[:-1] >= nearest_low * (1 - 1e-9)) & (edges[1:] <= nearest_high * (1 + 1e-9))
    selected: BoolArray = use & inside
    return selected


@dataclass
class _Bins:
    """Bins of all intervals in one list, as the solver wants them."""

    n_on: list[FloatArray]
    n_off: list[FloatArray]
    alpha: list[FloatArray]
    signal: list[FloatArray]
    group: list[np.ndarray]

    @classmethod
    def empty(cls) -> _Bins:
        return cls([], [], [], [], [])


def light_curve(
    runs: Sequence[ReducedRun],
    method: str,
    model: SpectralModel,
    intervals: Sequence[Interval],
    use: BoolArray,
    *,
    n_sigma_ul: float,
    bayesian_p0: float,
    min_off: float = 0.0,
) -> LightCurve:
    """Integral fluxes in time bins for a fixed spectral shape.

    The response of a run does not change within it, so that the predicted counts of a bin are
    those of the run times the bin's share of the run's good time.

    Parameters
    ----------
    runs
        Runs with the background `method`.
    method
        ``reflected`` or ``fov``.
    model
        Spectral shape.
    intervals
        Time bins; those without livetime are dropped.
    use
        Reconstructed energy bins.
    n_sigma_ul
        Upper limits at Delta TS = ``n_sigma_ul`` squared.
    bayesian_p0
        False-alarm rate of a change point.
    min_off
        Energy bins are merged within a time bin until each has this many OFF counts.
    """
    edges = runs[0].energy_edges_tev
    predicted = {r.obs_id: run_response(r, method).predicted(model)[use] for r in runs}
    bins = _Bins.empty()
    kept: list[Interval] = []
    livetime = []
    for interval in intervals:
        total = 0.0
        for run in runs:
            ontime = _overlap_s(run.gti_mjd, interval.start_mjd, interval.stop_mjd)
            if ontime > 0:
                fraction = ontime / float(run.info["ontime_s"])
                total += fraction * run.livetime_s
                _add(bins, run, method, interval, use, fraction, predicted[run.obs_id], len(kept))
        if total > 0:
            kept.append(interval)
            livetime.append(total)
    n = len(kept)
    flat = problem(
        np.concatenate(bins.n_on),
        np.concatenate(bins.n_off),
        np.concatenate(bins.alpha),
        np.concatenate(bins.signal),
        np.concatenate(bins.group),
        n,
    )
    merged = merge_sparse(flat, min_off)
    solved = solve(merged, n_sigma_ul=n_sigma_ul)
    background = flat.sum(np.where(flat.n_off > 0, flat.alpha * flat.n_off, 0.0))
    n_on, n_off = flat.sum(flat.n_on), flat.sum(flat.n_off)
    low, high = float(edges[:-1][use][0]), float(edges[1:][use][-1])
    reference = float(model.integral(low * u.TeV, high * u.TeV).to_value("cm-2 s-1"))
    return LightCurve(
        intervals=tuple(kept),
        livetime_s=np.array(livetime),
        n_on=n_on,
        n_off=n_off,
        alpha=np.divide(background, n_off, out=np.full(n, np.nan), where=n_off > 0),
        excess=n_on - background,
        solved=solved,
        reference_flux=reference,
        e_min_tev=low,
        e_max_tev=high,
        variability=variability(merged, solved, kept, reference, bayesian_p0),
    )


def _add(
    bins: _Bins,
    run: ReducedRun,
    method: str,
    interval: Interval,
    use: BoolArray,
    fraction: float,
    predicted: FloatArray,
    group: int,
) -> None:
    edges = run.energy_edges_tev
    item = run.backgrounds[method]

    def counts(time: FloatArray, energy: FloatArray) -> FloatArray:
        last = interval.stop_mjd >= run.gti_mjd[-1, 1]
        inside = (time >= interval.start_mjd) & (
            (time <= interval.stop_mjd) if last else (time < interval.stop_mjd)
        )
        return np.histogram(energy[inside], edges)[0][use].astype(float)

    alpha = np.nan_to_num(alpha_of(item)[use])
    bins.n_on.append(counts(run.on_time_mjd, run.on_energy_tev))
    bins.n_off.append(counts(item.off_time_mjd, item.off_energy_tev) * (alpha > 0))
    bins.alpha.append(alpha)
    bins.signal.append(predicted * fraction)
    bins.group.append(np.full(int(use.sum()), group))
