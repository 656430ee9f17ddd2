"""From photo-electrons to what a camera reads: waveforms, or charges and times at once.

Each photo-electron, of a shower or of the night sky, adds a pulse whose height is drawn from the
spread of single photo-electrons, with optical crosstalk where the sensors have it. Electronic noise
is Gaussian and independent from sample to sample.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import ConfigError
from daybreak.simulate.showers.events import PhotonList, ShowerEvents
from daybreak.simulate.showers.kernels import compiled
from daybreak.simulate.showers.telescope import VirtualTelescope

FloatArray = NDArray[np.float64]
#: places of a pulse within a sample
_PHASES = 16


def _template(telescope: VirtualTelescope) -> tuple[FloatArray, int]:
    """Heights of the pulse at samples, for each phase, and the sample of its peak at phase 0."""
    time, height = telescope.camera.pulse_time_ns, telescope.camera.pulse[0]
    step = 1.0 / telescope.camera.sampling_rate_ghz
    before = math.ceil(-time[0] / step)
    after = math.ceil(time[-1] / step)
    sample = np.arange(-before, after + 2) * step
    phase = np.arange(_PHASES) / _PHASES * step
    table = np.interp(sample[None, :] - phase[:, None], time, height, left=0.0, right=0.0)
    return table, before


@compiled
def _charge(spread: Any, crosstalk: Any) -> Any:
    """Charge of what one photo-electron sets free, in photo-electrons."""
    number = 1
    while crosstalk > 0.0 and np.random.random() < crosstalk:
        number += 1
    return max(number + spread * math.sqrt(number) * np.random.standard_normal(), 0.0)


@compiled
def _add(row: Any, table: Any, peak: Any, place: Any, charge: Any) -> Any:
    """Add a pulse; place is in samples."""
    first = math.floor(place)
    phase = int((place - first) * _PHASES)
    low = first - peak
    for k in range(table.shape[1]):
        if 0 <= low + k < row.shape[0]:
            row[low + k] += charge * table[phase, k]


@compiled
def _fill(
    samples: Any,
    offset: Any,
    pixel: Any,
    place: Any,
    sky: Any,
    table: Any,
    peak: Any,
    numbers: Any,
    seed: Any,
) -> Any:
    """All events; sky is photo-electrons per pixel and sample."""
    spread, crosstalk, counts, noise, base = numbers
    count = samples.shape[2]
    before = table.shape[1] - peak
    span = count + before + peak
    np.random.seed(seed)
    for i in range(samples.shape[0]):
        for p in range(samples.shape[1]):
            row = samples[i, p]
            for _ in range(np.random.poisson(sky * span)):
                spot = np.random.random() * span - before
                _add(row, table, peak, spot, _charge(spread, crosstalk))
        for k in range(offset[i], offset[i + 1]):
            _add(samples[i, pixel[k]], table, peak, place[k], _charge(spread, crosstalk))
        for p in range(samples.shape[1]):
            for s in range(count):
                value = samples[i, p, s] * counts + noise * np.random.standard_normal()
                samples[i, p, s] = value + base


def _read(
    telescope: VirtualTelescope,
    offset: NDArray[np.int64],
    pixel: NDArray[np.int32],
    place: FloatArray,
    seed: int,
    digitise: bool,
) -> NDArray[np.float32] | NDArray[np.uint16]:
    table, peak = _template(telescope)
    n = len(offset) - 1
    samples = np.zeros((n, telescope.camera.n_pixels, telescope.n_samples), dtype=np.float32)
    sky = telescope.nsb_ghz / telescope.camera.sampling_rate_ghz
    base = telescope.baseline_counts
    if telescope.ac_coupled:
        mean = sky * float(table.mean(axis=0).sum()) * _mean_charge(telescope)
        base -= telescope.counts_per_pe * mean
    numbers = (
        telescope.charge_spread,
        telescope.crosstalk,
        telescope.counts_per_pe,
        telescope.noise_counts,
        base,
    )
    _fill(samples, offset, pixel, place, sky, table, peak, numbers, seed)
    if not digitise:
        return samples
    return np.clip(np.rint(samples), 0, telescope.max_counts).astype(np.uint16)


def _mean_charge(telescope: VirtualTelescope) -> float:
    """Mean of the charge that one photo-electron sets free."""
    return 1.0 / (1.0 - telescope.crosstalk)


def _photons(events: ShowerEvents, telescope: int) -> PhotonList:
    if events.photons is None:
        raise ConfigError(
            "the simulated showers hold no single photo-electrons",
            "Simulate them with keep_photons=True.",
        )
    return events.photons[telescope]


def _middle(photons: PhotonList) -> FloatArray:
    """Median time of each event's photo-electrons, 0 where there are none."""
    parts = zip(photons.offset[:-1], photons.offset[1:], strict=True)
    return np.array([np.median(photons.time_ns[a:b]) if b > a else 0.0 for a, b in parts])


def make_waveforms(
    events: ShowerEvents, *, telescope: int = 0, seed: int = 1, digitise: bool = True
) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Waveforms of all pixels for all events.

    Parameters
    ----------
    events
        Made with ``keep_photons=True``.
    telescope
        Index of the telescope.
    seed
        The same seed gives the same waveforms.
    digitise
        Round to counts and saturate; else give numbers with fractions.

    Returns
    -------
    numpy.ndarray
        Counts, shape (n, pixels, samples); the median of the shower's photo-electrons lies at
        `trigger_sample`, with the jitter of a clock that does not know the shower.

    Raises
    ------
    ConfigError
        The photo-electrons were not kept.
    """
    photons, model = _photons(events, telescope), events.telescopes[telescope]
    rate = model.camera.sampling_rate_ghz
    jitter = np.random.default_rng(seed).random(len(events)) - 0.5
    start = model.trigger_sample + jitter - _middle(photons) * rate
    place = photons.time_ns.astype(np.float64) * rate + np.repeat(start, np.diff(photons.offset))
    return _read(model, photons.offset, photons.pixel, place, seed, digitise)


def pedestal_waveforms(
    telescope: VirtualTelescope, n: int, *, seed: int = 1, digitise: bool = True
) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Waveforms of the night sky alone.

    Parameters
    ----------
    telescope
        That looks at it.
    n
        Number of events.
    seed
        The same seed gives the same waveforms.
    digitise
        See :func:`make_waveforms`.
    """
    nothing = np.zeros(0)
    offset = np.zeros(n + 1, dtype=np.int64)
    return _read(telescope, offset, nothing.astype(np.int32), nothing, seed, digitise)


def flatfield_waveforms(
    telescope: VirtualTelescope,
    n: int,
    *,
    mean_pe: float = 80.0,
    width_ns: float = 1.0,
    seed: int = 1,
    digitise: bool = True,
) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Waveforms of a flasher that lights all pixels evenly.

    Parameters
    ----------
    telescope
        Whose camera is lit.
    n
        Number of events.
    mean_pe
        Mean photo-electrons per pixel.
    width_ns
        Standard deviation of the flash in time.
    seed
        The same seed gives the same waveforms.
    digitise
        See :func:`make_waveforms`.
    """
    rng = np.random.default_rng(seed)
    pixels = telescope.camera.n_pixels
    number = rng.poisson(mean_pe, size=(n, pixels))
    offset = np.concatenate([[0], np.cumsum(number.sum(axis=1))]).astype(np.int64)
    pixel = np.repeat(np.tile(np.arange(pixels, dtype=np.int32), n), number.ravel())
    time = width_ns * rng.standard_normal(len(pixel)) * telescope.camera.sampling_rate_ghz
    start = telescope.trigger_sample + rng.random(n) - 0.5
    place = time + np.repeat(start, np.diff(offset))
    return _read(telescope, offset, pixel, place, seed, digitise)


def extraction(telescope: VirtualTelescope) -> tuple[float, float]:
    """What noise an integral over `extraction_window_ns` has.

    Parameters
    ----------
    telescope
        Its pulse, window and electronic noise count.

    Returns
    -------
    sky_ns, noise_pe : float
        Photo-electrons of the sky in so many ns give the variance of the sky's part; standard
        deviation of the electronic part, in photo-electrons.
    """
    table, _ = _template(telescope)
    step = 1.0 / telescope.camera.sampling_rate_ghz
    pulse = table.mean(axis=0)
    width = max(round(telescope.extraction_window_ns / step), 1)
    response = np.convolve(pulse, np.ones(width))
    inside = float(response.max())
    sky = float(np.sum((response / inside) ** 2)) * step
    # rounding to whole counts adds a variance of 1/12
    per_sample = math.sqrt(telescope.noise_counts**2 + 1.0 / 12.0)
    noise = per_sample * math.sqrt(width) / (telescope.counts_per_pe * inside)
    return sky, noise


def images_from_photons(
    events: ShowerEvents, *, telescope: int = 0, seed: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Charges and times as an extractor would find them, without waveforms.

    The charge is that of the shower's photo-electrons and a Poisson number of the sky's, with their
    spread and crosstalk, less the sky's mean, plus electronic noise. The time is the mean of the
    shower's and the sky's photo-electrons. A search for the largest peak would raise the charge of
    empty pixels; this is not in it.

    Parameters
    ----------
    events
        Simulated showers; single photo-electrons are not needed.
    telescope
        Index of the telescope.
    seed
        The same seed gives the same images.

    Returns
    -------
    charge, peak_time : numpy.ndarray
        Photo-electrons, and ns from the start of the readout; shape (n, pixels) each.
    """
    model = events.telescopes[telescope]
    image, mean_time = events.images[telescope], events.times_ns[telescope]
    rng = np.random.default_rng(seed)
    step = 1.0 / model.camera.sampling_rate_ghz
    sky_ns, noise = extraction(model)
    further = model.crosstalk / (1.0 - model.crosstalk)
    mean_sky = model.nsb_ghz * sky_ns
    sky = rng.poisson(mean_sky, size=image.shape)
    number = image + sky
    number = number + rng.poisson(number * further)
    charge = number + model.charge_spread * np.sqrt(number) * rng.standard_normal(image.shape)
    charge += noise * rng.standard_normal(image.shape) - mean_sky * (1.0 + further)
    total = image.sum(axis=1)
    weighted = np.where(image > 0, image * np.nan_to_num(mean_time), 0.0).sum(axis=1)
    middle = weighted / np.maximum(total, 1)
    start = (model.trigger_sample + rng.random(len(image)) - 0.5) * step - middle
    near = rng.random(image.shape) * model.n_samples * step
    shower = np.where(image > 0, np.nan_to_num(mean_time) + start[:, None], near)
    around = shower + (rng.random(image.shape) - 0.5) * model.extraction_window_ns
    time = np.where(image > 0, (image * shower + sky * around) / np.maximum(image + sky, 1), near)
    time += 0.3 * step * rng.standard_normal(image.shape) / np.sqrt(np.maximum(image + sky, 1))
    time = np.clip(time, 0.0, (model.n_samples - 1) * step)
    return charge.astype(np.float32), time.astype(np.float32)
