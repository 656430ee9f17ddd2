"""Choose the pulses that a track fit uses, as IceCube's own alerts do, and recognise showers.

The selection is the one behind the alert's ``nch``, ``npulses`` and ``qtot``: seeded RT cleaning,
the 6 us window that holds most pulses, and no DeepCore strings.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import EventError
from daybreak.neutrino.event import Event, Geometry, Pulses

__all__ = ["best_window", "clean", "seeded_rt"]

RT_RADIUS_M = 150.0
RT_TIME_NS = 1000.0
RT_SEED_LINKS = 2
RT_ITERATIONS = 3
WINDOW_NS = 6000.0
FIRST_DEEPCORE_STRING = 79
_CHUNK = 20_000
_MAX_SPAN_NS = 1e12


class _Links:
    """Which pulses are close to which, in space and time.

    Pulses are in order of DOM and time, so that those of a DOM within a time window are a range;
    for each pulse and each DOM nearby the ends of that range are found once.
    """

    def __init__(self, pulses: Pulses, geometry: Geometry, radius_m: float, time_ns: float) -> None:
        from scipy.spatial import cKDTree

        self.n = len(pulses)
        keys = pulses.keys
        _, first, self.dom = np.unique(keys, return_index=True, return_inverse=True)
        xyz = geometry.positions(pulses)[first]
        near = cKDTree(xyz).query_ball_point(xyz, radius_m)
        self.n_near = np.array([len(each) for each in near])
        self.near = np.concatenate([np.asarray(each, dtype=np.intp) for each in near])
        self.first_near = np.cumsum(self.n_near) - self.n_near
        span = float(np.ptp(pulses.time_ns))
        if not span < _MAX_SPAN_NS:
            raise EventError(
                f"the pulses of the event are spread over {span:g} ns", "The file is damaged."
            )
        self.time_ns, self.step = time_ns, span + 2 * time_ns + 1
        self.since = pulses.time_ns - pulses.time_ns.min()
        self.line = self.dom * self.step + self.since
        chunks = self._ranges()
        self._kept = list(chunks) if self.n <= _CHUNK else None

    def _ranges(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
        for start in range(0, self.n, _CHUNK):
            pulse = np.arange(start, min(start + _CHUNK, self.n))
            n = self.n_near[self.dom[pulse]]
            owner = np.repeat(pulse, n)
            nth = np.arange(len(owner)) - np.repeat(np.cumsum(n) - n, n)
            other = self.near[self.first_near[self.dom[owner]] + nth]
            at = other * self.step + self.since[owner]
            low = np.searchsorted(self.line, at - self.time_ns, side="left")
            high = np.searchsorted(self.line, at + self.time_ns, side="right")
            yield owner, low, high

    def count(self, among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return for each pulse how many of those marked are linked to it, itself included."""
        running = np.concatenate([[0], np.cumsum(among)])
        total = np.zeros(self.n, dtype=np.int64)
        for owner, low, high in self._kept if self._kept is not None else self._ranges():
            found = running[high] - running[low]
            total += np.bincount(owner, weights=found, minlength=self.n).astype(np.int64)
        return total


def seeded_rt(
    pulses: Pulses,
    geometry: Geometry,
    *,
    radius_m: float = RT_RADIUS_M,
    time_ns: float = RT_TIME_NS,
    seed_links: int = RT_SEED_LINKS,
    iterations: int = RT_ITERATIONS,
) -> NDArray[np.bool_]:
    """Return the mask of the pulses that seeded radius-time cleaning keeps.

    Two pulses are linked if their DOMs are within `radius_m` and they are within `time_ns`. Seeds
    are HLC pulses linked to at least `seed_links` other HLC pulses; what is linked to a kept pulse
    is kept, for at most `iterations` rounds. (The settings are those of IceCube's realtime stream.)

    Parameters
    ----------
    pulses
        The pulses.
    geometry
        Positions of the DOMs.
    radius_m
        Radius within which hits belong together, m.
    time_ns
        Time within which they do, ns.
    seed_links
        Links that a hit needs to be a seed.
    iterations
        How often the set is extended.

    Raises
    ------
    EventError
        The geometry lacks a DOM that has pulses.
    """
    if not len(pulses):
        return np.zeros(0, dtype=bool)
    links = _Links(pulses, geometry, radius_m, time_ns)
    hlc = pulses.hlc
    kept = hlc & (links.count(hlc) - 1 >= seed_links)
    for _ in range(iterations):
        grown = kept | (links.count(kept) > 0)
        if np.array_equal(grown, kept):
            break
        kept = grown
    return kept


def best_window(time_ns: NDArray[np.float64], width_ns: float = WINDOW_NS) -> NDArray[np.bool_]:
    """Return the mask of the times inside the window of `width_ns` that holds most of them.

    Parameters
    ----------
    time_ns
        Times of the pulses, ns, shape (n,).
    width_ns
        Length of the window, ns.
    """
    if not len(time_ns):
        return np.zeros(0, dtype=bool)
    ordered = np.sort(time_ns)
    n_inside = np.searchsorted(ordered, ordered + width_ns, side="right") - np.arange(len(ordered))
    start = ordered[int(np.argmax(n_inside))]
    return np.asarray((time_ns >= start) & (time_ns <= start + width_ns))


def clean(event: Event, *, keep_deepcore: bool = False) -> Pulses:
    """Return the pulses that a track fit should use.

    Parameters
    ----------
    event
        An event; its own cleaned series is taken where it brings one.
    keep_deepcore
        Keep strings 79 and above (as IceCube's online SPEFit2 does).

    Raises
    ------
    EventError
        The geometry lacks a DOM that has pulses.
    """
    if event.cleaned is not None:
        pulses = event.cleaned
    else:
        pulses = event.pulses.select(seeded_rt(event.pulses, event.geometry))
        pulses = pulses.select(best_window(pulses.time_ns))
    if keep_deepcore or event.cleaned is not None:
        return pulses
    return pulses.select(pulses.string < FIRST_DEEPCORE_STRING)
