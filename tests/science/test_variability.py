"""Is it constant? By hand, and on made-up light curves of known truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from daybreak.science.norm import NormProblem, solve
from daybreak.science.variability import blocks, fractional_variability, variability


class Span(NamedTuple):
    start_mjd: float
    stop_mjd: float


def _spans(n: int, start: float = 53900.0, width: float = 0.01) -> list[Span]:
    return [Span(start + i * width, start + (i + 1) * width) for i in range(n)]


def _curve(rng, flux, background: float = 5.0, alpha: float = 0.1):
    """Counts of a light curve with these expected signal counts per bin; reference 1e-11."""
    n = len(flux)
    n_on = rng.poisson(np.asarray(flux) + background).astype(float)
    n_off = rng.poisson(background / alpha, n).astype(float)
    p = NormProblem(n_on, n_off, np.full(n, alpha), np.ones(n), np.arange(n), n)
    return p, solve(p)


def test_fvar_by_hand():
    """Fluxes 1, 2, 3, 2 with errors 0.1: S² = 2/3, mean 2, Fvar = sqrt(2/3 - 0.01) / 2."""
    fvar, error = fractional_variability(np.array([1.0, 2, 3, 2]), np.full(4, 0.1))
    assert fvar == pytest.approx(np.sqrt(2 / 3 - 0.01) / 2, rel=1e-12)
    first = np.sqrt(1 / 8) * 0.01 / (4 * fvar)
    second = np.sqrt(0.01 / 4) / 2
    assert error == pytest.approx(np.hypot(first, second), rel=1e-12)


def test_fvar_is_undefined_without_excess_scatter():
    for flux, error in (
        ([1.0, 1.0, 1.0], 0.1),
        ([1.0], 0.1),
        ([], 0.1),
        ([-1.0, 1.0, -2.0], 0.1),
        ([1.0, 1.1], 10.0),
    ):
        values = fractional_variability(np.array(flux), np.full(len(flux), error))
        assert np.isnan(values).all()


def test_fvar_finds_the_injected_one():
    rng = np.random.default_rng(2)
    found, errors = [], []
    for _ in range(200):
        truth = rng.normal(10, 3, 40)
        fvar, error = fractional_variability(truth + rng.normal(0, 1, 40), np.full(40, 1.0))
        found.append(fvar)
        errors.append(error)
    assert np.mean(found) == pytest.approx(0.3, abs=0.01)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=20), st.floats(1e-13, 1e3))
def test_fvar_does_not_depend_on_the_unit(flux, unit):
    flux, error = np.array(flux), np.full(len(flux), 0.05)
    one, two = (
        fractional_variability(flux, error),
        fractional_variability(flux * unit, error * unit),
    )
    assert one == pytest.approx(two, rel=1e-6, nan_ok=True)


def test_chi2_of_a_constant_is_a_chi2():
    rng = np.random.default_rng(4)
    p_values, chi2 = [], []
    for _ in range(300):
        p, solved = _curve(rng, np.full(8, 30.0))
        v = variability(p, solved, _spans(8), 1e-11, 0.01)
        assert v.dof == 7
        p_values.append(v.p_value)
        chi2.append(v.chi2)
        assert v.constant == pytest.approx(3e-10, abs=6 * v.constant_error)
    assert np.mean(chi2) == pytest.approx(7, abs=4 * np.sqrt(14 / 300))
    assert kstest(p_values, "uniform").pvalue > 1e-3


def test_a_flare_is_not_constant():
    rng = np.random.default_rng(6)
    flux = np.r_[np.full(10, 20.0), np.full(5, 100.0), np.full(10, 20.0)]
    p, solved = _curve(rng, flux)
    v = variability(p, solved, _spans(25), 1e-11, 0.01)
    assert v.p_value < 1e-20 and v.fvar > 5 * v.fvar_error
    assert len(v.blocks) == 3
    assert v.blocks[1].start_mjd == pytest.approx(53900.1)
    assert v.blocks[1].stop_mjd == pytest.approx(53900.15)
    for block, truth in zip(v.blocks, (20, 100, 20), strict=True):
        assert block.flux == pytest.approx(truth * 1e-11, abs=5 * block.flux_err)


def test_one_bin_has_no_chi2():
    rng = np.random.default_rng(7)
    p, solved = _curve(rng, [30.0])
    v = variability(p, solved, _spans(1), 1e-11, 0.01)
    assert v.dof == 0 and np.isnan([v.chi2, v.p_value, v.fvar]).all() and v.blocks == ()


def test_blocks_of_a_constant_are_one():
    rng = np.random.default_rng(9)
    counts = []
    for _ in range(60):
        flux = rng.normal(5, 1, 30)
        made = blocks(flux, np.ones(30), np.ones(30, bool), _spans(30), 0.01)
        counts.append(len(made))
    assert np.mean(np.array(counts) > 1) < 0.15


def test_blocks_cover_the_data_in_order():
    rng = np.random.default_rng(10)
    spans = _spans(20)
    order = rng.permutation(20)
    flux = np.where(np.arange(20) < 10, 1.0, 9.0)[order]
    good = np.ones(20, bool)
    good[3] = False
    made = blocks(flux, np.full(20, 0.3), good, [spans[i] for i in order], 0.01)
    assert len(made) == 2
    assert made[0].start_mjd == pytest.approx(min(spans[i].start_mjd for i in order[good]))
    assert made[-1].stop_mjd == pytest.approx(max(spans[i].stop_mjd for i in order[good]))
    assert made[0].flux == pytest.approx(1.0) and made[1].flux == pytest.approx(9.0)


def test_too_few_points_have_no_blocks():
    ones = np.ones(3)
    assert blocks(ones, ones, np.array([True, True, False]), _spans(3), 0.01) == ()
    zero = np.zeros(4)
    assert len(blocks(zero, np.ones(4), np.ones(4, bool), _spans(4), 0.01)) == 1


def test_bins_without_on_counts_do_not_break_it():
    n = 6
    n_on = np.array([0.0, 20, 0, 30, 25, 0])
    p = NormProblem(n_on, np.full(n, 20.0), np.full(n, 0.1), np.ones(n), np.arange(n), n)
    v = variability(p, solve(p), _spans(n), 1e-11, 0.01)
    assert np.isfinite([v.constant, v.chi2, v.p_value]).all() and v.p_value < 1e-5
    nothing = NormProblem(
        np.zeros(n), *(vars(p)[k] for k in ("n_off", "alpha", "signal", "group")), n
    )
    v = variability(nothing, solve(nothing), _spans(n), 1e-11, 0.01)
    assert v.constant == 0 and v.chi2 == 0 and v.blocks == ()
