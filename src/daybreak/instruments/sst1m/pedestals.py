"""Noise of the pixels in pedestal events, over a sliding window of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daybreak.instruments.sst1m.calibration import CameraCalibration
from daybreak.instruments.sst1m.charges import swap_modules
from daybreak.instruments.sst1m.raw import EventKind, RawChunk, RawFile

FloatArray = NDArray[np.float64]


class NoiseBuffer:
    """Standard deviation of the samples of each pixel, averaged over the latest pedestal events.

    Parameters
    ----------
    length
        Number of pedestal events that count; sst1mpipe takes 100.
    """

    def __init__(self, length: int = 100) -> None:
        self._kept: deque[FloatArray] = deque()
        self._length = length

    def __len__(self) -> int:
        """Return the number of events that count now."""
        return len(self._kept)

    def add(self, waveform: NDArray[np.uint16]) -> None:
        """Count one more pedestal event.

        Parameters
        ----------
        waveform
            Its samples (ADC counts), shape (pixels, samples).
        """
        self._kept.append(np.std(waveform, axis=1, dtype=np.float64))
        if len(self._kept) > self._length:
            self._kept.popleft()

    @property
    def std_adc(self) -> FloatArray:
        """Mean standard deviation, ADC counts, shape (pixels,)."""
        return np.asarray(np.mean(self._kept, axis=0), np.float64)


@dataclass(frozen=True, eq=False)
class NoiseOfEvents:
    """Noise as it was known at each event of a chunk.

    Attributes
    ----------
    variance_adc2
        Median over the pixels of the squared standard deviation, shape (n,); NaN if no pedestal
        event was seen.
    quiet
        Pixels with less noise than a living one has, shape (n, pixels).
    """

    variance_adc2: FloatArray
    quiet: NDArray[np.bool_]


def first_pedestals(
    raw: RawFile,
    calibration: CameraCalibration,
    length: int = 100,
    most_events: int = 100_000,
) -> NoiseBuffer:
    """Fill a buffer with the first pedestal events of a file, as sst1mpipe begins.

    Parameters
    ----------
    raw
        The file; it is read from its start.
    calibration
        Says which modules are swapped.
    length
        Number of pedestal events to take.
    most_events
        Look no further than this many events.
    """
    buffer = NoiseBuffer(length)
    seen = 0
    for chunk in raw.chunks():
        for row in np.flatnonzero(chunk.kind == EventKind.PEDESTAL):
            waveforms, _ = swap_modules(
                chunk.waveforms[row : row + 1], chunk.baselines[row : row + 1], calibration.swaps
            )
            buffer.add(waveforms[0])
            if len(buffer) == length:
                return buffer
        seen += len(chunk)
        if seen >= most_events:
            break
    return buffer


def noise_of_events(
    chunk: RawChunk,
    waveforms: NDArray[np.uint16],
    buffer: NoiseBuffer,
    dead_below_adc: float = 2.5,
) -> NoiseOfEvents:
    """Noise known at each event; pedestal events of the chunk go into the buffer after their turn.

    Parameters
    ----------
    chunk
        The events.
    waveforms
        Their samples with swapped modules put right, shape (n, pixels, samples).
    buffer
        Is moved on.
    dead_below_adc
        A pixel with a smaller standard deviation is taken for dead.
    """
    n, n_pixels = waveforms.shape[:2]
    variance = np.full(n, np.nan)
    quiet = np.zeros((n, n_pixels), bool)
    start = 0
    stops = [int(row) + 1 for row in np.flatnonzero(chunk.kind == EventKind.PEDESTAL)]
    for stop in [*stops, n]:
        if len(buffer) and stop > start:
            std = buffer.std_adc
            variance[start:stop] = np.median(std**2)
            quiet[start:stop] = std < dead_below_adc
        if stop in stops:
            buffer.add(waveforms[stop - 1])
        start = stop
    return NoiseOfEvents(variance, quiet)
