"""Pulse cleaning against a slow but plain version of its definition; contained events."""

from __future__ import annotations

import i3_writer as w
import numpy as np
import pytest

from daybreak.neutrino import cleaning
from daybreak.neutrino.cleaning import best_window, clean, seeded_rt
from daybreak.neutrino.containment import (
    STORED_VETO,
    assess,
    containment,
    edge_strings,
    label,
    outer_layer,
)
from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses


def detector():
    doms = w.small_detector()
    keys = np.array(list(doms), dtype=np.int16)
    return Geometry("small", keys[:, 0], keys[:, 1], np.array(list(doms.values())))


def make_event(pulses, cleaned=None, message=None):
    header = EventHeader(1, 2, 0, 0, "", None)
    return Event(header, pulses, detector(), {}, None, "", message or {}, "t", cleaned)


def random_pulses(seed, n=300):
    rng = np.random.default_rng(seed)
    geometry = detector()
    dom = rng.integers(0, len(geometry), n)
    # whole ns, so that pulses exactly at the limits occur
    time = rng.integers(0, 50_000, n).astype(float)
    flags = np.where(rng.random(n) < 0.4, 7, 4)
    return Pulses.from_columns(
        geometry.string[dom], geometry.om[dom], time, rng.random(n), np.full(n, 8.0), flags
    )


def slow_rt(pulses, geometry, radius, dt, links, iterations):
    xyz = geometry.positions(pulses)
    near = np.linalg.norm(xyz[:, None] - xyz[None], axis=2) <= radius
    linked = near & (np.abs(pulses.time_ns[:, None] - pulses.time_ns[None]) <= dt)
    others = linked & ~np.eye(len(pulses), dtype=bool)
    kept = pulses.hlc & ((others & pulses.hlc[None]).sum(axis=1) >= links)
    for _ in range(iterations):
        kept = kept | (linked & kept[None]).any(axis=1)
    return kept


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("settings", [(150.0, 1000.0, 2, 3), (100.0, 400.0, 1, 1), (45, 900, 1, 2)])
def test_seeded_rt_as_defined(seed, settings, monkeypatch):
    pulses, geometry = random_pulses(seed), detector()
    expected = slow_rt(pulses, geometry, *settings)
    assert 0 < expected.sum() < len(pulses)
    radius, dt, links, rounds = settings
    options = {"radius_m": radius, "time_ns": dt, "seed_links": links, "iterations": rounds}
    np.testing.assert_array_equal(seeded_rt(pulses, geometry, **options), expected)
    monkeypatch.setattr(cleaning, "_CHUNK", 37)  # the way of events with very many pulses
    np.testing.assert_array_equal(seeded_rt(pulses, geometry, **options), expected)


def test_nothing_in_nothing_out():
    assert not len(seeded_rt(Pulses.empty(), detector())) and not len(best_window(np.array([])))
    assert not len(clean(make_event(Pulses.empty())))


def test_window_with_most_pulses_ends_included():
    times = np.array([0.0, 10.0, 6010.0, 6005.0, 7000.0, 20_000.0])
    assert best_window(times, 6000.0).tolist() == [False, True, True, True, False, False]


def test_deepcore_is_dropped_unless_wanted():
    pulses = Pulses.from_columns(
        [78, 79, 86, 1], [1] * 4, [0.0, 10, 20, 30], [1.0] * 4, [8.0] * 4, [7] * 4
    )
    keys = np.array([1, 78, 79, 86], np.int16)
    geometry = Geometry("g", keys, np.ones(4, np.int16), np.zeros((4, 3)))
    event = Event(EventHeader(1, 2, 0, 0, "", None), pulses, geometry, {}, None, "", {}, "t")
    assert clean(event).string.tolist() == [1, 78]
    assert clean(event, keep_deepcore=True).string.tolist() == [1, 78, 79, 86]


def test_a_series_that_is_clean_already_is_taken():
    cleaned = random_pulses(3, 20)
    assert clean(make_event(random_pulses(1), cleaned)) is cleaned


def test_the_outer_layer_of_a_hexagon():
    geometry = detector()
    edge = set(edge_strings(geometry).tolist())
    radius = {s: np.hypot(*geometry.xyz_m[geometry.string == s][0, :2]) for s in range(1, 20)}
    assert edge == {s for s, r in radius.items() if r > 150}  # twelve of nineteen
    layer = outer_layer(geometry)
    inside = ~np.isin(geometry.string, list(edge))
    assert set(geometry.om[layer & inside].tolist()) == {1, 2, 3, 4, 5, 20}


def _lit(strings_oms, start=10_000.0, flags=7, charge=20.0):
    rows = [(s, o, start + 5.0 * i, charge, 8.0, flags) for i, (s, o) in enumerate(strings_oms)]
    return Pulses.from_columns(*zip(*rows, strict=True))


def test_shower_in_the_middle_is_contained_and_a_track_is_not():
    geometry = detector()
    centre = [s for s in range(1, 20) if s not in set(edge_strings(geometry).tolist())]
    doms = [(s, o) for s in centre for o in range(8, 16)]
    places = np.array([w.small_detector()[dom] for dom in doms])
    reach = np.linalg.norm(places - places.mean(axis=0), axis=1)
    lit = [(s, o, 1e4 + d / 0.221, 20.0, 8.0, 7) for (s, o), d in zip(doms, reach, strict=True)]
    shower = make_event(Pulses.from_columns(*zip(*lit, strict=True)))
    assert "contained" in containment(shower)
    assert {"contained", "few-doms"} == set(label(shower).labels)
    # all at once: no light from one place does that
    assert assess(make_event(_lit(doms))).early_doms > 3 and not containment(make_event(_lit(doms)))
    track = make_event(_lit([(s, 10) for s in range(1, 20)]))
    assert containment(track) == "" and label(track).labels == ("few-doms",)
    assert assess(track).layer_fraction == pytest.approx(12 / 19)
    # it starts inside and leaves: light in the outer layer at its end
    starting = make_event(_lit([(s, 10) for s in centre] * 3 + [(1, 10), (2, 10), (3, 10)] * 2))
    found = assess(starting)
    assert found.veto_charge_pe == 0 and found.layer_fraction > 0.05 and not found.contained


def test_the_messages_own_veto_counts():
    track = _lit([(s, 10) for s in range(1, 20)])
    assert "starts inside" in containment(make_event(track, message={STORED_VETO: False}))
    assert containment(make_event(track, message={STORED_VETO: True})) == ""
    assert containment(make_event(_lit([(1, 1)], flags=4))) == ""
