"""A smooth surface per run that bends the background model of the IRFs to the run's events.

Background models are means over many runs: zenith angle, azimuth, mirrors and night sky of one
run tilt and bend the acceptance over the field of view by several per cent. The surface is
exp(b x + c y + d r²) in the offsets x, y from the pointing: a plane and a curvature, of the same
form in every frame. Its parameters maximise the Poisson likelihood of the events outside the
excluded circles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybreak.science.run import BoolArray, FloatArray

#: widths of the Gaussian priors (1/deg, 1/deg, 1/deg²): wide against what runs show, they only
#: hold back runs with few events
PRIOR = (0.3, 0.3, 0.3)
_MOST_ITERATIONS = 50
_CONVERGED = 1e-7
_LONGEST_STEP = 1.0


@dataclass(frozen=True)
class Surface:
    """exp(b x + c y + d r²), by which a background model is multiplied.

    Attributes
    ----------
    coefficients
        b, c (1/deg) and d (1/deg²).
    errors
        Their errors.
    """

    coefficients: tuple[float, float, float] = (0.0, 0.0, 0.0)
    errors: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __call__(self, x_deg: FloatArray, y_deg: FloatArray) -> FloatArray:
        """Values at offsets from the pointing, in degrees."""
        b, c, d = self.coefficients
        value: FloatArray = np.exp(b * x_deg + c * y_deg + d * (x_deg**2 + y_deg**2))
        return value


def offsets_deg(
    ra_deg: FloatArray | float, dec_deg: FloatArray | float, ra0_deg: float, dec0_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Offsets (east, north) from a pointing: the coordinates of a sky-offset frame, in degrees."""
    ra, dec = np.radians(ra_deg) - np.radians(ra0_deg), np.radians(dec_deg)
    dec0 = np.radians(dec0_deg)
    ra, dec = np.asarray(ra), np.asarray(dec)
    along = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra)
    east = np.arctan2(np.cos(dec) * np.sin(ra), along)
    up = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra)
    return np.degrees(east), np.degrees(np.arcsin(np.clip(up, -1, 1)))


def fit_surface(
    counts: FloatArray,
    model: FloatArray,
    x_deg: FloatArray,
    y_deg: FloatArray,
    used: BoolArray,
    start: Surface | None = None,
) -> Surface:
    """Fit the surface to binned events.

    Parameters
    ----------
    counts, model
        Events and the model's counts per pixel.
    x_deg, y_deg
        Offsets of the pixels from the pointing.
    used
        Pixels of the field outside the excluded circles.
    start
        First guess, to save time.

    Returns
    -------
    Surface
        Flat where there are no events or no model.
    """
    use = used & (model > 0)
    n, m = counts[use], model[use]
    if not n.sum() > 0 or n.size < len(PRIOR) + 1:
        return Surface()
    x, y = x_deg[use], y_deg[use]
    design = np.column_stack([np.ones_like(x), x, y, x**2 + y**2])
    weight = np.diag([0.0, *(1 / np.square(PRIOR))])
    first = (Surface() if start is None else start).coefficients
    values = np.array([np.log(n.sum() / (m @ np.exp(design[:, 1:] @ first))), *first])
    for _ in range(_MOST_ITERATIONS):
        expected = m * np.exp(design @ values)
        curvature = (design * expected[:, None]).T @ design + weight
        step = np.linalg.solve(curvature, design.T @ (n - expected) - weight @ values)
        values += np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _CONVERGED:
            break
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)))
    b, c, d = (float(value) for value in values[1:])
    return Surface((b, c, d), (float(errors[1]), float(errors[2]), float(errors[3])))


def disk_points(
    x_deg: float, y_deg: float, radius_deg: float, n: int = 200
) -> tuple[FloatArray, FloatArray]:
    """Points spread evenly over a disk (Vogel's spiral)."""
    k = np.arange(n) + 0.5
    r, angle = radius_deg * np.sqrt(k / n), np.pi * (1 + np.sqrt(5)) * k
    return x_deg + r * np.cos(angle), y_deg + r * np.sin(angle)
