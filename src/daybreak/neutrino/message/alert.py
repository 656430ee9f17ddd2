"""Alert messages: from the file to frames and the numbers that the alert carries."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybreak.errors import EventError
from daybreak.neutrino.i3.files import kind_of, opened
from daybreak.neutrino.i3.frames import Frame, frame_of_bytes, inherit
from daybreak.neutrino.i3.limits import DEFAULT_LIMITS, Limits
from daybreak.neutrino.message.safe_pickle import Call, Name, check_depth, interpret
from daybreak.products.jsontext import loads_shallow

_HINT = "Give an I3Live message of IceCube's realtime system, as JSON or in its pickled form."
_FRAME_CLASSES = frozenset({("icecube.icetray", "I3Frame"), ("icecube._icetray", "I3Frame")})
_MAX_FRAMES = 64


@dataclass(frozen=True, eq=False)
class Message:
    """One alert message.

    Parameters
    ----------
    frames
        Its frames, in the order of the message (G, C, D, Q, P), each with what it inherits.
    numbers
        What the alert carries besides frames: nch, npulses, qtot, reco, ...
    topic
        Its kind in the realtime system, such as ``realtimeEventData`` or ``heseEvent``.
    version
        Version of its format, empty for old ones.
    """

    frames: tuple[Frame, ...]
    numbers: Mapping[str, Any]
    topic: str
    version: str


def _read(path: Path, limits: Limits) -> bytes:
    with opened(path) as file:
        data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise EventError(
            f"{path} is larger than {limits.file_bytes} bytes",
            "Raise the limit file_bytes if you trust the file.",
        )
    return data


def _value(data: bytes, name: str, limits: Limits) -> Any:
    if kind_of(data[:4096]) == "pickle":
        return interpret(data, name, limits)
    try:
        value = loads_shallow(data)
    except ValueError as error:
        raise EventError(f"{name} is no message: {error}", _HINT) from None
    check_depth(value, name, limits)
    return value


def _inflate(data: bytes, what: str, limits: Limits) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, limits.frame_bytes)
    except zlib.error as error:
        raise EventError(f"{what} can't be decompressed: {error}", _HINT) from None
    if not inflater.eof:
        why = (
            f"is larger than {limits.frame_bytes} bytes"
            if inflater.unconsumed_tail
            else "is cut off"
        )
        raise EventError(f"{what} {why}", _HINT)
    return found


def unwrap_frame(text: Any, what: str, limits: Limits = DEFAULT_LIMITS) -> Frame:
    """Return the frame in one text of a message (base64 of a pickled frame, mostly zlib inside).

    Parameters
    ----------
    text
        The text of the message.
    what
        What it is, for messages.
    limits
        How much may be read.

    Raises
    ------
    EventError
        The text is no such frame, or larger than the limits.
    """
    if not isinstance(text, str | bytes):
        raise EventError(f"{what} is a {type(text).__name__}, not a text", _HINT)
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError) as error:
        raise EventError(f"{what} is not base64: {error}", _HINT) from None
    pickled = data if data[:1] == b"\x80" else _inflate(data, what, limits)
    match interpret(pickled, what, limits):
        case Call(function=Name(module=module, name=name), state=({}, bytes() as blob)) if (
            module,
            name,
        ) in _FRAME_CLASSES:
            return frame_of_bytes(blob, what, limits)
    raise EventError(f"{what} is a pickle of something else than a frame", _HINT)


def _parts(value: Any, name: str) -> tuple[list[Any], dict[str, Any], str, str]:
    """Return frames (still packed), numbers, topic and version of a message."""
    if isinstance(value, dict) and isinstance(value.get("value"), dict):
        inner = value["value"]
        data = inner.get("data")
        topic, version = str(value.get("varname", "")), str(inner.get("version", ""))
        if isinstance(data, dict) and isinstance(data.get("frames"), list):
            numbers = {k: v for k, v in data.items() if k != "frames"}
            return data["frames"], numbers, topic, version
        if isinstance(data, list):
            return data, {}, topic, version
    raise EventError(f"{name} is no alert message: it has no value.data with frames", _HINT)


def read_message(path: Path, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Read an alert message.

    Parameters
    ----------
    path
        A JSON file, or the pickle of the same dictionary; nothing in it is executed.
    limits
        Bounds on size, opcodes and nesting.

    Raises
    ------
    EventError
        The file is no alert message, is damaged, or exceeds the limits.
    """
    value = _value(_read(path, limits), path.name, limits)
    packed, numbers, topic, version = _parts(value, path.name)
    if not 0 < len(packed) <= _MAX_FRAMES:
        raise EventError(f"{path.name} holds {len(packed)} frames", _HINT)
    frames: list[Frame] = []
    total = 0
    for index, each in enumerate(packed):
        what = f"{path.name}: frame {index}"
        if not isinstance(each, list | tuple) or len(each) != 2:
            raise EventError(f"{what} is no pair of a stream and a text", _HINT)
        frame = unwrap_frame(each[1], what, limits)
        if each[0] != frame.stream:
            raise EventError(f"{what} is said to be {each[0]!r} and is {frame.stream!r}", _HINT)
        total += sum(len(slot.blob) for slot in frame.slots.values())
        if total > limits.frame_bytes:
            raise EventError(f"{path.name} holds more than {limits.frame_bytes} bytes", _HINT)
        frames.append(frame)
    return Message(tuple(inherit(frames, path.name)), numbers, topic, version)
