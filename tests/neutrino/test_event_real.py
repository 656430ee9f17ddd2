"""The readers on public IceCube files: what the alerts say of themselves, and what IceTray made."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from daybreak.errors import EventError
from daybreak.neutrino import read_events
from daybreak.neutrino.cleaning import clean
from daybreak.neutrino.containment import containment
from daybreak.neutrino.geometry import load_geometry
from daybreak.neutrino.i3.decode import Unknown, decode, pulse_series
from daybreak.neutrino.i3.files import read_i3
from daybreak.neutrino.read import read_frames_of

pytestmark = pytest.mark.realdata

ALERTS = {
    "138632_31747601.json": (175, 888, 830.4, 60280.71416774572),
    "run00136766-evt000007637140-GOLD.pkl": (239, 1641, 2745.52501, 59754.67588432013),
}
OSCNEXT, NUMU, HESE = (
    "oscNext_level7_5_events.i3.gz",
    "NuMu_IC86-2016_5_events.i3.gz",
    "hese_event_02.json",
)
FRAMES = {**dict.fromkeys(ALERTS, 5), HESE: 5, OSCNEXT: 139, NUMU: 19}


@pytest.fixture(scope="module")
def icecube(data_root):
    folder = data_root / "icecube"
    if not folder.is_dir():
        pytest.skip(f"no IceCube files at {folder}")
    return folder


@pytest.fixture(scope="module")
def detector(icecube):
    return load_geometry(icecube / "geometry_ic86_5160.parquet")


@pytest.mark.parametrize("name", ALERTS)
def test_the_alerts_own_counts(icecube, detector, name):
    nch, npulses, qtot, mjd = ALERTS[name]
    (event,) = read_events(icecube / name, geometry=detector)
    pulses = clean(event)
    assert (event.message["nch"], event.message["npulses"]) == (nch, npulses)
    assert (pulses.n_doms, len(pulses)) == (nch, npulses)
    assert pulses.qtot == pytest.approx(event.message["qtot"], abs=2e-5)
    assert event.message["qtot"] == qtot
    assert event.header.start.mjd == pytest.approx(mjd, abs=1e-11)  # as in the scans' results
    assert event.labels == () and containment(event) == ""
    # the online fit keeps DeepCore: its DOMs are ndof + 5
    with_deepcore = clean(event, keep_deepcore=True)
    assert with_deepcore.n_doms == event.message["reco"]["spefit2"]["ndof"] + 5


@pytest.mark.parametrize("name", FRAMES)
def test_all_checksums_and_all_objects(icecube, name):
    frames, _, _ = read_frames_of(icecube / name)
    n = decoded = 0
    for frame in frames:
        n += 1
        for key in frame.slots:
            decoded += not isinstance(decode(frame, key), Unknown)
    assert n == FRAMES[name] and decoded > 10


def test_a_flipped_byte_is_found(icecube, tmp_path):
    import gzip

    data = bytearray(gzip.decompress((icecube / NUMU).read_bytes()))
    path = tmp_path / "a.i3"
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 12):
        data[at] ^= 0x10
        path.write_bytes(data)
        with pytest.raises(EventError):
            for _ in read_i3(path):
                pass
        data[at] ^= 0x10


def test_pulses_are_those_that_icetray_wrote(icecube, detector):
    database = sqlite3.connect(
        f"file:{icecube / 'oscNext_level7_5_events.db'}?immutable=1", uri=True
    )
    events = read_events(icecube / OSCNEXT, geometry=detector)
    assert len(events) == 5
    for number, event in enumerate(events):
        rows = database.execute(
            "select string, dom_number, dom_time, charge, width, hlc, dom_x, dom_y, dom_z "
            "from SRTInIcePulses where event_no = ? order by string, dom_number, dom_time",
            (number,),
        ).fetchall()
        found = event.cleaned
        np.testing.assert_array_equal(
            np.array(rows)[:, :6],
            np.stack(
                [found.string, found.om, found.time_ns, found.charge_pe, found.width_ns, found.hlc],
                axis=1,
            ),
        )
        np.testing.assert_allclose(np.array(rows)[:, 6:], detector.positions(found), atol=1.5e-5)
        ((energy, zenith, azimuth, run, n),) = database.execute(
            "select energy, zenith, azimuth, RunID, EventID from truth where event_no = ?",
            (number,),
        ).fetchall()
        assert (event.header.run, event.header.event) == (run, n)
        primary = decode(_physics(icecube / OSCNEXT, number), "I3MCTree")[0][1]
        assert (primary.energy_gev, primary.zenith_rad, primary.azimuth_rad) == (
            energy,
            zenith,
            azimuth,
        )
    database.close()


def _physics(path, number):
    return [f for f in read_i3(path) if f.stream == "P"][number]


def test_compact_pulses_are_the_full_ones_but_for_rounding(icecube):
    frames, _, _ = read_frames_of(icecube / HESE)
    daq = next(f for f in frames if f.stream == "Q")
    full, compact = decode(daq, "UncleanedInIcePulses"), pulse_series(daq, "I3SuperDST")
    rows = {tuple(d): i for i, d in enumerate(compact.doms.tolist())}
    starts = np.cumsum(compact.counts) - compact.counts
    at = 0
    for dom, n in zip(full.doms.tolist(), full.counts.tolist(), strict=True):
        here, at = full.pulses[at : at + n], at + n
        i = rows[tuple(dom)]
        there = compact.pulses[starts[i] : starts[i] + compact.counts[i]]
        assert len(there) == n
        assert np.abs(here["time"] - there["time"]).max() <= 0.5001
        assert np.abs(here["charge"] - there["charge"]).max() <= 0.02501


def test_the_shower_is_told_from_the_tracks(icecube, detector):
    (shower,) = read_events(icecube / HESE, geometry=detector)
    assert shower.kind == "hese" and "contained" in shower.labels
    assert "starts inside" in containment(shower)
    tracks = read_events(icecube / NUMU, geometry=detector)
    assert [containment(e) for e in tracks] == [""] * 5
    assert [clean(e).n_doms for e in tracks] == [155, 444, 47, 55, 364]
    assert [e.labels for e in tracks] == [(), (), ("few-doms",), ("few-doms",), ()]
    assert [round(e.truth.energy_gev / 1e3) for e in tracks] == [376, 27817, 213, 476, 280]


def test_the_other_table_of_positions_agrees_where_it_has_a_dom(icecube, detector):
    other = load_geometry(icecube / "geometry_ic86_graphnet.parquet")
    rows = detector.index(other.string, other.om)
    assert rows.min() >= 0 and len(other) == 5160 - 77
    assert np.abs(detector.xyz_m[rows] - other.xyz_m).max() < 3.1e-5
