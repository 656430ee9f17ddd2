"""Three-dimensional fit: position, extension and spectrum of a source at once, with Gammapy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from gammapy.datasets import Datasets, MapDataset
from gammapy.modeling import Fit
from gammapy.modeling.models import (
    DiskSpatialModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    LogParabolaSpectralModel,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    SpatialModel,
    SpectralModel,
)

from daybreak.science.circle import Circle
from daybreak.science.cube import allowed_map
from daybreak.science.run import FloatArray

TITLES = {"point": "point source", "disk": "disk", "gauss": "Gaussian"}
SOURCE = "source"
_SIZES = {"disk": "r_0", "gauss": "sigma"}
_DNDE = u.Unit("cm-2 s-1 TeV-1")
_WANDER_DEG = 0.5
#: of the disk radius: with a sharper edge the statistic is a staircase on pixels, and Minuit fails
_DISK_EDGE = 0.25
_SMALLEST_DEG, _LARGEST_DEG = 0.005, 1.5


@dataclass(frozen=True)
class Fit3D:
    """Result of one fit.

    Attributes
    ----------
    name
        ``point``, ``disk`` or ``gauss``.
    model
        The source with its errors.
    background
        The background models, one per dataset.
    stat
        Cash statistic at the best fit.
    n_free
        Free parameters, of which ``n_source`` are the source's.
    success, message
        What the minimiser said.
    parameters, covariance
        Names of the free parameters, and their covariance.
    """

    name: str
    model: SkyModel
    background: tuple[FoVBackgroundModel, ...]
    stat: float
    n_free: int
    n_source: int
    success: bool
    message: str
    parameters: tuple[str, ...]
    covariance: FloatArray

    @property
    def aic(self) -> float:
        """Akaike's criterion: statistic plus twice the number of free parameters."""
        return self.stat + 2 * self.n_free


@dataclass(frozen=True)
class Fits3D:
    """All fits, the one without a source, the chosen one and the reason."""

    fits: tuple[Fit3D, ...]
    stat_null: float
    chosen: str
    choice: str

    @property
    def best(self) -> Fit3D:
        """The chosen fit."""
        return next(f for f in self.fits if f.name == self.chosen)

    def ts(self, fit: Fit3D) -> float:
        """Statistic without the source less the one with it.

        Parameters
        ----------
        fit
            One of the fits.
        """
        return self.stat_null - fit.stat

    def ts_extension(self, fit: Fit3D) -> float:
        """Statistic of the point source less that of an extended one; NaN if there is none.

        Parameters
        ----------
        fit
            One of the fits.
        """
        point = next((f for f in self.fits if f.name == "point"), None)
        return float("nan") if point is None or fit.name == "point" else point.stat - fit.stat


def spatial_model(name: str, on: Circle, size: u.Quantity) -> SpatialModel:
    """A start model at the target: point, disk or Gaussian.

    Parameters
    ----------
    name
        ``point``, ``disk`` or ``gauss``.
    on
        The target.
    size
        Radius of the disk or sigma of the Gaussian to start from, an angle.
    """
    place = {"lon_0": on.ra_deg * u.deg, "lat_0": on.dec_deg * u.deg, "frame": "icrs"}
    model: SpatialModel
    if name == "point":
        model = PointSpatialModel(**place)
    elif name == "disk":
        model = DiskSpatialModel(r_0=size, edge_width=_DISK_EDGE, **place)
    else:
        model = GaussianSpatialModel(sigma=size, **place)
    reach = _WANDER_DEG
    model.lon_0.min = on.ra_deg - reach / np.cos(np.radians(on.dec_deg))
    model.lon_0.max = on.ra_deg + reach / np.cos(np.radians(on.dec_deg))
    model.lat_0.min, model.lat_0.max = on.dec_deg - reach, on.dec_deg + reach
    if name in _SIZES:
        size = getattr(model, _SIZES[name])
        size.min, size.max = _SMALLEST_DEG, _LARGEST_DEG
    return model


def spectral_model(name: str, reference: u.Quantity, index: float) -> SpectralModel:
    """A start model: power law or log-parabola.

    Parameters
    ----------
    name
        ``pl`` or ``lp``.
    reference
        Reference energy.
    index
        To start from.
    """
    if name == "lp":
        return LogParabolaSpectralModel(
            amplitude=1e-12 * _DNDE, alpha=index, beta=0.05, reference=reference
        )
    return PowerLawSpectralModel(amplitude=1e-12 * _DNDE, index=index, reference=reference)


def prepare(cubes: Iterable[MapDataset], exclude: Sequence[Circle], *, stack: bool) -> Datasets:
    """Cubes ready to be fitted: stacked or not, and without the neighbours.

    Parameters
    ----------
    cubes
        Of the runs, taken one after the other: stacking holds two at a time.
    exclude
        Circles that the fit leaves out: neighbours, not the target.
    stack
        One dataset instead of one per run.
    """
    if stack:
        stacked = None
        for cube in cubes:
            if stacked is None:
                stacked = _empty_like(cube)
            stacked.stack(cube)
        datasets = Datasets([stacked])
    else:
        datasets = Datasets(list(cubes))
    for dataset in datasets:
        if exclude:
            dataset.mask_fit = allowed_map(dataset.counts.geom, exclude)
    return datasets


def _empty_like(cube: MapDataset) -> MapDataset:
    irf = cube.psf.psf_map.geom
    return MapDataset.create(
        cube.counts.geom,
        energy_axis_true=cube.exposure.geom.axes["energy_true"],
        rad_axis=irf.axes["rad"],
        binsz_irf=float(np.abs(irf.pixel_scales.to_value("deg")).max()),
        name="stacked",
    )


def _backgrounds(datasets: Datasets) -> list[FoVBackgroundModel]:
    models = []
    for dataset in datasets:
        norm = PowerLawNormSpectralModel()
        norm.norm.min = 0.0
        norm.tilt.frozen = False
        models.append(FoVBackgroundModel(spectral_model=norm, dataset_name=dataset.name))
    return models


def fit_cubes(
    datasets: Datasets,
    on: Circle,
    names: Sequence[str],
    *,
    spectrum: str,
    reference: u.Quantity,
    start_index: float,
    start_size: u.Quantity,
    choice_sigma: float,
) -> Fits3D:
    """Fit the spatial models and choose one.

    Parameters
    ----------
    datasets
        What :func:`prepare` gave; they keep the chosen models.
    on
        The target: where the fit starts, and stays within 0.5 deg of.
    names
        Any of ``point``, ``disk``, ``gauss``.
    spectrum
        ``pl`` or ``lp``.
    reference
        E0 of the spectrum.
    start_index, start_size
        First guesses; the size is an angle.
    choice_sigma
        An extended model is taken from this significance of its extension on.
    """
    background = _backgrounds(datasets)
    datasets.models = background
    null = Fit().optimize(datasets)
    fits: list[Fit3D] = []
    for name in names:
        source = SkyModel(
            spatial_model=spatial_model(name, on, start_size),
            spectral_model=spectral_model(spectrum, reference, start_index),
            name=SOURCE,
        )
        if fits:  # the spectrum and the place are known by then
            _take_over(fits[-1].model, source)
        else:
            _start_amplitude(datasets, source, background, on)
        fits.append(_fit(datasets, name, source, _like(background, datasets)))
    chosen, reason = choose(fits, choice_sigma)
    found = Fits3D(tuple(fits), float(null.total_stat), chosen, reason)
    datasets.models = [found.best.model, *found.best.background]
    return found


def _like(old: Sequence[FoVBackgroundModel], datasets: Datasets) -> list[FoVBackgroundModel]:
    models = _backgrounds(datasets)
    for model, other in zip(models, old, strict=True):
        for name in ("norm", "tilt"):
            model.spectral_model.parameters[name].value = other.parameters[name].value
    return models


def _take_over(old: SkyModel, new: SkyModel) -> None:
    for parameter in new.parameters:
        if parameter.name in old.parameters.names and not parameter.frozen:
            parameter.value = old.parameters[parameter.name].value


def _start_amplitude(
    datasets: Datasets, source: SkyModel, background: Sequence[Any], on: Circle
) -> None:
    """Scale the amplitude to the excess within 0.5 deg of the target."""
    datasets.models = [source, *background]
    excess = signal = 0.0
    for dataset in datasets:
        geom = dataset.counts.geom
        near = geom.separation(on.center).to_value("deg") < _WANDER_DEG
        use = dataset.mask.data & near
        excess += float(((dataset.counts.data - dataset.npred_background().data) * use).sum())
        signal += float((dataset.npred_signal().data * use).sum())
    if signal > 0:
        source.spectral_model.amplitude.value *= max(excess, 10.0) / signal


def _fit(
    datasets: Datasets, name: str, source: SkyModel, background: Sequence[FoVBackgroundModel]
) -> Fit3D:
    datasets.models = [source, *background]
    result = Fit().run(datasets)
    free = datasets.models.parameters.free_parameters
    own = set(map(id, source.parameters))
    n_source = sum(id(p) in own for p in free)
    finite = all(np.isfinite(p.value) and np.isfinite(p.error) and p.error > 0 for p in free)
    success = bool(result.success) and finite
    message = "" if success else str(getattr(result, "message", "the minimiser did not converge"))
    names = [
        p.name if id(p) in own else f"background.{p.name}" for p in free
    ]  # fmt: skip
    covariance = datasets.models.covariance.get_subcovariance(free).data
    return Fit3D(
        name=name,
        model=source,
        background=tuple(background),
        stat=float(result.total_stat),
        n_free=len(free),
        n_source=n_source,
        success=success,
        message=message,
        parameters=tuple(names),
        covariance=np.asarray(covariance, dtype=float),
    )


def choose(fits: Sequence[Fit3D], choice_sigma: float) -> tuple[str, str]:
    """Name of the model to use and the reason in a sentence.

    Without a point source among them, or where the extension's statistic is at least
    ``choice_sigma`` squared better than the point source's, the extended model with the smallest
    AIC is taken.

    Parameters
    ----------
    fits
        In order of complexity.
    choice_sigma
        A more complex model is taken from this significance on.
    """
    good = [f for f in fits if f.success] or list(fits)
    if len(good) == 1:
        return good[0].name, f"{TITLES[good[0].name]}: the only model that was fitted."
    point = next((f for f in good if f.name == "point"), None)
    extended = [f for f in good if f.name != "point"]
    best = min(extended, key=lambda f: f.aic)
    others = ", ".join(f"{TITLES[f.name]} {f.aic - best.aic:+.1f}" for f in good if f is not best)
    if point is None:
        return best.name, f"{TITLES[best.name]}: smallest AIC ({others} above it)."
    gain = np.sqrt(max(point.stat - best.stat, 0.0))
    if gain < choice_sigma:
        return "point", (
            f"point source: the extension of the {TITLES[best.name]} is significant by "
            f"{gain:.1f} sigma only (needed: {choice_sigma:g})."
        )
    return best.name, (
        f"{TITLES[best.name]}: its extension is significant by {gain:.1f} sigma (needed: "
        f"{choice_sigma:g}), and its AIC is the smallest (difference: {others})."
    )
