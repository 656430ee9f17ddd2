"""The three-dimensional fit finds what was injected, and chooses the right shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose

from daybreak.errors import RunDataError
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science.cube import CubeSetup, run_cube
from daybreak.science.dl3.files import HduLocation
from daybreak.science.fit3d import Fit3D, choose, fit_cubes, prepare, spatial_model
from daybreak.science.observation import load_run
from daybreak.science.residuals import cash_significance, residuals
from daybreak.simulate import Field, Source, Spectrum, simulate_store

PLACE = SkyCoord(83.70, 22.10, unit="deg")
TARGET = SkyCoord(83.63, 22.01, unit="deg")
AMPLITUDE = 6e-11 / (u.cm**2 * u.s * u.TeV)
MODELS = ("point", "disk", "gauss")


def cubes(tmp_path_factory, source):
    """Cubes of four short runs on a source that is not where the target is said to be."""
    store = tmp_path_factory.mktemp(source.shape) / "store"
    field = Field("Somewhere", TARGET, [source], n_runs=4, ontime=12 * u.min, wobble=0.6 * u.deg)
    simulate_store(store, [field], seed=11, sampler="direct")
    request = analysis_request(
        "83.63 22.01",
        store=store,
        out=store.parent / "out",
        options={
            "regions": {"on_radius": "0.3 deg", "exclude_known": False},
            "fit3d": {"enabled": True, "pixel": "0.03 deg", "width": "3 deg"},
        },
    )
    steps = first_stage(request).plan.steps
    made = []
    for step in (s for s in steps if s.name.startswith("cube-")):
        hdus = {
            h["kind"]: HduLocation(h["kind"], h["hdu_class"], step.inputs["files"][0], h["hdu"])
            for h in step.params["hdus"]
        }
        setup = CubeSetup.from_dict(step.params["cube"])
        made.append(run_cube(load_run(step.params["obs_id"], hdus), setup, 0.3, None))
    return made, setup


def fitted(tmp_path_factory, source, models=MODELS):
    made, setup = cubes(tmp_path_factory, source)
    datasets = prepare(made, setup.exclude[1:], stack=True)
    fits = fit_cubes(
        datasets,
        setup.on,
        models,
        spectrum="pl",
        reference=1 * u.TeV,
        start_index=2.5,
        start_size=0.1 * u.deg,
        choice_sigma=3.0,
    )
    return fits, residuals(datasets, 0.1 * u.deg)


def pulls(fit: Fit3D, truth: dict[str, float]) -> dict[str, float]:
    found = {}
    for name, value in truth.items():
        parameter = fit.model.parameters[name]
        found[name] = (parameter.value - value) / parameter.error
    return found


@pytest.mark.slow
def test_an_extended_source_is_found_with_place_size_and_spectrum(tmp_path_factory):
    spectrum = Spectrum(amplitude=AMPLITUDE, index=2.4, reference=1 * u.TeV)
    source = Source("blob", PLACE, spectrum, shape="gaussian", size=0.15 * u.deg)
    fits, left = fitted(tmp_path_factory, source)
    assert fits.chosen == "gauss" and fits.best.success
    truth = {"lon_0": 83.70, "lat_0": 22.10, "sigma": 0.15, "index": 2.4, "amplitude": 6e-11}
    off = pulls(fits.best, truth)
    assert max(map(abs, off.values())) < 3, off
    assert fits.ts(fits.best) > 200 and fits.ts_extension(fits.best) > 25
    assert left.width == pytest.approx(1.0, abs=0.12) and abs(left.mean) < 0.15
    assert left.source.sum() > 0 and np.nanmax(np.abs(left.significance)) < 6


@pytest.mark.slow
def test_a_point_source_is_not_called_extended(tmp_path_factory):
    spectrum = Spectrum(amplitude=AMPLITUDE, index=2.6, reference=1 * u.TeV)
    fits, _ = fitted(tmp_path_factory, Source("star", PLACE, spectrum), ("point", "gauss"))
    assert fits.chosen == "point", fits.choice
    off = pulls(fits.best, {"lon_0": 83.70, "lat_0": 22.10, "index": 2.6, "amplitude": 6e-11})
    assert max(map(abs, off.values())) < 3, off


def fake(name: str, stat: float, n_free: int, success: bool = True) -> Fit3D:
    return Fit3D(name, None, (), stat, n_free, n_free - 2, success, "", (), np.eye(n_free))


def test_the_choice_wants_a_significant_extension():
    point, disk, gauss = fake("point", 100, 6), fake("disk", 92, 7), fake("gauss", 93, 7)
    name, why = choose([point, disk, gauss], 3.0)
    assert name == "point" and "2.8 sigma only" in why
    assert choose([point, disk, gauss], 2.5)[0] == "disk"
    assert choose([point, replace(disk, success=False), gauss], 2.5)[0] == "gauss"
    assert choose([gauss, disk], 3.0)[0] == "disk"
    assert choose([point, replace(disk, success=False)], 3.0)[0] == "point"


def test_start_models_stay_near_the_target(night):
    on = replace(night.setup.on, dec_deg=-60.0)
    for name in MODELS:
        model = spatial_model(name, on, 0.1 * u.deg)
        edge = SkyCoord(model.lon_0.max, -60.0, unit="deg")
        assert edge.separation(on.center).deg == pytest.approx(0.5, rel=1e-3)


def test_the_cash_significance_is_zero_where_counts_are_as_expected():
    found = cash_significance(np.array([4.0, 0.0, 9.0, 1.0]), np.array([4.0, 2.0, 4.0, 0.0]))
    # 2 (b - n + n ln(n / b)): 4 for n = 0, b = 2; 2 (-5 + 9 ln(9 / 4)) for n = 9, b = 4
    assert_allclose(found[:3], [0.0, -2.0, np.sqrt(2 * (-5 + 9 * np.log(9 / 4)))])
    assert np.isnan(found[3])


def test_a_run_without_psf_is_refused_with_a_reason(night):
    setup = CubeSetup(
        on=night.setup.on,
        exclude=night.setup.exclude,
        width_deg=2.0,
        pixel_deg=0.1,
        energy_edges_tev=tuple(np.geomspace(0.3, 30, 5)),
        true_edges_tev=tuple(np.geomspace(0.2, 50, 7)),
        max_offset_deg=2.0,
    )
    run = night.loaded[0]
    kept = {
        name: {k: v for k, v in getattr(run, name).items() if k != "psf"}
        for name in ("hdus", "irfs")
    }
    without = replace(run, **kept)
    with pytest.raises(RunDataError, match="no psf"):
        run_cube(without, setup, 0.3, None)
    with pytest.raises(RunDataError, match="nothing above its threshold"):
        run_cube(run, setup, 100.0, None)
