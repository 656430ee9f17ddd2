"""Residuals of a three-dimensional fit as images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from gammapy.datasets import Datasets
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from daybreak.science.run import FloatArray


@dataclass(frozen=True)
class Residuals:
    """Images of the fit summed over energy and datasets, shape (ny, nx).

    Attributes
    ----------
    geom
        Their geometry.
    counts, background, source
        Counts, and what the models predict.
    significance
        Of counts over the whole prediction in circles of the correlation radius; NaN outside.
    width, mean
        Of the significances where nothing is excluded, the source's place included.
    """

    geom: Any
    counts: FloatArray
    background: FloatArray
    source: FloatArray
    significance: FloatArray
    mean: float
    width: float


def _disk(radius_pix: float) -> FloatArray:
    n = int(np.ceil(radius_pix))
    y, x = np.mgrid[-n : n + 1, -n : n + 1]
    inside: FloatArray = (np.hypot(x, y) <= radius_pix).astype(float)
    return inside


def cash_significance(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """Signed root of the Cash statistic (Cash 1979) for a known expectation; NaN at none.

    Parameters
    ----------
    counts
        Counts, any shape.
    expected
        Expected counts, of the same shape.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        term = np.where(counts > 0, counts * np.log(counts / expected), 0.0)
        root = np.sqrt(np.clip(2 * (expected - counts + term), 0, None))
        value: FloatArray = np.where(expected > 0, np.sign(counts - expected) * root, np.nan)
    return value


def residuals(datasets: Datasets, radius: u.Quantity) -> Residuals:
    """Residual maps of the models that the datasets have.

    Parameters
    ----------
    datasets
        With their models.
    radius
        Correlation radius.
    """
    geom = datasets[0].counts.geom.to_image()
    shape = geom.data_shape
    counts, background, source = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    used: NDArray[np.bool_] = np.zeros(shape, dtype=bool)
    for dataset in datasets:
        mask = dataset.mask.data
        counts += (dataset.counts.data * mask).sum(axis=0)
        background += (dataset.npred_background().data * mask).sum(axis=0)
        source += (dataset.npred_signal().data * mask).sum(axis=0)
        used |= mask.any(axis=0)
    kernel = _disk(float(radius.to_value("deg") / np.abs(geom.pixel_scales.to_value("deg")).max()))
    summed, expected = (
        fftconvolve(image, kernel, mode="same") for image in (counts, background + source)
    )
    significance = cash_significance(np.round(summed), np.clip(expected, 0, None))
    significance = np.where(used, significance, np.nan)
    measured = significance[np.isfinite(significance)]
    return Residuals(
        geom=geom,
        counts=counts,
        background=background,
        source=source,
        significance=significance,
        mean=float(measured.mean()),
        width=float(measured.std()),
    )
