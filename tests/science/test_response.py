"""Responses on plain grids: what Gammapy gives for the same tables, and the way to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from gammapy.irf import PSF3D, Background2D, EffectiveAreaTable2D
from gammapy.maps import MapAxis, WcsGeom
from hypothesis import given
from hypothesis import strategies as st

from daybreak.errors import RunDataError
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science import observation
from daybreak.science.circle import Circle
from daybreak.science.dl3.files import HduLocation
from daybreak.science.gammapy_response import GammapyResponse
from daybreak.science.geoms import map_geom
from daybreak.science.irf import padded
from daybreak.science.irf_files import read_irf
from daybreak.science.irf_integrals import contained, power_law_integrals
from daybreak.science.observation import load_run
from daybreak.science.reduce import reduce_run, response_of
from daybreak.science.regions import exclusion_mask, reflected_regions, wobble_regions
from daybreak.science.response import GridResponse, rise_tev
from daybreak.science.run import ReductionSetup
from daybreak.science.skymaps import ring_sums
from daybreak.science.sphere import distances_deg, separation_deg, unit_vectors
from daybreak.science.tangent import TangentPlane
from daybreak.simulate import simulate_night

ENERGY = MapAxis.from_energy_bounds(0.05, 50, 12, unit="TeV", name="energy_true")
OFFSET = MapAxis.from_edges([0, 0.5, 1.0, 1.7, 2.5], unit="deg", name="offset")


def _read(hdu, hdu_class):
    odd = []
    irf = read_irf(hdu, hdu_class, "file, AEFF", odd)
    assert not odd
    return irf


def _hdu(irf):
    hdu = irf.to_table_hdu(format="gadf-dl3")
    return fits.BinTableHDU.from_columns(hdu.columns, header=hdu.header)


def _random(*shape):
    return np.random.default_rng(7).uniform(0.2, 3, shape)


@given(st.lists(st.floats(0.03, 80), min_size=1, max_size=6), st.floats(0, 3))
def test_effective_area(energies, offset):
    """Between the nodes, at the edges and beyond them."""
    theirs = EffectiveAreaTable2D([ENERGY, OFFSET], data=_random(12, 4), unit="m2")
    ours = _read(_hdu(theirs), "aeff_2d").at(energies, offset)[:, 0]
    expected = theirs.evaluate(energy_true=energies * u.TeV, offset=offset * u.deg)
    np.testing.assert_allclose(ours, expected.to_value("m2"), rtol=1e-9, atol=1e-12)


@given(st.floats(0.001, 0.7), st.floats(0, 2.6))
def test_containment(radius, offset):
    rad = MapAxis.from_bounds(0, 0.66, 33, unit="deg", name="rad")
    data = _random(12, 4, 33)
    theirs = PSF3D([ENERGY, OFFSET, rad], data=data, unit="sr-1")
    energy = np.array([0.04, 0.06, 0.7, 3.0, 49.0])
    ours = contained(_read(_hdu(theirs), "psf_table"), radius, offset, energy)
    expected = theirs.containment(
        rad=radius * u.deg, offset=offset * u.deg, energy_true=energy * u.TeV
    )
    np.testing.assert_allclose(ours, np.ravel(expected.value), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("pad", [False, True])
def test_a_background_by_offset(pad):
    energy = MapAxis.from_energy_bounds(0.1, 20, 9, unit="TeV", name="energy")
    data = _random(9, 4)
    data[3, 1] = 0
    theirs = Background2D([energy, OFFSET], data=data, unit="s-1 MeV-1 sr-1")
    ours = _read(_hdu(theirs), "bkg_2d")
    edges, offsets = np.geomspace(0.08, 25, 15), np.array([0.0, 0.1, 0.3, 0.9, 2.4, 2.7, 4.0])
    if pad:
        theirs, ours = theirs.pad(1, mode="edge", axis_name="offset"), padded(ours, "offset")
    expected = theirs.integrate_log_log(
        axis_name="energy", energy=edges[:, None] * u.TeV, offset=offsets[None, :] * u.deg
    ).to_value("s-1 sr-1")
    np.testing.assert_allclose(
        power_law_integrals(ours, edges, (offsets,)), expected, rtol=1e-9, atol=1e-300
    )


@pytest.mark.parametrize("kind", ["aeff", "psf", "bkg", "edisp"])
def test_what_is_not_covered_goes_through_gammapy(night, monkeypatch, kind):
    """The same numbers, whichever response is unknown to the grids."""
    read = observation.read_irf
    hdu_class = night.loaded[0].hdus[kind].hdu_class
    monkeypatch.setattr(
        observation,
        "read_irf",
        lambda hdu, cls, *a: None if cls == hdu_class else read(hdu, cls, *a),
    )
    loaded = load_run(night.loaded[0].obs_id, night.loaded[0].hdus)
    assert loaded.missing == (kind,)
    assert isinstance(response_of(loaded, night.setup), GammapyResponse)
    assert isinstance(response_of(night.loaded[0], night.setup), GridResponse)
    there, here = reduce_run(loaded, night.setup), night.runs[0]
    np.testing.assert_allclose(there.exposure_cm2_s, here.exposure_cm2_s, rtol=1e-6)
    np.testing.assert_allclose(there.edisp, here.edisp, rtol=1e-6, atol=1e-9)
    for name, background in here.backgrounds.items():
        assert there.backgrounds[name].counts_off.tolist() == background.counts_off.tolist()
        np.testing.assert_allclose(
            there.backgrounds[name].acceptance_off, background.acceptance_off, rtol=1e-6
        )
    for name, image in here.maps.items():
        np.testing.assert_allclose(there.maps[name], image, rtol=2e-6, atol=1e-6, err_msg=name)


def test_what_is_not_covered_and_what_is_wrong():
    irf = EffectiveAreaTable2D([ENERGY, OFFSET], data=_random(12, 4), unit="m2")
    hdu = _hdu(irf)
    assert _read(hdu, "aeff_99d") is None
    assert _read(hdu, "psf_3gauss") is None
    with pytest.raises(RunDataError, match="file, AEFF: no column BKG or BGD"):
        _read(hdu, "bkg_2d")
    right = _read(hdu, "aeff_2d")
    for unit, factor, noted in (("cm2", 1e-4, False), ("TeV", 1.0, True), (None, 1.0, True)):
        other = hdu.copy()
        other.columns["EFFAREA"].unit = unit
        odd = []
        found = read_irf(other, "aeff_2d", "file, AEFF", odd)
        np.testing.assert_allclose(
            found.at(1.0, 1.0), right.at(1.0, 1.0) * factor, rtol=1e-6, err_msg=str(unit)
        )
        assert [o.flag for o in odd] == ["UNIT_ASSUMED"] * noted


def test_where_values_rise_above_a_level():
    energy = np.geomspace(0.1, 10, 21)
    assert rise_tev(energy, energy**2, 1.0) == pytest.approx(1.0)
    assert rise_tev(energy, np.ones(21), 0.5) == pytest.approx(0.1), "it is above all along"
    late = np.where(energy < 0.5, 0.0, energy)
    assert rise_tev(energy, late, 0.1) == pytest.approx(energy[energy >= 0.5][0])


@given(st.floats(0, 359.9), st.floats(-89, 89), st.floats(0.005, 0.3))
def test_pixels_of_a_tangent_plane(ra, dec, pixel):
    """There and back, and where Gammapy's geometry has them."""
    plane = TangentPlane(ra, dec, pixel, 12, 9)
    x, y = np.meshgrid(np.arange(12), np.arange(9))
    places = plane.sky(x, y)
    back = plane.pixels(*places)
    np.testing.assert_allclose(back[0], x, atol=1e-8)
    np.testing.assert_allclose(back[1], y, atol=1e-8)
    geom = WcsGeom.create(
        skydir=SkyCoord(ra, dec, unit="deg"), npix=(12, 9), binsz=pixel, proj="TAN", frame="icrs"
    )
    theirs = geom.get_coord().skycoord
    assert separation_deg(*places, theirs.ra.deg, theirs.dec.deg).max() < 1e-10
    ours = plane.solid_angle_sr()
    np.testing.assert_allclose(ours, geom.solid_angle().to_value("sr"), rtol=1e-6)


def test_the_plane_does_not_show_the_other_half_of_the_sky():
    x, y = TangentPlane(10, 20, 0.1, 5, 5).pixels([10.0, 190.0], [20.0, -20.0])
    assert np.isfinite([x[0], y[0]]).all() and np.isnan([x[1], y[1]]).all()


@given(st.floats(0, 360), st.floats(-90, 90), st.floats(0, 360), st.floats(-90, 90))
def test_distances(ra, dec, ra0, dec0):
    expected = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(ra0, dec0, unit="deg")).deg
    (one,) = distances_deg(unit_vectors([ra], [dec]), ra0, dec0)
    # half a turn away, the arcsine is flat: rounding grows to its square root
    floor = 1e-9 if expected < 179 else 3e-6
    assert one == pytest.approx(expected, abs=floor)
    assert separation_deg(ra, dec, ra0, dec0) == pytest.approx(expected, abs=floor)


def test_ring_sums_by_hand():
    rng = np.random.default_rng(3)
    image = rng.poisson(2.0, (1, 40, 50)).astype(float)
    sums = ring_sums(image, 4, 9)
    y, x = np.mgrid[:40, :50]
    for row, column in ((0, 0), (20, 25), (39, 10)):
        distance2 = (x - column) ** 2 + (y - row) ** 2
        ring = (distance2 >= 16) & (distance2 <= 81)
        assert sums[0, row, column] == pytest.approx(image[0][ring].sum(), abs=1e-9)


def test_off_regions_where_there_are_none():
    on, pointing = Circle(83.6, 22.0, 0.5), (83.6, 22.2)
    assert reflected_regions(on, pointing, None) is None, "the pointing lies in the ON region"
    point = Circle(83.6, 22.0, float("nan"))
    assert wobble_regions(point, pointing, None, n_off=3, largest_radius_deg=0.3) is None
    everything = exclusion_mask(83.6, 22.2, 6.0, [Circle(83.6, 22.2, 2.5)])
    small = Circle(83.6, 22.7, 0.1)
    assert reflected_regions(small, pointing, everything) is None
    free = reflected_regions(small, pointing, None)
    away = separation_deg(*free, *pointing)
    np.testing.assert_allclose(away, 0.5, atol=1e-5)
    assert len(reflected_regions(small, pointing, None, n_off=2)[0]) == 2
    assert len(reflected_regions(small, pointing, None, min_distance_deg=0.1)[0]) < len(free[0])
    assert exclusion_mask(83.6, 22.2, 6.0, []) is None


def test_the_map_pixels_are_gammapys(night):
    from daybreak.science.skymaps import map_plane

    geom, plane = map_geom(night.setup), map_plane(night.setup)
    place = geom.get_coord().skycoord
    assert separation_deg(*plane.centers(), place.ra.deg, place.dec.deg).max() < 1e-9


def test_columns_in_other_units(night, tmp_path):
    """Energies in GeV and directions in radians are the same events."""
    run = night.loaded[0]
    with fits.open(run.hdus["events"].path) as hdulist:
        table = hdulist["EVENTS"]
        for name, unit, factor in (("ENERGY", "GeV", 1e3), ("RA", "rad", np.pi / 180)):
            table.data[name] *= factor
            table.columns[name].unit = unit
        hdulist.writeto(tmp_path / "other.fits")
    hdus = {k: replace(h, path=tmp_path / "other.fits") for k, h in run.hdus.items()}
    other = load_run(run.obs_id, hdus)
    np.testing.assert_allclose(other.events.energy_tev, run.events.energy_tev, rtol=1e-6)
    np.testing.assert_allclose(other.events.ra_deg, run.events.ra_deg, rtol=1e-6)


@pytest.fixture(scope="module")
def point_like(tmp_path_factory):
    """A run with RAD_MAX_2D, and the same with one RAD_MAX for all in the headers, or with none."""
    folder = tmp_path_factory.mktemp("point-like")
    store = folder / "store"
    simulate_night(store, seed=4, n_runs=1, ontime=10 * u.min, sampler="direct", point_like=True)
    stage = first_stage(analysis_request("Crab", store=store, out=folder / "out"))
    setup = ReductionSetup.from_dict(stage.plan.steps[0].params["setup"])
    (entry,) = stage.about.runs
    hdus = {k: HduLocation(k, h.hdu_class, h.path, h.hdu) for k, h in entry.hdus.items()}
    fixed = {k: replace(h, path=folder / "fixed.fits") for k, h in hdus.items() if k != "rad_max"}
    with fits.open(hdus["aeff"].path) as hdulist:
        for kind in ("aeff", "edisp"):
            hdulist[hdus[kind].hdu].header["RAD_MAX"] = 0.17
        del hdulist[hdus["rad_max"].hdu]
        hdulist.writeto(folder / "fixed.fits")
        for kind in ("aeff", "edisp"):
            del hdulist[hdus[kind].hdu].header["RAD_MAX"]
        hdulist.writeto(folder / "none.fits")
    none = {k: replace(h, path=folder / "none.fits") for k, h in fixed.items()}
    return setup, {"table": hdus, "word": fixed, "none": none}, entry.obs_id


@pytest.mark.parametrize("kind", ["table", "word"])
def test_point_like_responses(point_like, kind):
    """RAD_MAX as a table, and as one number in the headers (as lstchain's global cut)."""
    setup, hdus, obs_id = point_like
    loaded = load_run(obs_id, hdus[kind])
    run, theirs = reduce_run(loaded, setup), GammapyResponse(loaded, setup)
    np.testing.assert_allclose(run.exposure_cm2_s, theirs.exposure_cm2_s(), rtol=1e-6)
    np.testing.assert_allclose(run.edisp, theirs.kernel(), rtol=1e-6, atol=1e-9)
    assert run.mask_safe.tolist() == theirs.safe_mask()[0].tolist()
    assert run.info["n_off_regions"] >= 3
    events = theirs.observation.events
    edges = np.array(setup.energy_edges_tev)
    for name, counts in (("on", run.counts_on), ("off", run.backgrounds["reflected"].counts_off)):
        expected = np.zeros(len(edges) - 1)
        for place in (circle for region, circle in run.regions if region == name):
            part = events.select_rad_max(
                rad_max=theirs.observation.rad_max,
                position=SkyCoord(place.ra_deg, place.dec_deg, unit="deg"),
            )
            expected += np.histogram(part.energy.to_value("TeV"), edges)[0]
        assert counts.tolist() == expected.tolist() and counts.sum() > 20


def test_point_like_responses_without_their_cut(point_like):
    setup, hdus, obs_id = point_like
    with pytest.raises(RunDataError, match="point-like, but there is no RAD_MAX"):
        reduce_run(load_run(obs_id, hdus["none"]), setup)
