"""Files and frames: compression, checksums, inheritance, limits."""

from __future__ import annotations

import gzip
import os
import struct

import i3_writer as w
import pytest

from daybreak.errors import EventError
from daybreak.neutrino.i3.decode import decode
from daybreak.neutrino.i3.files import read_i3
from daybreak.neutrino.i3.limits import Limits


@pytest.mark.parametrize("name", ["a.i3", "a.i3.gz", "a.i3.bz2", "a.i3.zst"])
def test_every_compression_by_its_first_bytes(tmp_path, name):
    path = w.write_i3(tmp_path / name)
    path = path.rename(tmp_path / "no-ending")
    frames = list(read_i3(path))
    assert [f.stream for f in frames] == ["G", "Q", "P"] and [f.index for f in frames] == [0, 1, 2]
    assert list(frames[2].slots) == [k for k in frames[2].slots if k in frames[2]]
    assert "Raw" in frames[2] and "Raw" not in frames[2].slots  # inherited of Q


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_concatenated_members(tmp_path, ending):
    one = w.write_i3(tmp_path / f"a.i3{ending}").read_bytes()
    both = tmp_path / "both"
    both.write_bytes(one + one)
    assert [f.stream for f in read_i3(both)] == ["G", "Q", "P"] * 2


def test_a_frame_sees_only_the_newest_of_its_parents(tmp_path):
    frames = []
    for run in (1, 2):
        frames.append(("Q", w.frame("Q", {"Number": w.pod("I3Int", "i", run)})))
        frames.append(("P", w.frame("P", {})))
    found = [f for f in read_i3(w.write_i3(tmp_path / "a.i3", frames)) if f.stream == "P"]
    assert [decode(f, "Number") for f in found] == [1, 2]


def test_every_flipped_bit_of_a_frame_is_found(tmp_path):
    data = w.frame("Q", {"Number": w.pod("I3Int", "i", 5), "B": w.pod("I3Bool", "B", 1)})
    path = tmp_path / "a.i3"
    for at in range(len(data)):
        for bit in (0, 5):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(EventError):
                list(read_i3(path))


@pytest.mark.parametrize("ending", ["", ".gz", ".bz2", ".zst"])
def test_cut_off_anywhere(tmp_path, ending):
    path = w.write_i3(tmp_path / f"a.i3{ending}", w.event_frames()[2:])
    data = path.read_bytes()
    for cut in range(5, len(data) - 1, max(1, len(data) // 40)):
        path.write_bytes(data[:cut])
        with pytest.raises(EventError):
            list(read_i3(path))


def test_messages_name_file_and_frame(tmp_path):
    good = w.frame("Q", {})
    path = tmp_path / "some.i3"
    path.write_bytes(good + w.frame("P", {}, checksum=1))
    with pytest.raises(EventError, match=r"some\.i3: frame 1: its checksum is wrong"):
        list(read_i3(path))
    path.write_bytes(good + w.frame("P", {}, version=5))
    with pytest.raises(EventError, match="frame version 5"):
        list(read_i3(path))
    with pytest.raises(EventError, match="no file"):
        list(read_i3(tmp_path / "none.i3"))
    with pytest.raises(EventError, match="is a folder"):
        list(read_i3(tmp_path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe.i3"
    os.mkfifo(pipe)
    keep = os.open(pipe, os.O_RDWR)  # with a writer there, opening it for reading would succeed
    os.write(keep, b"[i3]")
    try:
        with pytest.raises(EventError, match="no ordinary file"):
            list(read_i3(pipe))
    finally:
        os.close(keep)


def test_limits(tmp_path):
    path = tmp_path / "bomb.i3.gz"
    blob = bytes(w.blob("I3VectorChar").data) + bytes(40 << 20)
    head = struct.pack("<cII", b"Q", 1, 1) + b"K" + struct.pack("<I", 1) + b"T"
    body = head + struct.pack("<I", len(blob)) + blob
    path.write_bytes(gzip.compress(b"[i3]" + struct.pack("<IBB", 6, 0, 0) + body, 1))
    with pytest.raises(EventError, match="larger than"):
        list(read_i3(path, Limits(frame_bytes=1 << 20)))
    many = w.write_i3(tmp_path / "many.i3", [("P", w.frame("P", {}))] * 5)
    with pytest.raises(EventError, match="more than 4 frames"):
        list(read_i3(many, Limits(frames=4)))
    with pytest.raises(EventError, match="more than 60 bytes"):
        list(read_i3(many, Limits(total_bytes=60)))
    wide = w.write_i3(tmp_path / "wide.i3", [("P", w.frame("P", {str(i): b"x" for i in range(9)}))])
    with pytest.raises(EventError, match="9 objects"):
        list(read_i3(wide, Limits(slots=8)))
