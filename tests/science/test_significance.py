"""Li & Ma's equation 17, by hand and by the statistic; alpha is ON over OFF exposure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybreak.science.norm import NormProblem, solve
from daybreak.science.run import Background
from daybreak.science.stack import alpha_of, li_ma


def _by_hand(n_on: float, n_off: float, alpha: float) -> float:
    """Li & Ma 1983, ApJ 272, 317, eq. 17, with the sign of the excess."""
    total = n_on + n_off
    on = n_on * np.log((1 + alpha) / alpha * n_on / total) if n_on else 0.0
    off = n_off * np.log((1 + alpha) * n_off / total) if n_off else 0.0
    return float(np.sign(n_on - alpha * n_off) * np.sqrt(2 * max(on + off, 0.0)))


@pytest.mark.parametrize(
    ("n_on", "n_off", "alpha", "sigma"),
    [
        # H.E.S.S. DL3 DR1 Crab: 443 ON, 596 OFF, alpha 0.045
        (443, 596, 0.045, 37.7),
        # equal exposures: sqrt(2) sqrt(n ln(2n/(n+m)) + m ln(2m/(n+m)))
        (20, 10, 1.0, 1.84),
        (120, 160, 0.5, 3.31),
        (10, 0, 0.1, 6.93),  # sqrt(20 ln 11)
        (0, 10, 1.0, -3.72),  # sqrt(20 ln 2)
        (5, 50, 0.1, 0.0),
        (2, 50, 0.1, -1.47),
    ],
)
def test_known_values(n_on, n_off, alpha, sigma):
    assert li_ma(n_on, n_off, alpha) == pytest.approx(sigma, abs=0.06 if sigma > 30 else 0.01)
    assert li_ma(n_on, n_off, alpha) == pytest.approx(_by_hand(n_on, n_off, alpha), abs=1e-6)


def test_alpha_is_not_inverted():
    """Ten OFF regions: alpha is 0.1. Inverted, a clear source would be a deficit."""
    n_bins = 3
    item = Background(
        counts_off=np.array([10.0, 5.0, 0.0]),
        acceptance_on=np.ones(n_bins),
        acceptance_off=np.array([10.0, 10.0, 0.0]),
        off_time_mjd=np.array([]),
        off_energy_tev=np.array([]),
    )
    alpha = alpha_of(item)
    assert alpha[:2].tolist() == [0.1, 0.1] and np.isnan(alpha[2])
    assert li_ma(100, 500, 0.1) > 5 and li_ma(100, 500, 10.0) < -5


def test_limits():
    assert li_ma(0, 0, 0.1) == 0
    assert np.isnan(li_ma(10, 10, 0)) and np.isnan(li_ma(10, 10, float("nan")))
    assert np.isnan(li_ma(10, 10, -1)) and np.isnan(li_ma(10, 10, float("inf")))


@given(st.integers(0, 3000), st.integers(0, 30000), st.floats(0.005, 2))
def test_it_is_eq_17_everywhere(n_on, n_off, alpha):
    if n_on + n_off == 0:
        return
    assert li_ma(n_on, n_off, alpha) == pytest.approx(_by_hand(n_on, n_off, alpha), abs=2e-5)


@given(st.integers(1, 300), st.integers(1, 3000), st.floats(0.02, 1))
def test_its_square_is_the_ts_of_one_bin(n_on, n_off, alpha):
    one = np.array([1.0])
    p = NormProblem(one * n_on, one * n_off, one * alpha, one, np.array([0]), 1)
    assert float(solve(p).ts[0]) == pytest.approx(li_ma(n_on, n_off, alpha) ** 2, abs=1e-5)


def test_it_is_a_standard_normal_without_a_source():
    rng = np.random.default_rng(5)
    values = [li_ma(a, b, 0.1) for a, b in zip(rng.poisson(30, 3000), rng.poisson(300, 3000),
                                             strict=True)]  # fmt: skip
    assert abs(np.mean(values)) < 0.06 and 0.95 < np.std(values) < 1.05
