"""The systematic error of the background: scatter beyond counts, and what it does to a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from daybreak.products.provenance import provenance
from daybreak.science.null import NullField, null_regions
from daybreak.science.run import NullRegions
from daybreak.science.run_io import read_run, write_run
from daybreak.science.spectrum import fit_models
from daybreak.science.stack import dataset_response, stack_runs
from daybreak.science.systematics import background_scatter, deviation, parameter_shifts


def test_scatter_of_counts_alone_is_no_systematic_error():
    rng = np.random.default_rng(3)
    sizes = [deviation(rng.normal(0, 0.02, 10), np.full(10, 4e-4)) for _ in range(300)]
    # unseen: sqrt(2 / 10) of the variance, so about two thirds of the error of one region
    assert np.mean([d.measured for d in sizes]) < 0.3
    assert np.mean([d.size for d in sizes]) < 0.02
    assert np.mean([d.expected_rms for d in sizes]) == pytest.approx(0.02)


def test_a_true_scatter_is_found():
    rng = np.random.default_rng(4)
    values = rng.normal(0, 0.05, 400) + rng.normal(0, 0.02, 400)
    found = deviation(values, np.full(400, 4e-4))
    assert found.measured and found.size == pytest.approx(0.05, rel=0.1)
    bias = deviation(0.04 + rng.normal(0, 0.002, 50), np.full(50, 4e-6))
    assert bias.size == pytest.approx(0.04, rel=0.05)  # about zero, not about the mean


def _with_null(run, norm, tilt, rng):
    """Null regions whose counts are (1 + a + b ln E) times a prediction, E0 near 1 TeV."""
    edges = run.energy_edges_tev
    log_energy = np.log(np.sqrt(edges[:-1] * edges[1:]))
    expected = 4000 * run.mask_safe * np.exp(-1.5 * log_energy)
    expected = np.where(run.mask_safe, 20_000 * expected / expected.sum(), 0.0)
    rows = np.array([expected * (1 + norm + tilt * log_energy)] * 9)
    counts = rng.poisson(rows).astype(float)
    prediction = np.array([expected] * 9)
    null = NullRegions(
        30.0 * np.arange(2, 11), counts, {"fov": prediction}, {"fov": 50 * prediction}
    )
    return replace(run, null=null)


def test_norm_and_tilt_are_measured(night):
    rng = np.random.default_rng(6)
    runs = [_with_null(run, 0.04, -0.05, rng) for run in night.runs]
    found = background_scatter(runs, "fov")
    at_one_tev = found.norm.mean - found.tilt.mean * np.log(found.reference_tev)
    assert found.tilt.mean == pytest.approx(-0.05, abs=4 * found.tilt.mean_error)
    assert at_one_tev == pytest.approx(0.04, abs=0.01)
    assert found.norm.n == 9 and found.per_run.n == 27
    assert background_scatter(runs, "reflected") is None
    assert background_scatter([replace(run, null=None) for run in runs], "fov") is None


def test_null_regions_of_a_true_model_agree_with_it(night):
    """Simulated runs: counts over prediction is 1 within the counts, by both methods."""
    for method in ("fov", "reflected"):
        counts = expected = variance = 0.0
        for run in night.runs:
            null, use = run.null, run.mask_safe
            n, b = null.counts[:, use].sum(), null.expected[method][:, use].sum()
            off = null.off_counts[method][:, use]
            alpha = np.divide(null.expected[method][:, use], off, out=0 * off, where=off > 0)
            counts, expected = counts + n, expected + b
            # regions overlap by about half: the variance is up to twice Poisson's
            variance += 2 * (b + (alpha**2 * off).sum())
        assert abs(counts - expected) < 3 * np.sqrt(variance)


def test_null_regions_keep_off_what_is_excluded():
    y, x = np.mgrid[-2:2.01:0.1, -2:2.01:0.1]
    used = (np.hypot(x, y) < 2) & (np.hypot(x - 0.5, y) > 0.4)
    counts = np.where(used, 2.0, 1000.0)[None]
    field = NullField(counts, np.ones_like(counts), x, y, used, np.array([True]), np.array([1.0]))
    found = null_regions(field, (0.5, 0.0), 0.3, 0.4, None)
    assert_allclose(found.expected["fov"], found.counts, rtol=1e-12)  # 2 in each pixel
    assert_allclose([found.angles_deg.min(), found.angles_deg.max()], [60, 300])
    assert null_regions(field, (0.05, 0.0), 0.3, 0.4, None) is None
    nowhere = replace(field, used=np.zeros_like(used))
    assert null_regions(nowhere, (0.5, 0.0), 0.3, 0.4, None) is None


def test_null_regions_survive_writing_and_reading(night, tmp_path):
    path = tmp_path / "run.fits"
    write_run(night.runs[0], path, provenance("reduce", "", {}))
    back = read_run(path).null
    assert_allclose(back.counts, night.runs[0].null.counts)
    assert_allclose(back.expected["fov"], night.runs[0].null.expected["fov"])
    assert_allclose(back.off_counts["reflected"], night.runs[0].null.off_counts["reflected"])


def test_more_background_means_less_flux_by_what_it_takes_of_the_excess(night):
    runs = [_with_null(run, 0.0, 0.0, np.random.default_rng(8)) for run in night.runs]
    scatter = background_scatter(runs, "fov")
    part = replace(scatter.norm, size=0.1)
    scatter = replace(scatter, norm=part, tilt=replace(scatter.tilt, size=1e-9))
    dataset = stack_runs(runs, "fov")
    response = dataset_response(dataset)
    reference = {"reference": 1.0 * u.TeV, "start_index": 2.6, "choice_sigma": 3.0}
    best = fit_models(dataset, response, ("pl",), **reference).best.model
    table = parameter_shifts(runs, "fov", best.to_dict(full_output=True), scatter)
    rows = {row["parameter"]: row for row in table}
    assert rows["amplitude"]["syst_norm"] < 0
    assert rows["amplitude"]["syst"] >= abs(rows["amplitude"]["syst_tilt"])
    # the weighting of the fit is not that of the sum: a factor 2 is left to it
    background = (response.alpha * response.n_off)[response.mask].sum()
    excess = response.n_on[response.mask].sum() - background
    change = -rows["amplitude"]["syst_norm"] / rows["amplitude"]["value"]
    assert 0.5 < change / (0.1 * background / excess) < 2
    assert rows["amplitude"]["value"] == pytest.approx(best.amplitude.value, rel=1e-2)
