"""Whether there is more excess around a point source than its PSF leaves there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from daybreak.config.analysis import QualityConfig
from daybreak.science.run import FloatArray, ReducedRun, ReductionSetup

#: spectrum that the PSF is averaged with, where none is known yet
_INDEX = 2.6


def annulus_deg(setup: ReductionSetup) -> tuple[float, float] | None:
    """Radii between which excess is looked for, at edges of the theta² histogram.

    From the ON radius to twice that; None where the ON radius is RAD_MAX or too large for the
    histogram.

    Parameters
    ----------
    setup
        How the runs are reduced.
    """
    radius = setup.on.radius_deg
    edges = np.array(setup.theta2_edges_deg2)
    if not np.isfinite(radius) or setup.extended:
        return None
    inner = edges[edges >= radius**2 * (1 - 1e-9)]
    if inner.size < 2:
        return None
    outer = inner[(inner >= 4 * inner[0] * (1 - 1e-9)) | (inner == inner[-1])][0]
    return float(np.sqrt(inner[0])), float(np.sqrt(outer))


def leak(inside: FloatArray, around: FloatArray, weights: FloatArray) -> float:
    """Excess of a point source between two radii over that within the first.

    Parameters
    ----------
    inside, around
        Shares of the source within the first and within the second radius, shape (n,).
    weights
        Expected counts per true energy, shape (n,).
    """
    first, second = (float(np.nansum(weights * values)) for values in (inside, around))
    return (second - first) / first if first > 0 else float("nan")


def expected_weights(exposure_cm2_s: FloatArray, edges_tev: FloatArray, low_tev: float) -> Any:
    """Counts per true energy bin of a power law of index 2.6, above an energy (not normalised).

    Parameters
    ----------
    exposure_cm2_s
        Exposure at the centres of the bins.
    edges_tev
        Edges of the bins.
    low_tev
        Energy threshold.
    """
    centre = np.sqrt(edges_tev[:-1] * edges_tev[1:])
    share = centre ** (-_INDEX) * np.diff(edges_tev)
    return np.where(centre >= low_tev, exposure_cm2_s * share, 0.0)


@dataclass(frozen=True)
class Surroundings:
    """The excess around the ON region of a point source.

    Attributes
    ----------
    inner_deg, outer_deg
        Where it was looked for.
    ratio, error
        Excess there over that inside, with its error.
    expected
        What the PSF of a point source gives.
    sigma
        How far the excess is above that, in its own errors.
    extended
        It is too much for a point source.
    """

    inner_deg: float
    outer_deg: float
    ratio: float
    error: float
    expected: float
    sigma: float
    extended: bool


def surroundings(
    theta2: Table, runs: Sequence[ReducedRun], setup: ReductionSetup, limits: QualityConfig
) -> Surroundings | None:
    """Compare the excess around the ON region with what a point source has there.

    Parameters
    ----------
    theta2
        The stacked theta² histogram.
    runs
        The runs in it.
    setup
        How they were reduced.
    limits
        From where on it is too much.

    Returns
    -------
    Surroundings or None
        None where it can't be told: point-like responses, an extended source, no OFF counts, or
        no excess inside.
    """
    radii = annulus_deg(setup)
    leaks = [(run.info.get("psf_leak"), run.livetime_s) for run in runs]
    known = [(float(x), t) for x, t in leaks if x is not None and np.isfinite(x)]
    if radii is None or not known:
        return None
    high = np.asarray(theta2["theta2_max"].quantity.to_value("deg2"))
    inside = high <= radii[0] ** 2 * (1 + 1e-9)
    around = ~inside & (high <= radii[1] ** 2 * (1 + 1e-9))
    excess, error = np.asarray(theta2["excess"]), np.asarray(theta2["excess_error"])
    if not np.isfinite(excess[inside | around]).all() or not around.any():
        return None
    a, b = float(excess[inside].sum()), float(excess[around].sum())
    da, db = (float(np.sqrt((error[m] ** 2).sum())) for m in (inside, around))
    if a <= 3 * da:
        return None
    expected = float(np.average([x for x, _ in known], weights=[t for _, t in known]))
    ratio = b / a
    spread = float(np.hypot(db / a, ratio * da / a))
    above = float(np.hypot(db, expected * da))
    sigma = (b - expected * a) / above if above > 0 else 0.0
    extended = sigma >= limits.extended_sigma and ratio - expected >= limits.extended_excess
    return Surroundings(*radii, ratio, spread, expected, sigma, bool(extended))
