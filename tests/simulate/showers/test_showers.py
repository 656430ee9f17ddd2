"""Showers and images against published values, geometry and each other."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from astropy import units as u

from daybreak.errors import ConfigError
from daybreak.simulate.showers import lst_like, simulate_showers, sst1m_like
from daybreak.simulate.showers.telescope import VirtualTelescope

TEV = 1 * u.TeV
ON_AXIS = {"zenith": 0 * u.deg, "azimuth": 0 * u.deg}


def at(distance_m: float, one: VirtualTelescope | None = None) -> tuple[VirtualTelescope, ...]:
    """One LST-like telescope away from the core."""
    one = one or lst_like()[0]
    return (dataclasses.replace(one, position_m=(distance_m, 0.0, 16.0)),)


def moments(camera, image):
    """Size, mean place, length, width and skewness along the long axis; degrees."""
    w = image.astype(float)
    size = w.sum()
    x, y = (np.degrees(a / camera.focal_length_m) for a in (camera.x_m, camera.y_m))
    mx, my = w @ x / size, w @ y / size
    covariance = np.cov(np.stack([x, y]), aweights=w, ddof=0)
    value, vector = np.linalg.eigh(covariance)
    along = (x - mx) * vector[0, 1] + (y - my) * vector[1, 1]
    # the source lies in the middle: positive is away from it
    if vector[0, 1] * mx + vector[1, 1] * my < 0:
        along = -along
    third = w @ along**3 / size / value[1] ** 1.5
    return size, mx, my, math.sqrt(value[1]), math.sqrt(max(value[0], 0)), third


def table(events, telescope=0, least=50):
    camera = events.telescopes[telescope].camera
    return np.array([moments(camera, i) for i in events.images[telescope] if i.sum() >= least])


@pytest.fixture(scope="module")
def gammas():
    return simulate_showers(
        "gamma", 60, telescopes=at(100.0), energy=TEV, max_impact=0 * u.m, seed=5, **ON_AXIS
    )


@pytest.fixture(scope="module")
def protons():
    return simulate_showers(
        "proton",
        150,
        telescopes=lst_like(),
        energy=2 * TEV,
        max_impact=150 * u.m,
        viewcone=1 * u.deg,
        seed=6,
        **ON_AXIS,
    )


def test_same_seed_same_showers(gammas):
    again = simulate_showers(
        "gamma", 60, telescopes=at(100.0), energy=TEV, max_impact=0 * u.m, seed=5, **ON_AXIS
    )
    other = simulate_showers(
        "gamma", 60, telescopes=at(100.0), energy=TEV, max_impact=0 * u.m, seed=7, **ON_AXIS
    )
    assert np.array_equal(gammas.images[0], again.images[0])
    assert np.array_equal(gammas.times_ns[0], again.times_ns[0], equal_nan=True)
    assert np.array_equal(gammas.triggered, again.triggered)
    assert not np.array_equal(gammas.images[0], other.images[0])


def test_depth_of_maximum(gammas):
    # Greisen: ln(E / 84 MeV) radiation lengths = 344 g/cm2; a little less as only electrons above
    # the Cherenkov threshold count. Spread: the first interaction alone gives 47 g/cm2
    assert np.mean(gammas.x_max) == pytest.approx(335, abs=30)
    assert 40 < np.std(gammas.x_max) < 85


def test_first_interaction_is_exponential(gammas):
    from daybreak.simulate.showers.atmosphere import depth_at

    depth = np.array([depth_at(h) for h in gammas.first_interaction_m])
    assert depth.mean() == pytest.approx(47.5, rel=0.4)


def test_maximum_moves_with_the_logarithm_of_energy():
    mean = []
    for energy in (0.1, 1.0):
        events = simulate_showers(
            "gamma", 80, telescopes=at(100.0), energy=energy * TEV, max_impact=0 * u.m, **ON_AXIS
        )
        mean.append(events.x_max.mean())
    # a radiation length times ln 10 = 84 g/cm2 per decade
    assert mean[1] - mean[0] == pytest.approx(84, abs=30)


def density(distance_m: float, n: int = 16) -> float:
    """Photons per m2 of a vertical gamma of 1 TeV, 300 to 550 nm, no air in between."""
    lst = lst_like()[0]
    wavelength = np.linspace(300.0, 550.0, 251)
    perfect = dataclasses.replace(
        lst,
        wavelength_nm=wavelength,
        efficiency=np.ones_like(wavelength),
        mirror_area_m2=math.pi * lst.mirror_radius_m**2,
    )
    events = simulate_showers(
        "gamma", n, telescopes=at(distance_m, perfect), energy=TEV, max_impact=0 * u.m, **ON_AXIS
    )
    return float(np.median(events.images[0].sum(axis=1))) / perfect.mirror_area_m2


def test_the_pool_of_light_has_a_shoulder():
    near, shoulder, beyond, far = (density(r) for r in (60.0, 115.0, 150.0, 200.0))
    assert 90 < shoulder < 250
    assert shoulder / near > 0.6  # a plateau
    assert beyond / shoulder < 0.65  # and its edge at 120 to 140 m
    assert far / shoulder < 0.35


def test_thinning_changes_no_mean():
    sizes = []
    for thinning in (0.0, 1e-3):
        events = simulate_showers(
            "gamma",
            60,
            telescopes=at(120.0),
            energy=0.5 * TEV,
            max_impact=0 * u.m,
            thinning=thinning,
            **ON_AXIS,
        )
        sizes.append(events.images[0].sum(axis=1))
    error = math.hypot(*(s.std() / math.sqrt(len(s)) for s in sizes))
    assert abs(sizes[0].mean() - sizes[1].mean()) < 4 * error
    assert error / sizes[0].mean() < 0.03


def test_images_point_at_the_source_and_lean(gammas):
    m = table(gammas)
    # the telescope stands north of the core, so the light comes from the south: along x
    assert np.all(np.abs(m[:, 2]) < np.abs(m[:, 1]))
    # tan = 100 m / 8 km
    assert np.median(np.hypot(m[:, 1], m[:, 2])) == pytest.approx(0.75, abs=0.3)
    away = np.mean(m[:, 5] > 0)
    assert away > 0.75
    assert np.all(m[:, 3] > m[:, 4])


def test_the_lean_is_less_sure_of_faint_images():
    events = simulate_showers(
        "gamma", 300, telescopes=at(100.0), energy=0.05 * TEV, max_impact=0 * u.m, **ON_AXIS
    )
    m = table(events)
    assert len(m) > 200
    assert 0.5 < np.mean(m[:, 5] > 0) < 0.99
    assert 0.1 < m[:, 3].mean() < 0.5


def test_size_grows_with_energy(gammas):
    small = simulate_showers(
        "gamma", 60, telescopes=at(100.0), energy=0.3 * TEV, max_impact=0 * u.m, **ON_AXIS
    )
    ratio = gammas.images[0].sum(axis=1).mean() / small.images[0].sum(axis=1).mean()
    assert 3.0 < ratio < 5.0  # a little more than the energy's


def test_time_runs_along_the_image():
    events = simulate_showers(
        "gamma", 20, telescopes=at(250.0), energy=5 * TEV, max_impact=0 * u.m, **ON_AXIS
    )
    camera = events.telescopes[0].camera
    slopes = []
    for image, time in zip(events.images[0], events.times_ns[0], strict=True):
        bright = image > 10
        x = np.degrees(camera.x_m[bright] / camera.focal_length_m)
        # along the image, away from the source in the middle
        slopes.append(np.sign(x.mean()) * np.polyfit(x, time[bright], 1)[0])
    # far from the core light of the shower's end comes last, and the end is away from the source
    assert np.mean(np.array(slopes) > 2.0) > 0.9
    near = simulate_showers(
        "gamma", 20, telescopes=at(40.0), energy=TEV, max_impact=0 * u.m, seed=1, **ON_AXIS
    )
    spread = [np.nanstd(t[i > 10]) for i, t in zip(near.images[0], near.times_ns[0], strict=True)]
    # near the core it all comes within some ns
    assert np.median(spread) < 3.0


def test_protons_are_wider_and_more_irregular(gammas, protons):
    gamma, proton = table(gammas, least=300), table(protons, least=300)
    assert np.median(proton[:, 4]) > 1.2 * np.median(gamma[:, 4])
    spread = [np.std(np.log(m[:, 4])) for m in (gamma, proton)]
    assert spread[1] > 1.5 * spread[0]


def test_protons_interact_as_published(protons):
    from daybreak.simulate.showers.atmosphere import depth_at

    depth = np.array([depth_at(h) for h in protons.first_interaction_m if h > 0])
    assert depth.mean() == pytest.approx(80, rel=0.25)


@pytest.mark.parametrize("energy_gev", [8.0, 20.0, 200.0])
def test_muon_rings_have_the_cherenkov_angle(energy_gev):
    from daybreak.simulate.showers.atmosphere import air_at, depth_at, refractivity

    lst = dataclasses.replace(lst_like()[0], field_ut=(0.0, 0.0, 0.0))
    events = simulate_showers(
        "muon-",
        30,
        telescopes=(lst,),
        energy=energy_gev * u.GeV,
        max_impact=3 * u.m,
        **ON_AXIS,
    )
    delta = refractivity(air_at(depth_at(2500.0))[1])
    # 300 m above the telescope, where it has lost a little of its energy since the start
    energy = energy_gev - 2.2e-3 * (depth_at(2500.0) - depth_at(5184.0))
    expected = math.degrees(math.sqrt(2 * delta - (0.10566 / energy) ** 2))
    camera = lst.camera
    x, y = (np.degrees(a / camera.focal_length_m) for a in (camera.x_m, camera.y_m))
    radii = []
    for image in events.images[0]:
        # least squares for a circle
        w = np.sqrt(image)
        matrix = np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1) * w[:, None]
        cx, cy, c = np.linalg.lstsq(matrix, (x**2 + y**2) * w, rcond=None)[0]
        radii.append(math.sqrt(c + cx**2 + cy**2))
    assert np.median(radii) == pytest.approx(expected, rel=0.03)


def test_muon_impact_beyond_the_mirror_gives_an_arc():
    events = simulate_showers(
        "muon+", 200, telescopes=lst_like(), energy=50 * u.GeV, max_impact=30 * u.m, **ON_AXIS
    )
    impact = np.hypot(events.core_x_m, events.core_y_m)
    size = events.images[0].sum(axis=1)
    assert size[impact < 5].mean() > 2.5 * size[impact > 20].mean()


def test_a_pair_of_small_telescopes():
    events = simulate_showers(
        "gamma", 40, telescopes=sst1m_like(), energy=5 * TEV, max_impact=150 * u.m, seed=2
    )
    assert len(events.images) == 2
    assert events.images[0].shape == (40, 1296)
    assert events.triggered.shape == (40, 2)
    # the telescope nearer to the core sees more light
    near = [np.hypot(events.core_x_m - x, events.core_y_m - y) for x, y in ((71, 30), (-71, -30))]
    sizes = [image.sum(axis=1) for image in events.images]
    apart = (np.abs(near[0] - near[1]) > 80) & (np.maximum(near[0], near[1]) > 150)
    assert apart.sum() > 5
    assert np.mean((sizes[0] > sizes[1]) == (near[0] < near[1]), where=apart) > 0.8


def test_truth_follows_what_was_asked():
    events = simulate_showers(
        "gamma",
        200,
        telescopes=sst1m_like()[:1],
        energy=[0.1, 0.2] * TEV,
        index=-2.5,
        zenith=30 * u.deg,
        azimuth=200 * u.deg,
        offset=0.5 * u.deg,
        max_impact=200 * u.m,
        around=[50, 0] * u.m,
        seed=9,
    )
    assert np.all((events.energy_tev >= 0.1) & (events.energy_tev <= 0.2))
    # mean of a power law of index -2.5
    mean = 3 * (0.1**-0.5 - 0.2**-0.5) / (0.1**-1.5 - 0.2**-1.5)
    assert events.energy_tev.mean() == pytest.approx(mean, rel=0.03)
    from astropy.coordinates import angular_separation

    away = angular_separation(
        np.radians(events.true_azimuth_deg),
        np.radians(events.true_altitude_deg),
        math.radians(200),
        math.radians(60),
    )
    assert np.degrees(away) == pytest.approx(0.5, abs=1e-6)
    distance = np.hypot(events.core_x_m - 50, events.core_y_m)
    assert distance.max() <= 200
    assert np.mean(distance < 200 / math.sqrt(2)) == pytest.approx(0.5, abs=0.1)
    assert set(events.primary_id) == {0}


def test_a_source_off_the_middle_is_seen_there():
    events = simulate_showers(
        "gamma",
        30,
        telescopes=lst_like(),
        energy=TEV,
        offset=1 * u.deg,
        position_angle=90 * u.deg,
        max_impact=30 * u.m,
        zenith=20 * u.deg,
    )
    m = table(events)
    # cores lie all around: the images' middles lie around the source, at y = +1 deg
    assert m[:, 1].mean() == pytest.approx(0.0, abs=0.15)
    assert m[:, 2].mean() == pytest.approx(1.0, abs=0.15)
    assert np.all(events.true_azimuth_deg > 180)


def test_events_do_not_depend_on_room_for_light(monkeypatch):
    from daybreak.simulate.showers import batch

    ask = {"telescopes": at(60.0), "energy": TEV, "max_impact": 0 * u.m, **ON_AXIS}
    wide = simulate_showers("gamma", 3, **ask, keep_photons=True)
    monkeypatch.setattr(batch, "_FIRST_ROOM", 100)
    narrow = simulate_showers("gamma", 3, **ask, keep_photons=True)
    assert np.array_equal(wide.images[0], narrow.images[0])
    assert np.array_equal(wide.photons[0].time_ns, narrow.photons[0].time_ns)


def test_field_bends_images_apart():
    lengths = []
    for field in ((0.0, 0.0, 0.0), (300.0, 0.0, 0.0)):
        lst = dataclasses.replace(lst_like()[0], field_ut=field)
        events = simulate_showers(
            "gamma", 40, telescopes=at(100.0, lst), energy=0.3 * TEV, max_impact=0 * u.m, **ON_AXIS
        )
        image = events.images[0].sum(axis=0).astype(float)
        y = np.degrees(lst.camera.y_m / lst.camera.focal_length_m)
        lengths.append(math.sqrt(image @ (y - image @ y / image.sum()) ** 2 / image.sum()))
    # a field to the north bends east and west: along y
    assert lengths[1] > 1.3 * lengths[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "iron"},
        {"n": 0},
        {"energy": [2, 1] * u.TeV},
        {"energy": -1 * u.TeV},
        {"zenith": 75 * u.deg},
        {"offset": 1 * u.deg, "viewcone": 1 * u.deg},
        {"max_impact": -1 * u.m},
    ],
)
def test_nonsense_is_refused(wrong):
    asked = {"kind": "gamma", "n": 1, "energy": TEV, "telescopes": lst_like(), **wrong}
    with pytest.raises(ConfigError):
        simulate_showers(asked.pop("kind"), asked.pop("n"), **asked)
