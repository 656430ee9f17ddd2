"""What a likelihood is to the scan, and how one is found by its name.

A site adds its own through the entry-point group ``daybreak.likelihoods``: each entry names a
callable that takes the options as keywords and returns a :class:`Likelihood`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from daybreak.neutrino.event import Event


FIT_DTYPE = np.dtype(
    [
        ("x_m", "f8"),
        ("y_m", "f8"),
        ("z_m", "f8"),
        ("t_ns", "f8"),
        ("llh", "f8"),
        ("evaluations", "i4"),
        ("seconds", "f8"),
        ("status", "i1"),
    ]
)
"""One fit: vertex, its time, *negative* log-likelihood (smaller is better), what it took."""

CONVERGED, NOT_CONVERGED, FAILED = 0, 1, 2
"""Status of a fit: at a minimum; stopped before (usable with care); no finite value found."""


class Vertex(NamedTuple):
    """A point on a track and when the particle is there."""

    x_m: float
    y_m: float
    z_m: float
    t_ns: float


class Fit(NamedTuple):
    """The best fit for one direction; fields as in `FIT_DTYPE`."""

    x_m: float
    y_m: float
    z_m: float
    t_ns: float
    llh: float
    evaluations: int
    seconds: float
    status: int

    @property
    def vertex(self) -> Vertex:
        """Where the track is, as a seed for the next fit."""
        return Vertex(self.x_m, self.y_m, self.z_m, self.t_ns)


@runtime_checkable
class Prepared(Protocol):
    """A likelihood of one event. It can be pickled, and holds small arrays only."""

    @property
    def n_doms(self) -> int:
        """DOMs that take part."""

    @property
    def info(self) -> Mapping[str, Any]:
        """What went in (ice, jitter, model), for the provenance; plain values."""

    def seeds(self) -> list[Vertex]:
        """Vertices from which fits of the coarsest level start."""

    def fit(self, zenith_rad: float, azimuth_rad: float, seed: Vertex) -> Fit:
        """Best fit for the direction that the particle comes from.

        Parameters
        ----------
        zenith_rad
            Zenith angle that the particle comes from, radians, in the detector's frame; an
            array for many.
        azimuth_rad
            Azimuth that it comes from, radians; of the same shape.
        seed
            Vertex where the search starts.
        """

    def fit_many(
        self,
        zenith_rad: NDArray[np.float64],
        azimuth_rad: NDArray[np.float64],
        seeds: NDArray[np.float64],
    ) -> NDArray[Any]:
        """Best fit over the seeds (n, k, 4) of each of n directions, as `FIT_DTYPE`.

        Parameters
        ----------
        zenith_rad
            Zenith angle that the particle comes from, radians, in the detector's frame; an
            array for many.
        azimuth_rad
            Azimuth that it comes from, radians; of the same shape.
        seeds
            Vertices where the searches start, one list for each direction.
        """


class Likelihood(Protocol):
    """A likelihood before it has seen an event."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    @property
    def releases_gil(self) -> bool:
        """Whether fits may run in threads."""

    def prepare(self, event: Event) -> Prepared:
        """Take what is needed of an event.

        Parameters
        ----------
        event
            The event.
        """
