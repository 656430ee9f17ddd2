"""A likelihood without physics, for tests of the scan and of its engines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daybreak.neutrino.likelihood.base import FIT_DTYPE, Fit, Prepared, Vertex

if TYPE_CHECKING:
    from daybreak.neutrino.event import Event


@dataclass(frozen=True)
class Dummy:
    """Half the squared distance to a fixed direction, in units of `sigma_deg`.

    Parameters
    ----------
    zenith_deg, azimuth_deg
        Where the minimum is.
    sigma_deg
        Its width.
    """

    zenith_deg: float = 60.0
    azimuth_deg: float = 130.0
    sigma_deg: float = 0.5
    name: str = "dummy"
    releases_gil: bool = True

    def prepare(self, event: Event) -> Prepared:
        """See :class:`Likelihood`; only the number of DOMs and their mean position matter."""
        pulses = event.cleaned if event.cleaned is not None else event.pulses
        xyz = event.geometry.positions(pulses)
        centre = tuple(float(v) for v in xyz.mean(axis=0)) if len(xyz) else (0.0, 0.0, 0.0)
        time_ns = float(pulses.time_ns.min()) if len(pulses) else 0.0
        return PreparedDummy(self, pulses.n_doms, Vertex(centre[0], centre[1], centre[2], time_ns))


@dataclass(frozen=True)
class PreparedDummy:
    """See :class:`Dummy`."""

    model: Dummy
    n_doms: int
    vertex: Vertex

    @property
    def info(self) -> Mapping[str, Any]:
        """Parameters of the minimum."""
        return {
            "model": "dummy",
            "zenith_deg": self.model.zenith_deg,
            "azimuth_deg": self.model.azimuth_deg,
            "sigma_deg": self.model.sigma_deg,
        }

    def seeds(self) -> list[Vertex]:
        """One: the mean position of the hits."""
        return [self.vertex]

    def fit(self, zenith_rad: float, azimuth_rad: float, seed: Vertex) -> Fit:
        """See :class:`Prepared`."""
        row = self.fit_many(
            np.array([zenith_rad]), np.array([azimuth_rad]), np.array([[tuple(seed)]])
        )[0]
        return Fit(*row.tolist())

    def fit_many(
        self,
        zenith_rad: NDArray[np.float64],
        azimuth_rad: NDArray[np.float64],
        seeds: NDArray[np.float64],
    ) -> NDArray[Any]:
        """See :class:`Prepared`; the vertex is that of the first seed."""
        out = np.zeros(len(zenith_rad), FIT_DTYPE)
        zenith, azimuth = math.radians(self.model.zenith_deg), math.radians(self.model.azimuth_deg)
        cosine = math.cos(zenith) * np.cos(zenith_rad) + math.sin(zenith) * np.sin(
            zenith_rad
        ) * np.cos(azimuth_rad - azimuth)
        away = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        out["llh"] = 0.5 * (away / self.model.sigma_deg) ** 2
        for i, field in enumerate(("x_m", "y_m", "z_m", "t_ns")):
            out[field] = seeds[:, 0, i]
        out["evaluations"] = 1
        return out
