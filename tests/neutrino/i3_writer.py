"""Write small i3 files and alert messages, so that the readers are tested without real ones.

The layouts follow the description of the format, not the reader; that the description is right is
shown by the tests on real files.
"""

from __future__ import annotations

import base64
import io
import json
import math
import pickle
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def crc32c_raw(data: bytes) -> int:
    """CRC-32C, register from zero, not inverted: bit by bit, as the definition has it."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register


class Out:
    """A portable binary archive being written."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.seen: dict[str, tuple[bool, int]] = {}
        self.objects = 0

    def put(self, layout: str, *values: Any) -> Out:
        self.data += struct.pack("<" + layout, *values)
        return self

    def text(self, value: str | bytes) -> Out:
        raw = value.encode() if isinstance(value, str) else value
        self.put("I", len(raw))
        self.data += raw
        return self

    def enter(self, name: str, version: int = 0, tracked: bool = False) -> Out:
        if name not in self.seen:
            self.seen[name] = (tracked, version)
            self.put("BB", tracked, version)
        if self.seen[name][0]:
            self.put("I", self.objects)
            self.objects += 1
        return self

    def begin(self, name: str, version: int = 0) -> Out:
        """Begin a frame object: its own class and the empty base."""
        return self.enter(name, version, True).base()

    def base(self) -> Out:
        return self.enter("I3FrameObject", 0, True)


def blob(export: str) -> Out:
    out = Out()
    out.put("BBh", 0, 1, 2).text(export)
    return out


def pod(export: str, layout: str, value: Any) -> bytes:
    out = blob(export).begin("I3PODHolder")
    return bytes((out.text(value) if layout == "s" else out.put(layout, value)).data)


def position(out: Out, xyz: Sequence[float]) -> Out:
    return out.begin("I3Position").put("3d", *xyz)


def write_time(out: Out, year: int, ticks: int) -> Out:
    return out.begin("I3Time").put("iq", year, ticks)


def header(
    run: int = 7, event: int = 3, stream: str = "InIceSplit", year: int = 2023, version: int = 3
) -> bytes:
    out = blob("I3EventHeader").begin("I3EventHeader", version)
    out.put("IIIiI", run, 0, event, 20, 0).text(stream)
    write_time(out, year, 864_000_000_000_000 * 10)
    write_time(out, year, 864_000_000_000_000 * 10 + 200_000)
    return bytes(out.data)


def particle_into(out: Out, pdg: int, zenith: float, azimuth: float, energy: float) -> Out:
    out.begin("I3Particle", 5).put("iQiii", 1, 2, pdg, 40, 0)
    position(out, (1.0, 2.0, 3.0))
    out.begin("I3Direction").put("2d", zenith, azimuth)
    return out.put("4di", 10_000.0, energy, math.nan, 0.299792458, 0)


def particle(zenith: float, azimuth: float, pdg: int = 13, energy: float = 1e5) -> bytes:
    return bytes(particle_into(blob("I3Particle"), pdg, zenith, azimuth, energy).data)


def fit_params(logl: float, ndof: int) -> bytes:
    out = blob("I3LogLikelihoodFitParams").begin("I3LogLikelihoodFitParams")
    return bytes(out.put("2d2i", logl, logl / max(ndof, 1), ndof, 99).data)


def mc_tree(particles: Sequence[tuple[int, float]]) -> bytes:
    """One primary neutrino, and all others its children, each `(pdg, zenith)`."""
    out = blob("I3MCTree").begin("I3MCTree", 1)
    n = len(particles)
    # pre-order: root, its first child, no child of it, its sibling, ..., no sibling, no root more
    bits = [1] + [bit for _ in range(n) for bit in (1, 0)] + [0, 0]
    word = sum(bit << i for i, bit in enumerate(bits))
    words = [word >> 64 * i & (2**64 - 1) for i in range(len(bits) // 64 + 1)]
    out.put("II", len(bits), len(words)).put(f"{len(words)}Q", *words)
    particle_into(out, 14, 0.5, 0.1, 1e6)
    for i, (pdg, zenith) in enumerate(particles):
        particle_into(out, pdg, zenith, 0.2, 1e4 * (i + 1))
    return bytes(out.data)


Pulse = tuple[float, float, float, int]


def pulse_map(series: dict[tuple[int, int], list[Pulse]], version: int = 3) -> bytes:
    out = blob("I3RecoPulseSeriesMap").begin("I3RecoPulseSeriesMap")
    out.enter("map").put("I", len(series))
    for (string, om), pulses in sorted(series.items()):
        out.enter("pair").enter("OMKey", 2, True).put("iIB", string, om, 0)
        out.enter("vector<pulse>").put("I", len(pulses))
        for time, charge, width, flags in pulses:
            out.enter("I3RecoPulse", version, True)
            out.put("dffB" if version >= 3 else "fffB", time, charge, width, flags)
    return bytes(out.data)


def _bits(out: Out, bits: Sequence[bool]) -> None:
    n = (len(bits) + 7) // 8
    value = sum(bool(bit) << i for i, bit in enumerate(bits))
    out.enter("bitmask").put("HB", n, 8 * n - len(bits))
    out.data += value.to_bytes(n, "little")


def pulse_mask(source: str, doms: Sequence[Sequence[bool]]) -> bytes:
    """A mask over a series: one sequence of bits per DOM, none of them set drops the DOM."""
    out = blob("I3RecoPulseSeriesMapMask").begin("I3RecoPulseSeriesMapMask", 2)
    out.text(source)
    _bits(out, [any(bits) for bits in doms])
    kept = [bits for bits in doms if any(bits)]
    out.enter("vector<bitmask>").put("I", len(kept))
    for bits in kept:
        _bits(out, bits)
    return bytes(out.data)


def _size(out: Out, n: int) -> None:
    out.enter("SizeCodec")
    if n < 247:
        out.put("B", n)
    else:
        raw = n.to_bytes((n.bit_length() + 7) // 8, "little")
        out.put("B", 255 - len(raw))
        out.data += raw


def _overflow(words: list[int], rest: int) -> None:
    while True:
        words.append(min(rest, 0xFFFF))
        rest -= words[-1]
        if words[-1] != 0xFFFF:
            return


Readout = tuple[int, int, bool, list[tuple[int, int, int]]]


def super_dst(readouts: Sequence[Readout]) -> bytes:
    """Readouts `(string, om, hlc, [(time ns, charge code, width exponent), ...])` in time order."""
    words: list[int] = []
    headers: list[int] = []
    runs: list[list[int]] = [[], [], [], []]
    extra: list[int] = []
    before = -512
    for string, om, hlc, pulses in readouts:
        surface = om > 60
        last, limit = before, 2047
        for i, (time, charge, width) in enumerate(pulses):
            delta = min(time - last, limit)
            if not i:
                headers.append((string << 6 | om - 1) | delta >> 8 << 13)
                before = time
            code = charge & 63 if surface else min(charge, 63)
            stop = i == len(pulses) - 1
            words.append(delta & 0xFF | code << 8 | hlc << 14 | stop << 15)
            if delta == limit:
                _overflow(words, time - last - limit)
            if surface:
                extra.append(charge >> 6)
            elif code == 63:
                _overflow(words, charge - 63)
            runs[2 * surface + hlc].append(width)
            last, limit = time, 255
    out = blob("I3SuperDST").begin("I3SuperDST", 1)
    for name, layout, items in (("stamp", "H", words), ("header", "H", headers)):
        out.enter(f"CompactVector<{name}>")
        _size(out, len(items))
        out.put(f"{len(items)}{layout}", *items)
    for stream in (*(_run_lengths(run) for run in runs), extra):
        out.enter("CompactVector<byte>")
        _size(out, len(stream))
        out.data += bytes(stream)
    return bytes(out.data)


def _run_lengths(codes: list[int]) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(codes):
        n = 1
        while at + n < len(codes) and codes[at + n] == codes[at]:
            n += 1
        at += n
        while n:
            found.append(codes[at - 1] | (n & 15) << 4)
            n >>= 4
    return found


def om_geo_map(doms: dict[tuple[int, int], Sequence[float]]) -> bytes:
    out = blob("I3OMGeoMap")
    _doms_into(out, doms)
    return bytes(out.data)


def _doms_into(out: Out, doms: dict[tuple[int, int], Sequence[float]]) -> None:
    out.begin("I3Map<OMKey, I3OMGeo>").enter("map<OMKey, I3OMGeo>").put("I", len(doms))
    for (string, om), xyz in sorted(doms.items()):
        out.enter("pair<OMKey, I3OMGeo>").enter("OMKey", 2, True).put("iIB", string, om, 0)
        out.enter("I3OMGeo", 1)
        position(out, xyz)
        out.begin("I3Orientation").begin("I3Quaternion").put("4d", 0, 1, 0, 0)
        out.put("id", 20, 0.0444)


def geometry(doms: dict[tuple[int, int], Sequence[float]]) -> bytes:
    """An I3Geometry with one station of one tank."""
    out = blob("I3Geometry").begin("I3Geometry", 1)
    _doms_into(out, doms)
    out.begin("I3Map<int, I3StationGeo>").enter("map<int, I3StationGeo>").put("I", 1)
    out.enter("pair<int, I3StationGeo>").put("i", 1).begin("I3Vector<I3TankGeo>")
    out.enter("vector<I3TankGeo>").put("I", 1).enter("I3TankGeo", 2)
    position(out, (0.0, 0.0, 1950.0)).put("4d", 0, 1, 1.3, 0.9)
    out.begin("I3Vector<OMKey>").enter("vector<OMKey>").put("I", 1)
    out.enter("OMKey", 2, True).put("iIB", 1, 61, 0).put("di", 0.5, 1)
    write_time(out, 2010, 0)
    write_time(out, 2038, 0)
    return bytes(out.data)


def frame(
    stream: str, objects: dict[str, bytes], *, version: int = 6, checksum: int | None = None
) -> bytes:
    covered = Out()
    covered.put("cI", stream.encode(), len(objects))
    for key, data in objects.items():
        covered.text(key).text("SomeType").text(data)
    if checksum is None:
        checksum = crc32c_raw(bytes(covered.data))
    head = b"[i3]" + struct.pack("<IBB", version, 0, 0)
    return head + bytes(covered.data) + struct.pack("<I", checksum)


def frame_pickle(data: bytes, form: str = "py3") -> bytes:
    """The pickle of a frame as Python 2, Python 3 (protocol 2) or protocol 4 writes it."""
    out = io.BytesIO()
    if form == "protocol4":
        out.write(b"\x80\x04")
        for text in (b"icecube._icetray", b"I3Frame"):
            out.write(b"\x8c" + bytes([len(text)]) + text + b"\x94")
        out.write(b"\x93\x94)R\x94}\x94B" + struct.pack("<I", len(data)) + data + b"\x94\x86\x94b.")
        return out.getvalue()
    out.write(b"\x80\x02cicecube.icetray\nI3Frame\nq\x00)Rq\x01}q\x02")
    if form == "py2":
        out.write(b"T" + struct.pack("<I", len(data)) + data)
    else:
        text = data.decode("latin-1").encode("utf-8")
        out.write(b"c_codecs\nencode\nq\x03X" + struct.pack("<I", len(text)) + text)
        out.write(b"X\x06\x00\x00\x00latin1\x86R")
    out.write(b"\x86b.")
    return out.getvalue()


def message(frames: Sequence[tuple[str, bytes]], form: str = "py3", **numbers: Any) -> dict:
    packed = [
        [stream, base64.b64encode(zlib.compress(frame_pickle(data, form))).decode()]
        for stream, data in frames
    ]
    return {
        "service": "PFOnlineWriter",
        "varname": "realtimeEventData",
        "value": {"version": "2021a", "data": {"frames": packed, **numbers}},
    }


def write_message(path: Path, value: dict) -> Path:
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(value, protocol=3))
    else:
        path.write_text(json.dumps(value), encoding="utf-8")
    return path


def small_detector() -> dict[tuple[int, int], tuple[float, float, float]]:
    """Nineteen strings of 20 DOMs on a hexagonal grid, 100 m apart, 20 m between DOMs."""
    doms = {}
    number = 0
    for q in range(-2, 3):
        for r in range(max(-2, -q - 2), min(2, -q + 2) + 1):
            number += 1
            x, y = 100.0 * (q + r / 2), 100.0 * math.sqrt(3) / 2 * r
            for om in range(1, 21):
                doms[number, om] = (x, y, 200.0 - 20.0 * om)
    return doms


def track_series() -> dict[tuple[int, int], list[Pulse]]:
    """Light along a line through the small detector, and some noise far from it in time."""
    series: dict[tuple[int, int], list[Pulse]] = {}
    for (string, om), (x, y, z) in small_detector().items():
        rho = math.hypot(y - 10.0, z)
        if rho < 70:
            time = 10_000.0 + (x + rho) / 0.3
            series[string, om] = [(time, 2.0 + string / 100, 8.0, 7), (time + 40, 0.5, 8.0, 4)]
        elif (string * 20 + om) % 37 == 0:
            series[string, om] = [(31_000.0 + 1700.0 * om, 1.0, 8.0, 4)]
    return series


def event_frames() -> list[tuple[str, bytes]]:
    """G, Q and P frame of one event with a mask, a fit and a tree."""
    series = track_series()
    keep = [[True] * len(p) for _, p in sorted(series.items())]
    keep[0][-1] = False
    return [
        ("G", frame("G", {"I3OMGeoMap": om_geo_map(small_detector())})),
        ("Q", frame("Q", {"Raw": pulse_map(series), "I3EventHeader": header(stream="")})),
        (
            "P",
            frame(
                "P",
                {
                    "I3EventHeader": header(),
                    "SplitInIcePulses": pulse_mask("Raw", keep),
                    "SomeFit": particle(1.1, 2.2),
                    "SomeFitFitParams": fit_params(123.5, 40),
                    "Strange": bytes(blob("NotKnownHere").begin("NotKnownHere").data),
                },
            ),
        ),
    ]


def write_i3(path: Path, frames: Sequence[tuple[str, bytes]] | None = None) -> Path:
    import bz2
    import gzip

    data = b"".join(each for _, each in (event_frames() if frames is None else frames))
    if path.suffix == ".gz":
        data = gzip.compress(data)
    elif path.suffix == ".bz2":
        data = bz2.compress(data)
    elif path.suffix == ".zst":
        import zstandard

        data = zstandard.compress(data)
    path.write_bytes(data)
    return path
