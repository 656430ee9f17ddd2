"""Flags from the data themselves."""

from __future__ import annotations

import numpy as np
import pytest

from daybreak.config.analysis import QualityConfig
from daybreak.science.fov import rate_change
from daybreak.science.quality import run_flags

GOOD = {
    "background_ratio": 1.0,
    "background_ratio_error": 0.02,
    "livetime_s": 1600.0,
    "ontime_s": 1680.0,
    "rate_change_sigma": 1.0,
    "events": 10_000,
    "events_outside_gti": 3,
    "events_bad": 0,
    "repaired": [],
    "has_background_irf": True,
    "threshold_tev": 0.5,
}


def test_a_good_run_has_no_flag():
    assert run_flags(GOOD, QualityConfig()) == []


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"background_ratio": 0.614, "background_ratio_error": 0.02}, "BACKGROUND_LOW"),
        ({"background_ratio": 1.6, "background_ratio_error": 0.02}, "BACKGROUND_HIGH"),
        ({"livetime_s": 1000.0}, "LIVE_FRACTION_LOW"),
        ({"rate_change_sigma": 6.0}, "RATE_UNSTABLE"),
        ({"events_outside_gti": 100}, "EVENTS_OUTSIDE_GTI"),
        ({"events_bad": 1}, "EVENTS_BAD"),
        ({"events": 0}, "NO_EVENTS"),
        ({"repaired": ["aeff", "psf"]}, "IRF_REPAIRED"),
        ({"has_background_irf": False}, "NO_BACKGROUND_IRF"),
        ({"threshold_tev": float("nan")}, "NOTHING_ABOVE_THRESHOLD"),
    ],
)
def test_each_flag(change, flag):
    flags = run_flags(GOOD | change, QualityConfig())
    assert [f.split("_EDISP")[0] for f in flags if f.startswith(flag)], flags
    others = [f for f in flags if not f.startswith(flag) and f != "EVENTS_OUTSIDE_GTI"]
    assert not others


def test_a_ratio_within_its_error_is_not_flagged():
    for ratio in (0.6, 1.5):
        change = {"background_ratio": ratio, "background_ratio_error": 0.1}
        assert run_flags(GOOD | change, QualityConfig()) == []
    nan = {"background_ratio": float("nan"), "background_ratio_error": float("nan")}
    assert run_flags(GOOD | nan | {"rate_change_sigma": float("nan")}, QualityConfig()) == []


def test_a_steady_or_drifting_rate_is_stable_a_cloud_is_not():
    rng = np.random.default_rng(1)
    gti = np.array([[0.0, 0.01], [0.012, 0.022]])
    steady = np.sort(np.concatenate([rng.uniform(*g, 2000) for g in gti]))
    assert rate_change(steady, gti) < 4
    drift = steady[rng.random(4000) < 0.7 + 0.3 * steady / 0.022]
    assert rate_change(drift, gti) < 4
    cloud = steady[~((steady > 0.008) & (steady < 0.014) & (rng.random(4000) < 0.6))]
    assert rate_change(cloud, gti) > 6
    assert rate_change(steady[:30], gti) == 0
