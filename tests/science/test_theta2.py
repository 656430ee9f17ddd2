"""OFF positions of the theta² histogram: clear of everything and of each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from daybreak.science.circle import Circle
from daybreak.science.sphere import separation_deg
from daybreak.science.stack import total_counts
from daybreak.science.tables import theta2_table
from daybreak.science.theta2 import run_theta2, valid_positions

EDGES = np.linspace(0, 0.2, 21)


def _ring(n: int, offset: float = 0.5) -> tuple[np.ndarray, np.ndarray, SkyCoord]:
    pointing = SkyCoord(83.63, 22.51, unit="deg")
    angles = 180 + 360 / (n + 1) * np.arange(1, n + 1)
    places = pointing.directional_offset_by(angles * u.deg, offset * u.deg)
    return places.ra.deg, places.dec.deg, pointing


def test_small_circles_all_fit_large_ones_do_not():
    ra, dec, pointing = _ring(5)
    on = pointing.directional_offset_by(180 * u.deg, 0.5 * u.deg)
    exclude = (Circle(float(on.ra.deg), float(on.dec.deg), 0.2),)
    valid = valid_positions(ra, dec, EDGES, exclude)
    assert valid.shape == (20, 5)
    assert valid[0].all()
    per_bin = valid.sum(axis=1)
    assert (np.diff(per_bin) <= 0).all() and per_bin[-1] >= 1
    gap = separation_deg(ra, dec, float(on.ra.deg), float(on.dec.deg)) - 0.2
    for row, edge in enumerate(np.sqrt(EDGES[1:])):
        assert (gap[valid[row]] >= edge).all()


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=12),
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.5)), max_size=4),
)
def test_what_is_chosen_never_overlaps(places, circles):
    ra, dec = (np.array(x) for x in zip(*places, strict=True))
    exclude = tuple(Circle(*c) for c in circles)
    valid = valid_positions(ra, dec, EDGES, exclude)
    for row, radius in enumerate(np.sqrt(EDGES[1:])):
        chosen = np.flatnonzero(valid[row])
        for i in chosen:
            for circle in exclude:
                gap = separation_deg(ra[i], dec[i], circle.ra_deg, circle.dec_deg)
                assert gap - circle.radius_deg >= radius
            others = chosen[chosen != i]
            assert (separation_deg(ra[i], dec[i], ra[others], dec[others]) >= 2 * radius).all()
    clear = [
        all(separation_deg(a, d, c.ra_deg, c.dec_deg) - c.radius_deg >= 0.1 for c in exclude)
        for a, d in places
    ]
    assert valid[0].any() == any(clear), "one is taken wherever one fits"


def test_counts_by_hand(night):
    run, setup = night.loaded[0], night.setup
    reduced = night.runs[0]
    events = run.events
    energy = events.energy_tev
    index = np.digitize(energy, reduced.energy_edges_tev) - 1
    inside = (index >= 0) & (index < reduced.mask_safe.size)
    above = np.zeros(len(energy), dtype=bool)
    above[inside] = reduced.mask_safe[index[inside]]
    place = SkyCoord(events.ra_deg, events.dec_deg, unit="deg")[above]
    distance = place.separation(setup.on.center).deg
    expected = np.histogram(distance**2, setup.theta2_edges_deg2)[0]
    assert reduced.theta2.n_on.tolist() == expected.tolist()
    off = [c for kind, c in reduced.regions if kind == "off"][: setup.theta2_max_off]
    assert reduced.theta2.n_positions[0] == len(off)
    first = sum(
        np.count_nonzero(place.separation(c.center).deg ** 2 < setup.theta2_edges_deg2[1])
        for c in off
    )
    assert reduced.theta2.n_off[0] == first


def test_without_off_positions_only_on_is_filled(night):
    run, reduced = night.loaded[0], night.runs[0]
    counts = run_theta2(run, night.setup, None, reduced.mask_safe)
    assert counts.n_on.tolist() == reduced.theta2.n_on.tolist()
    assert not counts.n_off.any() and not counts.n_positions.any()


def test_nothing_above_the_threshold_gives_nothing(night):
    off = np.array([83.6]), np.array([22.9])
    none = np.zeros_like(night.runs[0].mask_safe)
    counts = run_theta2(night.loaded[0], night.setup, off, none)
    assert not counts.n_on.any() and not counts.n_off.any() and counts.n_positions[0] == 1


def test_the_table_adds_the_runs_up(night):
    totals = total_counts(night.runs, "reflected")
    edges = np.array(night.setup.theta2_edges_deg2)
    table = theta2_table(night.runs, edges, night.setup.on.radius_deg, totals, None)
    assert table["n_on"].tolist() == sum(r.theta2.n_on for r in night.runs).tolist()
    background = sum(r.theta2.n_off / r.theta2.n_positions for r in night.runs)
    np.testing.assert_allclose(table["background"], background)
    np.testing.assert_allclose(table["excess"], table["n_on"] - background)
    assert table.meta["cut"] == pytest.approx(0.11**2)
    outer = table[table["theta2_min"] > 0.1]
    pull = outer["excess"].sum() / np.sqrt(np.sum(np.array(outer["excess_error"]) ** 2))
    assert abs(pull) < 4, "far from the source OFF is what ON is"


def test_a_bin_that_a_run_can_not_measure_is_not_measured(night):
    positions = night.runs[0].theta2.n_positions.copy()
    positions[-1] = 0
    lame = replace(night.runs[0], theta2=replace(night.runs[0].theta2, n_positions=positions))
    runs = [lame, *night.runs[1:]]
    edges = np.array(night.setup.theta2_edges_deg2)
    table = theta2_table(runs, edges, 0.11, total_counts(runs, "reflected"), None)
    assert np.isnan(table["background"][-1]) and np.isfinite(table["background"][:-1]).all()
