"""Decoder of I3SuperDST, the compact form of all pulses of an event.

Pulses are grouped into readouts of one DOM. A readout has a header (DOM, high bits of the first
time) and stamps of 16 bits: time since the one before (8 bits), charge (6), HLC (1), last of the
readout (1). What does not fit is carried by further words. Widths are kept apart as powers of two
in run-length form, so that each class of pulses has a stream of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.neutrino.event import ATWD, FADC, LC
from daybreak.neutrino.i3.archive import Archive
from daybreak.neutrino.i3.pulses import PULSE, PulseMap

START_NS = -512.0
IN_ICE_OMS = 60
_FULL_FIRST, _FULL_TIME, _FULL_CHARGE, _FULL_WORD = 2047, 255, 63, 0xFFFF


def size_code(a: Archive) -> int:
    """Read a number whose first byte is its value (below 247) or says how many bytes follow.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("SizeCodec")
    first = a.u8()
    if first < 247:
        return first
    return int.from_bytes(a.take(255 - first), "little")


def _compact(a: Archive, item: str, dtype: str) -> NDArray[Any]:
    a.enter(f"CompactVector<{item}>")
    n = size_code(a)
    if n * np.dtype(dtype).itemsize > a.left:
        raise a.fail(f"{n} items are announced and {a.left} bytes are left")
    return a.array(dtype, n)


class _Words:
    """The stream of stamps."""

    def __init__(self, a: Archive, words: list[int]) -> None:
        self.a, self.words, self.at = a, words, 0

    def next(self) -> int:
        if self.at >= len(self.words):
            raise self.a.fail("the stamps end inside a readout")
        self.at += 1
        return self.words[self.at - 1]

    def overflow(self) -> int:
        total = 0
        while True:
            word = self.next()
            total += word
            if word != _FULL_WORD:
                return total


def _stamps(a: Archive, words: _Words, headers: list[int], extra: list[int]) -> NDArray[Any]:
    """Unpack all stamps: DOM code, time, charge code, and whether HLC."""
    rows: list[tuple[int, float, int, bool]] = []
    reference, extras = START_NS, iter(extra)
    for header in headers:
        dom, slop = header & 0x1FFF, header >> 13
        surface = (dom & 63) + 1 > IN_ICE_OMS
        time, full, high = reference, _FULL_FIRST, slop << 8
        while True:
            word = words.next()
            delta, charge = (word & 0xFF) | high, word >> 8 & 0x3F
            if delta == full:
                delta += words.overflow()
            if surface:
                charge |= next(extras, 0) << 6
            elif charge == _FULL_CHARGE:
                charge += words.overflow()
            time += delta
            if full == _FULL_FIRST:
                reference, full, high = time, _FULL_TIME, 0
            rows.append((dom, time, charge, bool(word & 0x4000)))
            if word & 0x8000 or surface:
                break
    if words.at != len(words.words) or next(extras, None) is not None:
        raise a.fail("stamps are left over after the last readout")
    dtype = [("dom", "<i8"), ("time", "<f8"), ("charge", "<i8"), ("hlc", "?")]
    return np.array(rows, dtype=dtype)


def _runs(a: Archive, codes: list[int], n: int) -> NDArray[np.uint8]:
    """Unpack one stream of widths, which must hold `n`."""
    values: list[int] = []
    lengths: list[int] = []
    shift = 0
    for code in codes:
        value, part = code & 0xF, code >> 4
        if values and values[-1] == value:
            shift += 4
            lengths[-1] += part << shift
        else:
            shift = 0
            values.append(value)
            lengths.append(part)
        if lengths[-1] > n:
            raise a.fail("there are more widths than pulses")
    if sum(lengths) != n:
        raise a.fail(f"there are {sum(lengths)} widths for {n} pulses")
    return np.repeat(np.array(values, np.uint8), lengths)


def _widths(a: Archive, streams: list[list[int]], stamps: NDArray[Any]) -> NDArray[np.float32]:
    surface = (stamps["dom"] & 63) + 1 > IN_ICE_OMS
    codes = np.zeros(len(stamps), np.uint8)
    for stream, (top, hlc) in zip(
        streams, ((False, False), (False, True), (True, False), (True, True)), strict=True
    ):
        these = (surface == top) & (stamps["hlc"] == hlc)
        codes[these] = _runs(a, stream, int(these.sum()))
    return np.exp2(codes).astype(np.float32)


def _part_coincident(time: NDArray[Any], width: NDArray[Any]) -> None:
    """Give pulses of one DOM at one time a part each of the width, one after the other (in place).

    The first pulse has no predecessor to share with; it shares with the second.
    """

    def share(i: int) -> None:
        if width[i - 1] == 0 and width[i] > 0:
            width[i - 1] = width[i]
        width[i - 1] /= 2
        width[i] = width[i - 1]
        time[i] = time[i - 1] + width[i - 1]

    pending = False
    for i in range(len(time) - 1):
        width[i] = min(width[i], np.float32(time[i + 1] - time[i]))
        if width[i] == 0 or pending:
            if i:
                share(i)
            pending = i == 0
    if pending and len(time) > 1:
        share(len(time) - 1)


def _by_dom(stamps: NDArray[Any], widths: NDArray[np.float32]) -> PulseMap:
    surface = (stamps["dom"] & 63) + 1 > IN_ICE_OMS
    order = np.lexsort((stamps["time"], stamps["dom"]))
    stamps, surface = stamps[order], surface[order]
    pulses = np.zeros(len(stamps), PULSE)
    pulses["time"] = stamps["time"]
    code = stamps["charge"].astype(float)
    with np.errstate(over="ignore"):
        pulses["charge"] = np.where(
            surface, 10 ** (np.minimum(code, 16383) * 9 / 16383 - 2), 0.05 * code + 0.025
        )
    pulses["width"] = widths[order]
    pulses["flags"] = np.where(stamps["hlc"], FADC | ATWD | LC, FADC)
    doms, first, counts = np.unique(stamps["dom"], return_index=True, return_counts=True)
    time, width = pulses["time"], pulses["width"]
    gap = np.diff(time)
    same = np.diff(stamps["dom"]) == 0
    capped = np.where(same, np.minimum(width[:-1], gap.astype(np.float32)), width[:-1])
    coincident = np.zeros(len(doms), bool)
    if len(gap):
        at = np.searchsorted(doms, stamps["dom"][:-1][same & (gap == 0)])
        coincident[at] = True
        uncapped = width.copy()
        width[:-1] = capped
        for d in np.flatnonzero(coincident):
            part = slice(first[d], first[d] + counts[d])
            width[part] = uncapped[part]
            _part_coincident(time[part], width[part])
    keys = np.stack([doms >> 6, (doms & 63) + 1, np.zeros_like(doms)], axis=1)
    return PulseMap(keys, counts, pulses)


def super_dst(a: Archive) -> PulseMap:
    """Read an I3SuperDST (version 1: steps of 1 ns and 0.05 photoelectrons).

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3SuperDST", (1,))
    a.base()
    stamp_words = _compact(a, "stamp", "<u2")
    a.spend(len(stamp_words) // 3)
    words = stamp_words.tolist()
    headers = _compact(a, "header", "<u2").tolist()
    streams = [_compact(a, "byte", "u1").tolist() for _ in range(4)]
    extra = _compact(a, "byte", "u1").tolist()
    stamps = _stamps(a, _Words(a, words), headers, extra)
    return _by_dom(stamps, _widths(a, streams, stamps))


def trigger_series(a: Archive) -> list[dict[str, int]]:
    """Read an I3SuperDSTTriggerSeries: index of the configuration, length and start.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3SuperDSTTriggerSeries")
    a.base()
    found, start = [], 0
    for _ in range(_bounded(a, size_code(a))):
        tag = a.u8()
        length = tag >> 4 | size_code(a) << 4
        start += size_code(a)
        found.append({"config": tag & 0xF, "length_ns": length, "start_ns": start})
    return found


def _bounded(a: Archive, n: int) -> int:
    if n > a.left:
        raise a.fail(f"{n} items are announced and {a.left} bytes are left")
    return n
