"""Waveforms, pedestals, flashes, quick images and the trigger."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from astropy import units as u

from daybreak.errors import ConfigError
from daybreak.simulate.showers import (
    flatfield_waveforms,
    images_from_photons,
    lst_like,
    make_waveforms,
    pedestal_waveforms,
    simulate_showers,
    sst1m_like,
)
from daybreak.simulate.showers.trigger import patch_trigger
from daybreak.simulate.showers.waveforms import extraction

MODELS = {"lst": lst_like()[0], "sst1m": sst1m_like()[0]}


@pytest.fixture(scope="module")
def events():
    return simulate_showers(
        "gamma",
        12,
        telescopes=lst_like(),
        energy=1 * u.TeV,
        max_impact=120 * u.m,
        keep_photons=True,
    )


def area_of_pulse(model):
    """Sum of the samples of a pulse of height 1."""
    step = 1 / model.camera.sampling_rate_ghz
    pulse = model.camera.pulse[0]
    spacing = model.camera.pulse_time_ns[1] - model.camera.pulse_time_ns[0]
    return pulse.sum() * spacing / step


@pytest.mark.parametrize("name", MODELS)
def test_pedestals_have_the_sky_in_them(name):
    model = MODELS[name]
    samples = pedestal_waveforms(model, 6, digitise=False)
    assert samples.dtype == np.float32
    assert samples.shape == (6, model.camera.n_pixels, model.n_samples)
    per_sample = model.nsb_ghz / model.camera.sampling_rate_ghz / (1 - model.crosstalk)
    sky = 0.0 if model.ac_coupled else per_sample * area_of_pulse(model) * model.counts_per_pe
    assert samples.mean() == pytest.approx(model.baseline_counts + sky, abs=0.3)
    dark = pedestal_waveforms(dataclasses.replace(model, nsb_ghz=0.0), 2, digitise=False)
    assert dark.std() == pytest.approx(model.noise_counts, rel=0.02)
    # Campbell: the variance is the rate times the sum of the squared pulse and charge
    step = model.camera.pulse_time_ns[1] - model.camera.pulse_time_ns[0]
    squared = (model.camera.pulse[0] ** 2).sum() * step
    charge2 = (1 + model.crosstalk) / (1 - model.crosstalk) ** 2
    charge2 += model.charge_spread**2 / (1 - model.crosstalk)
    variance = model.nsb_ghz * squared * charge2 * model.counts_per_pe**2 + model.noise_counts**2
    assert samples.std() == pytest.approx(np.sqrt(variance), rel=0.03)


@pytest.mark.parametrize("name", MODELS)
def test_the_sky_is_even_along_the_readout(name):
    samples = pedestal_waveforms(MODELS[name], 20, digitise=False)
    along = samples.mean(axis=(0, 1))
    error = samples.std() / np.sqrt(20 * samples.shape[1])
    assert np.all(np.abs(along - along.mean()) < 5 * error)


@pytest.mark.parametrize("name", MODELS)
def test_flashes_hold_what_was_asked(name):
    model = dataclasses.replace(MODELS[name], nsb_ghz=0.0, n_samples=100, trigger_sample=30.0)
    samples = flatfield_waveforms(model, 4, mean_pe=80.0, digitise=False)
    charge = (samples - model.baseline_counts).sum(axis=2)
    charge /= model.counts_per_pe * area_of_pulse(model)
    assert charge.mean() == pytest.approx(80 / (1 - model.crosstalk), rel=0.01)
    peak = samples.mean(axis=(0, 1)).argmax()
    assert abs(peak - 30) <= 1
    # the excess noise of single photo-electrons: variance over mean
    excess = charge.var() / charge.mean()
    assert excess > 1 + model.charge_spread**2 * 0.7


def test_waveforms_hold_the_showers_light(events):
    model = events.telescopes[0]
    samples = make_waveforms(events, seed=3)
    assert samples.dtype == np.uint16
    again = make_waveforms(events, seed=3)
    assert np.array_equal(samples, again)
    assert not np.array_equal(samples, make_waveforms(events, seed=4))
    charge = (samples.astype(float) - model.baseline_counts)[:, :, 5:].sum(axis=2)
    charge /= model.counts_per_pe * area_of_pulse(model)
    bright = events.images[0] > 50
    ratio = charge[bright].sum() / events.images[0][bright].sum()
    assert ratio == pytest.approx(1.0, abs=0.03)


def test_pulses_come_when_the_light_does(events):
    model = events.telescopes[0]
    samples = make_waveforms(events, digitise=False)
    for i in range(len(events)):
        bright = events.images[0][i] > 80
        if bright.sum() < 5:
            continue
        peak = samples[i, bright].argmax(axis=1)
        time = events.times_ns[0][i, bright]
        shift = peak - time
        assert np.std(shift) < 1.5
    brightest = samples.sum(axis=1).argmax(axis=1)
    assert np.all(np.abs(brightest - model.trigger_sample) <= 3)


def test_quick_images_agree_with_waveforms():
    for model in MODELS.values():
        width = round(model.extraction_window_ns * model.camera.sampling_rate_ghz)
        samples = pedestal_waveforms(model, 8).astype(float)
        samples -= samples.mean()
        sky_ns, noise = extraction(model)
        pulse = model.camera.pulse[0]
        best = 0.0
        for shift in np.linspace(-3, 3, 61) / model.camera.sampling_rate_ghz:
            for first in range(-8, 4):
                t = shift + (np.arange(width) + first) / model.camera.sampling_rate_ghz
                best = max(best, np.interp(t, model.camera.pulse_time_ns, pulse, 0, 0).sum())
        charge = samples[:, :, 5 : 5 + width].sum(axis=2) / best / model.counts_per_pe
        further = (1 + model.crosstalk) / (1 - model.crosstalk) ** 2 + model.charge_spread**2
        expected = np.sqrt(model.nsb_ghz * sky_ns * further + noise**2)
        assert charge.std() == pytest.approx(expected, rel=0.08)


def test_quick_images_hold_the_light(events):
    charge, time = images_from_photons(events, seed=2)
    assert charge.dtype == time.dtype == np.float32
    image = events.images[0]
    assert charge.sum() == pytest.approx(image.sum(), rel=0.02)
    empty = image == 0
    assert charge[empty].mean() == pytest.approx(0.0, abs=0.05)
    bright = image > 50
    model = events.telescopes[0]
    assert np.median(time[bright]) == pytest.approx(model.trigger_sample, abs=2)
    again, _ = images_from_photons(events, seed=2)
    assert np.array_equal(charge, again)


def test_waveforms_need_photo_electrons():
    events = simulate_showers("gamma", 1, telescopes=lst_like(), energy=0.1 * u.TeV)
    with pytest.raises(ConfigError, match="photo-electrons"):
        make_waveforms(events)


def trigger(number, spread_ns, threshold, apart=False, nsb=0.0):
    model = MODELS["lst"]
    camera = model.camera
    rng = np.random.default_rng(1)
    inner = np.flatnonzero(camera.n_neighbors == 6)
    pixel = rng.choice(inner, number) if apart else np.full(number, inner[0])
    time = rng.uniform(0, spread_ns, number).astype(np.float32)
    image = np.bincount(pixel, minlength=camera.n_pixels).astype(np.int32)
    return patch_trigger(
        pixel.astype(np.int32), time, image, camera.indptr, camera.indices, threshold, 4.0, nsb
    )


def test_trigger_needs_light_together():
    assert trigger(40, 2.0, 25.0)
    assert not trigger(20, 2.0, 25.0)
    assert not trigger(40, 30.0, 25.0)  # spread in time
    assert not trigger(40, 2.0, 25.0, apart=True)  # spread over the camera


def test_sky_helps_or_hinders_near_the_threshold():
    below, there = ([trigger(n, 1.0, 25.0, nsb=0.3) for _ in range(300)] for n in (18, 24))
    # seven patches hold the lit pixel, so the best of them decides
    assert 0.0 < np.mean(below) < 0.3
    assert 0.5 < np.mean(there) < 1.0


def test_more_energy_more_triggers():
    part = []
    for energy in (0.004, 0.02, 0.3):
        events = simulate_showers(
            "gamma", 80, telescopes=lst_like(), energy=energy * u.TeV, max_impact=120 * u.m
        )
        part.append(events.triggered.mean())
    assert part[0] < 0.6 < part[2]
    assert part[0] < part[1] <= part[2]
