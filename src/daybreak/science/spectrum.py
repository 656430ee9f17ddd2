"""Spectral fits (Gammapy) and the choice of the model."""

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

from daybreak.science.norm import NormProblem, merge_sparse, solve
from daybreak.science.stack import Response, problem

DNDE_UNIT = u.Unit("cm-2 s-1 TeV-1")
_NAMES = {"pl": "power law", "lp": "log-parabola", "ecpl": "power law with exponential cut-off"}


def model_from_dict(block: Mapping[str, Any]) -> SpectralModel:
    """Spectral model from what Gammapy's ``to_dict(full_output=True)`` gave.

    Parameters
    ----------
    block
        What the model's ``to_dict(full_output=True)`` gave.
    """
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
    """A start model: power law, log-parabola or exponential cut-off.

    Parameters
    ----------
    name
        ``pl``, ``lp`` or ``ecpl``.
    reference
        Reference energy.
    amplitude
        dN/dE there.
    index
        To start from.
    """
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
    """Amplitude of a power law that predicts the observed excess.

    Parameters
    ----------
    response
        Counts and response.
    reference
        Reference energy.
    index
        Of the power law.
    """
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
    """Fit a model from where it is; it is changed and returned.

    Parameters
    ----------
    dataset
        Stacked dataset.
    model
        Where the fit starts.
    """
    dataset.models = [SkyModel(spectral_model=model, name="model")]
    Fit().run([dataset])
    return model


def choose(fits: Sequence[ModelFit], choice_sigma: float) -> tuple[str, str]:
    """Name of the model to use and the reason in a sentence.

    Parameters
    ----------
    fits
        In order of complexity.
    choice_sigma
        A more complex model is taken from this significance of the improvement on.
    """
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
    """A power law of assumed index, its norm from the direct solver: for limits.

    Parameters
    ----------
    response
        Counts and response.
    reference
        Reference energy.
    index
        That is assumed.
    note
        Why nothing was fitted.
    """
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
    """All bins in use as one problem for the norm of `model`.

    Parameters
    ----------
    response
        Counts and response.
    model
        The shape.
    min_off
        Bins are merged until each has this many OFF counts.
    """
    use = response.mask
    zero = np.zeros(int(use.sum()), dtype=np.intp)
    signal = response.predicted(model)[use]
    flat = problem(response.n_on[use], response.n_off[use], response.alpha[use], signal, zero, 1)
    return merge_sparse(flat, min_off)


def butterfly(
    model: SpectralModel, low: u.Quantity, high: u.Quantity, n: int = 60
) -> tuple[u.Quantity, u.Quantity, u.Quantity, u.Quantity]:
    """A model with its 1 sigma band by error propagation.

    Parameters
    ----------
    model
        With the covariance of its parameters.
    low, high
        Ends of the energy range.
    n
        Number of energies.

    Returns
    -------
    tuple of astropy.units.Quantity
        Energies, dN/dE, and the lower and upper end of its band.
    """
    energy = np.geomspace(low.to_value("TeV"), high.to_value("TeV"), n) * u.TeV
    value, error = model.evaluate_error(energy)[:2]
    dnde = value.to_value(DNDE_UNIT)
    sigma = error.to_value(DNDE_UNIT)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(dnde > 0, sigma / dnde, np.nan)
    band = (dnde, dnde * np.exp(-relative), dnde * np.exp(relative))
    middle, lower, upper = (part * DNDE_UNIT for part in band)
    return energy, middle, lower, upper
