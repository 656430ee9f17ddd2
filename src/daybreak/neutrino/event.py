"""What an event of a neutrino telescope is: pulses, the detector that saw them, reconstructions.

Conventions: time in ns from the event's own zero, charge in photoelectrons, positions in metres in
the detector's coordinates (z up). Zenith and azimuth of a particle point to where it comes *from*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from daybreak.errors import EventError

if TYPE_CHECKING:
    from astropy.time import Time
    from numpy.typing import NDArray

LC, ATWD, FADC = 1, 2, 4
"""Flags of a pulse: in local coincidence, from the fast digitiser, from the slow one."""

MAX_DOM_KEY = 1 << 16


def dom_keys(string: NDArray[Any], om: NDArray[Any]) -> NDArray[np.int64]:
    """Return one sortable whole number for each DOM: string first, then position on the string.

    Parameters
    ----------
    string
        Numbers of strings, shape (n,).
    om
        Numbers of DOMs on their strings, shape (n,).
    """
    return np.asarray(string).astype(np.int64) * MAX_DOM_KEY + np.asarray(om).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Pulses:
    """Pulses as arrays of one length, ordered by string, om and time.

    Parameters
    ----------
    string, om
        Number of the string, and of the DOM on it (1 at the top), int16.
    time_ns
        Leading edge, float64.
    charge_pe
        Charge in photoelectrons, float32.
    width_ns
        Width, float32.
    flags
        Sum of `LC`, `ATWD` and `FADC`, uint8.
    """

    string: NDArray[np.int16]
    om: NDArray[np.int16]
    time_ns: NDArray[np.float64]
    charge_pe: NDArray[np.float32]
    width_ns: NDArray[np.float32]
    flags: NDArray[np.uint8]

    @classmethod
    def from_columns(
        cls, string: Any, om: Any, time_ns: Any, charge_pe: Any, width_ns: Any, flags: Any
    ) -> Pulses:
        """Make pulses from any columns of one length, and put them in order.

        Parameters
        ----------
        string
            Numbers of strings, shape (n,).
        om
            Numbers of DOMs on their strings, shape (n,).
        time_ns
            Times in ns, shape (n,).
        charge_pe
            Charges in photoelectrons, shape (n,).
        width_ns
            Widths in ns, shape (n,).
        flags
            Flags, shape (n,).

        Raises
        ------
        EventError
            The columns differ in length.
        """
        columns = (
            np.asarray(string, np.int16),
            np.asarray(om, np.int16),
            np.asarray(time_ns, np.float64),
            np.asarray(charge_pe, np.float32),
            np.asarray(width_ns, np.float32),
            np.asarray(flags, np.uint8),
        )
        if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
            raise EventError(
                "the columns of a pulse series differ in length",
                "Give one value per pulse in each column.",
            )
        pulses = cls(*columns)
        order = np.lexsort((pulses.time_ns, pulses.keys))
        return pulses.select(order)

    @classmethod
    def empty(cls) -> Pulses:
        """Return a series without pulses."""
        return cls.from_columns([], [], [], [], [], [])

    def __len__(self) -> int:
        return len(self.time_ns)

    def select(self, mask: NDArray[Any]) -> Pulses:
        """Return the pulses that a boolean mask or an index array picks.

        Parameters
        ----------
        mask
            Pulses to keep, shape (n,).
        """
        return Pulses(
            self.string[mask],
            self.om[mask],
            self.time_ns[mask],
            self.charge_pe[mask],
            self.width_ns[mask],
            self.flags[mask],
        )

    @property
    def keys(self) -> NDArray[np.int64]:
        """One number per pulse that names its DOM."""
        return dom_keys(self.string, self.om)

    @property
    def n_doms(self) -> int:
        """Number of DOMs with at least one pulse."""
        return len(np.unique(self.keys))

    @property
    def qtot(self) -> float:
        """Sum of the charges, in photoelectrons."""
        return float(np.sum(self.charge_pe, dtype=np.float64))

    @property
    def hlc(self) -> NDArray[np.bool_]:
        """Mask of the pulses in hard local coincidence."""
        return np.asarray((self.flags & LC) != 0)


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the DOMs are.

    Parameters
    ----------
    name
        What the geometry is called in products, for example ``IC86``.
    string, om
        One entry per DOM, int16.
    xyz_m
        Positions in detector coordinates, shape (n, 3).
    """

    name: str
    string: NDArray[np.int16]
    om: NDArray[np.int16]
    xyz_m: NDArray[np.float64]
    _sorted: tuple[NDArray[np.int64], NDArray[np.intp]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = dom_keys(self.string, self.om)
        order = np.argsort(keys, kind="stable")
        object.__setattr__(self, "_sorted", (keys[order], order))

    def __len__(self) -> int:
        return len(self.string)

    def index(self, string: NDArray[Any], om: NDArray[Any]) -> NDArray[np.intp]:
        """Return the row of each DOM, or -1 where the geometry lacks it.

        Parameters
        ----------
        string
            Numbers of strings, shape (n,).
        om
            Numbers of DOMs on their strings, shape (n,).
        """
        keys, order = self._sorted
        wanted = dom_keys(string, om)
        if not len(keys):
            return np.full(len(wanted), -1, dtype=np.intp)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, order[at], -1)

    def positions(self, pulses: Pulses) -> NDArray[np.float64]:
        """Return the position of each pulse's DOM, shape (n_pulses, 3), in metres.

        Parameters
        ----------
        pulses
            The pulses.

        Raises
        ------
        EventError
            The geometry lacks a DOM that has pulses.
        """
        rows = self.index(pulses.string, pulses.om)
        if len(rows) and rows.min() < 0:
            bad = int(np.argmin(rows))
            raise EventError(
                f"the geometry {self.name} has no DOM {pulses.string[bad]}-{pulses.om[bad]}, "
                "which has pulses in this event",
                "Give the geometry of the detector that took the event (--geometry or --gcd).",
            )
        return np.asarray(self.xyz_m[rows], dtype=np.float64).reshape(len(rows), 3)


@dataclass(frozen=True)
class EventHeader:
    """Which event this is, and when it started (UTC)."""

    run: int
    event: int
    subrun: int
    sub_event: int
    stream: str
    start: Time | None


@dataclass(frozen=True)
class Reco:
    """One reconstruction, or the truth of a simulated event.

    Zenith and azimuth (radians) point to where the particle comes from; `xyz_m` is the vertex,
    `time_ns` its time; `logl` is minus the logarithm of the likelihood, as the fits store it.
    """

    name: str
    zenith_rad: float
    azimuth_rad: float
    xyz_m: tuple[float, float, float]
    time_ns: float
    logl: float | None = None
    ndof: int | None = None
    energy_gev: float | None = None
    status: int = 0


@dataclass(frozen=True, eq=False)
class Event:
    """One physics event.

    Parameters
    ----------
    header
        Run, event and start time.
    pulses
        The base series, before cleaning.
    geometry
        The detector.
    recos
        Reconstructions that the file or message carries, by name.
    truth
        The simulated primary track, if this is simulation.
    kind
        ``gold``, ``bronze``, ``hese``, ``simulation``, ``own-simulation`` or empty.
    message
        Numbers that the alert itself carries (nch, npulses, qtot, ...).
    source
        Name of the file.
    cleaned
        A series that the file brings already cleaned and that should be used; None: use
        `daybreak.neutrino.cleaning.clean`.
    labels
        What a reader of the result must know: ``contained``, ``few-doms``, ...
    """

    header: EventHeader
    pulses: Pulses
    geometry: Geometry
    recos: Mapping[str, Reco]
    truth: Reco | None
    kind: str
    message: Mapping[str, Any]
    source: str
    cleaned: Pulses | None = None
    labels: tuple[str, ...] = ()

    def with_labels(self, *labels: str) -> Event:
        """Return the event with further labels, each kept once.

        Parameters
        ----------
        labels
            What the event is called.
        """
        return replace(self, labels=tuple(dict.fromkeys((*self.labels, *labels))))
