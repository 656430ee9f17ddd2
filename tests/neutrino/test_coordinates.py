"""Detector directions and the sky, against pixels of IceCube's own scans."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.time import Time

from daybreak.neutrino.coordinates import to_icrs, to_local

# Direction (zenith, azimuth in rad) that IceCube's scanner gave to the centre of a HEALPix pixel
# (nside 1, ring; ra, dec in deg) at the start of an event (MJD): seed particles of the test data
# of the skymap scanner, events 136766/7637140 and 127907/20178442.
PIXELS = [
    (59754.67588432013, 8, 0.8425952377689341, 3.50663373708624),
    (57517.64354153215, 3, 2.301578215431409, 4.090861654043621),
]
CENTRES = {8: (45.0, -41.810314895778596), 3: (315.0, 41.810314895778596)}


def _angle_deg(zenith1, azimuth1, zenith2, azimuth2):
    def unit(zenith, azimuth):
        sin = np.sin(zenith)
        return np.array([sin * np.cos(azimuth), sin * np.sin(azimuth), np.cos(zenith)])

    a, b = unit(zenith1, azimuth1), unit(zenith2, azimuth2)
    return np.rad2deg(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


@pytest.mark.parametrize(("mjd", "pixel", "zenith", "azimuth"), PIXELS)
def test_production_pixels(mjd, pixel, zenith, azimuth):
    time = Time(mjd, format="mjd", scale="utc")
    ra, dec = np.deg2rad(CENTRES[pixel])
    assert _angle_deg(*to_local(ra, dec, time), zenith, azimuth) < 2e-4
    found_ra, found_dec = to_icrs(zenith, azimuth, time)
    assert _angle_deg(np.pi / 2 - found_dec, found_ra, np.pi / 2 - dec, ra) < 2e-4


def test_there_and_back_for_arrays_and_times():
    rng = np.random.default_rng(4)
    zenith, azimuth = np.arccos(rng.uniform(-1, 1, 200)), rng.uniform(0, 2 * np.pi, 200)
    time = Time(rng.uniform(55000, 61000, 200), format="mjd")
    back = to_local(*to_icrs(zenith, azimuth, time), time)
    np.testing.assert_allclose(back[0], zenith, atol=1e-9)
    np.testing.assert_allclose(np.cos(back[1] - azimuth), 1, atol=1e-12)
    assert back[1].min() >= 0 and back[1].max() < 2 * np.pi


def test_straight_down_comes_from_the_southern_pole():
    # at the pole the zenith is the south celestial pole, but for precession and the site's offset
    _, dec = to_icrs(0.0, 0.0, Time("2000-01-01T12:00:00"))
    assert np.rad2deg(dec) == pytest.approx(-89.99, abs=0.01)


def test_the_clock_is_not_asked_for(monkeypatch):
    from astropy.utils import iers

    def refuse(*_args, **_kwargs):
        raise AssertionError("a table of the Earth's rotation was fetched")

    monkeypatch.setattr(iers.IERS_A, "open", refuse)
    monkeypatch.setattr("astropy.utils.data.download_file", refuse)
    to_icrs(1.0, 1.0, Time("2026-06-01"))
