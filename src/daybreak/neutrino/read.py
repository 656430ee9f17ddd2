"""Read events from a file, whatever form it has: ``.i3`` (also compressed), or an alert message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daybreak.errors import EventError
from daybreak.neutrino.containment import label
from daybreak.neutrino.event import Event, Geometry
from daybreak.neutrino.event_io import is_own_event, read_event
from daybreak.neutrino.geometry import default_geometry, geometry_of_frame, load_geometry
from daybreak.neutrino.i3.files import MAGIC, kind_of_file, read_i3
from daybreak.neutrino.i3.frames import Frame
from daybreak.neutrino.i3.limits import DEFAULT_LIMITS, Limits
from daybreak.neutrino.i3.physics import event_of, is_event
from daybreak.neutrino.message.alert import read_message


def read_frames_of(
    path: str | Path, limits: Limits = DEFAULT_LIMITS
) -> tuple[Iterable[Frame], Mapping[str, Any], str]:
    """Return the frames of an event file or alert message.

    Parameters
    ----------
    path
        The file; what it is is told by its first bytes.
    limits
        Bounds on what reading may cost.

    Returns
    -------
    frames
        In the file's order; those of an ``.i3`` file are read while they are asked for.
    numbers
        What an alert carries besides frames, else empty.
    topic
        The kind of an alert, else empty.

    Raises
    ------
    EventError
        The file can't be read, is neither, or is damaged.
    """
    path = Path(path)
    kind = kind_of_file(path)
    if kind in dict(MAGIC):
        return read_i3(path, limits), {}, ""
    if kind in ("json", "pickle"):
        message = read_message(path, limits)
        return message.frames, message.numbers, message.topic
    raise EventError(
        f"{path} is neither an .i3 file nor an alert message",
        "Give an .i3, .i3.gz, .i3.bz2 or .i3.zst file, or a message of IceCube's realtime system.",
    )


def _kind(path: Path, topic: str) -> str:
    if topic.lower().startswith("hese"):
        return "hese"
    for kind in ("gold", "bronze"):
        if kind in path.stem.lower():
            return kind
    return "alert" if topic else ""


def read_events(
    path: str | Path,
    *,
    gcd: str | Path | None = None,
    geometry: Geometry | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Event]:
    """Read the physics events of a file.

    Parameters
    ----------
    path
        An ``.i3`` file, plain or compressed, an alert message, JSON or pickled, or an event that
        `daybreak.neutrino.event_io` wrote (it brings its own detector).
    gcd
        A GCD file or a table of DOM positions.
    geometry
        The positions of the DOMs, instead of `gcd`. Without either the file's own geometry is
        used, else `daybreak.neutrino.geometry.default_geometry`.
    limits
        Bounds on what reading may cost.

    Returns
    -------
    list of Event
        One per physics frame, labelled (``contained``, ``few-doms``) where that holds.

    Raises
    ------
    EventError
        The file can't be read, holds no physics event, an object has a version that is not
        supported (the message names frame and key), or no geometry is known.
    """
    path = Path(path)
    if is_own_event(path):
        return [label(read_event(path))]
    if geometry is None and gcd is not None:
        geometry = load_geometry(gcd)
    frames, numbers, topic = read_frames_of(path, limits)
    own: Geometry | None = None
    events: list[Event] = []
    for frame in frames:
        if frame.stream == "G" and geometry is None:
            own = geometry_of_frame(frame, path.name)
        if not is_event(frame):
            continue
        if len(events) >= limits.events:
            raise EventError(
                f"{path.name} holds more than {limits.events} physics events",
                "Raise the limit events, or split the file.",
            )
        if geometry is None and own is None:
            geometry = default_geometry()
        events.append(
            label(
                event_of(
                    frame,
                    geometry or own,  # type: ignore[arg-type]
                    kind=_kind(path, topic),
                    numbers=numbers,
                    source=path.name,
                    limits=limits,
                )
            )
        )
    if not events:
        raise EventError(
            f"{path.name} holds no physics event with pulses",
            "See what is in it with: daybreak event show",
        )
    return events
