"""The surface that bends a background model to a run: recovered, held back, and harmless."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose

from daybreak.science.reduce import reduce_run
from daybreak.science.sphere import offsets_deg
from daybreak.science.stack import total_counts
from daybreak.science.surface import PRIOR, Surface, disk_points, fit_surface

TRUTH = Surface((0.06, -0.08, 0.05, 0.02, 0.05, -0.04), reference_tev=0.8)
ENERGY = np.geomspace(0.5, 8, 13)


def pixels() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[-2:2.01:0.1, -2:2.01:0.1]
    inside = (np.hypot(x, y) < 2) & (np.hypot(x - 0.5, y) > 0.5)
    return x[inside], y[inside]


def model(n_events: float) -> np.ndarray:
    x, y = pixels()
    flat = ENERGY[:, None] ** -1.7 * np.exp(-0.5 * (x**2 + y**2) / 1.2**2)
    return n_events * flat / flat.sum()


def test_offsets_are_those_of_a_sky_offset_frame():
    pointing = SkyCoord(228.6, -59.8, unit="deg")
    place = SkyCoord([228.6, 231.0, 226.0], [-59.8, -58.9, -61.2], unit="deg")
    frame = place.transform_to(pointing.skyoffset_frame())
    east, north = offsets_deg(place.ra.deg, place.dec.deg, 228.6, -59.8)
    assert_allclose(east, frame.lon.wrap_at("180d").deg, atol=1e-9)
    assert_allclose(north, frame.lat.deg, atol=1e-9)


def test_an_injected_surface_is_found_within_its_errors():
    """200 toy runs: pulls of mean 0 and width 1 for each coefficient (prior far away)."""
    x, y = pixels()
    rng = np.random.default_rng(5)
    expected = model(30_000) * TRUTH(x, y, ENERGY)
    pulls = []
    for _ in range(200):
        found = fit_surface(rng.poisson(expected).astype(float), model(1.0), ENERGY, x, y)
        shift = np.log(found.reference_tev / TRUTH.reference_tev)
        true = np.array(TRUTH.coefficients)
        true[:3] += shift * true[3:]
        pulls.append((np.array(found.coefficients) - true) / found.errors)
    pulls = np.array(pulls)
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(200)
    assert np.abs(pulls.std(axis=0) - 1).max() < 4 / np.sqrt(400)


def test_the_height_of_the_model_does_not_matter():
    x, y = pixels()
    counts = np.random.default_rng(1).poisson(model(5000)).astype(float)
    tilted = 7.0 * ENERGY[:, None] ** 0.4 * model(1.0)
    one, other = (fit_surface(counts, m, ENERGY, x, y) for m in (model(1.0), tilted))
    assert_allclose(one.coefficients, other.coefficients, atol=1e-6)


def test_few_events_leave_the_model_as_it_is():
    x, y = pixels()
    nothing = np.zeros((len(ENERGY), len(x)))
    assert fit_surface(nothing, model(1.0), ENERGY, x, y) == Surface()
    few = np.random.default_rng(2).poisson(model(8.0)).astype(float)
    found = fit_surface(few, model(1.0), ENERGY, x, y)
    assert np.all(np.abs(found.coefficients) < 2 * np.array(PRIOR))
    assert np.all(np.isfinite(found.coefficients)) and np.all(np.array(found.errors) <= PRIOR)


def test_points_of_a_disk_have_its_moments():
    x, y = disk_points(0.4, -0.2, 0.6, 2000)
    assert_allclose([x.mean(), y.mean()], [0.4, -0.2], atol=2e-3)
    assert np.mean((x - 0.4) ** 2 + (y + 0.2) ** 2) == pytest.approx(0.36 / 2, rel=2e-3)


@pytest.mark.parametrize("radius", [0.1, 0.4])
def test_where_the_model_is_right_the_surface_changes_little(night, radius):
    """The simulated background is its IRF: both methods agree within the statistics of the fit."""
    on = replace(night.setup.on, radius_deg=radius)
    exclude = (replace(night.setup.exclude[0], radius_deg=radius + 0.3),)
    alphas = {}
    for method in ("scale", "surface"):
        setup = replace(night.setup, on=on, exclude=exclude, extended=radius > 0.2, maps=None,
                        background="fov", fov_method=method)  # fmt: skip
        runs = [reduce_run(run, setup) for run in night.loaded]
        counts = total_counts(runs, "fov")
        alphas[method] = counts.alpha
        assert all((run.info.get("fov_surface") is None) == (method == "scale") for run in runs)
    # some 4000 events outside: three parameters known to a few per cent
    assert alphas["surface"] == pytest.approx(alphas["scale"], rel=0.12)
    assert alphas["surface"] != alphas["scale"]


def test_a_model_that_is_wrong_is_mended(night):
    """Background models with a false slope: the surface gives the true one's alpha back."""
    setup = replace(night.setup, maps=None, background="fov", fov_method="surface")
    true = reduce_run(night.loaded[0], setup).backgrounds["fov"]
    run = night.loaded[0]
    bkg = run.irfs["bkg"]
    lat = bkg.axis("fov_lat").nodes  # the first run points north
    sloped = bkg.with_values(bkg.values * np.exp(0.15 * lat)[None, None, :])
    bent = replace(run, irfs=run.irfs | {"bkg": sloped})
    mended = reduce_run(bent, setup).backgrounds["fov"]
    wrong = reduce_run(bent, replace(setup, fov_method="scale")).backgrounds["fov"]
    use = true.acceptance_off > 0

    def alpha(background):
        share = background.acceptance_on[use] / background.acceptance_off[use]
        return float((share * true.counts_off[use]).sum() / true.counts_off[use].sum())

    assert alpha(mended) == pytest.approx(alpha(true), rel=0.01)
    assert abs(alpha(wrong) / alpha(true) - 1) > 0.03
