"""Decoders of pulse maps and of the masks that select from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import EventError
from daybreak.neutrino.event import Pulses
from daybreak.neutrino.i3.archive import Archive

PULSE = np.dtype([("time", "<f8"), ("charge", "<f4"), ("width", "<f4"), ("flags", "u1")])
PULSE_V2 = np.dtype([("time", "<f4"), ("charge", "<f4"), ("width", "<f4"), ("flags", "u1")])
_MAX_NUMBER = 32767


@dataclass(frozen=True, eq=False)
class PulseMap:
    """Pulses by DOM, in the file's own order.

    Parameters
    ----------
    doms
        Keys (string, om, pmt), shape (n_doms, 3), sorted.
    counts
        Number of pulses of each DOM.
    pulses
        All pulses, DOM after DOM, of type `PULSE`.
    """

    doms: NDArray[np.int64]
    counts: NDArray[np.int64]
    pulses: NDArray[Any]

    def to_pulses(self, what: str) -> Pulses:
        """Return the pulses as columns, refusing what can't be a pulse.

        Parameters
        ----------
        what
            What it is, for messages.

        Raises
        ------
        EventError
            A time or charge is not finite, or a DOM's number is out of range.
        """
        for name in ("time", "charge", "width"):
            if not np.isfinite(self.pulses[name]).all():
                raise EventError(
                    f"{what}: a pulse's {name} is not a finite number", "The file is damaged."
                )
        if len(self.doms) and (self.doms.min() < 0 or self.doms.max() > _MAX_NUMBER):
            raise EventError(f"{what}: a DOM's number is out of range", "The file is damaged.")
        string, om, _ = np.repeat(self.doms, self.counts, axis=0).reshape(-1, 3).T
        p = self.pulses
        return Pulses.from_columns(string, om, p["time"], p["charge"], p["width"], p["flags"])


@dataclass(frozen=True, eq=False)
class PulseMask:
    """A selection from another series: which DOMs, and which pulses of each of those."""

    source: str
    doms: NDArray[np.bool_]
    counts: NDArray[np.int64]
    pulses: NDArray[np.bool_]

    def apply(self, source: PulseMap, what: str) -> PulseMap:
        """Return the selected pulses; DOMs without any are dropped.

        Parameters
        ----------
        source
            The pulses that the mask chooses from.
        what
            What it is, for messages.

        Raises
        ------
        EventError
            The mask was made for a series of another size.
        """
        if len(self.doms) != len(source.doms):
            raise EventError(
                f"{what}: the mask is for {len(self.doms)} DOMs, {self.source} has "
                f"{len(source.doms)}",
                "The file is damaged, or its series have been changed.",
            )
        if not np.array_equal(source.counts[self.doms], self.counts):
            raise EventError(
                f"{what}: the mask does not fit the number of pulses in {self.source}",
                "The file is damaged, or its series have been changed.",
            )
        keep = np.zeros(len(source.pulses), dtype=bool)
        keep[np.repeat(self.doms, source.counts)] = self.pulses
        owner = np.repeat(np.arange(len(source.doms)), source.counts)
        counts = np.bincount(owner[keep], minlength=len(source.doms))
        some = counts > 0
        return PulseMap(source.doms[some], counts[some], source.pulses[keep])


def om_key(a: Archive) -> tuple[int, int, int]:
    """Read an OMKey: string, om, pmt.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    version = a.enter("OMKey", (0, 1, 2))
    if version < 2:
        a.base()
    return a.i32(), a.u32(), a.u8() if version else 0


def _series(a: Archive) -> NDArray[Any]:
    """Read a vector of I3RecoPulse."""
    a.enter("vector<I3RecoPulse>")
    n = a.size(13)
    if not n:
        return np.empty(0, PULSE)
    return a.records("I3RecoPulse", n, {2: PULSE_V2, 3: PULSE})


def pulse_map(a: Archive) -> PulseMap:
    """Read an I3RecoPulseSeriesMap.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3RecoPulseSeriesMap")
    a.base()
    a.enter("map")
    doms, series = [], []
    for _ in range(a.count(13, 2)):
        a.enter("pair")
        doms.append(om_key(a))
        series.append(_series(a))
    if sorted(set(doms)) != doms:
        raise a.fail("the DOMs of a pulse map are not in order")
    return PulseMap(
        np.array(doms, dtype=np.int64).reshape(-1, 3),
        np.array([len(s) for s in series], dtype=np.int64),
        np.concatenate(series).astype(PULSE) if series else np.empty(0, PULSE),
    )


def _bits(a: Archive) -> tuple[int, bytes]:
    """Read a bit mask: its length and its bytes (least significant bit first)."""
    a.enter("bitmask")
    n_bytes, padding = a.u16(), a.u8()
    data = a.take(n_bytes)
    if padding >= 8 or padding > 8 * n_bytes:
        raise a.fail(f"a mask of {n_bytes} bytes has {padding} bits of padding")
    return 8 * n_bytes - padding, data


def pulse_mask(a: Archive) -> PulseMask:
    """Read an I3RecoPulseSeriesMapMask.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    version = a.enter("I3RecoPulseSeriesMapMask", (1, 2))
    a.base()
    source = a.string()
    if version == 1:
        a.f32()
    n_doms, dom_bytes = _bits(a)
    doms = np.unpackbits(np.frombuffer(dom_bytes, np.uint8), bitorder="little")[:n_doms]
    a.enter("vector<bitmask>")
    parts = [_bits(a) for _ in range(a.count(3))]
    if len(parts) != int(doms.sum()):
        raise a.fail(f"a mask selects {int(doms.sum())} DOMs and has bits for {len(parts)}")
    counts = np.array([n for n, _ in parts], dtype=np.int64)
    bits = np.unpackbits(
        np.frombuffer(b"".join(data for _, data in parts), np.uint8), bitorder="little"
    )
    sizes = np.array([8 * len(data) for _, data in parts], dtype=np.int64)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    inside = np.arange(len(bits)) - first < np.repeat(counts, sizes)
    return PulseMask(source, doms.astype(bool), counts, bits[inside].astype(bool))
