"""Good time intervals: read, put in order, and held against the events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import Time

from daybreak.science.dl3.clock import mjd, plausible, reference_of, usual_unit
from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.dl3.values import numbers, shown, unit_factor
from daybreak.science.run import BoolArray, FloatArray

#: so many expected events and none: a chance of 1e-9
_NEVER = 21.0
#: a part of the good time without events that is noted
_NOTED_SHARE = 0.01
#: rounding of times in headers and files
_SLACK_S = 1.5
#: a share of events outside the good time from which its reference is doubted
_DOUBTED_SHARE = 0.005


@dataclass(frozen=True)
class GoodTime:
    """Good time intervals.

    Attributes
    ----------
    reference
        To which the seconds count.
    start_s, stop_s
        Seconds since the reference, in order, without overlap.
    """

    reference: Time
    start_s: FloatArray
    stop_s: FloatArray

    @property
    def ontime_s(self) -> float:
        """Their sum in seconds."""
        return float(np.sum(self.stop_s - self.start_s))

    @property
    def mjd(self) -> FloatArray:
        """Start and stop as MJD in TT, shape (n, 2)."""
        return mjd(self.reference, np.column_stack([self.start_s, self.stop_s]))

    @property
    def first(self) -> Time:
        """The first start."""
        return self.reference + self.start_s[0] * u.s

    @property
    def last(self) -> Time:
        """The last stop."""
        return self.reference + self.stop_s[-1] * u.s

    def holds(self, seconds: FloatArray, reference: Time) -> BoolArray:
        """Which times lie inside.

        Parameters
        ----------
        seconds
            Since `reference`, shape (n,).
        reference
            To which they count.
        """
        shift = (reference - self.reference).to_value("s")
        seconds = seconds + shift if shift else seconds
        inside = np.zeros(len(seconds), dtype=bool)
        for low, high in zip(self.start_s, self.stop_s, strict=True):
            inside |= (seconds >= low) & (seconds <= high)
        return inside


@dataclass(frozen=True)
class EventTimes:
    """The times of a run's events, and what their header says of them.

    Attributes
    ----------
    seconds
        Since the reference, shape (n,), finite ones only.
    reference
        None if the header does not tell.
    header
        Of the EVENTS.
    where
        File and HDU.
    """

    seconds: FloatArray
    reference: Time | None
    header: Mapping[str, Any]
    where: str

    def window(self) -> tuple[float, float] | None:
        """TSTART and TSTOP in seconds; None if they are missing or senseless."""
        pair = [self.header.get(key) for key in ("TSTART", "TSTOP")]
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in pair):
            return None
        factor = unit_factor(usual_unit(self.header) or "s", "s") or 1.0
        start, stop = (float(v) * factor for v in pair)  # type: ignore[arg-type]
        return (start, stop) if np.isfinite([start, stop]).all() and stop > start else None


def _union(start: FloatArray, stop: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Intervals in order of time, those that touch or overlap joined."""
    order = np.argsort(start, kind="stable")
    start, stop = start[order], stop[order]
    reach = np.maximum.accumulate(stop)
    new = np.concatenate([[True], start[1:] > reach[:-1]])
    last = np.append(np.flatnonzero(new)[1:] - 1, len(start) - 1)
    return start[new], reach[last]


def _mended(
    start: FloatArray, stop: FloatArray, where: str, oddities: list[Oddity]
) -> tuple[FloatArray, FloatArray]:
    """Intervals that can be, in order and without overlap."""
    possible = np.isfinite(start) & np.isfinite(stop) & (stop > start)
    if not possible.all():
        n = int(np.count_nonzero(~possible & (stop != start)))
        if n:
            text = f"{where}: {n} of {len(start)} intervals end before they start or have no times"
            oddities.append(Oddity("GTI_REPAIRED", f"{text}: not used"))
        start, stop = start[possible], stop[possible]
    if not len(start):
        return start, stop
    total = float(np.sum(stop - start))
    ordered = bool(np.all(np.diff(start) >= 0))
    start, stop = _union(start, stop)
    joined = float(np.sum(stop - start))
    if total - joined > 1e-6 * total:
        text = f"{where}: intervals overlap by {total - joined:.0f} s of {total:.0f} s"
        oddities.append(Oddity("GTI_REPAIRED", f"{text}: counted once"))
    elif not ordered:
        oddities.append(Oddity("GTI_REPAIRED", f"{where}: intervals were not in order of time"))
    return start, stop


def _from_header(events: EventTimes, why: str, oddities: list[Oddity]) -> GoodTime:
    window = events.window()
    if window is None or events.reference is None:
        raise unusable(
            events.where,
            f"{why}, and TSTART and TSTOP do not tell the run's time either "
            f"(TSTART is {shown(events.header, 'TSTART')}, TSTOP {shown(events.header, 'TSTOP')})",
        )
    text = f"{events.where}: {why}: TSTART to TSTOP taken as good time, {np.diff(window)[0]:.0f} s"
    oddities.append(Oddity("NO_GTI", text))
    return GoodTime(events.reference, np.array([window[0]]), np.array([window[1]]))


def read_good_time(
    hdu: Any, where: str, events: EventTimes, oddities: list[Oddity]
) -> tuple[GoodTime, Time]:
    """Good time of a run, and the reference to which its events count.

    Parameters
    ----------
    hdu
        The GTI table; None if there is none.
    where
        Its file and HDU.
    events
        The events' times.
    oddities
        Here it is noted what was odd and how it was put right.

    Returns
    -------
    GoodTime
        Intervals that can be, in order, without overlap.
    astropy.time.Time
        The events' reference, in TT.

    Raises
    ------
    RunDataError
        If there is no good time, or nothing tells when the run was.
    """
    if hdu is None:
        good = _from_header(events, "there is no GTI table", oddities)
        assert events.reference is not None
        return good, events.reference
    sides = [
        numbers(hdu, key, "s", where, oddities, usual_unit(hdu.header) or "s")
        for key in ("START", "STOP")
    ]
    reference = reference_of(hdu.header, where, oddities)
    n_rows = len(sides[0])
    start, stop = _mended(sides[0], sides[1], where, oddities)
    if not len(start):
        what = f"none of its {n_rows} intervals has a length by START and STOP"
        raise unusable(
            where,
            f"the GTI is empty ({what if n_rows else 'NAXIS2 is 0'}), the run has no good time",
            "Nothing to do unless the run should have data: make its DL3 file again.",
        )
    good_reference, reference = _references(reference, events, (start, stop), where, oddities)
    good = GoodTime(good_reference, start, stop)
    return _held_against_events(good, reference, events, where, oddities), reference


def _references(
    good: Time | None,
    events: EventTimes,
    intervals: tuple[FloatArray, FloatArray],
    where: str,
    oddities: list[Oddity],
) -> tuple[Time, Time]:
    """References of good time and events; where they can't both be, one for both."""
    if good is None and events.reference is None:
        raise unusable(
            events.where, f"MJDREFI and MJDREFF tell no time reference, nor do those of {where}"
        )
    if good is None or events.reference is None:
        known = good if good is not None else events.reference
        lost = where if good is None else events.where
        text = f"{lost}: MJDREFI and MJDREFF tell no time reference: taken from the other table"
        oddities.append(Oddity("TIME_REFERENCE", text))
        return known, known
    apart = abs((good - events.reference).to_value("s"))
    if apart < 1e-3 or not len(events.seconds):
        return good, events.reference
    outside, same = (
        1 - float(np.mean(GoodTime(good, *intervals).holds(events.seconds, reference)))
        for reference in (events.reference, good)
    )
    if outside > _DOUBTED_SHARE and same < 0.5 * outside and same < 0.5:
        use = good if plausible(good) or not plausible(events.reference) else events.reference
        named = where if use is good else events.where
        text = (
            f"{events.where}: {100 * outside:.3g} % of the events lie outside the good time, as "
            f"the time references are {apart:.6g} s apart (MJD {events.reference.mjd:.9g} and, in "
            f"{where}, {good.mjd:.9g}); with that of {named} for both it is {100 * same:.3g} %: "
            "so it was taken"
        )
        oddities.append(Oddity("TIME_REFERENCE", text))
        return use, use
    return good, events.reference


def _held_against_events(
    good: GoodTime, reference: Time, events: EventTimes, where: str, oddities: list[Oddity]
) -> GoodTime:
    """Good time without what can't be: no events although many must have come."""
    seconds = events.seconds + (reference - good.reference).to_value("s")
    inside = np.sort(seconds[good.holds(events.seconds, reference)])
    if not len(inside):
        return good
    window = events.window()
    if window is not None:
        shift = (reference - good.reference).to_value("s")
        good = _within_window(good, inside, (window[0] + shift, window[1] + shift), where, oddities)
    empty = _empty_stretches(good, inside)
    lost = sum(high - low for low, high in empty)
    if lost > _NOTED_SHARE * good.ontime_s:
        longest = max(empty, key=lambda pair: pair[1] - pair[0])
        from_start = longest[0] - good.start_s[0]
        text = (
            f"{where}: {lost:.0f} of {good.ontime_s:.0f} s of good time hold no event at all "
            f"(the longest stretch begins {from_start:.0f} s after the start): the flux is too low "
            "by as much if the telescopes stood still"
        )
        oddities.append(Oddity("GTI_WITHOUT_EVENTS", text))
    return good


def _within_window(
    good: GoodTime,
    inside: FloatArray,
    window: tuple[float, float],
    where: str,
    oddities: list[Oddity],
) -> GoodTime:
    """Good time cut where TSTART, TSTOP and the events all say that there was no run."""
    low = window[0] - _SLACK_S if window[0] <= inside[0] + _SLACK_S else -np.inf
    high = window[1] + _SLACK_S if window[1] >= inside[-1] - _SLACK_S else np.inf
    start, stop = np.maximum(good.start_s, low), np.minimum(good.stop_s, high)
    kept = stop > start
    cut = GoodTime(good.reference, start[kept], stop[kept])
    lost = good.ontime_s - cut.ontime_s
    rate = len(inside) / max(cut.ontime_s, 1e-9) if kept.any() else 0.0
    if lost * rate < _NEVER:
        return good
    start = np.where(good.start_s < low, window[0], good.start_s)[kept]
    stop = np.where(good.stop_s > high, window[1], good.stop_s)[kept]
    text = (
        f"{where}: {lost:.6g} of {good.ontime_s:.6g} s lie outside TSTART to TSTOP of the EVENTS "
        "and hold no event: not used"
    )
    oddities.append(Oddity("GTI_REPAIRED", text))
    return GoodTime(good.reference, start, stop)


def _empty_stretches(good: GoodTime, inside: FloatArray) -> list[tuple[float, float]]:
    """Stretches of the good time, in its seconds, too long without an event to be by chance."""
    shortest = _NEVER / (len(inside) / good.ontime_s)
    out: list[tuple[float, float]] = []
    for low, high in zip(good.start_s, good.stop_s, strict=True):
        part = inside[np.searchsorted(inside, low) : np.searchsorted(inside, high, side="right")]
        edges = np.concatenate([[low], part, [high]])
        gaps = np.diff(edges)
        out += [(edges[i], edges[i + 1]) for i in np.flatnonzero(gaps > shortest)]
    return out


def without_stretches(good: GoodTime, seconds: FloatArray, reference: Time) -> GoodTime:
    """Good time without the stretches that hold no event though many are expected.

    Parameters
    ----------
    good
        Good time.
    seconds, reference
        Times of the events.
    """
    shifted = seconds + (reference - good.reference).to_value("s")
    inside = np.sort(shifted[good.holds(seconds, reference)])
    if not len(inside):
        return good
    starts, stops = list(good.start_s), list(good.stop_s)
    for low, high in _empty_stretches(good, inside):
        starts.append(high)
        stops.append(low)
    start, stop = np.sort(starts), np.sort(stops)
    kept = stop > start
    return GoodTime(good.reference, start[kept], stop[kept])
