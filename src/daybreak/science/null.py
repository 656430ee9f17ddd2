"""Null regions: the background predicted for, and counted in, places like ON without the source.

The ON region is rotated around the pointing, so that the acceptance is the same on average. For
each rotation the region and its surroundings are left out of the background estimate, as the
source is, and the counts inside are compared with what is predicted there. Parts that lie in
excluded circles don't take part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybreak.science.run import BoolArray, FloatArray, NullRegions
from daybreak.science.surface import Surface, fit_surface

N_ROTATIONS = 12
SMALLEST_RADIUS_DEG = 0.3
_MARGIN_DEG = 0.1
_LEAST_SHARE = 0.7


@dataclass(frozen=True)
class NullField:
    """Events and background model of a run in pixels of its field of view.

    Attributes
    ----------
    counts, model
        Shape (energy, pixel row, pixel column).
    x_deg, y_deg
        Offsets of the pixels from the pointing.
    used
        Pixels within the field and outside the excluded circles.
    safe
        Energy bins above the threshold.
    energy_tev
        Centres of the energy bins.
    """

    counts: FloatArray
    model: FloatArray
    x_deg: FloatArray
    y_deg: FloatArray
    used: BoolArray
    safe: BoolArray
    energy_tev: FloatArray

    def surface(self, used: BoolArray, start: Surface | None = None) -> Surface:
        """Fit the surface to the safe energies in the pixels `used`.

        Parameters
        ----------
        used
            Pixels that take part, shape (ny, nx).
        start
            First guess, to save time.
        """
        return fit_surface(
            self.counts[self.safe][:, used],
            self.model[self.safe][:, used],
            self.energy_tev[self.safe],
            self.x_deg[used],
            self.y_deg[used],
            start=start,
        )

    def bent(self, surface: Surface | None) -> FloatArray:
        """The model times a surface; as it is for None.

        Parameters
        ----------
        surface
            By what the model is multiplied; None for the model as it is.
        """
        if surface is None:
            return self.model
        return self.model * surface(self.x_deg, self.y_deg, self.energy_tev)


def null_regions(
    field: NullField,
    on_xy_deg: tuple[float, float],
    radius_deg: float,
    keep_out_deg: float,
    surface: Surface | None,
) -> NullRegions | None:
    """Counts and predictions in the rotated ON regions.

    Parameters
    ----------
    field
        The run's field of view.
    on_xy_deg
        Offset of the ON position from the pointing.
    radius_deg
        Radius of the regions.
    keep_out_deg
        Radius around a region that its background estimate leaves out.
    surface
        The surface fitted to the run, where the FoV background uses one.

    Returns
    -------
    NullRegions or None
        None if no rotation is possible: the ON region holds the pointing, or is everywhere in an
        excluded circle.
    """
    x, y, used = field.x_deg, field.y_deg, field.used
    offset = float(np.hypot(*on_xy_deg))
    if offset <= radius_deg / 2:
        return None
    distance = np.hypot(x, y)
    rows: list[tuple[FloatArray, ...]] = []
    angles = []
    for k in range(1, N_ROTATIONS):
        angle = 2 * np.pi * k / N_ROTATIONS
        turned = complex(*on_xy_deg) * np.exp(1j * angle)
        away = np.hypot(x - turned.real, y - turned.imag)
        region = away < radius_deg
        inside = region & used
        if inside.sum() < max(_LEAST_SHARE * region.sum(), 1):
            continue
        rest = used & (away >= keep_out_deg)
        ring = used & (away >= radius_deg + _MARGIN_DEG)
        ring &= np.abs(distance - offset) < radius_deg
        shape = None if surface is None else field.surface(rest, surface)
        model = field.bent(shape)
        n = field.counts[:, inside].sum(axis=1)
        fov = _prediction(field.counts, model, inside, rest)
        reflected = _prediction(field.counts, field.model, inside, ring)
        rows.append((n, *fov, *reflected))
        angles.append(np.degrees(angle))
    if not rows:
        return None
    counts, fov_b, fov_off, ring_b, ring_off = (np.array(part) for part in zip(*rows, strict=True))
    return NullRegions(
        np.array(angles),
        counts,
        {"fov": fov_b, "reflected": ring_b},
        {"fov": fov_off, "reflected": ring_off},
    )


def _prediction(
    counts: FloatArray, model: FloatArray, inside: BoolArray, off: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Background in a region per energy bin, and the counts that it is made of."""
    n_off = counts[:, off].sum(axis=1)
    whole = model[:, off].sum(axis=1)
    share = np.divide(
        model[:, inside].sum(axis=1), whole, out=np.zeros_like(whole), where=whole > 0
    )
    return share * n_off, n_off
