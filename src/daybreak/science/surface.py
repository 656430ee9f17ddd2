"""A smooth surface per run that bends the background model of the IRFs to the run's events.

Background models are means over many runs: zenith angle, azimuth, mirrors and night sky of one
run tilt and bend the acceptance over the field of view by several per cent. The surface is
exp(b x + c y + d r²) in the offsets x, y from the pointing: a plane and a curvature, of the same
form in every frame, of which each coefficient may change linearly with the logarithm of the
energy. The coefficients maximise the likelihood of where the events outside the excluded circles
lie, given how many there are at each energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.science.run import FloatArray

#: widths of the Gaussian priors of b, c (1/deg) and d (1/deg²) and of their change per e-fold of
#: energy: wide against what runs show (0.03 to 0.06), they only hold back runs with few events
PRIOR = (0.2, 0.2, 0.2, 0.1, 0.1, 0.1)
N_BANDS = 4
_MOST_ITERATIONS = 50
_CONVERGED = 1e-7
_LONGEST_STEP = 0.5


@dataclass(frozen=True)
class Surface:
    """exp(b x + c y + d r²), by which a background model is multiplied.

    Attributes
    ----------
    coefficients
        b, c (1/deg), d (1/deg²) at the reference energy, and their change per unit of ln E.
    errors
        Their errors.
    reference_tev
        The reference energy.
    """

    coefficients: tuple[float, ...] = (0.0,) * 6
    errors: tuple[float, ...] = (0.0,) * 6
    reference_tev: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values, from which ``Surface(**values)`` makes it again."""
        return {
            "coefficients": list(self.coefficients),
            "errors": list(self.errors),
            "reference_tev": self.reference_tev,
        }

    def __call__(
        self,
        x_deg: FloatArray | float,
        y_deg: FloatArray | float,
        energy_tev: FloatArray,
    ) -> FloatArray:
        """Values at offsets from the pointing; shape (energies, *offsets)."""
        x, y = np.asarray(x_deg), np.asarray(y_deg)
        log_energy = np.log(np.asarray(energy_tev) / self.reference_tev)
        values = np.array(self.coefficients)
        at_energy = values[:3] + log_energy[:, None] * values[3:]
        exponent = np.tensordot(at_energy, np.array([x, y, x**2 + y**2]), axes=1)
        result: FloatArray = np.exp(exponent)
        return result


def _bands(n_per_bin: FloatArray) -> NDArray[np.intp]:
    """Energy band of each bin: as equal in counts as whole bins allow."""
    middle = np.cumsum(n_per_bin) - n_per_bin / 2
    band: NDArray[np.intp] = np.clip(
        (N_BANDS * middle / max(n_per_bin.sum(), 1)).astype(int), 0, N_BANDS - 1
    )
    return band


def fit_surface(
    counts: FloatArray,
    model: FloatArray,
    energy_tev: FloatArray,
    x_deg: FloatArray,
    y_deg: FloatArray,
    start: Surface | None = None,
) -> Surface:
    """Fit the surface to binned events.

    Parameters
    ----------
    counts, model
        Events and the model's counts, shape (energy bins, pixels): pixels of the field outside
        the excluded circles, energies above the threshold.
    energy_tev
        Centres of the energy bins.
    x_deg, y_deg
        Offsets of the pixels from the pointing.
    start
        First guess, to save time.

    Returns
    -------
    Surface
        Flat where there are no events or no model.
    """
    expected = model.sum(axis=1)
    n_per_bin = counts.sum(axis=1) * (expected > 0)
    if not n_per_bin.sum() > 0 or len(x_deg) <= len(PRIOR):
        return Surface()
    log_energy = np.log(energy_tev)
    reference = float(np.sum(n_per_bin * log_energy) / n_per_bin.sum())
    norm = np.divide(n_per_bin, expected, out=np.zeros_like(expected), where=expected > 0)
    band = _bands(n_per_bin)
    indicator = (band[None, :] == np.arange(N_BANDS)[:, None]).astype(float)
    total = indicator @ n_per_bin
    filled = total > 0
    n = (indicator @ counts)[filled]
    m = ((indicator * norm) @ model)[filled]
    level = (indicator @ (n_per_bin * log_energy))[filled] / total[filled] - reference
    flat = np.array([x_deg, y_deg, x_deg**2 + y_deg**2])
    design = np.concatenate(
        [np.broadcast_to(flat, (len(level), *flat.shape)), level[:, None, None] * flat], axis=1
    )
    begin = np.zeros(len(PRIOR)) if start is None else np.array(start.coefficients)
    values, errors = _maximise(n, m, design, begin)
    return Surface(tuple(values.tolist()), tuple(errors.tolist()), float(np.exp(reference)))


def _maximise(
    n: FloatArray, m: FloatArray, design: FloatArray, values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Newton's method for the multinomial likelihood of each band, with the priors."""
    weight = np.diag(1 / np.square(PRIOR))
    total = n.sum(axis=1, keepdims=True)
    curvature = weight
    for _ in range(_MOST_ITERATIONS):
        shape = m * np.exp(np.einsum("bfp,f->bp", design, values))
        mu = total * shape / shape.sum(axis=1, keepdims=True)
        mean = np.einsum("bfp,bp->bf", design, mu) / total
        gradient = np.einsum("bfp,bp->f", design, n - mu) - weight @ values
        second = np.einsum("bfp,bgp->fg", design * mu[:, None], design)
        curvature = second - np.einsum("bf,bg,b->fg", mean, mean, total[:, 0]) + weight
        step = np.clip(np.linalg.solve(curvature, gradient), -_LONGEST_STEP, _LONGEST_STEP)
        values = values + step
        if np.abs(step).max() < _CONVERGED:
            break
    return values, np.sqrt(np.diag(np.linalg.inv(curvature)))


def disk_points(
    x_deg: float, y_deg: float, radius_deg: float, n: int = 200
) -> tuple[FloatArray, FloatArray]:
    """Points spread evenly over a disk (Vogel's spiral).

    Parameters
    ----------
    x_deg, y_deg
        Middle of the disk, degrees.
    radius_deg
        Its radius, degrees.
    n
        Number of points.
    """
    k = np.arange(n) + 0.5
    r, angle = radius_deg * np.sqrt(k / n), np.pi * (1 + np.sqrt(5)) * k
    return x_deg + r * np.cos(angle), y_deg + r * np.sin(angle)
