"""Decode one object of a frame, on demand; which decoder is told by its export name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daybreak.errors import EventError
from daybreak.neutrino.i3 import detector, values
from daybreak.neutrino.i3.archive import Archive, open_object
from daybreak.neutrino.i3.frames import Frame
from daybreak.neutrino.i3.pulses import PulseMap, PulseMask, pulse_map, pulse_mask
from daybreak.neutrino.i3.superdst import super_dst, trigger_series

DECODERS: dict[str, Callable[[Archive], Any]] = {
    "I3EventHeader": values.header,
    "I3Particle": values.particle,
    "I3LogLikelihoodFitParams": values.fit_params,
    "I3Position": values.position,
    "I3Direction": values.direction,
    "I3Time": values.time,
    "I3TimeWindow": values.time_window,
    "I3TimeWindowSeries": values.window_series,
    "I3TimeWindowSeriesMap": values.window_series_map,
    "I3Double": values.pod(Archive.f64),
    "I3Int": values.pod(Archive.i32),
    "I3Bool": values.pod(lambda a: bool(a.u8())),
    "I3String": values.pod(Archive.string),
    "I3MapStringDouble": values.string_map(Archive.f64),
    "I3MapStringInt": values.string_map(Archive.i32),
    "I3MapStringBool": values.string_map(lambda a: bool(a.u8())),
    "I3VectorDouble": values.vector("<f8"),
    "I3VectorInt": values.vector("<i4"),
    "I3VectorString": values.string_vector,
    "I3ParticleVect": values.particle_vector,
    "I3MCTree": values.mc_tree,
    "I3OMGeoMap": detector.om_geo_map,
    "I3Geometry": detector.geometry,
    "I3RecoPulseSeriesMap": pulse_map,
    "I3RecoPulseSeriesMapMask": pulse_mask,
    "I3SuperDST": super_dst,
    "I3SuperDSTTriggerSeries": trigger_series,
}
_MAX_CHAIN = 16


@dataclass(frozen=True)
class Unknown:
    """An object of a class that Daybreak does not decode."""

    export_name: str
    n_bytes: int


def decode_blob(blob: bytes, what: str) -> Any:
    """Decode the bytes of a frame object; `Unknown` if its class has no decoder.

    Parameters
    ----------
    blob
        The object's bytes with the name of its class.
    what
        What it is, for messages.

    Raises
    ------
    EventError
        The object has a version that is not supported, is damaged, or is longer than its data.
    """
    archive, name = open_object(blob, what)
    if not name:
        archive.end()
        return None
    decoder = DECODERS.get(name)
    if decoder is None:
        return Unknown(name, len(blob))
    archive.what = f"{what} ({name})"
    try:
        value = decoder(archive)
    except (OverflowError, ValueError, MemoryError) as error:
        raise archive.fail(f"its values can't be right: {error}") from None
    archive.end()
    return value


def export_name(blob: bytes, what: str) -> str:
    """Return the export name of a frame object, empty for a null pointer.

    Parameters
    ----------
    blob
        The object's bytes with the name of its class.
    what
        What it is, for messages.
    """
    return open_object(blob, what)[1]


def decode(frame: Frame, key: str) -> Any:
    """Return an object of a frame, or of one that it inherits from; decoded once.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    key
        Name of the object in the frame.

    Raises
    ------
    EventError
        There is no such object, or it can't be decoded.
    """
    owner = frame.owner(key)
    if owner is None:
        raise EventError(f"{frame.what}: there is no {key}", "Give a file that holds it.")
    if key not in owner.cache:
        owner.cache[key] = decode_blob(owner.slots[key].blob, f"{owner.what}, {key}")
    return owner.cache[key]


def decode_as(frame: Frame, key: str, kind: type) -> Any:
    """Return an object of a frame that must be of a kind.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    key
        Name of the object in the frame.
    kind
        Kind of the object.

    Raises
    ------
    EventError
        There is no such object, it can't be decoded, or it is of another kind.
    """
    value = decode(frame, key)
    if not isinstance(value, kind):
        name = value.export_name if isinstance(value, Unknown) else type(value).__name__
        raise EventError(
            f"{frame.what}: {key} is a {name}, not a {kind.__name__}",
            "The file is of a kind that is not supported.",
        )
    return value


def pulse_series(frame: Frame, key: str) -> PulseMap:
    """Return a pulse series, following masks to the series that they select from.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    key
        Name of the object in the frame.

    Raises
    ------
    EventError
        A series of the chain is missing, damaged, no pulse series, or the chain has a loop.
    """
    chain: list[tuple[str, PulseMask]] = []
    at = key
    while True:
        value = decode(frame, at)
        if isinstance(value, PulseMap):
            break
        if not isinstance(value, PulseMask):
            raise EventError(
                f"{frame.what}: {at} is no series of pulses", "The file is not supported."
            )
        chain.append((at, value))
        if len(chain) > _MAX_CHAIN:
            raise EventError(
                f"{frame.what}: {key} selects from itself, or by more than {_MAX_CHAIN} masks",
                "The file is damaged.",
            )
        at = value.source
    for name, mask in reversed(chain):
        value = mask.apply(value, f"{frame.what}, {name}")
    return value
