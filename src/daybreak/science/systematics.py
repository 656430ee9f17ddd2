"""How wrong the background can be, measured where there is no source, and what that does to a fit.

In the null regions of the runs (:mod:`daybreak.science.null`) the counts depart from the prediction
by delta(E) = a + b ln(E / E0), a norm and a tilt. What scatters more than Poisson counts do is
taken as the systematic error of the background in the ON region; the fit is repeated with the
background changed by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from daybreak.science.null import N_ROTATIONS, SMALLEST_RADIUS_DEG
from daybreak.science.run import FloatArray, ReducedRun
from daybreak.science.spectrum import model_from_dict, refit
from daybreak.science.stack import stack_runs

_FEWEST_COUNTS = 10.0


@dataclass(frozen=True)
class Deviation:
    """Scatter of one quantity over null regions.

    Attributes
    ----------
    mean, mean_error
        Weighted mean; its error from counts.
    rms, expected_rms
        Root mean square about zero, and what counts alone would give.
    size
        The systematic error: what is left of the rms without the counts, or the one that could
        have stayed unseen (the 1 sigma error of the variance), whichever is larger.
    measured
        It is the former.
    n
        Regions.
    """

    mean: float
    mean_error: float
    rms: float
    expected_rms: float
    size: float
    measured: bool
    n: int


@dataclass(frozen=True)
class BackgroundScatter:
    """What the null regions say about the background of the stacked runs.

    Attributes
    ----------
    norm, tilt
        Of all runs together, rotation by rotation.
    per_run
        Norm, run by run and rotation by rotation.
    reference_tev
        E0 of the tilt.
    n_independent
        Number of regions that don't overlap.
    """

    norm: Deviation
    tilt: Deviation
    per_run: Deviation
    reference_tev: float
    n_independent: float


def deviation(
    values: FloatArray, variances: FloatArray, n_independent: float | None = None
) -> Deviation:
    """Scatter of values about zero beyond their variances.

    Parameters
    ----------
    values, variances
        Measured deviations, and their variance from counts.
    n_independent
        Number of independent ones among them; None: all.
    """
    weight = 1 / variances
    n = len(values)
    effective = max(float(n if n_independent is None else min(n_independent, n)), 1.0)
    square = float(np.sum(weight * values**2) / weight.sum())
    expected = float(n / weight.sum())
    excess = square - expected
    unseen = np.sqrt(2 / effective) * max(square, expected)
    return Deviation(
        mean=float(np.sum(weight * values) / weight.sum()),
        mean_error=float(np.sqrt(n / effective / weight.sum())),
        rms=float(np.sqrt(square)),
        expected_rms=float(np.sqrt(expected)),
        size=float(np.sqrt(max(excess, unseen))),
        measured=bool(excess >= unseen),
        n=n,
    )


def _norm_and_tilt(
    counts: FloatArray, expected: FloatArray, off: FloatArray, log_energy: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Least squares for a + b ln E with the variances that the prediction implies."""
    use = expected > 0
    n, b = counts[use], expected[use]
    alpha = np.divide(b, off[use], out=np.ones_like(b), where=off[use] > 0)
    if b.sum() < _FEWEST_COUNTS or n.size < 2:
        return None
    design = np.column_stack([np.ones_like(b), log_energy[use]])
    weight = b / (1 + alpha)
    curvature = (design * weight[:, None]).T @ design
    covariance = np.linalg.inv(curvature)
    found: FloatArray = covariance @ (design * weight[:, None]).T @ (n / b - 1)
    return found, np.diag(covariance)


def background_scatter(runs: Sequence[ReducedRun], method: str) -> BackgroundScatter | None:
    """Scatter of the background estimate over the null regions.

    Parameters
    ----------
    runs
        Reduced runs on one energy axis.
    method
        ``fov`` or ``reflected``.

    Returns
    -------
    BackgroundScatter or None
        None where no run has null regions with enough counts.
    """
    having = [run for run in runs if run.null is not None and method in run.null.expected]
    if not having:
        return None
    edges = having[0].energy_edges_tev
    log_centre = np.log(np.sqrt(edges[:-1] * edges[1:]))
    stacked: dict[float, FloatArray] = {}
    single = []
    total = np.zeros_like(log_centre)
    for run in having:
        null = run.null
        assert null is not None
        for i, angle in enumerate(np.round(null.angles_deg, 3)):
            parts = np.array([null.counts[i], null.expected[method][i], null.off_counts[method][i]])
            parts = parts * run.mask_safe
            stacked[angle] = stacked.get(angle, 0) + parts
            total += parts[1]
            single.append(parts.sum(axis=1))
    if not total.sum() > 0:
        return None
    reference = float(np.sum(total * log_centre) / total.sum())
    log_energy = log_centre - reference
    fits = [_norm_and_tilt(n, b, off, log_energy) for n, b, off in stacked.values()]
    good = [fit for fit in fits if fit is not None]
    # rows of sums over energy: a norm per run and rotation
    sums = np.array([row for row in single if row[1] >= _FEWEST_COUNTS])
    if not good or not len(sums):
        return None
    values, variances = (np.array(part) for part in zip(*good, strict=True))
    independent = _independent(having, len(good))
    run_values = sums[:, 0] / sums[:, 1] - 1
    run_variances = (1 + sums[:, 1] / np.maximum(sums[:, 2], 1)) / sums[:, 1]
    share = independent / len(good)
    return BackgroundScatter(
        norm=deviation(values[:, 0], variances[:, 0], independent),
        tilt=deviation(values[:, 1], variances[:, 1], independent),
        per_run=deviation(run_values, run_variances, share * len(run_values)),
        reference_tev=float(np.exp(reference)),
        n_independent=independent,
    )


def _independent(runs: Sequence[ReducedRun], n: int) -> float:
    """Of `n` rotated regions those that don't overlap: arc between centres over the diameter."""
    step = 2 * np.pi / N_ROTATIONS
    radius = max(_radius(run) for run in runs)
    offset = float(np.mean([run.info["offset_deg"] for run in runs]))
    apart = 2 * offset * np.sin(step / 2)
    return float(max(n * min(apart / (2 * radius), 1.0), 1.0))


def _radius(run: ReducedRun) -> float:
    on = next(circle.radius_deg for kind, circle in run.regions if kind == "on")
    return float(np.nanmax([on, SMALLEST_RADIUS_DEG]))


def livetime_shift(runs: Sequence[ReducedRun]) -> float:
    """Relative change of a flux if the live time is the other one that the files tell.

    A header's LIVETIME and the good time times DEADC are the same but for lost time that one of
    them does not know of; a flux goes with one over the live time. A LIVETIME that is longer than
    the good time is that of something else, and is not counted.

    Parameters
    ----------
    runs
        Reduced runs.
    """
    used = sum(run.livetime_s for run in runs)
    other = 0.0
    for run in runs:
        two = run.info["livetime_header_s"], run.info["livetime_gti_s"]
        known = [t for t in two if 0 < t <= 1.005 * run.info["ontime_s"]]  # not NaN
        differ = [t for t in known if abs(t / run.livetime_s - 1) > 1e-3]
        other += differ[0] if differ else run.livetime_s
    return used / other - 1


def parameter_shifts(
    runs: Sequence[ReducedRun],
    method: str,
    fitted: Mapping[str, Any],
    scatter: BackgroundScatter,
    *,
    fit_min: u.Quantity | None = None,
    fit_max: u.Quantity | None = None,
) -> Table:
    """What the background's norm and tilt do to the parameters of a fit.

    Parameters
    ----------
    runs, method
        Runs and background of the spectrum.
    fitted
        The spectral model as Gammapy's ``to_dict(full_output=True)``.
    scatter
        Systematic errors of norm and tilt.
    fit_min, fit_max
        Energies of the fit; None: all above the threshold.

    Returns
    -------
    astropy.table.Table
        A row per free parameter: ``parameter``, ``value``, ``stat``, ``syst_norm``, ``syst_tilt``
        (half of the change between up and down), ``syst_livetime`` (see `livetime_shift`),
        ``syst`` (their quadratic sum), ``unit``.
    """
    edges = runs[0].energy_edges_tev
    tilt = np.log(np.sqrt(edges[:-1] * edges[1:]) / scatter.reference_tev)

    dataset = stack_runs(runs, method)
    if fit_min is not None or fit_max is not None:
        dataset.mask_fit = dataset.counts.geom.energy_mask(fit_min, fit_max)
    acceptance = dataset.acceptance.data.copy()

    def fit(norm: float, slope: float) -> Any:
        # the same factor for every run is that factor for their stack
        factor = np.clip(1 + norm + slope * tilt, 0.0, None)
        dataset.acceptance.data = acceptance * factor[:, None, None]
        return refit(dataset, model_from_dict(dict(fitted)))

    a, b = scatter.norm.size, scatter.tilt.size
    base = fit(0.0, 0.0)
    ends = [(fit(a, 0.0), fit(-a, 0.0)), (fit(0.0, b), fit(0.0, -b))]
    live = livetime_shift(runs)
    rows = []
    for p in base.parameters.free_parameters:
        shifts = [(up.parameters[p.name].value - low.parameters[p.name].value) / 2
                  for up, low in ends]  # fmt: skip
        by_live = float(p.value) * live if p.name == "amplitude" else 0.0
        rows.append(
            {
                "parameter": p.name,
                "value": float(p.value),
                "stat": float(p.error),
                "syst_norm": float(shifts[0]),
                "syst_tilt": float(shifts[1]),
                "syst_livetime": by_live,
                "syst": float(np.sqrt(shifts[0] ** 2 + shifts[1] ** 2 + by_live**2)),
                "unit": p.unit.to_string("fits") if str(p.unit) else "",
            }
        )
    return Table(rows=rows)


def scatter_header(scatter: BackgroundScatter) -> dict[str, Any]:
    """The scatter as JSON-able values for a table's header.

    Parameters
    ----------
    scatter
        What the null regions say.
    """
    parts = {name: vars(getattr(scatter, name)) for name in ("norm", "tilt", "per_run")}
    return {
        **{name: dict(values) for name, values in parts.items()},
        "reference_tev": scatter.reference_tev,
        "n_independent": scatter.n_independent,
    }
