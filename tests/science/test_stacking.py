"""Reduced and stacked runs against Gammapy's own makers, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from astropy import units as u
from gammapy.data import DataStore
from gammapy.datasets import Datasets, MapDataset, SpectrumDataset, SpectrumDatasetOnOff
from gammapy.makers import (
    FoVBackgroundMaker,
    MapDatasetMaker,
    ReflectedRegionsBackgroundMaker,
    SafeMaskMaker,
    SpectrumDatasetMaker,
)
from gammapy.makers.utils import make_map_background_irf
from gammapy.maps import MapAxis, RegionGeom, WcsGeom
from gammapy.modeling.models import (
    FoVBackgroundModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

from daybreak.science.gammapy_irfs import gammapy_irfs
from daybreak.science.gammapy_run import gammapy_observation
from daybreak.science.geoms import energy_axes, fill_missing, map_geom
from daybreak.science.irf import fill_empty_bins
from daybreak.science.reduce import reduce_run
from daybreak.science.run_io import read_run, write_run
from daybreak.science.stack import (
    dataset_response,
    run_response,
    stack_runs,
    to_dataset,
    total_counts,
)

from gammapy_reference import compare, gammapy_mask  # isort: skip

LOG_PARABOLA = LogParabolaSpectralModel(
    amplitude="3e-11 cm-2 s-1 TeV-1", reference=1 * u.TeV, alpha=2.4, beta=0.2
)


class Theirs(NamedTuple):
    datasets: Datasets
    stacked: SpectrumDatasetOnOff


@pytest.fixture(scope="module")
def theirs(night) -> Theirs:
    """The same night through nothing but Gammapy."""
    setup = night.setup
    reco, true = energy_axes(setup)
    region = setup.on.region
    empty = SpectrumDataset.create(RegionGeom.create(region, axes=[reco]), energy_axis_true=true)
    mask = gammapy_mask(setup, 6 * u.deg)
    maker = SpectrumDatasetMaker(
        containment_correction=True, selection=["counts", "exposure", "edisp"]
    )
    off_maker = ReflectedRegionsBackgroundMaker(exclusion_mask=mask)
    safe_maker = SafeMaskMaker(methods=["aeff-default"])
    datasets = Datasets()
    for obs in DataStore.from_dir(night.store).get_observations():
        dataset = maker.run(empty.copy(name=str(obs.obs_id)), obs)
        datasets.append(off_maker.run(safe_maker.run(dataset, obs), obs))
    return Theirs(datasets, datasets.stack_reduce(name="theirs"))


def _same(a, b, **tolerance) -> None:
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), **tolerance)


@pytest.mark.peer
def test_each_run_is_what_gammapy_makes_of_it(night, theirs):
    for run, their in zip(night.runs, theirs.datasets, strict=True):
        ours = to_dataset(run, "reflected")
        _same(ours.mask_safe.data, their.mask_safe.data)
        _same(ours.counts.data, their.counts.data)
        _same(ours.alpha.data, their.alpha.data, rtol=1e-12)
        assert np.sum(ours.counts_off.data) == pytest.approx(np.sum(their.counts_off.data), abs=8)
        _same(
            ours.exposure.quantity.to_value("m2 s"),
            their.exposure.quantity.to_value("m2 s"),
            rtol=1e-6,
        )
        axis = ours.counts.geom.axes["energy"]
        _same(
            ours.edisp.get_edisp_kernel(energy_axis=axis).pdf_matrix,
            their.edisp.get_edisp_kernel(energy_axis=axis).pdf_matrix,
            atol=1e-9,
        )
        assert ours.gti.time_sum.to_value("s") == pytest.approx(their.gti.time_sum.to_value("s"))


@pytest.mark.peer
def test_the_stack_is_gammapys_stack(night, theirs):
    ours, their = stack_runs(night.runs, "reflected"), theirs.stacked
    _same(ours.counts.data, their.counts.data)
    _same(ours.alpha.data, their.alpha.data, rtol=1e-6)
    assert np.sum(ours.counts_off.data) == pytest.approx(np.sum(their.counts_off.data), rel=0.005)
    for model in (PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1"), LOG_PARABOLA):
        npred = []
        for dataset in (ours, their):
            dataset.models = [SkyModel(spectral_model=model)]
            npred.append(dataset.npred_signal().data)
        _same(npred[0], npred[1], rtol=2e-3, atol=1e-6)
    ours.models = their.models = None


def test_predicted_counts_are_gammapys(night):
    stacked = stack_runs(night.runs, "reflected")
    for dataset, response in [
        (stacked, dataset_response(stacked)),
        (to_dataset(night.runs[0], "reflected"), run_response(night.runs[0], "reflected")),
    ]:
        for model in (PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1"), LOG_PARABOLA):
            dataset.models = [SkyModel(spectral_model=model)]
            expected = dataset.npred_signal().data.ravel()
            use = response.mask
            _same(response.predicted(model)[use], expected[use], rtol=1e-5, atol=1e-9)
            assert expected[use].sum() > 10


def test_stacking_one_run_changes_nothing(night):
    run = night.runs[0]
    one, alone = stack_runs([run], "reflected"), to_dataset(run, "reflected")
    use = alone.mask_safe.data
    _same(one.counts.data[use], alone.counts.data[use])
    _same(one.alpha.data[use], alone.alpha.data[use])
    ours, theirs = dataset_response(one), run_response(run, "reflected")
    _same(ours.predicted(LOG_PARABOLA)[use.ravel()], theirs.predicted(LOG_PARABOLA)[use.ravel()])


def test_the_counts_add_up(night):
    totals = total_counts(night.runs, "reflected")
    stacked = stack_runs(night.runs, "reflected")
    info = stacked.info_dict()
    assert totals.n_on == info["counts"] and totals.n_off == info["counts_off"]
    assert totals.excess == pytest.approx(info["excess"], rel=1e-6)
    assert totals.excess == pytest.approx(totals.n_on - totals.alpha * totals.n_off)
    assert totals.significance > 10
    parts = [total_counts([run], "reflected") for run in night.runs]
    assert sum(p.n_on for p in parts) == totals.n_on
    assert sum(p.excess for p in parts) == pytest.approx(totals.excess)
    assert totals.excess_error == pytest.approx(np.sqrt(sum(p.excess_error**2 for p in parts)))


@pytest.mark.peer
def test_a_reduction_is_gammapys(night):
    """Counts, responses, OFF regions and maps of each run, point-like and extended."""
    for loaded, run in zip(night.loaded, night.runs, strict=True):
        compare(loaded, run, night.setup)
    wide = replace(
        night.setup,
        on=replace(night.setup.on, radius_deg=0.33),
        extended=True,
        threshold="aeff",
        n_off=2,
    )
    compare(night.loaded[0], reduce_run(night.loaded[0], wide), wide)


@pytest.mark.peer
def test_filling_empty_background_bins_is_gammapys(night):
    loaded = night.loaded[0]
    theirs, _ = gammapy_irfs(loaded.hdus, ["bkg"])["bkg"]
    rng = np.random.default_rng(0)
    holes = np.array(loaded.irfs["bkg"].values)
    holes[rng.random(holes.shape) < 0.3] = 0
    ours = fill_empty_bins(loaded.irfs["bkg"].with_values(holes)).values
    theirs.data, mended = np.array(holes), theirs
    mended.interp_missing_data(axis_name="energy")
    _same(ours, mended.data, rtol=1e-6)
    assert np.count_nonzero(ours == 0) < np.count_nonzero(holes == 0)
    theirs.data = np.array(holes)
    fill_missing(theirs)
    _same(theirs.data, mended.data, rtol=1e-9)


@pytest.mark.peer
def test_the_fov_map_is_gammapys(night):
    """Counts, and the background model scaled to the counts outside the excluded circles."""
    setup, loaded = replace(night.setup, fov_method="scale"), night.loaded[0]
    run = reduce_run(loaded, setup)
    axis = MapAxis.from_energy_bounds(
        run.info["threshold_tev"] * u.TeV, setup.energy_edges_tev[-1] * u.TeV, nbin=8
    )
    geom = map_geom(setup).to_cube([axis])
    maker = MapDatasetMaker(selection=["counts", "background"])
    dataset = maker.run(MapDataset.create(geom, name="fov"), gammapy_observation(loaded))
    safe = SafeMaskMaker(methods=["offset-max"], offset_max=setup.max_offset_deg * u.deg)
    dataset = safe.run(dataset, gammapy_observation(loaded)).to_image(name="image")
    mask = gammapy_mask(setup, geom.width[0].max() + 0.1 * u.deg)
    scaled = FoVBackgroundMaker(method="scale", exclusion_mask=mask).run(dataset)
    assert isinstance(scaled.background_model, FoVBackgroundModel)
    expected = scaled.npred_background().data[0]
    valid = dataset.mask_safe.data[0]
    _same(run.maps["counts"][valid], dataset.counts.data[0][valid])
    _same(run.maps["fov_background"][valid], expected[valid], rtol=2e-3)
    outside = valid & mask.interp_to_geom(dataset.counts.geom.to_image()).data.astype(bool)
    ours = run.maps["fov_background"][outside].sum()
    assert ours == pytest.approx(dataset.counts.data[0][outside].sum(), rel=0.005)


def test_the_background_ratio_is_events_over_model(night):
    """An independent sum over the field, on finer pixels."""
    setup = night.setup
    for run, loaded in zip(night.runs, night.loaded, strict=True):
        observation = gammapy_observation(loaded)
        edges = run.energy_edges_tev
        low = edges[:-1][run.mask_safe].min()
        clear = edges[:-1][run.mask_safe & (edges[:-1] >= 1.2 * low)].min()
        axis = MapAxis.from_energy_edges([*edges[edges >= clear]] * u.TeV)
        pointing = observation.get_pointing_icrs(observation.tmid)
        width = 2 * setup.max_offset_deg
        geom = WcsGeom.create(skydir=pointing, width=width * u.deg, binsz=0.05, axes=[axis])
        model = make_map_background_irf(
            pointing=observation.pointing,
            ontime=observation.observation_time_duration,
            bkg=observation.bkg,
            geom=geom,
            time_start=observation.gti.time_start[0],
            location=observation.observatory_earth_location,
        )

        def used(place, pointing=pointing):
            inside = place.separation(pointing).deg < setup.max_offset_deg
            for circle in setup.exclude:
                inside &= place.separation(circle.center).deg >= circle.radius_deg
            return inside

        expected = (model.data * used(geom.to_image().get_coord().skycoord)).sum()
        events = observation.events
        energy = events.energy.to_value("TeV")
        observed = np.count_nonzero(used(events.radec) & (energy >= clear) & (energy < edges[-1]))
        ratio, error = run.info["background_ratio"], run.info["background_ratio_error"]
        assert ratio == pytest.approx(observed / expected, rel=0.01)
        assert error == pytest.approx(np.sqrt(observed) / expected, rel=0.02)
        assert abs(ratio - 1) < 4 * error, "the simulation draws from this very model"


def test_a_reduced_run_survives_the_disk(night, tmp_path):
    run = night.runs[0]
    write_run(run, tmp_path / "run.fits", {
        "step": "reduce", "config_digest": "0" * 64, "inputs": {}, "versions": {"daybreak": "0"},
    })  # fmt: skip
    again = read_run(tmp_path / "run.fits", maps=True)
    assert again.info == run.info
    for name in vars(run):
        if isinstance(getattr(run, name), np.ndarray):
            assert np.array_equal(getattr(again, name), getattr(run, name)), name
    assert set(again.backgrounds) == set(run.backgrounds) and set(again.maps) == set(run.maps)
    for key, item in run.backgrounds.items():
        for name in vars(item):
            assert np.array_equal(getattr(again.backgrounds[key], name), getattr(item, name))
    assert again.regions[1:] == tuple(
        (kind, type(c)(c.ra_deg, c.dec_deg, c.radius_deg, c.name)) for kind, c in run.regions[1:]
    )
    for name in vars(run.theta2):
        assert np.array_equal(getattr(again.theta2, name), getattr(run.theta2, name))
