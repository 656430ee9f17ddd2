"""Simulated tracks: physics that can be checked, files, and the command."""

import json

import numpy as np
import pytest
from scipy import stats

from daybreak.cli.main import main
from daybreak.errors import EventError
from daybreak.neutrino import read_events
from daybreak.neutrino.cleaning import clean
from daybreak.neutrino.event_io import read_event, write_event
from daybreak.neutrino.likelihood import get_likelihood
from daybreak.neutrino.likelihood.ice import bulk_ice
from daybreak.simulate import tracks
from daybreak.simulate.detector import built_in_detector


def same(one, two):
    names = ("string", "om", "time_ns", "charge_pe", "width_ns", "flags")
    return all(np.array_equal(getattr(one, n), getattr(two, n)) for n in names)


def test_the_detector_is_a_regular_grid():
    detector = built_in_detector()
    assert len(detector) == 78 * 60
    top = detector.xyz_m[detector.om == 1]
    apart = np.linalg.norm(top[:, None, :2] - top[None, :, :2], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert apart.min(axis=1) == pytest.approx(125.0)
    z = detector.xyz_m[detector.string == 5, 2]
    assert np.diff(z) == pytest.approx(-17.0)


def test_a_seed_gives_one_event():
    one, two, other = (tracks.simulate_track(s) for s in (3, 3, 4))
    assert same(one.pulses, two.pulses) and one.truth == two.truth
    assert not same(one.pulses, other.pulses)


def test_light_of_a_cascade_is_normalised():
    x = np.linspace(-1, 1, 2_000_001)
    assert np.mean(tracks.forwardness(x)) == pytest.approx(1.0, abs=2e-3)
    assert x[np.argmax(tracks.forwardness(x))] == pytest.approx(tracks.COS_C, abs=1e-3)


def test_mean_loss_is_that_of_the_formula():
    rng, energy = np.random.default_rng(1), 1e6
    losses = []
    for _ in range(400):
        lost, at = tracks.cascades(rng, energy)
        losses.append(lost[at < -tracks._PATH_M + 60].sum())
    # b E over 60 m; it loses on the way, and v is cut at 0.95
    expected = energy * (1 - np.exp(-tracks.LOSS_B_M * 60))
    error = np.std(losses) / np.sqrt(len(losses))
    assert np.mean(losses) == pytest.approx(expected, abs=4 * error)


def test_delays_follow_the_gamma_distribution():
    rng = np.random.default_rng(1)
    light = tracks._Light(*(np.array([v]) for v in (3000.0, 20.0, 1 / 25, 1 / 98)))
    doms, times = [], []
    tracks._add(rng, doms, times, np.array([7]), np.array([100.0]), light)
    rate = (1 / 25) / 22.3 + tracks.C / tracks.N_GROUP / 98
    expected = stats.gamma(20 / 25 / 1.33, loc=100, scale=1 / rate)
    assert set(doms[0]) == {7}
    assert stats.kstest(times[0], expected.cdf).pvalue > 1e-3


def test_no_light_before_the_cherenkov_front():
    settings = tracks.TrackSettings(noise_hz=0, jitter_ns=0)
    event = tracks.simulate_track(11, ice=bulk_ice(), energy_gev=1e5, settings=settings)
    truth, xyz = event.truth, event.geometry.positions(event.pulses)
    z, a = truth.zenith_rad, truth.azimuth_rad
    d = -np.array([np.sin(z) * np.cos(a), np.sin(z) * np.sin(a), np.cos(z)])
    offset = xyz - np.array(truth.xyz_m)
    along = offset @ d
    rho = np.linalg.norm(offset - along[:, None] * d, axis=1)
    front = truth.time_ns + (along + tracks.KAPPA * rho) / tracks.C
    # a wave that spreads with the group velocity comes up to 0.3 ns per 100 m before it
    assert (event.pulses.time_ns - front).min() > -2.0
    assert len(event.pulses) > 100


def test_noise_has_its_rate_and_no_partner():
    detector, rng = built_in_detector(), np.random.default_rng(2)
    settings = tracks.TrackSettings(noise_hz=5000)
    pulses = tracks._pulses(rng, detector, np.zeros(0, np.intp), np.zeros(0), settings)
    expected = 5000 * 1e-5 * len(detector)
    assert len(pulses) == pytest.approx(expected, abs=5 * np.sqrt(expected))
    # by chance: four neighbours, 2 us
    chance = 1 - np.exp(-4 * 2e-6 * 5000)
    assert pulses.hlc.mean() == pytest.approx(chance, abs=5 * np.sqrt(chance / len(pulses)))


def test_the_injected_direction_is_found():
    event = tracks.simulate_track(5, zenith_rad=1.7, azimuth_rad=2.0, energy_gev=2e5)
    prepared = get_likelihood("pandel-mpe", ice="built-in").prepare(event)
    rng = np.random.default_rng(1)
    z, a = 1.7 + np.radians(rng.normal(0, 3, 40)), 2.0 + np.radians(rng.normal(0, 3, 40))
    far = np.hypot(z - 1.7, a - 2.0) > np.radians(2.0)
    seeds = np.repeat(np.array([prepared.seeds()]), 41, axis=0)
    llh = prepared.fit_many(np.append(z, 1.7), np.append(a, 2.0), seeds)["llh"]
    assert far.any() and llh[-1] < llh[:-1][far].min() - 5


def test_events_survive_writing_and_reading(tmp_path):
    event = tracks.simulate_useful_track(8)
    path = tmp_path / "event.json"
    write_event(event, path)
    (back,) = read_events(path)
    assert np.abs(back.pulses.time_ns - event.pulses.time_ns).max() <= 0.0051
    assert np.array_equal(back.pulses.om, event.pulses.om)
    assert back.truth == event.truth and back.kind == "own-simulation"
    assert abs((back.header.start - event.header.start).sec) < 1e-6
    assert clean(back).n_doms == clean(event).n_doms
    assert np.abs(back.geometry.xyz_m - event.geometry.xyz_m).max() < 1e-3


def test_damaged_files_are_refused(tmp_path):
    event = tracks.simulate_track(1, settings=tracks.TrackSettings(noise_hz=0))
    path = tmp_path / "event.json"
    write_event(event, path)
    good = json.loads(path.read_text())
    damages = [
        {"version": 99}, {"pulses": None}, {"geometry": {"name": "x"}}, {"truth": {"name": 1}},
        {"pulses": {**good["pulses"], "time_ns": [1.0]}}, {"header": []},
        {"pulses": {**good["pulses"], "om": ["x"] * len(good["pulses"]["om"])}},
        {"pulses": {**good["pulses"], "string": [10**9] * len(good["pulses"]["om"])}},
        {"geometry": {**good["geometry"], "xyz_m": [[1, 2]]}},
    ]  # fmt: skip
    for damage in damages:
        path.write_text(json.dumps(good | damage))
        with pytest.raises(EventError):
            read_event(path)
    text = json.dumps(good)
    for cut in (20, 100, len(text) // 2, len(text) - 1):
        path.write_text(text[:cut])
        with pytest.raises(EventError):
            read_events(path)
    path.write_text(text.replace(str(good["pulses"]["time_ns"][0]), "NaN", 1))
    with pytest.raises(EventError):
        read_event(path)


def test_the_command(tmp_path, capsys):
    out = tmp_path / "made.json"
    args = ["simulate", "event", "-o", str(out), "--seed", "4", "--zenith", "95", "--energy", "2e5"]
    with pytest.raises(SystemExit) as end:
        main(args)
    assert end.value.code == 0
    assert "zenith 95.000 deg" in capsys.readouterr().out
    (event,) = read_events(out)
    assert np.degrees(event.truth.zenith_rad) == pytest.approx(95.0)
    assert clean(event).n_doms >= 30
    first = out.read_bytes()
    with pytest.raises(SystemExit):
        main(args)
    assert out.read_bytes() == first


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as end:
        main(["simulate", "event", "-o", str(tmp_path / "file" / "x.json")])
    assert end.value.code not in (0, 70)
    assert "can't write" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
