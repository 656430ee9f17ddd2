"""Two MAGIC Crab runs with point-like responses and an energy-dependent ON radius."""

from __future__ import annotations

import numpy as np
import pytest

import daybreak

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def crab(magic_store, tmp_path_factory):
    return daybreak.analyse(
        "Crab",
        store=magic_store,
        out=tmp_path_factory.mktemp("magic") / "out",
        settings=["spectrum.reference=1 TeV", "regions.n_off=3"],
        options={"engine": {"workers": 2}},
        strict=True,
    )


def test_both_runs_with_three_off_regions(crab):
    runs = crab.table("runs")
    assert sorted(runs["obs_id"]) == [5029747, 5029748]
    assert list(runs["n_off_regions"]) == [3, 3]
    counts = crab.results["counts"]
    assert counts["alpha"] == pytest.approx(1 / 3)
    assert counts["significance"] > 25
    assert crab.results["instrument"] == "magic"


def test_the_on_region_is_the_irfs(crab):
    results = crab.results
    assert results["on_radius_deg"] is None and "RAD_MAX" in results["on_region"]
    assert results["maps"] is None
    assert any("no sky maps" in note for note in results["notes"])


def test_the_log_parabola_is_the_published_one(crab):
    """At 1 TeV phi = (4.29 +- 0.34)e-11 cm-2 s-1 TeV-1, alpha = 2.58; beta there is for log10."""
    spectrum = crab.results["spectrum"]
    (model,) = (m for m in spectrum["models"] if m["model"] == "lp")
    fit = {p["name"]: (p["value"], p["error"]) for p in model["parameters"]}
    assert spectrum["chosen"] == "lp"
    assert abs(fit["amplitude"][0] - 4.29e-11) < 0.34e-11
    assert fit["amplitude"][1] == pytest.approx(0.34e-11, rel=0.2)
    assert abs(fit["alpha"][0] - 2.58) < fit["alpha"][1]
    beta_log10 = fit["beta"][0] * np.log(10)
    assert 0.1 < beta_log10 < 0.8


def test_by_default_all_off_regions_that_fit_are_used(crab, magic_store, tmp_path):
    """Four circles of the largest RAD_MAX above the threshold fit around the pointing."""
    off = ["maps.enabled=false", "lightcurve.enabled=false", "spectrum.reference=1 TeV"]
    more = daybreak.analyse("Crab", store=magic_store, out=tmp_path / "out", settings=off)
    assert list(more.table("runs")["n_off_regions"]) == [4, 4]
    assert more.results["counts"]["n_on"] == crab.results["counts"]["n_on"]
    assert more.results["counts"]["alpha"] == pytest.approx(1 / 4)
    three, four = (
        {p["name"]: p["value"] for m in r.results["spectrum"]["models"] if m["model"] == "lp"
         for p in m["parameters"]}
        for r in (crab, more)
    )  # fmt: skip
    assert four["amplitude"] == pytest.approx(three["amplitude"], abs=0.34e-11)


def test_the_excess_below_the_threshold_is_told_with_its_fit(crab):
    (note,) = (n for n in crab.results["notes"] if "leaves out bins" in n)
    assert "ON and" in note and "without them phi" in note and "with them phi" in note


def test_light_curve_and_flux_points(crab):
    curve = crab.table("lightcurve_run")
    assert len(curve) == 2 and curve.meta["p_value"] > 0.01
    points = crab.table("flux_points")
    good = np.array(points["sqrt_ts"]) > 3
    pulls = (np.array(points["norm"]) - 1)[good] / np.array(points["norm_err"])[good]
    assert good.sum() >= 6 and np.abs(pulls).max() < 3
