"""Frame objects: each layout, its versions, and that every byte is accounted for."""

from __future__ import annotations

import math
import struct

import i3_writer as w
import numpy as np
import pytest

from daybreak.errors import EventError
from daybreak.neutrino.i3.decode import Unknown, decode_blob
from daybreak.neutrino.i3.frames import checksum
from daybreak.neutrino.i3.pulses import PulseMap


def test_checksum_is_the_published_crc_without_its_inversions():
    # CRC-32C of "123456789" is 0xE3069283 with both inversions
    import google_crc32c

    assert google_crc32c.value(b"123456789") == 0xE3069283
    for data in (b"", b"\x00" * 7, b"123456789", bytes(range(256)) * 3):
        assert checksum(data) == w.crc32c_raw(data)


@pytest.mark.parametrize(
    ("export", "layout", "value"),
    [
        ("I3Double", "d", -2.5),
        ("I3Int", "i", -7),
        ("I3Bool", "B", 1),
        ("I3String", "s", "naïve"),
    ],
)
def test_plain_values(export, layout, value):
    assert decode_blob(w.pod(export, layout, value), "t") == value


def test_header_particle_and_fit():
    header = decode_blob(w.header(), "t")
    assert (header.run, header.event, header.sub_stream) == (7, 3, "InIceSplit")
    assert (header.start.year, header.start.daq_time) == (2023, 10 * 864_000_000_000_000)
    p = decode_blob(w.particle(1.25, 4.5, pdg=-13, energy=321.0), "t")
    assert (p.pdg, p.zenith_rad, p.azimuth_rad, p.energy_gev) == (-13, 1.25, 4.5, 321.0)
    assert p.xyz_m == (1.0, 2.0, 3.0) and math.isnan(p.length_m)
    assert decode_blob(w.fit_params(100.0, 50), "t") == {
        "logl": 100.0,
        "rlogl": 2.0,
        "ndof": 50,
        "nmini": 99,
    }


@pytest.mark.parametrize("n", [0, 1, 3, 40])
def test_tree_in_pre_order_with_parents(n):
    tree = decode_blob(w.mc_tree([(13, 0.1 * i) for i in range(n)]), "t")
    assert [parent for parent, _ in tree] == [-1] + [0] * n
    assert [p.zenith_rad for _, p in tree] == [0.5] + [0.1 * i for i in range(n)]


def test_empty_tree():
    out = w.blob("I3MCTree").begin("I3MCTree", 1).put("I", 0)
    assert decode_blob(bytes(out.data), "t") == []


@pytest.mark.parametrize("version", [2, 3])
def test_pulse_map(version):
    series = w.track_series()
    found = decode_blob(w.pulse_map(series, version), "t")
    assert isinstance(found, PulseMap)
    assert [tuple(d[:2]) for d in found.doms.tolist()] == sorted(series)
    flat = [p for _, pulses in sorted(series.items()) for p in pulses]
    kind = np.float32 if version == 2 else np.float64
    np.testing.assert_array_equal(found.pulses["time"], np.array([p[0] for p in flat], kind))
    np.testing.assert_array_equal(found.pulses["charge"], np.float32([p[1] for p in flat]))
    assert found.pulses["flags"].tolist() == [p[3] for p in flat]


def test_mask_drops_doms_without_pulses():
    series = {(1, 1): [(1.0, 1.0, 8.0, 7)] * 9, (1, 2): [(2.0, 1.0, 8.0, 7)], (3, 4): []}
    source = decode_blob(w.pulse_map(series), "t")
    mask = decode_blob(w.pulse_mask("x", [[True, False] * 4 + [True], [False], []]), "t")
    found = mask.apply(source, "t")
    assert found.counts.tolist() == [5] and found.doms[:, :2].tolist() == [[1, 1]]


@pytest.mark.parametrize("bits", [[[True] * 8, [True]], [[True] * 9], [[True] * 9, [True], [], []]])
def test_mask_for_another_series_is_refused(bits):
    series = {(1, 1): [(1.0, 1.0, 8.0, 7)] * 9, (1, 2): [(2.0, 1.0, 8.0, 7)]}
    source = decode_blob(w.pulse_map(series), "t")
    with pytest.raises(EventError, match="mask"):
        decode_blob(w.pulse_mask("x", bits), "t").apply(source, "t")


def test_super_dst_with_all_kinds_of_overflow():
    readouts = [
        (21, 30, True, [(-512, 10, 3), (-300, 63, 3), (200, 70_000, 4), (200_000, 62, 3)]),
        (21, 31, False, [(1700, 5, 3)]),
        (86, 60, False, [(140_000, 0, 5)]),
        (1, 61, True, [(140_001, 16_383, 2)]),
        *[(30, 1 + i, True, [(150_000 + i, 20, 3)]) for i in range(40)],
    ]
    found = decode_blob(w.super_dst(readouts), "t")
    got = {}
    at = 0
    for (string, om, _), n in zip(found.doms.tolist(), found.counts.tolist(), strict=True):
        got[string, om] = found.pulses[at : at + n]
        at += n
    assert len(got) == 44
    first = got[21, 30]
    assert first["time"].tolist() == [-512.0, -300.0, 200.0, 200_000.0]
    expected = [0.05 * code + 0.025 for code in (10, 63, 70_000, 62)]
    np.testing.assert_allclose(first["charge"], expected, rtol=1e-6)
    assert first["width"].tolist() == [8.0, 8.0, 16.0, 8.0]
    assert set(first["flags"].tolist()) == {7} and got[21, 31]["flags"].tolist() == [4]
    assert got[86, 60]["time"].tolist() == [140_000.0] and got[86, 60]["width"].tolist() == [32.0]
    assert got[1, 61]["charge"][0] == pytest.approx(10**7, rel=1e-6)
    assert [got[30, 1 + i]["time"][0] for i in range(40)] == [150_000.0 + i for i in range(40)]


def test_super_dst_caps_widths_and_parts_coincident_pulses():
    readouts = [(1, 1, True, [(100, 1, 3), (104, 1, 3), (104, 1, 3), (150, 1, 3)])]
    found = decode_blob(w.super_dst(readouts), "t").pulses
    # the first is capped at the gap of 4 ns; of the two at 104 ns the one with no gap to the next
    # takes half of the width before it and moves to its middle
    assert found["time"].tolist() == [100.0, 102.0, 104.0, 150.0]
    assert found["width"].tolist() == [2.0, 2.0, 8.0, 8.0]


def test_unknown_classes_are_left_alone_and_null_is_none():
    found = decode_blob(bytes(w.blob("NotKnownHere").put("dddd", 1, 2, 3, 4).data), "t")
    assert found == Unknown("NotKnownHere", 4 + 4 + 12 + 32)
    assert decode_blob(struct.pack("<BBh", 0, 1, -1), "t") is None


@pytest.mark.parametrize(
    "blob", [w.header(), w.particle(1, 2), w.pulse_map(w.track_series()), w.mc_tree([(13, 1.0)])]
)
def test_every_byte_counts(blob):
    with pytest.raises(EventError, match="left over"):
        decode_blob(blob + b"\x00", "file: frame 3 (P), Key")
    for cut in range(0, len(blob) - 1, max(1, len(blob) // 60)):
        with pytest.raises(EventError):
            decode_blob(blob[:cut], "file: frame 3 (P), Key")


def test_unknown_version_names_frame_and_key():
    with pytest.raises(EventError, match=r"f.i3: frame 3 \(P\), I3EventHeader .*version 4"):
        decode_blob(w.header(version=4), "f.i3: frame 3 (P), I3EventHeader")
    with pytest.raises(EventError, match="I3RecoPulse has version 4"):
        decode_blob(w.pulse_map({(1, 1): [(1.0, 1.0, 1.0, 1)]}, version=4), "f")


@pytest.mark.parametrize("write", [w.om_geo_map, w.geometry])
def test_geometry_objects(write):
    doms = w.small_detector()
    assert decode_blob(write(doms), "t") == doms
