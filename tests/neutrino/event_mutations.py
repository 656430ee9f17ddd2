"""Damage i3 files and alert messages in many ways, also below their checksums and compression.

A seed event is kept taken apart, as frames of objects; what is damaged is put together again, so
that the damage reaches the innermost readers: blobs get right checksums around them, pickles are
packed and compressed anew.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import pickle
import random
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import i3_writer as w

from daybreak.neutrino.i3.frames import checksum
from daybreak.neutrino.read import read_frames_of

Frames = list[tuple[str, dict[str, bytes]]]
BIG_BLOB = 60_000
ODD = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 200_000]
ODD_FLOATS = [float("nan"), float("inf"), -1e308, 1e308, 5e-324, 1e18, -0.0]


@dataclass(frozen=True)
class Seed:
    """An event to damage: its frames, and the numbers of a message."""

    name: str
    frames: Frames
    numbers: dict


def made_up_seed() -> Seed:
    """A seed that needs no real file."""
    frames: Frames = [
        ("G", {"I3OMGeoMap": w.om_geo_map(w.small_detector())}),
        (
            "Q",
            {
                "Raw": w.pulse_map(w.track_series()),
                "I3MCTree": w.mc_tree([(13, 0.3), (11, 0.4)]),
                "I3SuperDST": w.super_dst(_readouts()),
            },
        ),
        (
            "P",
            {
                "I3EventHeader": w.header(),
                "SplitInIcePulses": w.pulse_mask(
                    "Raw", [[True] * len(p) for _, p in sorted(w.track_series().items())]
                ),
                "SplineMPE": w.particle(1.0, 2.0),
                "SplineMPEFitParams": w.fit_params(10.0, 20),
                "HESE_VHESelfVeto": w.pod("I3Bool", "B", 1),
            },
        ),
        ("P", {"I3EventHeader": w.header(event=4), "Fit": w.particle(0.1, 0.2)}),
    ]
    numbers = {"nch": 10, "qtot": 4.5, "reco": {"spefit2": {"zen": 1.0, "azi": 2.0, "llh": 9.0}}}
    return Seed("made-up", frames, numbers)


def _readouts() -> list:
    return [
        (1 + i % 19, 1 + i % 20, bool(i % 2), [(100 * i, 70 * (i % 3), 3), (100 * i + 300, 3, 4)])
        for i in range(60)
    ]


def real_seeds(folder: Path) -> list[Seed]:
    """One seed per event of the files in a folder; objects that are large and not read left out."""
    seeds = []
    for path in sorted(folder.iterdir()):
        if not path.name.endswith((".json", ".pkl", ".i3.gz")):
            continue
        frames, numbers, _ = read_frames_of(path)
        group: Frames = []
        for frame in frames:
            if frame.stream == "I":
                continue
            kept = {k: s.blob for k, s in frame.slots.items() if len(s.blob) < BIG_BLOB}
            group.append((frame.stream, kept))
            if frame.stream == "P":
                seeds.append(Seed(path.name, group, json.loads(json.dumps(dict(numbers)))))
                group = []
    return seeds


def i3_frame(stream: str, objects: dict[str, bytes]) -> bytes:
    """A frame with the right checksum."""
    out = w.Out()
    out.put("cI", stream.encode("latin-1")[:1] or b"P", len(objects))
    for key, blob in objects.items():
        out.text(key).text("T").text(blob)
    covered = bytes(out.data)
    return b"[i3]" + struct.pack("<IBB", 6, 0, 0) + covered + struct.pack("<I", checksum(covered))


def damaged_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flip, overwrite, cut, double, move or insert bytes."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        if not found:
            break
        at = rng.randrange(len(found))
        n = min(rng.choice((1, 2, 4, 8, 30)), len(found) - at)
        match rng.randrange(8):
            case 0:
                found[at] ^= 1 << rng.randrange(8)
            case 1:
                found[at] = rng.randrange(256)
            case 2:
                found[at : at + 4] = struct.pack("<I", rng.choice(ODD))
            case 3:
                found[at : at + 8] = struct.pack("<d", rng.choice(ODD_FLOATS))
            case 4:
                del found[at:]
            case 5:
                del found[at : at + n]
            case 6:
                found[at:at] = found[at : at + n] * rng.choice((1, 2, 50))
            case 7:
                found[at:at] = rng.randbytes(n)
    return bytes(found)


def damaged_frames(rng: random.Random, seed: Seed) -> Frames:
    """Damage objects, swap them, or lose them; the frames stay readable."""
    frames = [(stream, dict(objects)) for stream, objects in seed.frames]
    for _ in range(rng.choice((1, 1, 2, 4))):
        _, objects = rng.choice(frames)
        if not objects:
            continue
        key = rng.choice(list(objects))
        match rng.randrange(10):
            case 0:
                del objects[key]
            case 1:
                objects[key] = rng.choice(list(objects.values()))
            case 2:
                objects[rng.choice(("I3SuperDST", "I3MCTree", "InIcePulses", "I3EventHeader"))] = (
                    objects[key]
                )
            case 3:
                frames.append((rng.choice("GCDQPI"), objects))
            case _:
                objects[key] = damaged_bytes(rng, objects[key])
    return frames


EVIL = [
    b"cos\nsystem\nX\x14\x00\x00\x00touch /tmp/HOSTILE_X\x85R",
    b"cbuiltins\nexec\nX\x09\x00\x00\x00raise 1/0\x85R",
    b"(iposix\nsystem\n",
    b"\x8c\x08builtins\x8c\x04eval\x93\x8c\x031/0\x85R",
    b"}(K\x01K\x02u",
    b"]q\x63h\x63a",
    b"I" + b"9" * 5000 + b"\n",
    b"(" * 50,
    b"]" * 3000,
    b"\x8a\xff" + b"\x7f" * 255,
    b"B\xff\xff\xff\xff",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"b",
    b"R",
    b"0",
    b"\x82\x01",
    b"Pabc\n",
    b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R",
]


def damaged_pickle(rng: random.Random, data: bytes) -> bytes:
    """Damage a pickle, or slip opcodes into it that would run something."""
    if rng.random() < 0.5:
        return damaged_bytes(rng, data)
    at = rng.choice((2, len(data) - 1, rng.randrange(len(data))))
    return data[:at] + rng.choice(EVIL) * rng.choice((1, 1, 3)) + data[at:]


def _odd_value(rng: random.Random) -> object:
    return rng.choice(
        [None, True, -1, 10**400, 1e308, "", "x" * 1000, [], {}, [[]] * 5, {"zen": {}}, "\ud800"]
    )


def damaged_tree(rng: random.Random, value: object) -> object:
    """Replace some value of a message by an odd one."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        return {**value, key: damaged_tree(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], damaged_tree(rng, value[at]), *value[at + 1 :]]
    return _odd_value(rng)


def message_bytes(rng: random.Random, seed: Seed, frames: Frames, *, evil: bool) -> bytes:
    """A message of frames; with `evil` the pickles inside are damaged too."""
    packed = []
    form = rng.choice(("py2", "py3", "protocol4"))
    for stream, objects in frames:
        data = w.frame_pickle(i3_frame(stream, objects), form)
        if evil and rng.random() < 0.5:
            data = damaged_pickle(rng, data)
        squeezed = zlib.compress(data, 1)
        if evil and rng.random() < 0.1:
            squeezed = damaged_bytes(rng, squeezed)
        packed.append([stream, base64.b64encode(squeezed).decode()])
    value = {"varname": "realtimeEventData", "value": {"data": {"frames": packed, **seed.numbers}}}
    if evil and rng.random() < 0.3:
        value = damaged_tree(rng, value)  # type: ignore[assignment]
    if rng.random() < 0.5:
        try:
            data = pickle.dumps(value, protocol=rng.choice((2, 3, 4)))
        except UnicodeEncodeError:
            data = b"\x80\x02N."
        return damaged_pickle(rng, data) if evil and rng.random() < 0.3 else data
    text = json.dumps(value).encode()
    return damaged_bytes(rng, text) if evil and rng.random() < 0.3 else text


def bomb(rng: random.Random) -> bytes:
    """Small input that means much work: bombs of all compressions, deep nesting."""
    n = rng.choice((1 << 20, 40 << 20, 300 << 20))
    zeros = bytes(1 << 20)
    match rng.randrange(7):
        case 0:
            return gzip.compress(i3_frame("Q", {"a": b""}), 1) + _gzip_zeros(n)
        case 1:
            head = b"[i3]" + struct.pack("<IBBcI", 6, 0, 0, b"Q", 1) + struct.pack("<I", n)
            return bz2.compress(head + zeros * min(n >> 20, 40), 1)
        case 2:
            import zstandard

            head = b"[i3]" + struct.pack("<IBBcI", 6, 0, 0, b"Q", 1) + struct.pack("<I", n)
            return zstandard.compress(head + zeros * (n >> 20))
        case 3:
            depth = rng.choice((50, 1000, 200_000))
            return b"[" * depth + b"]" * depth
        case 4:
            return b"\x80\x02" + b"]" * rng.choice((60, 5000, 300_000)) + b"."
        case 5:
            text = base64.b64encode(zlib.compress(b"\x80\x02T" + struct.pack("<I", n) + zeros * 80))
            value = {"varname": "x", "value": {"data": [["P", text.decode()]]}}
            return json.dumps(value).encode()
    return b'{"value":{"data":' + b"[[]," * rng.choice((10, 500_000)) + b"0"


def _gzip_zeros(n: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(n >> 20)]
    return b"".join([*parts, packer.flush()])


def mutate(rng: random.Random, seeds: list[Seed]) -> tuple[str, bytes]:
    """Return the kind of damage, and a damaged file."""
    seed = rng.choice(seeds)
    kind = rng.choices(
        ("outer bytes", "objects", "message objects", "message", "two files", "bomb"),
        (15, 35, 15, 28, 5, 2),
    )[0]
    if kind == "bomb":
        return kind, bomb(rng)
    if kind == "message objects":
        return kind, message_bytes(rng, seed, damaged_frames(rng, seed), evil=False)
    if kind == "message":
        return kind, message_bytes(rng, seed, seed.frames, evil=True)
    frames = damaged_frames(rng, seed) if kind == "objects" else seed.frames
    data = b"".join(i3_frame(stream, objects) for stream, objects in frames)
    if kind == "two files":
        other = rng.choice(seeds).frames
        tail = b"".join(i3_frame(stream, objects) for stream, objects in other)
        data = data[: rng.randrange(len(data))] + tail[rng.randrange(len(tail)) :]
    squeeze = rng.choice((None, None, None, gzip.compress, bz2.compress, "zst"))
    if squeeze == "zst":
        import zstandard

        squeeze = zstandard.compress
    if kind == "outer bytes":
        data = squeeze(data) if squeeze else data
        return kind, damaged_bytes(rng, data)
    return kind, squeeze(data) if squeeze else data
