"""Charge and time of pulses in waveforms, in batches.

A pulse is looked for, a window of samples around it is summed, and its time is the mean of the
window's positive samples. Definitions as in ``ctapipe.image.extractor``, so that the numbers are
the same to single precision. The sum is multiplied by `integration_correction` for the part of a
pulse that lies outside the window.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.images.camera import Camera
from daybreak.images.kernels import compiled

FloatArray = NDArray[np.float64]
_FIXED, _LOCAL, _NEIGHBOR = 0, 1, 2
_MODES = {"fixed": _FIXED, "local_peak": _LOCAL, "neighbor_peak": _NEIGHBOR}


@dataclass(frozen=True)
class ExtractionSettings:
    """How charges are extracted.

    Attributes
    ----------
    method
        ``local_peak``: around the largest sample of the pixel; ``neighbor_peak``: around the
        largest sample of the sum over its neighbours; ``fixed``: around `peak_sample`.
    width, shift
        Samples in the window, and how many of them lie before the peak.
    peak_sample
        For ``fixed``.
    local_weight
        For ``neighbor_peak``: weight of the pixel itself.
    correct
        Multiply by the correction for the window.
    """

    method: str = "local_peak"
    width: int = 8
    shift: int = 4
    peak_sample: int = 0
    local_weight: int = 0
    correct: bool = True

    def __post_init__(self) -> None:
        if self.method not in _MODES:
            raise ValueError(f"no extraction method {self.method!r}: {', '.join(_MODES)}")


@compiled
def _window(samples: Any, peak: Any, width: Any, shift: Any) -> Any:
    """Sum and time (in samples) of a window."""
    low, high = max(0, peak - shift), min(peak - shift + width, len(samples))
    total = numerator = denominator = 0.0
    for i in range(low, high):
        value = np.float64(samples[i])
        total += value
        if value > 0:
            numerator += value * i
            denominator += value
    return total, numerator / denominator if denominator > 0 else np.float64(peak)


@compiled
def _largest(samples: Any) -> Any:
    best = 0
    for i in range(1, len(samples)):
        if samples[i] > samples[best]:
            best = i
    return best


@compiled
def _neighbor_peak(event: Any, pixel: Any, rows: Any, broken: Any, weight: Any, work: Any) -> Any:
    """Largest sample of the sum over a pixel's working neighbours."""
    indptr, indices = rows
    n_samples = event.shape[1]
    for i in range(n_samples):
        work[i] = event[pixel, i] * weight
    for m in range(indptr[pixel], indptr[pixel + 1]):
        j = indices[m]
        if not broken[j]:
            for i in range(n_samples):
                work[i] += event[j, i]
    return _largest(work)


@compiled
def _extract(
    waveforms: Any,
    mode: Any,
    how: Any,
    rows: Any,
    broken: Any,
    charge: Any,
    time: Any,
) -> None:
    width, shift, fixed, weight, factor, rate_ghz = how
    n_events, n_pixels, n_samples = waveforms.shape
    work = np.zeros(n_samples, np.float32)
    for event in range(n_events):
        for pixel in range(n_pixels):
            samples = waveforms[event, pixel]
            if mode == _FIXED:
                peak = fixed
            elif mode == _LOCAL:
                peak = _largest(samples)
            else:
                peak = _neighbor_peak(waveforms[event], pixel, rows, broken[event], weight, work)
            total, place = _window(samples, peak, width, shift)
            charge[event, pixel] = np.float32(np.float32(total) * factor)
            time[event, pixel] = np.float32(place) / rate_ghz


def integration_correction(camera: Camera, width: int, shift: int, channel: int = 0) -> float:
    """What a window's sum is multiplied by, so that it is that of a whole pulse.

    The camera's reference pulse is sampled at the camera's rate, and the window laid around its
    largest sample.

    Parameters
    ----------
    camera
        With its reference pulse; without one the correction is 1.
    width, shift
        Of the window, in samples.
    channel
        Gain channel, for its reference pulse.
    """
    times, heights = camera.pulse_time_ns, camera.pulse[channel]
    if len(heights) < 2:
        return 1.0
    step_ns, sample_ns = float(times[1] - times[0]), 1.0 / camera.sampling_rate_ghz
    length_ns = len(heights) * step_ns
    places = np.arange(0, length_ns, step_ns)[: len(heights)]
    edges = np.arange(0, length_ns, sample_ns)
    sampled = np.histogram(places, edges, weights=heights, density=True)[0]
    start = max(int(sampled.argmax()) - shift, 0)
    part = float(np.sum(sampled[start : start + width])) * sample_ns
    return 1.0 / part if part else 1.0


def extract(
    waveforms: NDArray[np.float32],
    camera: Camera,
    settings: ExtractionSettings,
    *,
    channel: NDArray[np.integer] | None = None,
    broken: NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Charges and peak times of calibrated waveforms.

    Parameters
    ----------
    waveforms
        Shape (events, pixels, samples), in the unit of the charge per sample.
    camera
        Neighbours, sampling and reference pulse.
    settings
        Method and window.
    channel
        Gain channel of each pixel, shape (events, pixels); None: the first.
    broken
        Pixels that are no help to their neighbours, shape (events, pixels); None: none.
    threads
        Threads to use.

    Returns
    -------
    charge, time : numpy.ndarray
        Shape (events, pixels); times in ns after the first sample.

    Raises
    ------
    ValueError
        If the camera has another number of pixels.
    """
    waveforms = np.ascontiguousarray(waveforms, dtype=np.float32)
    n_events, n_pixels, _ = waveforms.shape
    if n_pixels != camera.n_pixels:
        raise ValueError(f"{n_pixels} pixels of waveforms, the camera has {camera.n_pixels}")
    charge, time = (np.zeros((n_events, n_pixels), np.float32) for _ in range(2))
    bad = np.zeros((n_events, n_pixels), np.bool_) if broken is None else broken
    factors = [
        integration_correction(camera, settings.width, settings.shift, number)
        if settings.correct
        else 1.0
        for number in range(len(camera.pulse))
    ]
    how = (
        settings.width,
        settings.shift,
        settings.peak_sample,
        settings.local_weight,
        1.0 if channel is not None else factors[0],
        camera.sampling_rate_ghz,
    )

    def part(low: int, high: int) -> None:
        rows = slice(low, high)
        _extract(
            waveforms[rows], _MODES[settings.method], how, (camera.indptr, camera.indices),
            bad[rows], charge[rows], time[rows],
        )  # fmt: skip

    edges = np.linspace(0, n_events, max(threads, 1) + 1).astype(int)
    if threads <= 1:
        part(0, n_events)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, edges[:-1], edges[1:]))
    if channel is not None:
        charge *= np.array(factors, dtype=np.float32)[channel]
    return charge, time
