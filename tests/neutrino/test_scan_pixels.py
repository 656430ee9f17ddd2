from __future__ import annotations

import numpy as np
import pytest

from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.select import local_minima, open_border, ranked, to_refine
from daybreak.neutrino.scan.settings import ScanSettings


def test_the_first_pixels_are_where_healpix_says():
    # Gorski et al. 2005, equations 4 to 9: the first ring has z = 2/3 for nside 1, phi = 45 deg
    ra, dec = sky.centres(1, np.arange(12))
    assert np.degrees(ra[:4]) == pytest.approx([45, 135, 225, 315])
    assert np.sin(dec) == pytest.approx([2 / 3] * 4 + [0] * 4 + [-2 / 3] * 4)


@pytest.mark.parametrize(("nside", "finer"), [(1, 8), (8, 64), (64, 512), (2, 4)])
def test_children_tile_their_parent(nside: int, finer: int):
    some = np.array([0, 3, 11, sky.n_pixels(nside) - 1])
    below = sky.children(nside, some, finer)
    assert below.shape == (4, (finer // nside) ** 2)
    assert (sky.parents(finer, below.ravel(), nside).reshape(below.shape) == some[:, None]).all()
    ra, dec = sky.centres(finer, below.ravel())
    assert (sky.pixel_at(nside, ra, dec).reshape(below.shape) == some[:, None]).all()
    everything = sky.children(nside, np.arange(sky.n_pixels(nside)), finer).ravel()
    assert np.array_equal(np.sort(everything), np.arange(sky.n_pixels(finer)))


def test_neighbours_touch():
    pixels = np.arange(sky.n_pixels(8))
    around = sky.neighbours(8, pixels)
    assert ((around == -1).sum(axis=1) <= 1).all()
    assert (around == -1).sum() == 24  # the eight corners where three base pixels meet
    ra, dec = sky.centres(8, pixels)
    for pixel in (0, 100, 400, 767):
        near = around[pixel][around[pixel] >= 0]
        away = sky.separation_rad(ra[pixel], dec[pixel], ra[near], dec[near])
        assert np.degrees(away).max() < 2.1 * sky.size_deg(8)
        assert pixel in around[near]


@pytest.mark.parametrize("place", [(0, 90, 3), (359.9, -20, 1), (10, 41.8, 20), (200, -89.9, 0.2)])
@pytest.mark.parametrize("nside", [1, 8, 64])
def test_a_disc_holds_every_pixel_that_the_circle_touches(place, nside):
    ra, dec, radius = place
    inside = set(sky.disc(nside, ra, dec, radius).tolist())
    rng = np.random.default_rng(1)
    angle, away = rng.uniform(0, 2 * np.pi, 3000), np.radians(radius * np.sqrt(rng.random(3000)))
    d0, a0 = np.radians(dec), np.radians(ra)
    d = np.arcsin(np.sin(d0) * np.cos(away) + np.cos(d0) * np.sin(away) * np.cos(angle))
    a = a0 + np.arctan2(
        np.sin(angle) * np.sin(away) * np.cos(d0), np.cos(away) - np.sin(d0) * np.sin(d)
    )
    assert set(sky.pixel_at(nside, a % (2 * np.pi), d).tolist()) <= inside


def test_uniq_numbers_of_the_standard():
    assert sky.uniq(1, np.arange(12)).tolist() == list(range(4, 16))
    everything = sky.uniq(8, np.arange(768))
    assert np.array_equal(np.sort(everything), 4 * 64 + np.arange(768))


def bowl(nside: int, ra0: float, dec0: float, pixels=None):
    pixels = np.arange(sky.n_pixels(nside)) if pixels is None else pixels
    ra, dec = sky.centres(nside, pixels)
    return pixels, np.degrees(sky.separation_rad(np.radians(ra0), np.radians(dec0), ra, dec)) ** 2


def test_one_bowl_has_one_minimum():
    pixels, llh = bowl(8, 77.0, -33.0)
    found = np.flatnonzero(local_minima(8, pixels, llh))
    assert found.tolist() == [int(np.argmin(llh))]


def test_a_flat_sky_has_minima_but_not_everywhere_and_nan_is_none():
    pixels = np.arange(sky.n_pixels(8))
    flat = local_minima(8, pixels, np.zeros(len(pixels)))
    assert 1 <= flat.sum() < len(pixels) / 3
    llh = bowl(8, 10, 10)[1]
    llh[np.argmin(llh)] = np.nan
    minima = local_minima(8, pixels, llh)
    assert minima.any()
    assert not minima[np.isnan(llh)].any()


def test_the_best_and_the_secondary_minima_are_refined():
    pixels, near = bowl(8, 77.0, -33.0)
    far = bowl(8, 250.0, 50.0)[1] + 500.0
    chosen = to_refine(8, pixels, np.minimum(near, far), ScanSettings(n_best=12, n_minima=4))
    assert chosen[:12].tolist() == ranked(pixels, near)[:12].tolist()
    assert chosen[12:].tolist() == [int(np.argmin(far))]
    assert len(to_refine(8, pixels, np.full(768, np.nan), ScanSettings())) == 0


@pytest.mark.parametrize("nside", [1, 2, 4])
def test_coarse_levels_are_refined_as_a_whole(nside):
    pixels, llh = bowl(nside, 77.0, -33.0)
    llh[5] = np.nan
    chosen = to_refine(nside, pixels, llh, ScanSettings(n_best=3, n_minima=0))
    assert sorted(chosen) == sorted(set(pixels.tolist()) - {int(pixels[5])})
    assert chosen[0] == ranked(pixels, llh)[0]


def test_the_border_is_open_until_the_neighbours_are_known():
    middle = int(sky.pixel_at(8, np.array([1.0]), np.array([0.3]))[0])
    pixels, llh = bowl(64, np.degrees(1.0), np.degrees(0.3),
                       np.sort(sky.children(8, np.array([middle]), 64).ravel()))  # fmt: skip
    assert len(open_border(64, pixels, llh, 1e9)) == 4 * 8 + 4
    assert len(open_border(64, pixels, llh, 0.0)) in (0, 3, 5)


@pytest.mark.parametrize("nsides", [(), (3,), (8, 8), (8, 1), (1, 16384), (0, 1), (128,), (-1, 2)])
def test_senseless_nsides_are_refused(nsides):
    with pytest.raises(ValueError, match=r"nside|power|grow|least"):
        ScanSettings(nsides=nsides)
