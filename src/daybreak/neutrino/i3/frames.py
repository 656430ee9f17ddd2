"""Frames of an ``.i3`` stream: keys, type names and undecoded blobs, checked against the CRC.

The checksum of a version 6 frame is CRC-32C with a register that starts at zero and is not inverted
at the end; it covers everything from the stream letter to the last blob.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from daybreak.errors import EventError
from daybreak.neutrino.i3.limits import DEFAULT_LIMITS, Limits

TAG = b"[i3]"
PARENTS = {"P": "QDCG", "Q": "DCG", "D": "CG", "C": "G"}
"""Frames of which other streams a frame inherits keys from, nearest first."""

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_CHUNK = 1 << 20
_HINT = "The file is damaged or cut off, or is no .i3 file; get it again from where it came from."


class _Source(Protocol):
    def read(self, n: int, /) -> bytes: ...


@dataclass(frozen=True, eq=False)
class Slot:
    """One object of a frame, not decoded: its demangled type name and its bytes."""

    type_name: str
    blob: bytes


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Parameters
    ----------
    stream
        Its letter: G, C, D, Q, P, ...
    slots
        Its own objects by key.
    index
        Position in the file, from 0.
    inherited
        The frames whose objects are seen in this one too, nearest first.
    source
        Name of the file.
    """

    stream: str
    slots: Mapping[str, Slot]
    index: int = 0
    inherited: tuple[Frame, ...] = ()
    source: str = ""
    cache: dict[str, object] = field(default_factory=dict, repr=False)

    @property
    def what(self) -> str:
        """File, number and stream, for messages."""
        return f"{self.source}: frame {self.index} ({self.stream})"

    def owner(self, key: str) -> Frame | None:
        """Return the frame that holds a key: this one, or one that it inherits from.

        Parameters
        ----------
        key
            Name of the object.
        """
        return next((f for f in (self, *self.inherited) if key in f.slots), None)

    def keys(self) -> list[str]:
        """Return all keys that are seen in this frame, sorted."""
        return sorted({key for f in (self, *self.inherited) for key in f.slots})

    def __contains__(self, key: str) -> bool:
        return self.owner(key) is not None


def checksum(covered: bytes | bytearray) -> int:
    """Return the checksum of a version 6 frame (CRC-32C, from zero, not inverted).

    Parameters
    ----------
    covered
        The bytes that it is taken over.
    """
    import google_crc32c

    # the library inverts the register at both ends; we do not want that
    return int(google_crc32c.extend(_LONG, bytes(covered))) ^ _LONG


_LONG = 0xFFFFFFFF


class _Reader:
    """Reads frames one after the other from a stream of bytes, within the limits."""

    def __init__(self, source: _Source, name: str, limits: Limits) -> None:
        self.source, self.name, self.limits = source, name, limits
        self.total = 0
        self.index = 0
        self.frame = bytearray()

    def fail(self, why: str) -> EventError:
        return EventError(f"{self.name}: frame {self.index}: {why}", _HINT)

    def take(self, n: int) -> bytes:
        """Read `n` bytes more of this frame."""
        if len(self.frame) + n > self.limits.frame_bytes:
            raise EventError(
                f"{self.name}: frame {self.index} is larger than {self.limits.frame_bytes} bytes",
                "Raise the limit frame_bytes if you trust the file.",
            )
        if self.total + n > self.limits.total_bytes:
            raise EventError(
                f"{self.name} holds more than {self.limits.total_bytes} bytes when decompressed",
                "Raise the limit total_bytes if you trust the file.",
            )
        start = len(self.frame)
        while (left := n - (len(self.frame) - start)) > 0:
            chunk = self.source.read(min(left, _CHUNK))
            if not chunk:
                raise self.fail(f"the file ends {left} bytes too soon")
            self.frame += chunk
        self.total += n
        return bytes(self.frame[start:])

    def u32(self) -> int:
        return int(_U32.unpack(self.take(4))[0])

    def text(self) -> bytes:
        n = self.u32()
        return self.take(int(_U64.unpack(self.take(8))[0]) if n == _LONG else n)

    def next(self) -> tuple[str, dict[str, Slot]] | None:
        """Return stream letter and slots of the next frame, None at the end of the file."""
        self.frame = bytearray()
        first = self.source.read(1)
        if not first:
            return None
        self.frame += first
        tag = first + self.take(3)
        if tag != TAG:
            raise self.fail(f"a frame begins with {TAG!r}, this with {tag!r}")
        version = self.u32()
        if version != 6:
            raise self.fail(f"frame version {version} is not supported, only 6")
        tracked, stream_version = self.take(2)
        if tracked or stream_version:
            raise self.fail("the stream letter is not written as expected")
        begin = len(self.frame)
        stream = self.take(1).decode("latin-1")
        slots = self._slots()
        end = len(self.frame)
        if self.u32() != checksum(self.frame[begin:end]):
            raise self.fail("its checksum is wrong")
        if not stream.isalnum() or not stream.isascii():
            raise self.fail(f"{stream!r} is no name of a stream")
        self.index += 1
        return stream, slots

    def _slots(self) -> dict[str, Slot]:
        slots: dict[str, Slot] = {}
        n = self.u32()
        if n > self.limits.slots:
            raise self.fail(f"{n} objects in one frame; the limit slots is {self.limits.slots}")
        for _ in range(n):
            key = self.text().decode("utf-8", errors="replace")
            type_name = self.text().decode("utf-8", errors="replace")
            if key in slots:
                raise self.fail(f"the key {key!r} occurs twice")
            slots[key] = Slot(type_name, self.text())
        return slots


def read_frames(source: _Source, name: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[Frame]:
    """Yield the frames of a stream of bytes, each with those it inherits from.

    Parameters
    ----------
    source
        Anything with ``read(n)`` that gives decompressed bytes.
    name
        Name of the file, for messages.
    limits
        Bounds on sizes.

    Raises
    ------
    EventError
        A frame is cut off, larger than allowed, of another version, or its checksum is wrong.
    """
    yield from inherit(_frames(source, name, limits), name)


def _frames(source: _Source, name: str, limits: Limits) -> Iterator[Frame]:
    reader = _Reader(source, name, limits)
    while (found := reader.next()) is not None:
        if reader.index > limits.frames:
            raise EventError(
                f"{name} holds more than {limits.frames} frames",
                "Raise the limit frames if you trust the file.",
            )
        yield Frame(*found)


def inherit(frames: Iterable[Frame], source: str) -> Iterator[Frame]:
    """Number frames, name their file, and let each see the newest frames that it inherits from.

    Parameters
    ----------
    frames
        Frames in the order of the file.
    source
        Where it was read, for messages.
    """
    newest: dict[str, Frame] = {}
    for index, frame in enumerate(frames):
        parents = tuple(newest[s] for s in PARENTS.get(frame.stream, "") if s in newest)
        frame = replace(frame, index=index, inherited=parents, source=source)
        if frame.stream in "QDCG":
            newest[frame.stream] = frame
        yield frame


def frame_of_bytes(data: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> Frame:
    """Return the one frame that `data` hold (as in an alert message).

    Parameters
    ----------
    data
        The bytes.
    name
        Name of the file, for messages.
    limits
        How much may be read.

    Raises
    ------
    EventError
        There is no frame, or more than one, or it can't be read.
    """
    frames = list(read_frames(io.BytesIO(data), name, limits))
    if len(frames) != 1:
        raise EventError(f"{name}: {len(frames)} frames where one is expected", _HINT)
    return frames[0]
