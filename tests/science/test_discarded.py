"""Bins below the energy threshold: told if they hold an excess, and only then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daybreak.science.discarded import discarded_bins


def _night(runs, excess):
    """The runs with a threshold by area in the middle, and some excess in the two bins below."""
    made = []
    for run in runs:
        n = run.mask_safe.size
        mask = np.arange(n) >= n // 2
        off = run.backgrounds["reflected"]
        counts_off = np.full(n, 40.0)
        background = replace(
            off, counts_off=counts_off, acceptance_on=np.ones(n), acceptance_off=np.full(n, 4.0)
        )
        counts_on = np.full(n, 10.0)
        counts_on[n // 2 - 2 : n // 2] += excess
        info = dict(run.info) | {"threshold_method": "aeff"}
        exposure, edisp = np.ones_like(run.exposure_cm2_s), np.full_like(run.edisp, 1.0 / n)
        made.append(
            replace(
                run, info=info, mask_safe=mask, counts_on=counts_on, exposure_cm2_s=exposure,
                edisp=edisp, backgrounds={"reflected": background},
            )
        )  # fmt: skip
    return made


def test_an_excess_below_is_found_where_it_begins(night):
    runs = _night(night.runs, 25.0)
    found = discarded_bins(runs, "reflected")
    middle = runs[0].mask_safe.size // 2
    assert found.low.to_value("TeV") == pytest.approx(runs[0].energy_edges_tev[middle - 2])
    assert found.counts.excess == pytest.approx(2 * 25.0 * len(runs))
    assert found.runs[0].mask_safe[middle - 2 :].all() and not found.runs[0].mask_safe[0]


def test_background_alone_is_not_told(night):
    assert discarded_bins(_night(night.runs, 0.0), "reflected") is None


def test_a_threshold_of_another_kind_is_left_alone(night):
    runs = [
        replace(run, info=dict(run.info) | {"threshold_method": "header"})
        for run in _night(night.runs, 25.0)
    ]
    assert discarded_bins(runs, "reflected") is None
