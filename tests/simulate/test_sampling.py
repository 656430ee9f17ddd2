"""The events drawn: as many as expected, and the two samplers draw from the same distributions."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy.stats import chi2, kstest, poisson

from daybreak.simulate import Flare, Source, Spectrum, VirtualInstrument, crab_like
from daybreak.simulate.gammapy_sampling import sample_with_gammapy
from daybreak.simulate.instrument import full_enclosure_irfs
from daybreak.simulate.sampling import (
    Exposure,
    mean_flux_factor,
    offsets,
    sample_direct,
    separation_deg,
)

INSTRUMENT = VirtualInstrument()
CRAB = crab_like()
FAINT_SKY = VirtualInstrument(background=1e-3 / (u.TeV * u.s * u.sr))
SAMPLERS = {"gammapy": sample_with_gammapy, "direct": sample_direct}


def exposure(minutes=28.0, offset=0.5, obs_id=1, start=0.0):
    pointing = CRAB.position.directional_offset_by(30 * u.deg, offset * u.deg)
    return Exposure(obs_id, pointing, start, minutes * 60)


def expected_source(source, run, instrument):
    """Integral of flux, area and livetime with a fine trapezoid, for a point source."""
    aeff = full_enclosure_irfs(instrument)["aeff"]
    axis = aeff.axes["energy_true"]
    energy = np.geomspace(axis.center[0].value, axis.center[-1].value, 4000) * u.TeV
    offset = source.position.separation(run.pointing)
    rate = source.spectrum(energy) * aeff.evaluate(energy_true=energy, offset=offset)
    live = run.ontime * u.s * (1 - instrument.dead_time)
    return float((np.trapezoid(rate, energy) * live).to_value(""))


def expected_background(run, instrument):
    bkg = full_enclosure_irfs(instrument)["bkg"]
    energy = np.geomspace(0.055, 95, 800)
    r = np.linspace(0, instrument.fov_radius.to_value("rad"), 200)
    rate = bkg.evaluate(
        energy=energy[:, None] * u.TeV, fov_lon=r[None] * u.rad, fov_lat=0 * u.deg
    ).to_value("TeV-1 s-1 sr-1")
    per_energy = np.trapezoid(rate * 2 * np.pi * np.sin(r), r, axis=1)
    return energy, per_energy * run.ontime


@pytest.mark.parametrize("name", SAMPLERS)
def test_counts_are_poisson_around_the_expectation(name):
    run = exposure(minutes=140)
    events = SAMPLERS[name](np.random.SeedSequence(1), run, [CRAB], INSTRUMENT)
    expected = expected_source(CRAB, run, INSTRUMENT)
    n_gamma = int((events.mc_id == 1).sum())
    assert 1e-3 < poisson.cdf(n_gamma, expected) < 1 - 1e-3
    energy, per_energy = expected_background(run, INSTRUMENT)
    inside = (events.mc_id == 0) & (events.energy > 0.2) & (events.energy < 20)
    window = (energy > 0.2) & (energy < 20)
    expected = np.trapezoid(per_energy[window], energy[window])
    assert abs(inside.sum() - expected) < 4 * np.sqrt(expected) + 0.01 * expected


@pytest.mark.parametrize("name", SAMPLERS)
def test_on_counts_of_a_crab_run_are_those_of_a_real_array(name):
    events = SAMPLERS[name](np.random.SeedSequence(2), exposure(), [CRAB], INSTRUMENT)
    ra, dec = CRAB.position.ra.deg, CRAB.position.dec.deg
    on = (separation_deg(events.ra, events.dec, ra, dec) < 0.11) & (events.energy > 0.15)
    assert 95 < (on & (events.mc_id == 1)).sum() < 165
    assert 8 < (on & (events.mc_id == 0)).sum() < 36


def _many(name, run, sources, n, instrument=INSTRUMENT):
    parts = [
        SAMPLERS[name](np.random.SeedSequence(5, spawn_key=(i,)), run, sources, instrument)
        for i in range(n)
    ]
    return type(parts[0]).join(parts)


def _same_histogram(a, b):
    """p-value that two Poisson histograms share one mean in each bin."""
    total = a + b
    used = total > 10
    value = ((a - b)[used] ** 2 / total[used]).sum()
    return chi2.sf(value, used.sum())


def test_samplers_agree_on_the_background():
    """Counts per energy and offset of the direct sampler against Gammapy's."""
    run = exposure()
    hists = []
    for name in SAMPLERS:
        events = _many(name, run, [], 15)
        hists.append(
            np.histogram2d(
                np.log10(events.energy),
                offsets(events, run.pointing),
                bins=[np.linspace(-1.3, 1.7, 31), np.linspace(0, 2.5, 11)],
            )[0]
        )
        centre = run.pointing
        east = (events.ra - centre.ra.deg) * np.cos(np.radians(events.dec))
        assert abs(east.mean()) < 5 * east.std() / np.sqrt(len(east))
        assert abs((events.dec - centre.dec.deg).mean()) < 5 * events.dec.std() / np.sqrt(len(east))
    assert _same_histogram(*hists) > 1e-3
    assert _same_histogram(hists[0].sum(axis=1), hists[1].sum(axis=1)) > 1e-3
    assert _same_histogram(hists[0].sum(axis=0), hists[1].sum(axis=0)) > 1e-3


@pytest.mark.parametrize(
    "source",
    [
        crab_like(),
        Source("shell", CRAB.position, CRAB.spectrum, shape="disk", size=0.4 * u.deg),
        Source("cloud", CRAB.position, CRAB.spectrum, shape="gaussian", size=0.2 * u.deg),
    ],
    ids=lambda s: s.shape,
)
def test_samplers_agree_on_a_source(source):
    """Energies, distances from the source and from the pointing, and the total."""
    run = exposure(minutes=28 * 20)
    drawn = [_many(name, run, [source], 1, FAINT_SKY) for name in SAMPLERS]
    drawn = [events.take(events.mc_id == 1) for events in drawn]
    a, b = (len(events.energy) for events in drawn)
    assert abs(a - b) < 4 * np.sqrt(a + b)
    ra, dec = CRAB.position.ra.deg, CRAB.position.dec.deg
    for of in (
        lambda e: e.energy,
        lambda e: separation_deg(e.ra, e.dec, ra, dec),
        lambda e: offsets(e, run.pointing),
        lambda e: e.seconds,
    ):
        assert kstest(of(drawn[0]), of(drawn[1])).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["step", "exponential"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_flare_follows_its_profile(name, kind):
    flare = Flare(start=40 * u.min, duration=5 * u.min, factor=8, kind=kind)
    source = crab_like(scale=4, flare=flare)
    before, during = exposure(start=0.0), exposure(start=1800.0)
    assert mean_flux_factor(source, before) == 1.0
    events = SAMPLERS[name](np.random.SeedSequence(3), during, [source], FAINT_SKY)
    gamma = events.take(events.mc_id == 1)
    expected = expected_source(source, during, FAINT_SKY) * mean_flux_factor(source, during)
    assert abs(len(gamma.seconds) - expected) < 4 * np.sqrt(expected)
    grid = np.linspace(0, during.ontime, 20001)
    density = np.cumsum(flare(during.start + grid))
    assert kstest(gamma.seconds, lambda t: np.interp(t, grid, density / density[-1])).pvalue > 1e-3


def test_events_are_sorted_in_the_field_and_on_the_sphere():
    pole = SkyCoord(0.05, 89.8, unit="deg")
    source = Source("pole", pole, CRAB.spectrum)
    run = Exposure(1, SkyCoord(0.1, 89.6, unit="deg"), 0.0, 1680.0)
    for sampler in SAMPLERS.values():
        events = sampler(np.random.SeedSequence(1), run, [source], INSTRUMENT)
        assert np.all(np.diff(events.seconds) >= 0)
        assert 0 <= events.seconds[0] <= events.seconds[-1] <= 1680
        assert offsets(events, run.pointing).max() < 2.5
        assert events.ra.min() >= 0 and events.ra.max() < 360
        near = separation_deg(events.ra, events.dec, 0.05, 89.8) < 0.15
        assert (near & (events.mc_id == 1)).sum() > 80


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_source_outside_the_field_gives_nothing(name):
    away = Source("away", SkyCoord(90, -20, unit="deg"), CRAB.spectrum)
    events = SAMPLERS[name](np.random.SeedSequence(1), exposure(), [away], INSTRUMENT)
    assert (events.mc_id == 0).all()


@pytest.mark.parametrize(
    "spectrum",
    [
        Spectrum(1e-11 * u.Unit("cm-2 s-1 TeV-1"), 2.3),
        Spectrum(1e-11 * u.Unit("cm-2 s-1 TeV-1"), 2.3, 2 * u.TeV, kind="lp", beta=0.2),
        Spectrum(1e-7 * u.Unit("m-2 s-1 TeV-1"), 1.8, kind="ecpl", cutoff=7 * u.TeV),
    ],
    ids=lambda s: s.kind,
)
def test_spectra_equal_gammapys(spectrum):
    energy = np.geomspace(0.05, 50, 30) * u.TeV
    ours = spectrum(energy)
    np.testing.assert_allclose(ours, spectrum.to_gammapy()(energy).to(ours.unit), rtol=1e-10)
    assert spectrum.parameters()["amplitude"]["unit"] == "1 / (TeV s cm2)"


def test_source_counts_over_many_runs_have_the_right_mean_and_scatter():
    run, expected = exposure(), expected_source(CRAB, exposure(), FAINT_SKY)
    n = 400
    counts = []
    for i in range(n):
        seed = np.random.SeedSequence(9, spawn_key=(i,))
        counts.append(int((sample_direct(seed, run, [CRAB], FAINT_SKY).mc_id == 1).sum()))
    assert abs(np.sum(counts) - n * expected) < 3 * np.sqrt(n * expected)
    assert abs(np.var(counts) / expected - 1) < 3 * np.sqrt(2 / n)
