"""The direct solver against SciPy and Gammapy, and what must hold for any counts."""

from __future__ import annotations

import numpy as np
import pytest
from gammapy.stats import wstat as gammapy_wstat
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.special import chdtr

from daybreak.science.norm import (
    NormProblem,
    merge_sparse,
    profiled_background,
    solve,
    wstat,
)


def _problem(n_on, n_off, alpha, signal, group=None) -> NormProblem:
    n_on = np.atleast_1d(np.asarray(n_on, dtype=float))
    n_off, alpha, signal = (
        np.broadcast_to(np.asarray(x, dtype=float), n_on.shape) for x in (n_off, alpha, signal)
    )
    group = np.zeros(n_on.size, dtype=np.intp) if group is None else np.asarray(group)
    return NormProblem(n_on, n_off, alpha, signal, group, int(group.max(initial=0)) + 1)


def _stat(p: NormProblem, norm: float) -> float:
    return float(np.sum(wstat(p.n_on, p.n_off, p.alpha, norm * p.signal)))


_counts = st.integers(0, 60)
_bins = st.tuples(
    _counts,
    st.integers(0, 300),
    st.floats(0.01, 1.5),
    st.one_of(st.just(0.0), st.floats(1e-3, 200.0)),
)


@st.composite
def problems(draw, max_bins: int = 8) -> NormProblem:
    rows = draw(st.lists(_bins, min_size=1, max_size=max_bins))
    return _problem(*np.array(rows, dtype=float).T)


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 2000), st.floats(0.01, 2), st.floats(0, 500)),
        min_size=1,
        max_size=20,
    )
)
def test_the_statistic_is_gammapys(rows):
    n_on, n_off, alpha, signal = np.array(rows, dtype=float).T
    ours = wstat(n_on, n_off, alpha, signal)
    theirs = gammapy_wstat(n_on=n_on, n_off=n_off, alpha=alpha, mu_sig=signal)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-7)


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0.05, 2), st.floats(-30, 30))
def test_the_background_is_the_most_likely_one(n_on, n_off, alpha, signal):
    def stat(background: float) -> float:
        on, off = signal + background, background / alpha
        if on < 0 or off < 0 or (on == 0 and n_on) or (off == 0 and n_off):
            return np.inf
        return 2 * (
            on - n_on * (np.log(on) if n_on else 0) + off - n_off * (np.log(off) if n_off else 0)
        )

    arrays = (np.array([float(x)]) for x in (n_on, n_off, alpha, signal))
    best = float(profiled_background(*arrays)[0])
    assert best >= 0 and signal + best >= -1e-9
    best = max(best, -signal, 0.0)
    for step in (1e-4, 1e-2, 0.3, 3.0):
        for other in (best + step, best - step):
            assert stat(other) >= stat(best) - 1e-9


@given(problems())
@example(_problem([0, 3], [0, 0], 0.1, [50.0, 1.0]))
@example(_problem([5, 0], [3, 0], 0.5, [0.0, 2.0]))
@example(_problem([0, 1], [0, 0], [0.5, 0.5], [1.0, 0.5]))
@example(_problem([1], [0], [0.05], [1e-3]))
@example(_problem([1], [300], [1.5], [200.0]))
@settings(max_examples=200)
def test_what_holds_for_any_counts(p):
    result = solve(p)
    values = {name: float(getattr(result, name)[0]) for name in vars(result)}
    if not p.signal.any():
        assert np.isnan(list(values.values())).all()
        return
    norm, ul = values["norm"], values["norm_ul"]
    assert np.isfinite([norm, ul, values["ts"], values["stat"], values["stat_null"]]).all()
    assert ul > norm and values["ts"] >= 0
    if not p.n_on[p.signal > 0].any():
        assert norm == 0
        assert np.isnan([values["norm_err"], values["norm_errn"], values["norm_errp"]]).all()
        return
    err, errn, errp = values["norm_err"], values["norm_errn"], values["norm_errp"]
    assert np.isfinite([err, errn, errp]).all() and min(err, errn, errp) > 0
    assert ul >= norm + errp
    assert 0.5 * min(errn, errp) <= err <= 2 * max(errn, errp)
    best = _stat(p, norm)
    assert best == pytest.approx(values["stat"], rel=1e-9, abs=1e-9)
    tolerance = 1e-6 * (1 + abs(best))
    for delta in (-3, -1, -0.1, -1e-3, 1e-3, 0.1, 1, 3):
        assert _stat(p, norm + delta * (errp if delta > 0 else errn)) >= best - tolerance
    assert _stat(p, ul) - best == pytest.approx(4, abs=1e-3)
    assert _stat(p, norm + errp) - best == pytest.approx(1, abs=1e-3)
    assert _stat(p, norm - errn) - best == pytest.approx(1, abs=1e-3)
    assert values["ts"] == pytest.approx(max(_stat(p, 0.0) - best, 0), abs=tolerance)


@given(problems(), st.floats(0.01, 100))
def test_scaling_the_reference_scales_the_norm(p, factor):
    assume(p.n_on[p.signal > 0].any())
    scaled = NormProblem(p.n_on, p.n_off, p.alpha, p.signal * factor, p.group, p.n_groups)
    one, two = solve(p), solve(scaled)
    assert two.norm_ul * factor == pytest.approx(one.norm_ul, rel=1e-5)
    assert two.norm * factor == pytest.approx(one.norm, rel=1e-4, abs=1e-4 * one.norm_errp[0])
    assert two.ts == pytest.approx(one.ts, rel=1e-6, abs=1e-6)


@given(st.lists(problems(4), min_size=2, max_size=5))
@settings(max_examples=30)
def test_many_at_once_are_as_each_alone(parts):
    group = np.repeat(np.arange(len(parts)), [p.n_on.size for p in parts])
    names = ("n_on", "n_off", "alpha", "signal")
    joined = NormProblem(
        *(np.concatenate([getattr(p, n) for p in parts]) for n in names), group, len(parts)
    )
    together = solve(joined)
    for number, p in enumerate(parts):
        alone = solve(p)
        scale = float(np.nan_to_num(alone.norm_errp[0], nan=1.0))
        for name in vars(alone):
            value = float(getattr(alone, name)[0])
            assert float(getattr(together, name)[number]) == pytest.approx(
                value, rel=1e-5, abs=1e-5 * scale, nan_ok=True
            ), name


def test_against_scipy():
    rng = np.random.default_rng(3)
    shape = 30 * np.geomspace(1, 0.05, 10)
    for true_norm in (0.0, 0.2, 1.0, 5.0):
        background = np.geomspace(5, 0.3, 10)
        n_on = rng.poisson(true_norm * shape + background).astype(float)
        n_off = rng.poisson(background / 0.1).astype(float)
        p = _problem(n_on, n_off, 0.1, shape)

        def total(norm, n_on=n_on, n_off=n_off):
            return float(
                np.sum(gammapy_wstat(n_on=n_on, n_off=n_off, alpha=0.1, mu_sig=norm * shape))
            )

        low = 0.0 if true_norm else 1e-12
        best = minimize_scalar(total, bounds=(low, 20), method="bounded", options={"xatol": 1e-9})
        result = solve(p)
        if float(result.norm[0]) > 1e-3:
            assert float(result.norm[0]) == pytest.approx(best.x, abs=1e-5)
            assert float(result.stat[0]) == pytest.approx(best.fun, abs=1e-8)
            ul = brentq(lambda x, top=best.fun + 4: total(x) - top, best.x, 30, xtol=1e-12)
            assert float(result.norm_ul[0]) == pytest.approx(ul, rel=1e-6)
            step = 1e-3 * float(result.norm_err[0])
            second = (total(best.x + step) - 2 * total(best.x) + total(best.x - step)) / step**2
            assert float(result.norm_err[0]) == pytest.approx(np.sqrt(2 / second), rel=1e-3)


def test_one_bin_has_a_closed_solution():
    """ON 40, OFF 100 at alpha 0.1: excess 30, and Li & Ma's significance squared as TS."""
    result = solve(_problem([40], [100], [0.1], [15.0]))
    assert float(result.norm[0]) == pytest.approx(2.0, rel=1e-8)
    li_ma = 2 * (40 * np.log(1.1 / 0.1 * 40 / 140) + 100 * np.log(1.1 * 100 / 140))
    assert float(result.ts[0]) == pytest.approx(li_ma, rel=1e-9)
    assert float(result.norm_err[0]) == pytest.approx(np.sqrt(40 + 0.01 * 100) / 15, rel=1e-3)


def test_a_deficit_has_a_negative_norm():
    result = solve(_problem([5], [200], [0.1], [10.0]))
    assert float(result.norm[0]) == pytest.approx(-1.5, rel=1e-6)
    assert float(result.norm_ul[0]) < solve(_problem([20], [200], [0.1], [10.0])).norm_ul[0]


@pytest.mark.parametrize("n_sigma", [1.0, 1.6448536, 2.0, 3.0])
@pytest.mark.parametrize("n_off", [0, 50])
def test_without_any_on_counts_the_limit_is_the_classical_one(n_sigma, n_off):
    """-ln(1 - CL) counts: 3.09 for 95.45 %, 1.15 for 68.27 %."""
    result = solve(_problem([0, 0], n_off, 0.1, [1.0, 3.0]), n_sigma_ul=n_sigma)
    expected = -np.log(1 - chdtr(1, n_sigma**2)) / 4.0
    assert float(result.norm_ul[0]) == pytest.approx(expected, rel=1e-12)
    assert float(result.norm[0]) == 0 and np.isnan(result.norm_err[0])
    if n_sigma == 2.0:
        assert float(result.norm_ul[0]) * 4 == pytest.approx(3.09, abs=0.005)


def test_limits_cover_the_truth():
    """95.45 % two-sided is at least 95.45 % one-sided coverage; never much below at low counts."""
    rng = np.random.default_rng(8)
    n = 4000
    for signal, background in ((0.0, 2.0), (3.0, 1.0), (20.0, 10.0)):
        n_on = rng.poisson(signal + background, n).astype(float)
        n_off = rng.poisson(background * 20, n).astype(float)
        result = solve(_problem(n_on, n_off, 0.05, 1.0, np.arange(n)))
        assert np.mean(result.norm_ul >= signal) > 0.945
        pulls = (result.norm - signal) / result.norm_err
        if signal == 20:
            assert abs(np.nanmean(pulls)) < 0.15 and 0.9 < np.nanstd(pulls) < 1.1


def test_no_problem_at_all():
    empty = np.array([])
    result = solve(NormProblem(empty, empty, empty, empty, np.array([], dtype=np.intp), 0))
    assert result.norm.size == 0


@given(problems(12), st.floats(0, 40), st.data())
@settings(max_examples=150)
def test_merging_keeps_all_counts(p, min_off, data):
    n = p.n_on.size
    group = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    p = NormProblem(p.n_on, p.n_off, p.alpha, p.signal, group, 4)
    merged = merge_sparse(p, min_off)
    assert merged.n_groups == 4
    for name in ("n_on", "n_off", "signal"):
        assert merged.sum(getattr(merged, name)) == pytest.approx(
            p.sum(getattr(p, name)), rel=1e-12
        )
    background = merged.sum(merged.alpha * merged.n_off)
    assert background == pytest.approx(p.sum(p.alpha * p.n_off), rel=1e-9)
    for number in range(4):
        inside = merged.group == number
        assert inside.sum() <= (group == number).sum()
        assert bool(inside.any()) == bool((group == number).any())
        if inside.sum() > 1 and min_off > 0:
            assert merged.n_off[inside].min() >= min_off
    assert (merged.alpha > 0).all()


def test_merging_leaves_what_is_full_alone():
    p = _problem([1, 2, 3], [10, 20, 30], [0.1, 0.2, 0.3], [1.0, 2.0, 3.0])
    merged = merge_sparse(p, 5)
    for name in ("n_on", "n_off", "alpha", "signal"):
        assert getattr(merged, name).tolist() == getattr(p, name).tolist()


def test_merging_takes_the_bias_away():
    """Few OFF counts in many bins: the W statistic takes the background for zero."""
    rng = np.random.default_rng(1)
    n, bins = 300, 24
    shape = 20 * np.geomspace(1, 0.01, bins)
    shape *= 20 / shape.sum()
    background = 6 * shape / shape.sum()
    n_on = rng.poisson(np.tile(shape + background, n)).astype(float)
    n_off = rng.poisson(np.tile(background / 0.15, n)).astype(float)
    group = np.repeat(np.arange(n), bins)
    p = _problem(n_on, n_off, 0.15, np.tile(shape, n), group)
    plain, merged = solve(p), solve(merge_sparse(p, 5))
    error = float(merged.norm.std() / np.sqrt(n))
    assert abs(merged.norm.mean() - 1) < 3 * error
    assert abs(merged.norm.mean() - 1) < abs(plain.norm.mean() - 1)
