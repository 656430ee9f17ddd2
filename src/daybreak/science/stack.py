"""Reduced runs as Gammapy datasets, stacked; and the plain arrays the direct solver needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from astropy import units as u
from gammapy.data import GTI
from gammapy.datasets import Datasets, SpectrumDatasetOnOff
from gammapy.irf import EDispKernelMap
from gammapy.maps import MapAxis, RegionGeom, RegionNDMap
from gammapy.modeling.models import SpectralModel

from daybreak.science.circle import Circle
from daybreak.science.geoms import on_region
from daybreak.science.norm import NormProblem
from daybreak.science.run import Background, BoolArray, FloatArray, ReducedRun


@lru_cache(maxsize=4)  # the runs of a target share them
def _geoms(
    on: Circle, reco_tev: tuple[float, ...], true_tev: tuple[float, ...]
) -> tuple[RegionGeom, RegionGeom, RegionGeom, RegionGeom]:
    """Geometries of counts, exposure, dispersion and its weights."""
    radius = on.radius_deg * u.deg if np.isfinite(on.radius_deg) else None
    region = on_region(on.center, radius)
    reco = MapAxis.from_energy_edges(np.array(reco_tev) * u.TeV)
    true = MapAxis.from_energy_edges(np.array(true_tev) * u.TeV, name="energy_true")
    axes = ([reco], [true], [reco, true], [reco.squash(), true])
    first, second, third, fourth = (RegionGeom.create(region, axes=list(a)) for a in axes)
    return first, second, third, fourth


def to_dataset(run: ReducedRun, method: str) -> SpectrumDatasetOnOff:
    """A reduced run as a Gammapy ON/OFF spectrum dataset.

    Parameters
    ----------
    run
        The run.
    method
        Which background: ``reflected`` or ``fov``.
    """
    background = run.backgrounds[method]
    on = next(c for kind, c in run.regions if kind == "on")
    edges = tuple(run.energy_edges_tev.tolist()), tuple(run.true_edges_tev.tolist())
    geom, exposure_geom, kernel_geom, weight_geom = _geoms(on, *edges)
    shape = geom.data_shape

    def fill(values: np.ndarray, dtype: type = float) -> RegionNDMap:
        return RegionNDMap.from_geom(geom, data=np.asarray(values, dtype=dtype).reshape(shape))

    # stacking in Gammapy 2.1 takes the numbers as m2 s whatever the unit says
    exposure_m2_s = run.exposure_cm2_s * 1e-4
    exposure = RegionNDMap.from_geom(
        exposure_geom, data=exposure_m2_s.reshape(exposure_geom.data_shape), unit="m2 s"
    )
    exposure.meta["livetime"] = run.livetime_s * u.s
    edisp = EDispKernelMap(
        RegionNDMap.from_geom(kernel_geom, data=run.edisp.reshape(kernel_geom.data_shape)),
        RegionNDMap.from_geom(
            weight_geom, data=exposure_m2_s.reshape(weight_geom.data_shape), unit="m2 s"
        ),
    )
    start = np.atleast_1d(run.gti_mjd[:, 0])
    reference = _time(start[0])
    gti = GTI.create((start - start[0]) * u.day, (run.gti_mjd[:, 1] - start[0]) * u.day, reference)
    return SpectrumDatasetOnOff(
        counts=fill(run.counts_on),
        counts_off=fill(background.counts_off),
        acceptance=fill(background.acceptance_on),
        acceptance_off=fill(background.acceptance_off),
        exposure=exposure,
        edisp=edisp,
        mask_safe=fill(run.mask_safe, bool),
        gti=gti,
        name=str(run.obs_id),
    )


def _time(mjd_tt: float):  # type: ignore[no-untyped-def]
    from astropy.time import Time

    return Time(mjd_tt, format="mjd", scale="tt")


def stack_runs(runs: Sequence[ReducedRun], method: str) -> SpectrumDatasetOnOff:
    """Stack the runs with Gammapy: one dataset, free of the bias of many low-count ones.

    Parameters
    ----------
    runs
        The reduced runs.
    method
        Which background: ``reflected`` or ``fov``.
    """
    datasets = Datasets([to_dataset(run, method) for run in runs])
    return datasets.stack_reduce(name="stacked")


@dataclass(frozen=True)
class Counts:
    """ON/OFF counts with what follows from them (sums over energy bins and runs)."""

    n_on: float
    n_off: float
    alpha: float
    excess: float
    excess_error: float
    significance: float


def alpha_of(background: Background) -> FloatArray:
    """ON over OFF acceptance per energy bin, NaN without OFF acceptance.

    Parameters
    ----------
    background
        One background estimate.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            background.acceptance_off > 0,
            background.acceptance_on / background.acceptance_off,
            np.nan,
        )


def li_ma(n_on: float, n_off: float, alpha: float) -> float:
    """Significance by Li & Ma 1983, eq. 17, negative for a deficit (Gammapy's implementation).

    Parameters
    ----------
    n_on, n_off
        Counts.
    alpha
        ON over OFF exposure.
    """
    from gammapy.stats import WStatCountsStatistic

    if not np.isfinite(alpha) or alpha <= 0:
        return float("nan")
    if n_on + n_off == 0:
        return 0.0
    return float(WStatCountsStatistic(n_on=n_on, n_off=n_off, alpha=alpha).sqrt_ts)


def total_counts(
    runs: Sequence[ReducedRun], method: str, select: BoolArray | None = None
) -> Counts:
    """Counts summed over energy bins above threshold and over runs.

    alpha is the mean weighted by OFF counts, so that alpha times OFF is the background; without
    OFF counts it is the ratio of the summed acceptances.

    Parameters
    ----------
    runs
        The reduced runs.
    method
        Which background: ``reflected`` or ``fov``.
    select
        Energy bins that take part in place of each run's safe ones, shape (n,).
    """
    n_on = n_off = background = variance = acceptance_on = acceptance_off = 0.0
    for run in runs:
        item = run.backgrounds[method]
        use = run.mask_safe if select is None else run.mask_safe & select
        alpha = alpha_of(item)[use]
        off = item.counts_off[use]
        usable = np.isfinite(alpha)
        n_on += run.counts_on[use].sum()
        n_off += off[usable].sum()
        background += (alpha * off)[usable].sum()
        variance += (alpha**2 * off)[usable].sum()
        acceptance_on += item.acceptance_on[use].sum()
        acceptance_off += item.acceptance_off[use].sum()
    if n_off > 0:
        mean_alpha = background / n_off
    else:
        mean_alpha = acceptance_on / acceptance_off if acceptance_off > 0 else float("nan")
    return Counts(
        n_on=float(n_on),
        n_off=float(n_off),
        alpha=float(mean_alpha),
        excess=float(n_on - background),
        excess_error=float(np.sqrt(n_on + variance)),
        significance=li_ma(n_on, n_off, mean_alpha),
    )


@dataclass(frozen=True)
class Response:
    """Counts and response of one dataset as arrays: predicted counts are linear in the flux.

    Attributes
    ----------
    energy_edges_tev, true_edges_tev
        Axes.
    n_on, n_off, alpha
        Per reconstructed bin.
    matrix_cm2_s
        Exposure times energy dispersion, shape (true, reconstructed), zero below the threshold.
    mask
        Reconstructed bins in use.
    """

    energy_edges_tev: FloatArray
    true_edges_tev: FloatArray
    n_on: FloatArray
    n_off: FloatArray
    alpha: FloatArray
    matrix_cm2_s: FloatArray
    mask: BoolArray

    def predicted(self, model: SpectralModel) -> FloatArray:
        """Signal counts per reconstructed bin for a spectral model.

        Parameters
        ----------
        model
            Spectral model.
        """
        edges = self.true_edges_tev * u.TeV
        flux = model.integral(edges[:-1], edges[1:]).to_value("cm-2 s-1")
        counts: FloatArray = np.nan_to_num(flux) @ self.matrix_cm2_s
        return counts

    def predicted_any(self) -> FloatArray:
        """Exposure summed over true energy per reconstructed bin in use."""
        exposure: FloatArray = self.matrix_cm2_s.sum(axis=0) * self.mask
        return exposure


def dataset_response(dataset: SpectrumDatasetOnOff) -> Response:
    """Arrays of a (stacked) Gammapy dataset.

    Parameters
    ----------
    dataset
        One run or a stack.
    """
    reco = dataset.counts.geom.axes["energy"]
    true = dataset.exposure.geom.axes["energy_true"]
    exposure = dataset.exposure.quantity.to_value("cm2 s").ravel()
    kernel = dataset.edisp.get_edisp_kernel(energy_axis=reco).pdf_matrix
    mask = dataset.mask_safe.data.ravel().astype(bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.nan_to_num(dataset.alpha.data.ravel(), nan=0.0, posinf=0.0)
    return Response(
        energy_edges_tev=reco.edges.to_value("TeV"),
        true_edges_tev=true.edges.to_value("TeV"),
        n_on=dataset.counts.data.ravel().astype(float),
        n_off=dataset.counts_off.data.ravel().astype(float),
        alpha=alpha,
        matrix_cm2_s=exposure[:, None] * np.nan_to_num(np.asarray(kernel, dtype=float)),
        mask=mask,
    )


def run_response(run: ReducedRun, method: str) -> Response:
    """Arrays of a single run.

    Parameters
    ----------
    run
        The run.
    method
        Which background: ``reflected`` or ``fov``.
    """
    background = run.backgrounds[method]
    return Response(
        energy_edges_tev=run.energy_edges_tev,
        true_edges_tev=run.true_edges_tev,
        n_on=run.counts_on,
        n_off=background.counts_off,
        alpha=np.nan_to_num(alpha_of(background)),
        matrix_cm2_s=run.exposure_cm2_s[:, None] * run.edisp,
        mask=run.mask_safe,
    )


def usable_alpha(n_off: FloatArray, alpha: FloatArray) -> FloatArray:
    """Alpha for the likelihood; bins without OFF exposure get 1 (their OFF counts are 0).

    Parameters
    ----------
    n_off
        OFF counts, shape (n,).
    alpha
        ON over OFF exposure, shape (n,).
    """
    return np.where(alpha > 0, alpha, np.where(n_off > 0, np.nan, 1.0))


def problem(
    n_on: FloatArray,
    n_off: FloatArray,
    alpha: FloatArray,
    signal: FloatArray,
    group: np.ndarray,
    n_groups: int,
) -> NormProblem:
    """Bundle bins of many problems for the direct solver.

    Parameters
    ----------
    n_on, n_off
        Counts per bin, shape (n,).
    alpha
        ON over OFF exposure, shape (n,).
    signal
        Expected signal counts for a norm of 1, shape (n,).
    group
        Problem that each bin belongs to, shape (n,).
    n_groups
        Number of problems.
    """
    return NormProblem(
        np.asarray(n_on, dtype=float),
        np.asarray(n_off, dtype=float),
        usable_alpha(np.asarray(n_off), np.asarray(alpha)),
        np.asarray(signal, dtype=float),
        np.asarray(group, dtype=np.intp),
        n_groups,
    )
