"""Spectral fits (Gammapy), choice of the model, flux points (direct solver)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from gammapy.datasets import SpectrumDatasetOnOff
from gammapy.modeling import Fit
from gammapy.modeling.models import (
    SPECTRAL_MODEL_REGISTRY,
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpectralModel,
)

from daybreak.science.norm import NormProblem, NormResult, merge_sparse, solve
from daybreak.science.run import FloatArray
from daybreak.science.stack import Response, problem

DNDE_UNIT = u.Unit("cm-2 s-1 TeV-1")
#: smallest norm error, relative to the norm, below which a flux point counts as undefined
_NAMES = {"pl": "power law", "lp": "log-parabola", "ecpl": "power law with exponential cut-off"}


def model_from_dict(block: Mapping[str, Any]) -> SpectralModel:
    """Spectral model from what Gammapy's ``to_dict(full_output=True)`` gave."""
    return SPECTRAL_MODEL_REGISTRY.get_cls(block["spectral"]["type"]).from_dict(dict(block))


@dataclass(frozen=True)
class ModelFit:
    """Result of one spectral fit.

    Attributes
    ----------
    name
        ``pl``, ``lp`` or ``ecpl``.
    model
        The fitted Gammapy spectral model, with its covariance.
    stat
        W statistic at the best fit.
    dof
        Energy bins less free parameters.
    success, message
        What the minimiser said.
    """

    name: str
    model: SpectralModel
    stat: float
    dof: int
    success: bool
    message: str

    @property
    def title(self) -> str:
        """Name in words."""
        return _NAMES[self.name]


@dataclass(frozen=True)
class SpectrumFits:
    """All fits, the chosen one and the reason."""

    fits: tuple[ModelFit, ...]
    chosen: str
    choice: str
    assumed: SpectralModel | None = None

    @property
    def best(self) -> ModelFit:
        """The chosen fit."""
        return next(f for f in self.fits if f.name == self.chosen)

    @property
    def shape(self) -> SpectralModel:
        """The spectral shape for flux points and light curves: its flux is positive."""
        return self.best.model if self.assumed is None else self.assumed


def make_model(
    name: str, reference: u.Quantity, amplitude: u.Quantity, index: float
) -> SpectralModel:
    """A start model: power law, log-parabola or exponential cut-off."""
    if name == "pl":
        return PowerLawSpectralModel(amplitude=amplitude, index=index, reference=reference)
    if name == "lp":
        return LogParabolaSpectralModel(
            amplitude=amplitude, alpha=index, beta=0.05, reference=reference
        )
    return ExpCutoffPowerLawSpectralModel(
        amplitude=amplitude, index=index - 0.2, lambda_=0.05 / u.TeV, reference=reference
    )


def start_amplitude(response: Response, reference: u.Quantity, index: float) -> u.Quantity:
    """Amplitude of a power law that predicts the observed excess."""
    unit = PowerLawSpectralModel(amplitude=1e-12 * DNDE_UNIT, index=index, reference=reference)
    signal = response.predicted(unit)[response.mask].sum()
    background = (response.alpha * response.n_off)[response.mask].sum()
    excess = max(float(response.n_on[response.mask].sum() - background), 1.0)
    return 1e-12 * DNDE_UNIT * excess / max(float(signal), 1e-30)


def fit_models(
    dataset: SpectrumDatasetOnOff,
    response: Response,
    names: Sequence[str],
    *,
    reference: u.Quantity,
    start_index: float,
    choice_sigma: float,
) -> SpectrumFits:
    """Fit the models to the stacked dataset and choose one.

    A curved model is chosen only where its statistic is better than the power law's by
    ``choice_sigma`` squared (likelihood-ratio test with one more parameter, Wilks); of two such
    the better one.

    Parameters
    ----------
    dataset
        Stacked ON/OFF dataset; its ``mask_fit`` limits the energies.
    response
        The same as arrays, for the start values.
    names
        Which models; the power law is always fitted.
    reference
        E0 of all models.
    start_index
        First guess of the index.
    choice_sigma
        See above.
    """
    amplitude = start_amplitude(response, reference, start_index)
    wanted = ["pl", *(n for n in names if n != "pl")]
    fits: list[ModelFit] = []
    for name in wanted:
        if fits and name != "pl":
            first = fits[0].model
            amplitude, start_index = first.amplitude.quantity, float(first.index.value)
        fits.append(_fit(dataset, name, make_model(name, reference, amplitude, start_index)))
    dataset.models = None
    chosen, reason = choose(fits, choice_sigma)
    return SpectrumFits(tuple(fits), chosen, reason)


def _fit(dataset: SpectrumDatasetOnOff, name: str, model: SpectralModel) -> ModelFit:
    dataset.models = [SkyModel(spectral_model=model, name=name)]
    result = Fit().run([dataset])
    free = len(dataset.models.parameters.free_parameters)
    bins = int(np.count_nonzero(dataset.mask.data)) if dataset.mask is not None else 0
    success = bool(result.success) and all(
        np.isfinite(p.value) and np.isfinite(p.error) for p in model.parameters if not p.frozen
    )
    message = "" if success else str(getattr(result, "message", "the minimiser did not converge"))
    return ModelFit(name, model, float(result.total_stat), bins - free, success, message)


def refit(dataset: SpectrumDatasetOnOff, model: SpectralModel) -> SpectralModel:
    """Fit a model from where it is; it is changed and returned."""
    dataset.models = [SkyModel(spectral_model=model, name="model")]
    Fit().run([dataset])
    return model


def choose(fits: Sequence[ModelFit], choice_sigma: float) -> tuple[str, str]:
    """Name of the model to use and the reason in a sentence."""
    base = fits[0]
    curved = []
    tests = []
    for fit in fits[1:]:
        gain = base.stat - fit.stat
        sigma = np.sqrt(max(gain, 0.0))
        tests.append(f"{fit.title} better by {sigma:.1f} sigma")
        physical = fit.name != "ecpl" or fit.model.lambda_.value > 0
        if fit.success and physical and sigma >= choice_sigma:
            curved.append((gain, fit))
    if curved:
        best = max(curved, key=lambda item: item[0])[1]
        why = f"{best.title} chosen: {', '.join(tests)} than the power law"
        return best.name, f"{why} (needed: {choice_sigma:g})."
    if not tests:
        return base.name, "power law: the only model asked for."
    return base.name, (
        f"power law chosen: no curved model is better by {choice_sigma:g} sigma "
        f"({', '.join(tests)})."
    )


def assumed_fit(response: Response, reference: u.Quantity, index: float, note: str) -> SpectrumFits:
    """A power law of assumed index, its norm from the direct solver: for limits."""
    shape = PowerLawSpectralModel(amplitude=1e-12 * DNDE_UNIT, index=index, reference=reference)
    solved = solve(whole_problem(response, shape))
    model = shape.copy()
    model.amplitude.quantity = float(np.nan_to_num(solved.norm[0])) * 1e-12 * DNDE_UNIT
    model.amplitude.error = float(np.nan_to_num(solved.norm_err[0])) * 1e-12
    model.index.frozen = True
    dof = max(int(response.mask.sum()) - 1, 0)
    fit = ModelFit("pl", model, float(solved.stat[0]), dof, True, "")
    return SpectrumFits((fit,), "pl", note, shape)


def whole_problem(response: Response, model: SpectralModel, min_off: float = 0.0) -> NormProblem:
    """All bins in use as one problem for the norm of `model`."""
    use = response.mask
    zero = np.zeros(int(use.sum()), dtype=np.intp)
    signal = response.predicted(model)[use]
    flat = problem(response.n_on[use], response.n_off[use], response.alpha[use], signal, zero, 1)
    return merge_sparse(flat, min_off)


def total_flux(
    response: Response, model: SpectralModel, *, n_sigma_ul: float, min_off: float
) -> dict[str, float]:
    """Integral flux of all data above the threshold for a given shape, with its upper limit.

    Returns
    -------
    dict
        ``e_min_tev``, ``e_max_tev``, ``flux``, ``flux_err``, ``flux_errn``, ``flux_errp``,
        ``flux_ul`` (1/(cm2 s)), ``ts``, ``n_sigma_ul``.
    """
    solved = solve(whole_problem(response, model, min_off), n_sigma_ul=n_sigma_ul)
    edges, used = response.energy_edges_tev, np.flatnonzero(response.mask)
    low, high = float(edges[used[0]]), float(edges[used[-1] + 1])
    unit = float(model.integral(low * u.TeV, high * u.TeV).to_value("cm-2 s-1"))
    out = {
        "flux" + name.removeprefix("norm"): float(getattr(solved, name)[0]) * unit
        for name in ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul")
    }
    return out | {
        "e_min_tev": low,
        "e_max_tev": high,
        "ts": float(solved.ts[0]),
        "n_sigma_ul": n_sigma_ul,
    }


@dataclass(frozen=True)
class FluxPoints:
    """Flux points: energies in TeV, norms relative to ``ref_dnde`` (1/(cm2 s TeV))."""

    e_min_tev: FloatArray
    e_max_tev: FloatArray
    e_ref_tev: FloatArray
    ref_dnde: FloatArray
    n_on: FloatArray
    n_off: FloatArray
    alpha: FloatArray
    excess: FloatArray
    solved: NormResult


def point_edges(
    response: Response, points_per_decade: int, wanted_tev: Sequence[float] = ()
) -> FloatArray:
    """Edges of flux points: whole reconstructed bins from the threshold to the last counts.

    Parameters
    ----------
    response
        Stacked counts.
    points_per_decade
        About how many points.
    wanted_tev
        Edges asked for, snapped to the nearest edges of the axis instead.
    """
    edges = response.energy_edges_tev
    if len(wanted_tev):
        distance = np.abs(np.log(edges[:, None] / np.asarray(wanted_tev)[None, :]))
        return np.asarray(edges[np.unique(np.argmin(distance, axis=0))])
    used = np.flatnonzero(response.mask)
    filled = used[(response.n_on[used] + response.n_off[used]) > 0]
    if not used.size or not filled.size:
        return np.array([])
    per_decade = 1 / np.log10(edges[1] / edges[0])
    width = max(round(float(per_decade) / points_per_decade), 1)
    first, last = used[0], filled[-1] + 1
    starts = list(range(first, last, width))
    return np.asarray(edges[[*starts, min(starts[-1] + width, len(edges) - 1)]])


def flux_points(
    response: Response,
    model: SpectralModel,
    edges_tev: FloatArray,
    *,
    n_sigma_ul: float,
    min_off: float = 0.0,
) -> FluxPoints:
    """Flux points of a fixed spectral shape by the direct solver.

    Parameters
    ----------
    response
        Stacked counts and response.
    model
        The shape; a norm is solved for in each bin, everything else is frozen.
    edges_tev
        Edges of the points; must be edges of the reconstructed axis.
    n_sigma_ul
        Upper limits at Delta TS = ``n_sigma_ul`` squared.
    min_off
        Reconstructed bins are merged within a point until each has this many OFF counts.
    """
    axis = response.energy_edges_tev
    centres = np.sqrt(axis[:-1] * axis[1:])
    group = np.searchsorted(edges_tev, centres, side="right") - 1
    n_points = len(edges_tev) - 1
    use = response.mask & (group >= 0) & (group < n_points)
    signal = response.predicted(model)
    index = group[use]

    def total(values: FloatArray) -> FloatArray:
        summed: FloatArray = np.bincount(index, values[use], n_points).astype(np.float64)
        return summed

    flat = problem(
        response.n_on[use],
        response.n_off[use],
        response.alpha[use],
        signal[use],
        index,
        n_points,
    )
    solved = solve(merge_sparse(flat, min_off), n_sigma_ul=n_sigma_ul)
    e_ref = np.sqrt(edges_tev[:-1] * edges_tev[1:])
    background, n_off = total(response.alpha * response.n_off), total(response.n_off)
    return FluxPoints(
        e_min_tev=edges_tev[:-1],
        e_max_tev=edges_tev[1:],
        e_ref_tev=e_ref,
        ref_dnde=model(e_ref * u.TeV).to_value(DNDE_UNIT),
        n_on=total(response.n_on),
        n_off=n_off,
        alpha=np.divide(background, n_off, out=np.full(n_points, np.nan), where=n_off > 0),
        excess=total(response.n_on) - background,
        solved=solved,
    )


def butterfly(
    model: SpectralModel, low_tev: float, high_tev: float, n: int = 60
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Energies (TeV), dN/dE and its 1 sigma band (1/(cm2 s TeV)) by error propagation."""
    energy = np.geomspace(low_tev, high_tev, n)
    value, error = model.evaluate_error(energy * u.TeV)[:2]
    dnde = value.to_value(DNDE_UNIT)
    sigma = error.to_value(DNDE_UNIT)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(dnde > 0, sigma / dnde, np.nan)
    return energy, dnde, dnde * np.exp(-relative), dnde * np.exp(relative)
