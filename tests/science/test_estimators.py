"""Flux points and light curves of the direct solver against Gammapy's estimators."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from gammapy.datasets import Datasets
from gammapy.estimators import FluxPointsEstimator, LightCurveEstimator
from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

from daybreak.science.flux_points import flux_points, point_edges, total_flux
from daybreak.science.lightcurve import (
    energy_selection,
    light_curve,
    minute_intervals,
    night_intervals,
    run_intervals,
)
from daybreak.science.spectrum import fit_models
from daybreak.science.stack import dataset_response, stack_runs, to_dataset

from gammapy_reference import gammapy_mask  # isort: skip

SHAPES = {
    "crab": PowerLawSpectralModel(amplitude="3.45e-11 cm-2 s-1 TeV-1", index=2.6),
    "wrong shape": PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1", index=2.0),
}


def _sky_model(shape) -> SkyModel:
    return SkyModel(spectral_model=shape.copy(), name="source")


def _compare(ours, norm, err, ul, ts, n_on) -> None:
    """Within the tolerance of Gammapy's minimiser.

    Where ON is empty we deviate on purpose. Where OFF is empty too in some bins the statistic can
    have a kink at zero norm; MINUIT stops beside it and takes the kink for curvature.
    """
    kink = np.abs(ours.norm) < 1e-6 * ours.norm_err
    good = (n_on > 0) & np.isfinite(ours.norm) & ~kink
    assert good.sum() >= len(good) - 3 and good.sum() >= 6
    assert (np.abs(ours.norm - norm)[kink] < 0.05 * ours.norm_err[kink]).all()
    sigma = ours.norm_err[good]
    assert np.abs((ours.norm[good] - norm[good]) / sigma).max() < 0.02
    assert np.abs((ours.norm_err[good] - err[good]) / sigma).max() < 0.02
    assert np.abs((ours.norm_ul[good] - ul[good]) / sigma).max() < 0.02
    strong = good & (ts > 25)
    assert strong.any()
    np.testing.assert_allclose(ours.ts[strong], ts[strong], rtol=1e-6)
    np.testing.assert_allclose(ours.ts[good], ts[good], atol=2e-3)


@pytest.mark.peer
@pytest.mark.parametrize("name", SHAPES)
def test_flux_points(night, name):
    shape = SHAPES[name]
    dataset = stack_runs(night.runs, "reflected")
    response = dataset_response(dataset)
    edges = point_edges(response, 5)
    ours = flux_points(response, shape, edges, n_sigma_ul=2)
    dataset.models = [_sky_model(shape)]
    estimator = FluxPointsEstimator(
        energy_edges=edges, source="source", selection_optional=["ul", "errn-errp"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = estimator.run([dataset])
    theirs, dnde_table = points.to_table(sed_type="likelihood"), points.to_table(sed_type="dnde")
    assert len(theirs) == len(edges) - 1
    np.testing.assert_allclose(theirs["e_min"].quantity.to_value("TeV"), ours.e_min_tev, rtol=1e-9)
    np.testing.assert_allclose(theirs["e_max"].quantity.to_value("TeV"), ours.e_max_tev, rtol=1e-9)
    np.testing.assert_allclose(theirs["e_ref"].quantity.to_value("TeV"), ours.e_ref_tev, rtol=1e-9)
    np.testing.assert_allclose(
        theirs["ref_dnde"].quantity.to_value("cm-2 s-1 TeV-1"), ours.ref_dnde, rtol=1e-9
    )
    columns = [np.array(theirs[c], float) for c in ("norm", "norm_err", "norm_ul", "ts")]
    _compare(ours.solved, *columns, ours.n_on)
    good = ours.n_on > 2
    sigma = ours.solved.norm_err[good]
    for side in ("norm_errn", "norm_errp"):
        difference = getattr(ours.solved, side)[good] - np.array(theirs[side], float)[good]
        assert np.abs(difference / sigma).max() < 0.02
    dnde = dnde_table["dnde"].quantity.to_value("cm-2 s-1 TeV-1")[good]
    np.testing.assert_allclose(
        (ours.solved.norm * ours.ref_dnde)[good],
        dnde,
        atol=0.02 * float((sigma * ours.ref_dnde[good]).max()),
    )


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["run", "night"])
def test_light_curves(night, kind):
    shape = SHAPES["crab"]
    intervals = {"run": run_intervals, "night": night_intervals}[kind](night.runs)
    use = energy_selection(night.runs, None, None)
    ours = light_curve(
        night.runs, "reflected", shape, intervals, use, n_sigma_ul=2, bayesian_p0=0.01
    )
    datasets = Datasets([to_dataset(run, "reflected") for run in night.runs])
    for dataset in datasets:
        dataset.mask_safe.data &= use.reshape(dataset.mask_safe.data.shape)
    datasets.models = [_sky_model(shape)]
    margin = 1 / 86_400
    estimator = LightCurveEstimator(
        energy_edges=[ours.e_min_tev, ours.e_max_tev] * u.TeV,
        time_intervals=[
            Time([i.start_mjd - margin, i.stop_mjd + margin], format="mjd", scale="tt")
            for i in intervals
        ],
        source="source",
        selection_optional=["ul"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = estimator.run(datasets)
        table = theirs.to_table(sed_type="flux", format="lightcurve")
    n = len(intervals)
    norm, err, ul, ts = (
        getattr(theirs, name).data.reshape(n) for name in ("norm", "norm_err", "norm_ul", "ts")
    )
    sigma = ours.solved.norm_err
    assert np.abs((ours.solved.norm - norm) / sigma).max() < 0.02
    assert np.abs((ours.solved.norm_err - err) / sigma).max() < 0.02
    assert np.abs((ours.solved.norm_ul - ul) / sigma).max() < 0.02
    np.testing.assert_allclose(ours.solved.ts, ts, rtol=1e-6)
    flux = table["flux"].quantity.to_value("cm-2 s-1").ravel()
    tolerance = 0.02 * float(sigma.max()) * ours.reference_flux
    np.testing.assert_allclose(ours.solved.norm * ours.reference_flux, flux, atol=tolerance)
    counts = np.nansum(np.array(table["counts"], float).reshape(n, -1), axis=1)
    assert counts.tolist() == ours.n_on.tolist()


@pytest.mark.peer
def test_short_bins(night):
    """Five-minute bins against Gammapy on observations cut to these times."""
    from gammapy.data import DataStore
    from gammapy.datasets import SpectrumDataset
    from gammapy.makers import (
        ReflectedRegionsBackgroundMaker,
        SafeMaskMaker,
        SpectrumDatasetMaker,
    )
    from gammapy.maps import RegionGeom

    from daybreak.science.geoms import energy_axes

    shape, setup = SHAPES["crab"], night.setup
    intervals = minute_intervals(night.runs[:1], 4.0 * u.min)
    assert len(intervals) == 3
    use = energy_selection(night.runs[:1], None, None)
    ours = light_curve(
        night.runs[:1], "reflected", shape, intervals, use, n_sigma_ul=2, bayesian_p0=0.01
    )
    obs = DataStore.from_dir(night.store).get_observations([night.runs[0].obs_id])
    reco, true = energy_axes(setup)
    geom = RegionGeom.create(setup.on.region, axes=[reco])
    empty = SpectrumDataset.create(geom, energy_axis_true=true)
    mask = gammapy_mask(setup, 6 * u.deg)
    norms, n_on = [], []
    for item in intervals:
        time = Time([item.start_mjd, item.stop_mjd], format="mjd", scale="tt")
        (part,) = obs.select_time(time)
        maker = SpectrumDatasetMaker(
            containment_correction=True, selection=["counts", "exposure", "edisp"]
        )
        dataset = SafeMaskMaker(methods=["aeff-default"]).run(maker.run(empty.copy(), part), part)
        dataset = ReflectedRegionsBackgroundMaker(exclusion_mask=mask).run(dataset, part)
        dataset.mask_safe.data &= use.reshape(dataset.mask_safe.data.shape)
        dataset.models = [_sky_model(shape)]
        estimator = FluxPointsEstimator(
            energy_edges=[ours.e_min_tev, ours.e_max_tev] * u.TeV,
            source="source",
            selection_optional=[],
        )
        table = estimator.run([dataset]).to_table(sed_type="likelihood")
        norms.append(float(table["norm"][0]))
        n_on.append(float(dataset.counts.data[dataset.mask_safe.data].sum()))
    assert ours.n_on.tolist() == n_on
    difference = (ours.solved.norm - np.array(norms)) / ours.solved.norm_err
    assert np.abs(difference).max() < 0.05, "OFF counts differ by events at the regions' edges"


def test_light_curve_bins_add_up(night):
    shape = SHAPES["crab"]
    use = energy_selection(night.runs, None, None)
    kinds = (
        run_intervals(night.runs),
        night_intervals(night.runs),
        minute_intervals(night.runs, 5 * u.min),
        minute_intervals(night.runs, 60 * u.s),
        minute_intervals(night.runs, 1000 * u.min),
    )
    curves = [
        light_curve(night.runs, "reflected", shape, k, use, n_sigma_ul=2, bayesian_p0=0.01)
        for k in kinds
    ]
    per_run = curves[0]
    for curve in curves:
        assert curve.n_on.sum() == per_run.n_on.sum()
        assert curve.n_off.sum() == per_run.n_off.sum()
        assert curve.livetime_s.sum() == pytest.approx(per_run.livetime_s.sum(), rel=1e-6)
        assert len({len(v) for v in (curve.n_on, curve.intervals, curve.solved.norm)}) == 1
    assert [len(c.intervals) for c in curves] == [3, 1, 6, 36, 3]
    v = curves[3].variability
    assert v.p_value > 1e-3 and v.dof == 35, "a steady source"
    expected = shape.integral(per_run.e_min_tev * u.TeV, per_run.e_max_tev * u.TeV)
    pull = (v.constant - expected.to_value("cm-2 s-1")) / v.constant_error
    assert abs(pull) < 4


def test_energy_ranges_snap_to_bins(night):
    runs = night.runs
    everything = energy_selection(runs, None, None)
    edges = runs[0].energy_edges_tev
    use = energy_selection(runs, 1.0 * u.TeV, 10_000 * u.GeV)
    assert (use <= everything).all()
    low, high = edges[:-1][use][0], edges[1:][use][-1]
    width = edges[1] / edges[0]
    assert abs(np.log(low / 1.0)) <= np.log(width) / 2 + 1e-9
    assert abs(np.log(high / 10.0)) <= np.log(width) / 2 + 1e-9
    assert not energy_selection(runs, 200.0 * u.TeV, 300.0 * u.TeV).any()


def test_the_injected_spectrum_is_found(night):
    dataset = stack_runs(night.runs, "reflected")
    response = dataset_response(dataset)
    fits = fit_models(
        dataset,
        response,
        ("pl", "lp", "ecpl"),
        reference=1 * u.TeV,
        start_index=2.2,
        choice_sigma=3,
    )
    assert fits.chosen == "pl" and fits.best.success
    pl = fits.best.model
    for parameter, truth in ((pl.amplitude, 3.45e-11), (pl.index, 2.6)):
        assert abs(parameter.value - truth) < 3.5 * parameter.error
    assert {f.name for f in fits.fits} == {"pl", "lp", "ecpl"}
    assert all(f.stat <= fits.fits[0].stat + 0.01 for f in fits.fits[1:])
    total = total_flux(response, pl, n_sigma_ul=2, min_off=0)
    assert total["flux"] < total["flux_ul"]
    expected = pl.integral(total["e_min_tev"] * u.TeV, total["e_max_tev"] * u.TeV)
    assert total["flux"] == pytest.approx(expected.to_value("cm-2 s-1"), rel=0.02)
