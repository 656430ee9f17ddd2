"""Air, cross sections, projection and pixels against published values and a peer."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from daybreak.images.camera import hexagonal_camera
from daybreak.simulate.showers import atmosphere, cherenkov, em_tables, optics, telescope
from daybreak.simulate.showers.array import make_array, transmission


def test_depth_of_the_us_standard_atmosphere():
    # CORSIKA's Linsley fit; 1036 g/cm2 at sea level, 265 at 10 km (US standard atmosphere 1976)
    assert atmosphere.depth_at(0.0) == pytest.approx(1036.1, abs=0.5)
    assert atmosphere.depth_at(10e3) == pytest.approx(270.0, rel=0.03)
    for height in (0.0, 2200.0, 4001.0, 9900.0, 25e3, 60e3):
        depth = atmosphere.depth_at(height)
        back, slope = atmosphere.air_at(depth)
        assert back == pytest.approx(height, abs=1.0)
        step = atmosphere.depth_at(height) - atmosphere.depth_at(height + 1.0)
        assert slope == pytest.approx(step, rel=1e-3)


def test_density_and_refraction_at_sea_level():
    _, slope = atmosphere.air_at(atmosphere.depth_at(0.0))
    assert slope * 1e-2 == pytest.approx(1.225e-3, rel=0.01)  # g/cm3
    assert atmosphere.refractivity(slope) == pytest.approx(2.83e-4, rel=1e-3)
    angle = math.degrees(math.sqrt(2 * atmosphere.refractivity(slope)))
    assert angle == pytest.approx(1.36, abs=0.02)


def test_mean_refractivity_is_the_integral():
    low, high = 2200.0, 11e3
    heights = np.linspace(low, high, 20001)
    slopes = [atmosphere.air_at(atmosphere.depth_at(h))[1] for h in heights]
    mean = np.mean([atmosphere.refractivity(s) for s in slopes])
    depths = atmosphere.depth_at(high), atmosphere.depth_at(low)
    assert atmosphere.mean_refractivity(*depths, high - low) == pytest.approx(mean, rel=1e-3)


def test_transmission_falls_with_height_and_zenith():
    lst = telescope.lst_like()[0]
    up, slanted = transmission(lst, math.pi / 2), transmission(lst, math.radians(45))
    assert up[0] == pytest.approx(1.0)
    assert np.all(np.diff(up) <= 1e-12)
    assert np.all(slanted <= up + 1e-12)
    assert 0.6 < up[50] < 0.8  # 10 km


@pytest.mark.parametrize(
    ("energy_mev", "published"),
    # XCOM, dry air, total less coherent scattering, cm2/g
    [(20.0, 0.01705), (100.0, 0.0171)],
)
def test_photons_are_absorbed_as_published(energy_mev, published):
    tables = em_tables.em_tables(20.0)
    place = (math.log10(energy_mev) - 1) * 40
    path = np.interp(place, np.arange(len(tables.path)), tables.path)
    assert 1 / path == pytest.approx(published, rel=0.05)


def test_high_energy_limits():
    tables = em_tables.em_tables(20.0)
    assert tables.path[-1] == pytest.approx(9 / 7 * em_tables.RADIATION_LENGTH, rel=0.02)
    v = (np.arange(4000) + 0.5) / 4000
    screened = 4 / 3 - 4 / 3 * v + v**2
    ours = em_tables.bremsstrahlung_density(np.full(4000, 1e9), v) * v
    assert np.allclose(ours, screened, atol=0.04)


def test_radiative_loss_at_100_mev():
    # ESTAR, dry air: 2.36 MeV cm2/g
    v = (np.arange(4000) + 0.5) / 4000 * (1 - 0.511 / 100)
    mean = np.mean(em_tables.bremsstrahlung_density(np.full(4000, 100.0), v) * v)
    assert mean * (1 - 0.511 / 100) * 100 / em_tables.RADIATION_LENGTH == pytest.approx(
        2.36, rel=0.05
    )


@pytest.mark.parametrize("x", [0.0, 0.3, 2.0, 3.7, 3.8, 20.0, 400.0])
def test_bessel(x):
    from scipy.special import i0e

    assert cherenkov.bessel_i0e(x) == pytest.approx(i0e(x), rel=1e-5)


def test_pixels_are_the_nearest():
    camera = hexagonal_camera(
        "c",
        n_pixels=331,
        pitch_m=0.05,
        focal_length_m=28.0,
        sampling_rate_ghz=1.0,
        rotation_rad=0.3,
    )
    grid = optics.pixel_grid(camera)
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-0.6, 0.6, (2, 3000))
    distance = np.hypot(x[:, None] - camera.x_m, y[:, None] - camera.y_m)
    found = np.array([optics.find_pixel(grid, a, b) for a, b in zip(x, y, strict=True)])
    inside = distance.min(axis=1) < 0.05 / math.sqrt(3)
    assert np.array_equal(found >= 0, inside)
    assert np.array_equal(found[inside], distance.argmin(axis=1)[inside])


def test_turned_by_what_was_asked():
    rng = np.random.default_rng(1)
    for direction in ([0, 0, -1.0], [0.3, -0.2, -0.9], [1e-12, 0, -1.0]):
        u = np.array(direction) / np.linalg.norm(direction)
        for tx, ty in rng.normal(0, 0.05, (20, 2)):
            v = np.array(optics.turned(*u, tx, ty))
            assert np.linalg.norm(v) == pytest.approx(1)
            assert math.tan(math.acos(min(1, u @ v))) == pytest.approx(math.hypot(tx, ty), rel=1e-6)


def test_yield_is_frank_and_tamm():
    # 69470 photons per metre and sin2 from 300 to 550 nm: 2 pi alpha (1/l1 - 1/l2)
    lst = telescope.lst_like()[0]
    wavelength = np.linspace(300, 550, 4001)
    perfect = dataclasses.replace(
        lst, wavelength_nm=wavelength, efficiency=np.ones_like(wavelength)
    )
    assert perfect.yield_per_m() == pytest.approx(69470, rel=1e-3)


def test_camera_frame_is_that_of_ctapipe():
    pytest.importorskip("ctapipe")
    from astropy import units as u
    from astropy.coordinates import AltAz, SkyCoord
    from ctapipe.coordinates import CameraFrame

    altitude, azimuth = math.radians(65), math.radians(130)
    basis = optics.pointing_basis(altitude, azimuth)
    pointing = SkyCoord(alt=altitude * u.rad, az=azimuth * u.rad, frame=AltAz())
    star = SkyCoord(alt=65.7 * u.deg, az=129 * u.deg, frame=AltAz())
    theirs = star.transform_to(CameraFrame(focal_length=28 * u.m, telescope_pointing=pointing))
    al, az = star.alt.rad, star.az.rad
    towards = [math.cos(al) * math.cos(az), -math.cos(al) * math.sin(az), math.sin(al)]
    ahead, x, y = basis @ towards
    assert 28 * x / ahead == pytest.approx(theirs.x.to_value("m"), abs=1e-3)
    assert 28 * y / ahead == pytest.approx(theirs.y.to_value("m"), abs=1e-3)


def test_telescopes_of_two_kinds_are_refused():
    from daybreak.errors import ConfigError

    with pytest.raises(ConfigError, match="differ"):
        make_array((*telescope.lst_like(), *telescope.sst1m_like()), 1.2, 0.0)
