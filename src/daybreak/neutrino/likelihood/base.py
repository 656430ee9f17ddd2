"""What a likelihood is to the scan, and how one is found by its name.

A site adds its own through the entry-point group ``daybreak.likelihoods``: each entry names a
callable that takes the options as keywords and returns a :class:`Likelihood`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import ConfigError

if TYPE_CHECKING:
    from daybreak.neutrino.event import Event

GROUP = "daybreak.likelihoods"
BUILT_IN = ("pandel-mpe", "pandel-spe", "dummy")

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
        """Best fit for the direction that the particle comes from."""

    def fit_many(
        self,
        zenith_rad: NDArray[np.float64],
        azimuth_rad: NDArray[np.float64],
        seeds: NDArray[np.float64],
    ) -> NDArray[Any]:
        """Best fit over the seeds (n, k, 4) of each of n directions, as `FIT_DTYPE`."""


class Likelihood(Protocol):
    """A likelihood before it has seen an event."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    @property
    def releases_gil(self) -> bool:
        """Whether fits may run in threads."""

    def prepare(self, event: Event) -> Prepared:
        """Take what is needed of an event."""


def get_likelihood(name: str, **options: Any) -> Likelihood:
    """Find a likelihood.

    Parameters
    ----------
    name
        ``pandel-mpe`` (first photon among all of a DOM's charge, layered ice), ``pandel-spe``
        (first photon alone, bulk ice), ``dummy``, or what an installed package registers.
    **options
        Passed on to it.

    Raises
    ------
    ConfigError
        If nobody knows the name, the plug-in can't be loaded, or an option is unknown.
    """
    make = _built_in(name) or _registered(name)
    try:
        return make(**options)
    except TypeError as error:
        raise ConfigError(
            f"the likelihood {name!r} can't be set up: {error}", "Look at its options."
        ) from None


def _built_in(name: str) -> Callable[..., Likelihood] | None:
    if name == "dummy":
        from daybreak.neutrino.likelihood.dummy import Dummy

        return Dummy
    if name in ("pandel-mpe", "pandel-spe"):
        from daybreak.neutrino.likelihood.models import pandel_mpe, pandel_spe

        return pandel_mpe if name == "pandel-mpe" else pandel_spe
    return None


def _registered(name: str) -> Callable[..., Likelihood]:
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(dict.fromkeys((*BUILT_IN, *sorted(found))))
        raise ConfigError(f"there is no likelihood {name!r}", f"Known: {known}.")
    try:
        make: Callable[..., Likelihood] = found[name].load()
    except Exception as error:
        raise ConfigError(
            f"the likelihood {name!r} ({found[name].value}) can't be loaded: "
            f"{type(error).__name__}: {error}",
            "Repair or remove the package that registers it.",
        ) from None
    return make
