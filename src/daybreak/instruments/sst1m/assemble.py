"""Events out of the unpacked columns of a tile; what can't be right is left out and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daybreak.instruments.sst1m.compression import MAX_BLOCK, BlockError, Bytes

#: the ADCs have 12 bits
MAX_ADC = 4095
_SAMPLES = "hiGain_waveforms_samples"
_PIXELS = "hiGain_waveforms_pixelsIndices"
_BASELINES = "hiGain_waveforms_baselines"

Words = NDArray[np.uint16]


@dataclass
class Tally:
    """Counts of events.

    Attributes
    ----------
    n_read
        Events that were given out.
    skipped
        Reason to the number of events that were left out for it.
    n_back
        Events whose time is before that of the event before them; they are given out.
    """

    n_read: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    n_back: int = 0
    _last_ns: int = 0

    @property
    def n_skipped(self) -> int:
        """Number of events left out."""
        return sum(self.skipped.values())

    def skip(self, reason: str, number: int = 1) -> None:
        """Count events that are left out.

        Parameters
        ----------
        reason
            Why.
        number
            How many.
        """
        if number:
            self.skipped[reason] += int(number)

    def read(self, time_ns: NDArray[np.int64]) -> None:
        """Count events that are given out.

        Parameters
        ----------
        time_ns
            Their times, shape (n,).
        """
        if len(time_ns):
            self.n_read += len(time_ns)
            steps = np.diff(time_ns, prepend=self._last_ns)
            self.n_back += int(np.count_nonzero(steps < 0))
            self._last_ns = int(time_ns[-1])


@dataclass(frozen=True)
class Shape:
    """What all events of a file have in common.

    Attributes
    ----------
    telescope
        Its number.
    n_pixels, n_samples
        Of each event.
    """

    telescope: int
    n_pixels: int
    n_samples: int


@dataclass(frozen=True, eq=False)
class Fields:
    """Good events of a tile, pixels still in the order of the file.

    Attributes
    ----------
    rows
        Their rows in the tile, shape (n,).
    event_id, array_event_id, bits, time_ns
        See `RawChunk`.
    samples, baselines, flags
        Of all rows of the tile, in the order of the file.
    order
        Places in the order of the file by pixel number; shape (pixels,), or (rows, pixels) if the
        order changes within the tile.
    shape
        Of an event.
    """

    rows: NDArray[np.int64]
    event_id: NDArray[np.uint32]
    array_event_id: NDArray[np.uint32]
    bits: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    samples: Words
    baselines: Words
    flags: Words
    order: NDArray[np.int64]
    shape: Shape

    def pixels(self, part: slice) -> tuple[Words, Words, Words]:
        """Waveforms, baselines and flags of some events, in the order of pixel numbers.

        Parameters
        ----------
        part
            Which of `rows`.
        """
        rows = self.rows[part]
        order = self.order[rows] if self.order.ndim == 2 else self.order[None, :]
        samples = self.samples.reshape(-1, self.shape.n_pixels, self.shape.n_samples)
        column = rows[:, None]
        return samples[column, order], self.baselines[column, order], self.flags[column, order]


def shape_of(blocks: Mapping[str, Bytes], n_rows: int) -> tuple[Shape, bool]:
    """Telescope and shape of the events of a tile: those of its first event.

    Parameters
    ----------
    blocks
        Unpacked columns.
    n_rows
        Number of rows of the tile.

    Returns
    -------
    shape : Shape
        Of the events.
    whole : bool
        All events of the tile have it.

    Raises
    ------
    BlockError
        If that does not go together.
    """
    pixels, good_pixels = _rows(blocks[_PIXELS], n_rows, None)
    samples, good_samples = _rows(blocks[_SAMPLES], n_rows, None)
    n_pixels = pixels.shape[1]
    if not n_pixels or not samples.shape[1] or samples.shape[1] % n_pixels:
        raise BlockError(f"{samples.shape[1]} samples can't belong to {n_pixels} pixels")
    telescopes = _scalars(blocks, "telescopeID", n_rows, "<u4")
    values, counts = np.unique(telescopes, return_counts=True)
    shape = Shape(int(values[np.argmax(counts)]), n_pixels, samples.shape[1] // n_pixels)
    return shape, bool(good_pixels.all() and good_samples.all())


def sort_out(blocks: Mapping[str, Bytes], n_rows: int, shape: Shape, tally: Tally) -> Fields:
    """Take the good events out of the columns of a tile.

    Parameters
    ----------
    blocks
        Unpacked columns.
    n_rows
        Number of rows of the tile.
    shape
        That all events must have.
    tally
        Where those that are left out are counted.

    Raises
    ------
    BlockError
        If no event of the tile can be told from the others.
    """
    n_pixels = shape.n_pixels
    telescope = _scalars(blocks, "telescopeID", n_rows, "<u4")
    seconds = _scalars(blocks, "local_time_sec", n_rows, "<u8")
    nanoseconds = _scalars(blocks, "local_time_nanosec", n_rows, "<u8")
    samples, good = _rows(blocks[_SAMPLES], n_rows, n_pixels * shape.n_samples)
    bad = _Reasons(n_rows)
    bad.add(~good, "its waveforms have another size")
    loud = samples.max(axis=1) > MAX_ADC
    bad.add(loud, f"it has samples above {MAX_ADC}")
    numbers, good = _rows(blocks[_PIXELS], n_rows, n_pixels)
    bad.add(~good, "its list of pixels has another length")
    order, good = _order(numbers)
    bad.add(~good, "its pixels are not numbered from 0")
    baselines, good = _rows(blocks[_BASELINES], n_rows, n_pixels)
    bad.add(~good, "its list of baselines has another length")
    flags = np.ones((n_rows, n_pixels), np.uint16)
    if "pixels_flags" in blocks:
        flags, good = _rows(blocks["pixels_flags"], n_rows, n_pixels)
        bad.add(~good, "its list of pixel flags has another length")
    bad.add(telescope != shape.telescope, f"it is not of telescope {shape.telescope}")
    bad.add((nanoseconds >= 10**9) | (seconds >= 1 << 33), "its time is no time")
    rows = bad.tell(tally)
    array_ids = np.zeros(n_rows, np.uint32)
    if "arrayEvtNum" in blocks:
        array_ids = _scalars(blocks, "arrayEvtNum", n_rows, "<u4").astype(np.uint32)
    time = seconds.astype(np.int64) * 10**9 + nanoseconds.astype(np.int64)
    return Fields(
        rows,
        _scalars(blocks, "eventNumber", n_rows, "<u4").astype(np.uint32)[rows],
        array_ids[rows],
        _scalars(blocks, "event_type", n_rows, "<u4").astype(np.uint32)[rows],
        time[rows],
        samples,
        baselines,
        flags,
        order,
        shape,
    )


class _Reasons:
    """The first reason against each row."""

    def __init__(self, n_rows: int) -> None:
        self.code = np.zeros(n_rows, np.int64)
        self.texts = [""]

    def add(self, rows: NDArray[np.bool_], text: str) -> None:
        self.texts.append(text)
        self.code[rows & (self.code == 0)] = len(self.texts) - 1

    def tell(self, tally: Tally) -> NDArray[np.int64]:
        for code, text in enumerate(self.texts[1:], 1):
            tally.skip(text, int(np.count_nonzero(self.code == code)))
        return np.flatnonzero(self.code == 0)


def _scalars(blocks: Mapping[str, Bytes], name: str, n_rows: int, dtype: str) -> NDArray[np.uint64]:
    data = blocks[name]
    if len(data) != n_rows * np.dtype(dtype).itemsize:
        raise BlockError(f"block {name}: it has not one value for each event")
    return np.ascontiguousarray(data).view(dtype).astype(np.uint64)


def _rows(data: Bytes, n_rows: int, length: int | None) -> tuple[Words, NDArray[np.bool_]]:
    """Arrays of 16-bit words, each after its size in bytes; and which can be right.

    The packing of a column runs through all its rows. So a size that is wrong also speaks against
    the row before it, and against all after it.
    """
    if len(data) < 4 or (length is not None and len(data) < 4 + 2 * length):
        raise BlockError("an array column is shorter than one event")
    size = int(data[:4].view("<i4")[0]) if length is None else 2 * length
    if size < 0 or size % 2 or size > len(data) - 4:
        raise BlockError("an array column begins with a senseless size")
    step = 4 + size
    if n_rows * step > MAX_BLOCK + 4 * n_rows:
        raise BlockError("an array column begins with a senseless size")
    if len(data) == n_rows * step:
        table = data.reshape(n_rows, step)
    else:
        whole = min(n_rows, len(data) // step)
        table = np.zeros((n_rows, step), np.uint8)
        table[:whole] = data[: whole * step].reshape(whole, step)
    sizes = np.ascontiguousarray(table[:, :4]).view("<i4")[:, 0]
    wrong = sizes != size
    if len(data) != n_rows * step:
        wrong[-1] = True
    good = np.ones(n_rows, bool)
    if wrong.any():
        first = int(np.argmax(wrong))
        good[max(first - 1, 0) if sizes[first] != size else first :] = False
    return table[:, 4:].view("<u2"), good


def _order(numbers: Words) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places of pixels by their number, and of which rows they are right."""
    n_pixels = numbers.shape[1]
    same = (numbers == numbers[0]).all(axis=1)
    if same.all():
        order = np.argsort(numbers[0], kind="stable")
        right = bool((numbers[0][order] == np.arange(n_pixels)).all())
        return order, np.full(len(numbers), right)
    orders = np.argsort(numbers, axis=1, kind="stable")
    by_number = np.take_along_axis(numbers, orders, axis=1)
    return orders, (by_number == np.arange(n_pixels)).all(axis=1)
