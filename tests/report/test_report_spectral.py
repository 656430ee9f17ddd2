from __future__ import annotations

import numpy as np
import pytest

from daybreak.report.analysis import spectral
from daybreak.report.common.tables import ResultTables


def test_integral_of_a_power_law_is_the_closed_form():
    values = {"amplitude": 3e-11, "index": 2.6, "reference": 1.0}
    exact = 3e-11 / 1.6 * (1 - 100**-1.6)
    assert spectral.integral("pl", values, 1, 100) == pytest.approx(exact, rel=2e-4)


def test_curved_models_reduce_to_the_power_law():
    energy = np.geomspace(0.5, 20, 7)
    law = spectral.dnde("pl", energy, {"amplitude": 1e-11, "index": 2.4, "reference": 2})
    bent = {"amplitude": 1e-11, "alpha": 2.4, "beta": 0.0, "reference": 2}
    cut = {"amplitude": 1e-11, "index": 2.4, "lambda_": 0.0, "reference": 2}
    assert spectral.dnde("lp", energy, bent) == pytest.approx(law)
    assert spectral.dnde("ecpl", energy, cut) == pytest.approx(law)


def test_crab_flux_above_1_tev_is_the_published_one():
    # Aharonian et al. 2006 give (2.26 +- 0.08) x 1e-11 for this fit
    assert spectral.crab_flux(1, 100) == pytest.approx(2.26e-11, abs=0.08e-11)


def test_error_of_the_integral_matches_random_draws(make):
    entry = spectral.chosen_model(ResultTables(make("crab").results))
    found = spectral.integral_flux(entry, 1.0)
    values = {p["name"]: p["value"] for p in entry["parameters"]}
    names = entry["fit"]["parameters"]
    rng = np.random.default_rng(5)
    draws = rng.multivariate_normal(
        np.zeros(2), np.array(entry["fit"]["covariance"]) * np.outer(*[[1e12, 1]] * 2), 2000
    )
    draws[:, 0] *= 1e-12
    assert names == ["amplitude", "index"]
    fluxes = []
    for draw in draws:
        moved = {name: values[name] + step for name, step in zip(names, draw, strict=True)}
        fluxes.append(spectral.integral("pl", values | moved, 1, 100))
    assert found["flux_err"] == pytest.approx(np.std(fluxes), rel=0.08)


def test_frozen_parameters_leave_the_covariance():
    fit = {"parameters": ["index", "reference"], "covariance": [[0.01, 0.0], [0.0, 0.0]]}
    assert spectral._free_only(fit, {"index"}) == {"parameters": ["index"], "covariance": [[0.01]]}
