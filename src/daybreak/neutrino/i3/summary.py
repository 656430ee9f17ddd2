"""Say in a line what an object of a frame holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daybreak.errors import EventError
from daybreak.neutrino.event import Event
from daybreak.neutrino.i3.decode import Unknown, decode, export_name, pulse_series
from daybreak.neutrino.i3.frames import Frame
from daybreak.neutrino.i3.physics import to_time
from daybreak.neutrino.i3.pulses import PulseMap, PulseMask
from daybreak.neutrino.i3.values import I3Header, I3Particle, I3Time

_LONGEST = 100


def _clip(text: str) -> str:
    """One line of printable characters."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _number(value: float) -> str:
    return f"{value:.6g}"


def _pulses(found: PulseMap) -> str:
    charge = float(np.sum(found.pulses["charge"], dtype=float))
    return f"{len(found.pulses)} pulses in {len(found.doms)} DOMs, {charge:.1f} pe"


def _time(value: I3Time) -> str:
    start = to_time(value)
    return "no time" if start is None else f"{start.isot} UTC"


def _particle(p: I3Particle) -> str:
    parts = [f"zenith {_degrees(p.zenith_rad)}, azimuth {_degrees(p.azimuth_rad)} deg"]
    parts.append(f"at ({', '.join(f'{x:.1f}' for x in p.xyz_m)}) m")
    if math.isfinite(p.energy_gev):
        parts.append(f"{p.energy_gev:.4g} GeV")
    return ", ".join(parts)


def _degrees(angle_rad: float) -> str:
    return f"{math.degrees(angle_rad):.3f}"


def describe(frame: Frame, key: str) -> str:
    """Return what an object holds, in one line.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    key
        Name of the object in the frame.

    Raises
    ------
    EventError
        It can't be decoded.
    """
    value = decode(frame, key)
    match value:
        case None:
            return "empty"
        case Unknown():
            return "not decoded"
        case PulseMap():
            return _pulses(value)
        case PulseMask():
            return f"{_pulses(pulse_series(frame, key))}, from {_clip(value.source)}"
        case I3Header():
            return _clip(
                f"run {value.run}, event {value.event}, {value.sub_stream or 'no split'}, "
                f"{_time(value.start)}"
            )
        case I3Particle():
            return _particle(value)
        case I3Time():
            return _time(value)
        case float():
            return _number(value)
        case dict():
            return _clip(f"{len(value)} entries: " + ", ".join(map(str, list(value)[:8])))
        case list():
            return f"{len(value)} entries"
        case np.ndarray():
            return f"{len(value)} numbers"
        case tuple():
            return "(" + ", ".join(_number(float(x)) for x in value) + ")"
    return _clip(str(value))


def summary(frame: Frame) -> dict[str, Any]:
    """Return what a frame holds itself: stream, index, and a line for each object.

    An object that can't be decoded has its error as its line; the frame's checksum has been
    verified when it was read.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    """
    objects = []
    for key, slot in sorted(frame.slots.items()):
        try:
            name = export_name(slot.blob, f"{frame.what}, {key}")
            line = describe(frame, key)
            error = ""
        except EventError as problem:
            name, line, error = slot.type_name, "", problem.what
        objects.append(
            {
                "key": _clip(key),
                "type": _clip(name),
                "bytes": len(slot.blob),
                "holds": line,
                **({"error": _clip(error)} if error else {}),
            }
        )
    return {"index": frame.index, "stream": frame.stream, "objects": objects}


def event_summary(event: Event) -> dict[str, Any]:
    """Return what an event holds, by name: a line each.

    Parameters
    ----------
    event
        The event.
    """
    header, truth = event.header, event.truth
    found = {
        "event": _clip(f"run {header.run}, event {header.event}, {event.kind or 'no kind'}"),
        "start": "no time" if header.start is None else f"{header.start.utc.isot} UTC",
        "detector": _clip(f"{event.geometry.name}, {len(event.geometry)} DOMs"),
        "pulses": f"{len(event.pulses)} in {event.pulses.n_doms} DOMs, {event.pulses.qtot:.1f} pe",
    }
    if truth is not None:
        angles = f"zenith {_degrees(truth.zenith_rad)}, azimuth {_degrees(truth.azimuth_rad)} deg"
        energy = "" if truth.energy_gev is None else f", {truth.energy_gev:.4g} GeV"
        found["truth"] = angles + energy
    if event.labels:
        found["labels"] = ", ".join(event.labels)
    return found
