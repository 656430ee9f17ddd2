from __future__ import annotations

import numpy as np
import pytest
from fake_scan import Bowl, to_local
from test_scan_driver import SEEDS

from daybreak.errors import ConfigError
from daybreak.neutrino.contours import (
    MILLIPEDE,
    WILKS,
    Calibration,
    calibration,
    contains,
    project,
    unproject,
)
from daybreak.neutrino.maps import tile
from daybreak.neutrino.minima import find_minima
from daybreak.neutrino.result import ScanOutcome, outcome
from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan import pools
from daybreak.neutrino.scan.driver import Scan
from daybreak.neutrino.scan.journal import PIXEL_DTYPE, Journal
from daybreak.neutrino.scan.settings import Region, ScanSettings
from daybreak.neutrino.scan.tree import Tree


def scanned(
    tmp_path, minima, settings: ScanSettings | None = None, scale: Calibration = WILKS
) -> ScanOutcome:
    model = Bowl(minima)
    tree = Tree(settings or ScanSettings())
    with Journal(tmp_path / "pixels.bin", "key") as journal, pools.threads(model, 2) as pool:
        run = Scan(tree, journal, pool, to_local, SEEDS).run()

    def evaluate(zenith, azimuth, vertex):
        fit = model.fit_many(zenith, azimuth, np.repeat(vertex[None, None], len(zenith), axis=0))
        return fit["llh"], np.stack([fit[k] for k in ("x_m", "y_m", "z_m", "t_ns")], axis=1)

    return outcome(tree, run, to_local, evaluate, scale)


PLACES = [(84.1, 11.3), (0.02, -0.01), (359.98, 41.8), (120.0, 89.9), (10.0, -88.0)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sigma", [0.15, 0.4, 1.0])
def test_a_round_minimum_has_round_contours(tmp_path, place, sigma):
    result = scanned(tmp_path, ((*place, sigma, 0.0),))
    assert result.best.llh == pytest.approx(1000.0, abs=1e-3)
    distance = np.hypot(
        (result.best.ra_deg - place[0] + 180) % 360 - 180 if abs(place[1]) < 80 else 0.0,
        result.best.dec_deg - place[1],
    )
    assert distance < 0.02 * sigma + 1e-3
    for contour in result.contours:
        radius = sigma * np.sqrt(contour.ts)
        # pixels of 0.11 deg: the interpolation is exact to a per cent where sigma is larger
        assert contour.area_deg2 == pytest.approx(
            np.pi * radius**2, rel=0.01 if sigma > 0.3 else 0.05
        )
        assert contour.closed
        assert contour.dec_minus_deg == pytest.approx(
            min(radius, 90 + place[1]), rel=0.03, abs=0.01
        )
        if radius + abs(place[1]) < 90:
            sine = np.sin(np.radians(radius)) / np.cos(np.radians(place[1]))
            wide = np.degrees(np.arcsin(sine))
            assert contour.ra_minus_deg == pytest.approx(wide, rel=0.03)
            assert contour.ra_plus_deg == pytest.approx(wide, rel=0.03)
            assert contour.dec_plus_deg == pytest.approx(radius, rel=0.03)
        else:
            assert (contour.ra_minus_deg, contour.ra_plus_deg) == (180.0, 180.0)
            beyond = place[1] + (contour.dec_plus_deg if place[1] > 0 else -contour.dec_minus_deg)
            assert abs(beyond) == pytest.approx(90.0)
        assert contains(contour, *place)
        assert contains(contour, place[0], place[1] - 0.97 * radius)
        assert not contains(contour, place[0], place[1] - 1.03 * radius)


def test_a_region_over_a_pole_is_told_from_one_over_the_other(tmp_path):
    """A cap that reaches beyond the equator has its outline in the other hemisphere."""
    settings = ScanSettings(nsides=(1, 8), closure_delta_llh=60.0)
    result = scanned(tmp_path, ((30.0, 70.0, 60.0, 0.0),), settings)
    wide = result.contours[1]  # a radius of 129 deg: down to the declination of -59 deg
    assert wide.dec_plus_deg == pytest.approx(90 - result.best.dec_deg)
    assert wide.dec_minus_deg == pytest.approx(result.best.dec_deg + 59, abs=4)
    assert (wide.ra_minus_deg, wide.ra_plus_deg) == (180.0, 180.0)
    assert contains(wide, 0.0, 90.0)
    assert not contains(wide, 0.0, -90.0)


@pytest.mark.parametrize("place", PLACES)
def test_the_opposite_of_a_contour_is_not_inside(tmp_path, place):
    for contour in scanned(tmp_path, ((*place, 0.4, 0.0),)).contours:
        assert not contains(contour, place[0] + 180.0, -place[1])


def test_two_islands_and_a_minimum_that_is_too_shallow(tmp_path):
    minima = ((84.1, 11.3, 0.4, 0.0), (90.0, 20.0, 0.3, 1.2), (200.0, -30.0, 0.3, 2.5))
    result = scanned(tmp_path, minima)
    assert [round(m.ra_deg, 1) for m in result.minima] == [84.1, 90.0]
    assert result.minima[1].delta_llh == pytest.approx(1.2, abs=1e-3)
    small, wide = result.contours
    assert len(small.polygons) == 1
    assert len(wide.polygons) == 2
    expected = np.pi * (0.16 * WILKS.ts_90 + 0.09 * (WILKS.ts_90 - 2.4))
    assert wide.area_deg2 == pytest.approx(expected, rel=0.01)
    assert contains(wide, 90.0, 20.0)
    assert not contains(small, 90.0, 20.0)
    assert wide.ra_plus_deg > 5.9


def test_a_scan_that_ended_coarse_says_that_its_contour_is_rough(tmp_path):
    settings = ScanSettings(nsides=(1, 8, 64), max_pixels=900)
    result = scanned(tmp_path, ((84.1, 11.3, 20.0, 0.0),), settings)
    assert result.capped == (64,)
    assert [contour.closed for contour in result.contours] == [False, False]


def test_wider_levels_give_wider_contours(tmp_path):
    settings = ScanSettings(closure_delta_llh=MILLIPEDE.ts_90 / 2 + 1)
    result = scanned(tmp_path, ((84.1, 11.3, 0.2, 0.0),), settings, MILLIPEDE)
    areas = [contour.area_deg2 for contour in result.contours]
    assert areas == pytest.approx([np.pi * 0.04 * 22.2, np.pi * 0.04 * 64.2], rel=0.01)
    assert result.probability_scale == pytest.approx(64.2 / 4.60517, rel=1e-5)


def test_the_search_goes_on_while_it_gains():
    """Fits at directions near each other end at vertices that still get better one by one."""

    def evaluate(zenith, azimuth, vertex):
        ended = 0.6 * vertex[0]
        away = np.degrees(sky.separation_rad(*centre, azimuth, np.pi / 2 - zenith))
        llh = 100 + 0.5 * (away / 0.1) ** 2 + ended
        return llh, np.repeat([[ended, 0.0, 0.0, 0.0]], len(zenith), axis=0)

    centre = (1.5, 0.2)
    pixels = np.sort(sky.disc(512, *np.degrees(centre), 1.0))
    rows = np.zeros(len(pixels), PIXEL_DTYPE)
    rows["nside"], rows["pixel"], rows["x_m"] = 512, pixels, 9.0
    ra, dec = sky.centres(512, pixels)
    rows["llh"] = 109 + 0.5 * (np.degrees(sky.separation_rad(*centre, ra, dec)) / 0.1) ** 2
    levels = [(512, rows)]
    minima, samples = find_minima(levels, tile(levels), to_local, evaluate)
    assert minima[0].llh == pytest.approx(100, abs=0.1)
    assert samples.llh.min() == minima[0].llh


def test_a_circle_away_from_the_minimum_has_a_best_fit_too(tmp_path):
    """The coarse pixels around the circle have centres outside that fit better than any inside."""
    around = Region(ra_deg=0.0, dec_deg=90.0, radius_deg=3.0)
    settings = ScanSettings(nsides=(1, 8, 64), around=around)
    result = scanned(tmp_path, ((45.0, 42.0, 5.0, 0.0),), settings)
    assert result.best.nside == 64
    assert result.best.dec_deg > 85.0


def test_a_contour_ends_at_the_edge_of_the_circle_and_is_open(tmp_path):
    """What lies outside was not fitted: its coarser parents say nothing of it."""
    settings = ScanSettings(around=Region(ra_deg=83.3, dec_deg=11.3, radius_deg=1.0))
    part = scanned(tmp_path, ((84.1, 11.3, 0.2, 0.0),), settings)
    (tmp_path / "whole").mkdir()
    whole = scanned(tmp_path / "whole", ((84.1, 11.3, 0.2, 0.0),))
    assert [c.closed for c in whole.contours] == [True, True]
    assert [c.closed for c in part.contours] == [False, False]
    areas = [contours.area_deg2 for contours in (part.contours[1], whole.contours[1])]
    assert 0.8 * areas[1] < areas[0] < 0.97 * areas[1]
    away = [
        np.degrees(sky.separation_rad(*np.radians([83.3, 11.3]), *np.radians(line).T)).max()
        for line in part.contours[1].polygons
    ]
    assert max(away) < 1.0 + 2 * sky.size_deg(512) < 0.8 + 0.2 * np.sqrt(whole.contours[1].ts)


def test_ripples_of_one_minimum_are_one(tmp_path):
    result = scanned(tmp_path, ((84.1, 11.3, 0.4, 0.0), (84.25, 11.3, 0.4, 0.3)))
    assert len(result.minima) == 1


def test_the_projection_keeps_areas_and_comes_back():
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0, 2 * np.pi, 500), np.arcsin(rng.uniform(-1, 1, 500))
    back = unproject(1.0, -0.7, *project(1.0, -0.7, ra, dec))
    assert back[0] == pytest.approx(ra, abs=1e-9)
    assert back[1] == pytest.approx(dec, abs=1e-9)
    for radius in (0.1, 1.0, 2.5):  # a cap's area is 2 pi (1 - cos r), so its rim is at 2 sin(r/2)
        x, y = project(1.0, 0.0, np.array([1.0 + radius]), np.array([0.0]))
        assert np.hypot(x, y)[0] == pytest.approx(2 * np.sin(radius / 2))


def test_calibrations():
    assert WILKS.ts_50 == pytest.approx(1.386, abs=1e-3)
    assert WILKS.ts_90 == pytest.approx(4.605, abs=1e-3)
    assert calibration("millipede").levels == ((0.5, 22.2), (0.9, 64.2))
    assert calibration("auto", "unheard-of") is WILKS
    with pytest.raises(ConfigError, match="no calibration 'guess'"):
        calibration("guess")
    with pytest.raises(ConfigError, match="no calibration from resimulation"):
        calibration("resimulation", "unheard-of")


def test_the_coarsest_scan_has_a_result_too(tmp_path):
    result = scanned(tmp_path, ((84.1, 11.3, 20.0, 0.0),), ScanSettings(nsides=(1,)))
    assert result.pixels == 12
    assert result.best.llh < 1001
    assert all(np.isfinite(contour.area_deg2) for contour in result.contours)
