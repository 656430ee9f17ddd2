"""Raw files of SST-1M: real ones as protozfits reads them, and written ones read back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sst1m_cases import joined, small_events, write_small

from daybreak.instruments.sst1m.compression import unpack_block
from daybreak.instruments.sst1m.raw import EventKind, event_kinds, open_raw, write_raw

#: name, telescope, number of events and of pedestals
REAL = [
    ("example_100evts.fits.fz", 1, 100, 8),
    ("example_SST1M_20180822.fits.fz", 22, 32, 2),
    ("example_10evts.fits.fz", 1, 10, 1),
]


@pytest.fixture(scope="module")
def resources() -> Path:
    protozfits = pytest.importorskip("protozfits")
    return Path(protozfits.__file__).parent / "tests" / "resources"


@pytest.mark.parametrize(("name", "telescope", "n_events", "n_pedestals"), REAL)
def test_real_files_are_what_protozfits_reads(resources, name, telescope, n_events, n_pedestals):
    from protozfits import File

    raw = open_raw(resources / name)
    assert (raw.telescope, raw.n_events, raw.n_pixels, raw.n_samples) == (
        *(telescope, n_events),
        *(1296, 50),
    )
    assert raw.notes == ()
    assert not raw.has_array_ids
    assert raw.time_scale == "utc"
    assert raw.checksum_holds() is True
    got = joined(raw, 30)
    assert raw.tally.n_read == n_events
    assert raw.tally.n_skipped == raw.tally.n_back == 0
    assert (np.diff(got["time_ns"]) > 0).all()
    assert np.count_nonzero(got["kind"] == EventKind.PEDESTAL) == n_pedestals
    assert set(got["kind"]) <= {EventKind.PEDESTAL, EventKind.SHOWER}
    with File(str(resources / name)) as file:
        events = list(file.Events)
    assert len(events) == n_events
    for row, event in enumerate(events):
        order = np.argsort(event.hiGain.waveforms.pixelsIndices)
        samples = event.hiGain.waveforms.samples.reshape(1296, 50)[order]
        assert np.array_equal(got["waveforms"][row], samples)
        assert np.array_equal(got["baselines"][row], event.hiGain.waveforms.baselines[order])
        assert np.array_equal(got["flags"][row], event.pixels_flags[order])
        assert got["event_id"][row] == event.eventNumber
        assert got["bits"][row] == event.event_type
        seconds, rest = divmod(int(got["time_ns"][row]), 10**9)
        assert (seconds, rest) == (event.local_time_sec, event.local_time_nanosec)


def test_written_files_read_back(tmp_path):
    path = tmp_path / "SST1M2_20240131_0042.fits.fz"
    events = write_small(path)
    raw = open_raw(path)
    assert (raw.date, raw.run, raw.target) == ("20240131", 42, "Crab,W1,83.63,22.01")
    assert (raw.telescope, raw.n_events, raw.n_pixels, raw.n_samples) == (21, 24, 24, 20)
    assert raw.has_array_ids
    assert raw.checksum_holds() is True
    got = joined(raw, 5)
    for name in ("event_id", "array_event_id", "time_ns", "bits", "waveforms", "baselines"):
        assert np.array_equal(got[name], events[name]), name
    assert [len(chunk) for chunk in raw.chunks(5)] == [5, 1] * 4
    # iterating again counts anew
    assert raw.tally.n_read == 24


def test_protozfits_reads_what_is_written(tmp_path):
    protozfits = pytest.importorskip("protozfits")
    path = tmp_path / "a.fits.fz"
    events = write_small(path)
    with protozfits.File(str(path)) as file:
        found = list(file.Events)
    assert len(found) == 24
    for row, event in enumerate(found):
        samples = event.hiGain.waveforms.samples
        assert np.array_equal(samples, events["waveforms"][row].ravel())
        assert event.arrayEvtNum == events["array_event_id"][row]
        assert event.telescopeID == 21


def test_protozfits_cannot_write_these_events(tmp_path):
    """If this fails, protozfits has learned it, and `write_raw` could use it.

    In a process of its own that leaves at once: after the refusal, protozfits never ends.
    """
    pytest.importorskip("protozfits")
    code = """
import os, sys
from protozfits import FlatProtobufZOFits
from protozfits.ProtoDataModel_pb2 import CameraEvent
file = FlatProtobufZOFits(n_tiles=2, rows_per_tile=4, default_compression="zlib")
file.open(sys.argv[1])
file.move_to_new_table("Events")
try:
    file.write_message(CameraEvent(telescopeID=21, eventNumber=1))
except Exception as error:
    print(error, flush=True)
os._exit(0)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "b.fits.fz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "Unknown protobuf class name ProtoDataModel.CameraEvent" in done.stdout


def test_without_array_numbers(tmp_path):
    events = small_events()
    del events["array_event_id"]
    write_raw(tmp_path / "a.fits.fz", **events)
    raw = open_raw(tmp_path / "a.fits.fz")
    assert not raw.has_array_ids
    assert not joined(raw)["array_event_id"].any()


def test_kinds_of_events():
    bits = np.array([0, 1, 2, 3, 4, 8, 9, 16, 0x10008, 0x80], np.uint32)
    named = [EventKind(k).name for k in event_kinds(bits)]
    assert named == [
        *("UNKNOWN", "SHOWER", "SHOWER", "SHOWER", "MUON", "PEDESTAL", "SHOWER", "EXTERNAL"),
        *("UNKNOWN", "UNKNOWN"),
    ]


@pytest.mark.parametrize(
    "packing", ["raw", "zlib", "fact", "diffman16", "doublediffman16", "ricefact", "zrice", "zstd3"]
)
def test_packings_of_protozfits(tmp_path, packing):
    """All packings that protozfits writes, on another kind of event; LZO it can't."""
    protozfits = pytest.importorskip("protozfits")
    from protozfits.ProtoR1_pb2 import CameraEvent

    from daybreak.instruments.sst1m.zfits import open_table, read_blocks

    rng = np.random.default_rng(3)
    samples = rng.normal(250, 20, (9, 600)).astype(np.uint16)
    path = tmp_path / "a.fits.fz"
    file = protozfits.FlatProtobufZOFits(n_tiles=3, rows_per_tile=4, default_compression="raw")
    file.request_explicit_compression("waveform", packing)
    file.open(str(path))
    file.move_to_new_table("Events")
    for number, row in enumerate(samples):
        event = CameraEvent(event_id=number + 1)
        event.waveform.CopyFrom(protozfits.numpy_to_any_array(row))
        file.write_message(event)
    file.close()
    table = open_table(path, "Events")
    assert table.n_rows == 9
    got = []
    with path.open("rb") as handle:
        for tile in table.tiles:
            block = read_blocks(handle, table, tile, {"waveform": 4 + 1200})["waveform"]
            got.append(block.reshape(tile.n_rows, -1)[:, 4:].copy().view("<u2"))
    assert np.array_equal(np.concatenate(got), samples)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 65535), min_size=1, max_size=300), st.sampled_from([(3,), (5,)]))
def test_words_come_back(words, steps):
    """Differences and split halves are undone exactly, overflow included."""
    given = np.array(words, np.uint16)
    if steps == (3,):
        packed = np.diff(given, prepend=np.uint16(0)).view(np.uint8)
    else:
        packed = np.ascontiguousarray(given.view(np.uint8).reshape(-1, 2).T).ravel()
    assert np.array_equal(unpack_block(packed, steps, 1 << 20).view(np.uint16), given)
