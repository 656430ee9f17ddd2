"""From raw waveforms of SST-1M to charges and peak times, step by step as sst1mpipe does it.

The sums run over the samples as they stand (ADC counts less the board's baseline) and are divided
by the gain afterwards: the largest sample and the weights of the peak time are the same. So no
array of calibrated waveforms is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from daybreak.images.camera import Camera
from daybreak.instruments.sst1m.calibration import CameraCalibration, voltage_drop

Words = NDArray[np.uint16]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Swaps = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class ChargeSettings:
    """Settings of the extraction; the defaults are sst1mpipe's.

    Attributes
    ----------
    window_width, window_shift
        Samples of the window, and how many of them lie before the largest sample.
    saturated_adc
        A pulse above this (ADC counts over the baseline) may be saturated.
    wide_adc, wide_samples
        It is, if more than so many samples are above `wide_adc`.
    level
        Saturated pulses are summed where they are above this fraction of their largest sample.
    """

    window_width: int = 7
    window_shift: int = 3
    saturated_adc: float = 3000.0
    wide_adc: float = 2500.0
    wide_samples: int = 5
    level: float = 0.2


@dataclass(frozen=True, eq=False)
class Charges:
    """Charges of some events.

    Attributes
    ----------
    charge_pe
        Photoelectrons, shape (n, pixels).
    peak_time_ns
        Time of the pulse after the start of the readout, shape (n, pixels).
    filled
        Pixels that are bad or dead and were given the mean of their neighbours, shape (n, pixels).
    saturated
        Pixels whose saturated pulse was summed on its own, shape (n, pixels).
    """

    charge_pe: NDArray[np.float32]
    peak_time_ns: NDArray[np.float32]
    filled: BoolArray
    saturated: BoolArray


def swap_modules(waveforms: Words, baselines: Words, swaps: Swaps) -> tuple[Words, Words]:
    """Put waveforms and baselines of swapped modules where they belong.

    Parameters
    ----------
    waveforms
        Samples, shape (n, pixels, samples).
    baselines
        Baselines, shape (n, pixels).
    swaps
        Pairs of lists of pixels; without any, the arrays themselves are returned.
    """
    if not swaps:
        return waveforms, baselines
    order = np.arange(waveforms.shape[1])
    for first, second in swaps:
        order[first], order[second] = order[second], order[first].copy()
    return waveforms[:, order], baselines[:, order]


def subtract_baseline(waveforms: Words, baselines: Words) -> NDArray[np.float32]:
    """Samples less the baseline of the board (ADC counts; exact in single precision).

    Parameters
    ----------
    waveforms
        Samples, shape (n, pixels, samples).
    baselines
        Baselines in sixteenths of an ADC count, shape (n, pixels).
    """
    return waveforms.astype(np.float32) - baselines[..., None].astype(np.float32) / np.float32(16)


def integration_factor(camera: Camera, width: int, shift: int) -> float:
    """Integral of the reference pulse over its part in the window (as in ctapipe).

    Parameters
    ----------
    camera
        With its reference pulse.
    width, shift
        Of the window, in samples.

    Returns
    -------
    float
        1 if the camera has no reference pulse.
    """
    if camera.pulse.size == 0:
        return 1.0
    step = float(camera.pulse_time_ns[1] - camera.pulse_time_ns[0])
    sample = 1 / camera.sampling_rate_ghz
    # as ctapipe has it: the file gives the step in single precision
    end = camera.pulse.shape[1] * step
    times = np.arange(0, end, step)[: camera.pulse.shape[1]]
    edges = np.arange(0, end, sample)
    heights, _ = np.histogram(times, edges, weights=camera.pulse[0], density=True)
    start = max(int(heights.argmax()) - shift, 0)
    inside = float(heights[start : start + width].sum()) * sample
    return 1 / inside if inside > 0 else 1.0


def local_peak_sums(
    waveforms: Words, baselines: Words, width: int = 7, shift: int = 3, rate_ghz: float = 0.25
) -> tuple[FloatArray, FloatArray]:
    """Sum around the largest sample of each pixel, and the pulse's time in that window.

    The time is the mean of the window's positive samples weighted by their heights; the largest
    sample's where none is positive.

    Parameters
    ----------
    waveforms
        Samples (ADC counts), shape (n, pixels, samples).
    baselines
        Baselines in sixteenths of an ADC count, shape (n, pixels).
    width, shift
        Samples of the window, and how many of them lie before the largest sample; what of it lies
        outside the readout counts nothing.
    rate_ghz
        Samples per nanosecond.

    Returns
    -------
    sum_adc, peak_time_ns : numpy.ndarray
        Shape (n, pixels).
    """
    sums = np.empty(waveforms.shape[:2])
    times = np.empty(waveforms.shape[:2])
    _peak_sums(waveforms, baselines, width, shift, sums, times)
    times /= rate_ghz
    return sums, times


def saturated_sums(
    waveforms: Words,
    baselines: Words,
    sums: FloatArray,
    times_ns: FloatArray,
    settings: ChargeSettings,
    rate_ghz: float = 0.25,
) -> BoolArray:
    """Sum saturated pulses over their whole width; `sums` and `times_ns` are changed in place.

    The sum runs from the first sample of at least `level` of the largest to the first one below
    that after the largest, which is included. The time is the middle of what is above `wide_adc`.

    Parameters
    ----------
    waveforms, baselines
        See `local_peak_sums`.
    sums, times_ns
        From there; of saturated pulses they are replaced.
    settings
        What is saturated.
    rate_ghz
        Samples per nanosecond.

    Returns
    -------
    numpy.ndarray
        Which pulses are saturated, shape (n, pixels).
    """
    found = np.zeros(sums.shape, bool)
    _saturated(
        waveforms,
        baselines,
        (settings.saturated_adc, settings.wide_adc, settings.level),
        settings.wide_samples,
        sums,
        times_ns,
        found,
        rate_ghz,
    )
    return found


def fill_from_neighbors(
    charge: FloatArray, time_ns: FloatArray, bad: BoolArray, camera: Camera
) -> None:
    """Give bad pixels the mean of their good neighbours, in place; zero if they have none.

    Parameters
    ----------
    charge, time_ns
        Shape (n, pixels).
    bad
        Which pixels, shape (n, pixels).
    camera
        Knows the neighbours.
    """
    _fill(charge, time_ns, bad, camera.indptr, camera.indices)


def extract_charges(
    waveforms: Words,
    baselines: Words,
    calibration: CameraCalibration,
    camera: Camera,
    *,
    variance_adc2: FloatArray | None = None,
    quiet: BoolArray | None = None,
    settings: ChargeSettings | None = None,
) -> Charges:
    """All steps, from raw waveforms (with swapped modules put right) to charges.

    Parameters
    ----------
    waveforms
        Samples (ADC counts), shape (n, pixels, samples).
    baselines
        Baselines in sixteenths of an ADC count, shape (n, pixels).
    calibration
        Of this camera.
    camera
        Its pixels and pulse.
    variance_adc2
        Noise at each event (`noise_of_events`), shape (n,), for the loss under night-sky light;
        where it is NaN or not given, none is assumed.
    quiet
        Pixels that are dead by their noise, shape (n, pixels).
    settings
        Of the extraction.
    """
    settings = settings or ChargeSettings()
    rate = camera.sampling_rate_ghz
    width, shift = settings.window_width, settings.window_shift
    sums, times = local_peak_sums(waveforms, baselines, width, shift, rate)
    sums *= integration_factor(camera, width, shift)
    bad = np.broadcast_to(calibration.bad, sums.shape)
    bad = bad | quiet if quiet is not None else bad.copy()
    saturated = saturated_sums(waveforms, baselines, sums, times, settings, rate) & ~bad
    drop = np.ones(len(sums))
    if variance_adc2 is not None:
        known = np.isfinite(variance_adc2)
        drop[known] = voltage_drop(variance_adc2[known], calibration.telescope)
    sums /= calibration.dc_to_pe
    sums /= drop[:, None]
    fill_from_neighbors(sums, times, bad, camera)
    sums /= calibration.transmittance
    return Charges(sums.astype(np.float32), times.astype(np.float32), bad, saturated)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _peak_sums(
    waveforms: Words, baselines: Words, width: int, shift: int, sums: FloatArray, times: FloatArray
) -> None:
    n, n_pixels, n_samples = waveforms.shape
    for i in range(n):
        for k in range(n_pixels):
            samples = waveforms[i, k]
            peak = 0
            for s in range(1, n_samples):
                if samples[s] > samples[peak]:
                    peak = s
            start = max(0, peak - shift)
            end = min(n_samples, peak - shift + width)
            base = baselines[i, k] / 16.0
            total, weighted, weight = 0.0, 0.0, 0.0
            for s in range(start, end):
                value = samples[s] - base
                total += value
                if value > 0:
                    weighted += value * s
                    weight += value
            sums[i, k] = total
            times[i, k] = weighted / weight if weight > 0 else peak


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _saturated(
    waveforms: Words,
    baselines: Words,
    levels: tuple[float, float, float],
    wide_samples: int,
    sums: FloatArray,
    times: FloatArray,
    found: BoolArray,
    rate_ghz: float,
) -> None:
    threshold, wide, level = levels
    n, n_pixels, n_samples = waveforms.shape
    for i in range(n):
        for k in range(n_pixels):
            samples = waveforms[i, k]
            base = baselines[i, k] / 16.0
            peak = 0
            for s in range(1, n_samples):
                if samples[s] > samples[peak]:
                    peak = s
            highest = samples[peak] - base
            if highest <= threshold:
                continue
            above, first = 0, n_samples
            for s in range(n_samples):
                if samples[s] - base > wide:
                    above += 1
                    first = min(first, s)
            if above <= wide_samples:
                continue
            start = 0
            while samples[start] - base < level * highest:
                start += 1
            stop = peak + 1
            while stop < n_samples - 1 and samples[stop] - base >= level * highest:
                stop += 1
            total = 0.0
            for s in range(start, min(stop + 1, n_samples)):
                total += samples[s] - base
            sums[i, k] = total
            times[i, k] = (above / 2 + first) / rate_ghz
            found[i, k] = True


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(
    charge: FloatArray,
    times: FloatArray,
    bad: BoolArray,
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
) -> None:
    n, n_pixels = charge.shape
    for i in range(n):
        for k in range(n_pixels):
            if not bad[i, k]:
                continue
            total, time, count = 0.0, 0.0, 0
            for j in indices[indptr[k] : indptr[k + 1]]:
                if not bad[i, j]:
                    total += charge[i, j]
                    time += times[i, j]
                    count += 1
            charge[i, k] = total / count if count else 0.0
            times[i, k] = time / count if count else 0.0
