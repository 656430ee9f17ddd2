"""Damaged raw files: a named error or whole events with the loss counted; nothing else."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from sst1m_cases import joined, run_cases, small_events, write_small

from daybreak.errors import RunDataError
from daybreak.instruments.sst1m.compression import BlockError, unpack_block
from daybreak.instruments.sst1m.raw import open_raw, write_raw
from daybreak.instruments.sst1m.zfits import open_table


def test_random_damage(tmp_path):
    source = tmp_path / "sound.fits.fz"
    write_small(source)
    found = run_cases([source], 400, seed=1)
    assert not found.faults
    assert not found.unnoticed
    assert found.slowest_s < 5
    assert sum(found.ends.values()) == 400
    # the cases reach all depths: some are noticed at once, others in the data
    assert found.ends["named error"] > 20
    assert found.ends["some events, right, the rest counted"] > 20


def test_random_damage_of_a_real_file():
    protozfits = pytest.importorskip("protozfits")
    from pathlib import Path

    source = Path(protozfits.__file__).parent / "tests/resources/example_10evts.fits.fz"
    found = run_cases([source], 60, seed=2)
    assert not found.faults
    assert not found.unnoticed
    assert found.slowest_s < 10


@pytest.mark.parametrize("share", np.linspace(0, 0.999, 40))
def test_cut(tmp_path, share):
    """Cut anywhere: what is given is right, and what lacks is counted."""
    whole = tmp_path / "whole.fits.fz"
    events = write_small(whole)
    data = whole.read_bytes()
    path = tmp_path / "cut.fits.fz"
    path.write_bytes(data[: int(len(data) * share)])
    try:
        raw = open_raw(path)
    except RunDataError as error:
        assert str(path) in str(error)
        return
    got = joined(raw)
    table = open_table(whole, "Events")
    if int(len(data) * share) < table.data_offset + table.data_size:
        assert any("ends early" in note for note in raw.notes)
    assert raw.tally.n_read + raw.tally.n_skipped == 24
    assert np.array_equal(got["waveforms"], events["waveforms"][: len(got["waveforms"])])


def test_a_damaged_tile_header_costs_its_tile_only(tmp_path):
    path = tmp_path / "a.fits.fz"
    events = write_small(path)
    tile = open_table(path, "Events").tiles[1]
    data = bytearray(path.read_bytes())
    data[tile.offset - 16 : tile.offset - 12] = b"TOLL"
    path.write_bytes(data)
    raw = open_raw(path)
    got = joined(raw)
    assert list(got["event_id"]) == [*range(1000, 1006), *range(1012, 1024)]
    assert np.array_equal(got["waveforms"][6:], events["waveforms"][12:])
    assert raw.tally.n_skipped == 6
    assert "18 of 24 events are there" in raw.notes


def test_a_damaged_block_costs_its_tile_only(tmp_path):
    path = tmp_path / "a.fits.fz"
    write_small(path)
    tile = open_table(path, "Events").tiles[2]
    data = bytearray(path.read_bytes())
    middle = tile.offset + tile.size // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    raw = open_raw(path)
    assert len(joined(raw)["event_id"]) == 18
    assert raw.tally.n_skipped == 6
    assert raw.checksum_holds() is False


def test_one_wrong_event_is_left_out(tmp_path):
    events = small_events()
    events["waveforms"][3, 5, 7] = 5000
    path = tmp_path / "a.fits.fz"
    write_raw(path, **events, tile_rows=6)
    raw = open_raw(path)
    got = joined(raw)
    assert 1003 not in got["event_id"]
    assert len(got["event_id"]) == 23
    assert list(got["index"]) == [*range(3), *range(4, 24)]
    assert raw.tally.skipped == {"it has samples above 4095": 1}


def test_time_that_runs_back_is_counted(tmp_path):
    events = small_events()
    events["time_ns"][10] -= 10**12
    path = tmp_path / "a.fits.fz"
    write_raw(path, **events)
    raw = open_raw(path)
    assert len(joined(raw)["event_id"]) == 24
    assert raw.tally.n_back == 1


def test_file_without_end_of_its_writer(tmp_path):
    """A writer that died leaves no number of rows and no catalog."""
    path = tmp_path / "a.fits.fz"
    write_small(path)
    data = path.read_bytes()
    table = open_table(path, "Events")
    catalog = 16 * len(table.columns) * len(table.tiles)
    data = data.replace(b"ZNAXIS2 =                   24", b"ZNAXIS2 =                    0")
    start = table.data_offset
    path.write_bytes(data[:start] + bytes(catalog) + data[start + catalog :])
    raw = open_raw(path)
    assert len(joined(raw)["event_id"]) == 24
    assert raw.notes == ("the file was not closed by its writer; 24 events were found",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a FITS file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"SIMPLE  =", "inside a header"),
        (b"SIMPLE  =" + bytes(3_000_000), "no end"),
    ],
)
def test_no_raw_file(tmp_path, content, words):
    path = tmp_path / "a.fits.fz"
    path.write_bytes(content)
    with pytest.raises(RunDataError, match=words):
        open_raw(path)


def test_missing_file(tmp_path):
    with pytest.raises(RunDataError, match="No such file"):
        open_raw(tmp_path / "none.fits.fz")


def test_other_camera():
    protozfits = pytest.importorskip("protozfits")
    from pathlib import Path

    folder = Path(protozfits.__file__).parent / "tests/resources"
    for name in ("example_9evts_NectarCAM.fits.fz", "example_LST_R1_10_evts.fits.fz"):
        with pytest.raises(RunDataError, match="another camera"):
            open_raw(folder / name)


def test_bombs_are_refused():
    """Sizes that a block claims are checked before memory is taken."""
    import zlib

    import zstandard

    zeros = bytes(1 << 24)
    packed = np.frombuffer(zlib.compress(zeros), np.uint8)
    with pytest.raises(BlockError, match="larger"):
        unpack_block(packed, (7,), 1 << 20)
    packed = np.frombuffer(zstandard.compress(zeros), np.uint8)
    with pytest.raises(BlockError, match="larger"):
        unpack_block(packed, (23,), 1 << 20)
    # a Huffman stream of one symbol, 2**40 times
    claim = struct.pack("<IQQH", 18, 1 << 40, 1, 5)
    with pytest.raises(BlockError, match="larger"):
        unpack_block(np.frombuffer(claim, np.uint8), (2,), 1 << 20)


def test_steps_that_are_not_read_are_named():
    with pytest.raises(BlockError, match="LZO"):
        unpack_block(np.zeros(8, np.uint8), (9,), 100)
