"""Stacked sky maps: excess and significance with ring and field-of-view background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from gammapy.datasets import MapDataset, MapDatasetOnOff
from gammapy.estimators import ExcessMapEstimator
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap
from numpy.typing import NDArray

from daybreak.science.circle import Circle
from daybreak.science.geoms import allowed_pixels
from daybreak.science.run import ReducedRun

Image = NDArray[np.float64]


@dataclass(frozen=True)
class SignificanceFit:
    """Distribution of the significances of one map.

    Attributes
    ----------
    off_mean, off_width
        Gaussian fit (maximum likelihood) of the pixels outside the excluded circles.
    off_mean_error, off_width_error
        With the number of independent pixels, not of all.
    n_off_pixels, n_independent
        Pixels used; area over that of the correlation circle.
    max, max_ra_deg, max_dec_deg
        Highest significance and where it is.
    """

    off_mean: float
    off_width: float
    off_mean_error: float
    off_width_error: float
    n_off_pixels: int
    n_independent: float
    max: float
    max_ra_deg: float
    max_dec_deg: float


@dataclass(frozen=True)
class SkyMap:
    """One method's maps, each of shape (ny, nx), NaN where not measured."""

    method: str
    background: Image
    excess: Image
    significance: Image
    fit: SignificanceFit


@dataclass(frozen=True)
class SkyMaps:
    """All maps of an analysis on one geometry."""

    geom: WcsGeom
    counts: Image
    allowed: NDArray[np.bool_]
    maps: tuple[SkyMap, ...]
    correlation_radius_deg: float


def _sum(runs: Sequence[ReducedRun], name: str) -> Image:
    total: Image = np.sum(np.array([run.maps[name] for run in runs], dtype=np.float64), axis=0)
    return total


def _ratio(a: NDArray[Any], b: NDArray[Any]) -> Image:
    out = np.zeros(a.shape, dtype=np.float64)
    np.divide(a, b, out=out, where=b > 0)
    return out


def _ring_dataset(runs: Sequence[ReducedRun], geom: WcsGeom) -> MapDatasetOnOff:
    acceptance, off = _sum(runs, "ring_acceptance"), _sum(runs, "ring_off")
    background = np.zeros_like(acceptance)
    for run in runs:
        m = run.maps
        background += _ratio(m["ring_acceptance"] * m["ring_off"], m["ring_acceptance_off"])
    scaled = _ratio(acceptance * off, background)
    valid = (_sum(runs, "valid") > 0) & (_sum(runs, "ring_acceptance_off") > 0)
    return MapDatasetOnOff(
        counts=_map(geom, _sum(runs, "counts")),
        counts_off=_map(geom, off),
        acceptance=_map(geom, acceptance),
        acceptance_off=_map(geom, scaled),
        mask_safe=_map(geom, valid, bool),
        name="ring",
    )


def _fov_dataset(runs: Sequence[ReducedRun], geom: WcsGeom) -> MapDataset:
    return MapDataset(
        counts=_map(geom, _sum(runs, "counts")),
        background=_map(geom, _sum(runs, "fov_background")),
        mask_safe=_map(geom, _sum(runs, "valid") > 0, bool),
        name="fov",
    )


def _map(geom: WcsGeom, data: np.ndarray, dtype: type = float) -> WcsNDMap:
    return WcsNDMap(geom, np.asarray(data, dtype=dtype)[np.newaxis])


def stack_maps(
    runs: Sequence[ReducedRun],
    geom: WcsGeom,
    exclude: Sequence[Circle],
    methods: Sequence[str],
    *,
    correlation_radius: u.Quantity,
) -> SkyMaps:
    """Stack the images of the runs and make excess and significance maps.

    Parameters
    ----------
    runs
        Runs with images, all on `geom` (for blank fields: relative to the test position).
    geom
        Geometry of the images.
    exclude
        Circles that are kept out of the OFF pixels.
    methods
        ``ring`` and/or ``fov``.
    correlation_radius
        Radius over which counts are summed.
    """
    cube = geom.to_cube([MapAxis.from_energy_edges([0.01, 1000] * u.TeV)])
    estimator = ExcessMapEstimator(
        correlation_radius=correlation_radius, selection_optional=[], correlate_off=False
    )
    allowed = allowed_pixels(geom, exclude)
    out = []
    for method in methods:
        dataset = (_ring_dataset if method == "ring" else _fov_dataset)(runs, cube)
        result = estimator.run(dataset)
        significance = np.asarray(result["sqrt_ts"].data[0], dtype=float)
        excess = np.asarray(result["npred_excess"].data[0], dtype=float)
        background = np.asarray(result["npred"].data[0], dtype=float) - excess
        valid = dataset.mask_safe.data[0] & np.isfinite(significance) & (background > 0)
        background, excess, significance = (
            np.where(valid, x, np.nan) for x in (background, excess, significance)
        )
        fit = fit_significance(significance, geom, allowed, correlation_radius)
        out.append(SkyMap(method, background, excess, significance, fit))
    return SkyMaps(
        geom, _sum(runs, "counts"), allowed, tuple(out), float(correlation_radius.to_value("deg"))
    )


def fit_significance(
    significance: Image, geom: WcsGeom, allowed: NDArray[np.bool_], radius: u.Quantity
) -> SignificanceFit:
    """Gaussian fit to the OFF pixels and the place of the maximum.

    Parameters
    ----------
    significance
        In sigma, NaN where it is not known, shape (ny, nx).
    geom
        Geometry of the image.
    allowed
        Pixels outside the excluded circles, shape (ny, nx).
    radius
        Radius within which pixels are correlated, an angle.
    """
    measured = np.isfinite(significance)
    off = significance[measured & allowed]
    pixel_area = float(np.abs(np.prod(geom.pixel_scales.to_value("deg"))))
    independent = off.size * pixel_area / (np.pi * radius.to_value("deg") ** 2)
    nan = float("nan")
    mean = float(off.mean()) if off.size else nan
    width = float(off.std()) if off.size else nan
    top = (nan, nan, nan)
    if measured.any():
        row, column = np.unravel_index(np.nanargmax(significance), significance.shape)
        peak = geom.pix_to_coord((column, row))
        top = (
            float(significance[row, column]),
            float(peak[0].to_value("deg")),
            float(peak[1].to_value("deg")),
        )
    return SignificanceFit(
        off_mean=mean,
        off_width=width,
        off_mean_error=width / np.sqrt(independent) if independent >= 1 else nan,
        off_width_error=width / np.sqrt(2 * independent) if independent >= 1 else nan,
        n_off_pixels=int(off.size),
        n_independent=float(independent),
        max=top[0],
        max_ra_deg=top[1],
        max_dec_deg=top[2],
    )
