"""Excess around a point source: what the PSF leaves is no extension, more than that is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from daybreak.config.analysis import AnalysisConfig
from daybreak.science.circle import Circle
from daybreak.science.extension import annulus_deg, leak, surroundings

LIMITS = AnalysisConfig().quality


def _setup(radius=0.1, extended=False, last=0.2):
    edges = tuple(np.linspace(0, last, 21))
    on = Circle(0.0, 0.0, radius)
    return SimpleNamespace(on=on, extended=extended, theta2_edges_deg2=edges)


def _theta2(inside, around, background=40.0):
    """A histogram with so much excess in the first bin, and in the three after it."""
    edges = np.linspace(0, 0.2, 21)
    excess = np.zeros(20)
    excess[0], excess[1:4] = inside, around / 3
    error = np.sqrt(np.maximum(excess, 0) + 1.2 * background)
    return Table(
        {
            "theta2_min": edges[:-1] * u.deg**2,
            "theta2_max": edges[1:] * u.deg**2,
            "excess": excess,
            "excess_error": error,
        }
    )


def _runs(leak):
    return [SimpleNamespace(info={"psf_leak": leak}, livetime_s=1.0)]


def test_the_annulus_lies_at_edges_of_the_histogram():
    inner, outer = annulus_deg(_setup())
    assert (inner, outer) == (pytest.approx(0.1), pytest.approx(0.2))
    inner, outer = annulus_deg(_setup(0.11))
    assert (inner**2, outer**2) == (pytest.approx(0.02), pytest.approx(0.08))
    assert annulus_deg(_setup(float("nan"))) is None
    assert annulus_deg(_setup(extended=True)) is None
    assert annulus_deg(_setup(0.6)) is None


def test_the_leak_of_a_gaussian_psf():
    """Containment 1 - exp(-r^2 / 2 s^2) (Rayleigh): the ratio is known."""
    sigma = 0.06

    first, second = (1 - np.exp(-(r**2) / (2 * sigma**2)) for r in (0.1, 0.2))
    found = leak(np.full(8, first), np.full(8, second), np.linspace(1, 3, 8))
    assert found == pytest.approx((second - first) / first)


def test_a_point_source_is_not_flagged():
    rng = np.random.default_rng(5)
    flagged = 0
    for _ in range(300):
        around = rng.normal(0.23 * 500, 15)
        found = surroundings(_theta2(500, around), _runs(0.23), _setup(), LIMITS)
        flagged += found.extended
    assert flagged == 0


def test_a_wide_one_is():
    found = surroundings(_theta2(500, 480), _runs(0.23), _setup(), LIMITS)
    assert found.extended and found.ratio == pytest.approx(0.96) and found.sigma > 5
    assert found.expected == 0.23


def test_where_nothing_can_be_told():
    assert surroundings(_theta2(5, 480), _runs(0.23), _setup(), LIMITS) is None, "no excess inside"
    assert surroundings(_theta2(500, 480), _runs(float("nan")), _setup(), LIMITS) is None
    assert surroundings(_theta2(500, 480), _runs(0.2), _setup(extended=True), LIMITS) is None
    blank = _theta2(500, 480)
    blank["excess"][2] = np.nan
    assert surroundings(blank, _runs(0.2), _setup(), LIMITS) is None, "no OFF counts there"
