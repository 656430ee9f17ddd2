"""Daybreak's own event file: one event with its detector and, if simulated, its truth, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from daybreak.errors import EventError
from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses, Reco
from daybreak.products.jsontext import loads_shallow

FORMAT = "daybreak-event"
VERSION = 1
_MAX_BYTES = 64 << 20
_PULSES = ("string", "om", "time_ns", "charge_pe", "width_ns", "flags")
_DIGITS = {"time_ns": 2, "charge_pe": 4, "width_ns": 2}


def write_event(
    event: Event, path: str | Path, *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write an event; times are rounded to 0.01 ns, charges to 0.0001 pe.

    Parameters
    ----------
    event
        Its reconstructions and its own cleaned series are not kept.
    path
        Written under a temporary name and renamed.
    provenance
        How it was made, kept with it.

    Raises
    ------
    OutputError
        It can't be written.
    """
    from daybreak.products.atomic import write_text

    header, geometry = event.header, event.geometry
    content = {
        "format": FORMAT,
        "version": VERSION,
        "kind": event.kind,
        "header": {
            "run": header.run,
            "event": header.event,
            "subrun": header.subrun,
            "sub_event": header.sub_event,
            "stream": header.stream,
            "start_utc": None if header.start is None else _iso(header.start),
        },
        "truth": None if event.truth is None else _reco(event.truth),
        "provenance": dict(provenance or {}),
        "pulses": {
            name: _column(getattr(event.pulses, name), _DIGITS.get(name)) for name in _PULSES
        },
        "geometry": {
            "name": geometry.name,
            "string": _column(geometry.string, None),
            "om": _column(geometry.om, None),
            "xyz_m": np.round(geometry.xyz_m, 3).tolist(),
        },
    }
    write_text(Path(path), json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")


def _iso(time: Any) -> str:
    utc = time.utc.copy("isot")
    utc.precision = 9
    return str(utc.value)


def _column(values: Any, digits: int | None) -> list[Any]:
    if digits is None:
        return list(np.asarray(values).tolist())
    return list(np.round(np.asarray(values, dtype=np.float64), digits).tolist())


def _reco(reco: Reco) -> dict[str, Any]:
    return {
        "name": reco.name,
        "zenith_rad": reco.zenith_rad,
        "azimuth_rad": reco.azimuth_rad,
        "xyz_m": list(reco.xyz_m),
        "time_ns": reco.time_ns,
        "energy_gev": reco.energy_gev,
    }


def is_own_event(path: str | Path) -> bool:
    """Tell whether a file is one of these, by how it begins.

    Parameters
    ----------
    path
        The file.
    """
    try:
        if not Path(path).is_file():  # opening a pipe would wait for a writer
            return False
        with Path(path).open("rb") as file:
            head = file.read(64)
    except OSError:
        return False
    return b'"format"' in head and f'"{FORMAT}"'.encode() in head


def read_event(path: str | Path) -> Event:
    """Read an event that `write_event` wrote.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    EventError
        The file can't be read, is damaged or of another version.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise EventError(f"{path} is larger than {_MAX_BYTES} bytes", "It is no single event.")
        content = loads_shallow(path.read_bytes())
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise EventError(
                f"{path} is version {content['version']!r} of its format, {VERSION} is supported",
                "Write it again with this version: daybreak simulate event",
            )
        return _event(content, path.name)
    except OSError as error:
        raise EventError(f"{path} can't be read: {error.strerror}", "Check the path.") from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise EventError(
            f"{path} is a damaged event: {type(error).__name__} {str(error)[:100]}",
            "Get it again, or write it again with: daybreak simulate event",
        ) from None


def _event(content: Mapping[str, Any], source: str) -> Event:
    from astropy.time import Time

    head, detector = content["header"], content["geometry"]
    pulses = Pulses.from_columns(*(content["pulses"][name] for name in _PULSES))
    if not all(np.isfinite(c).all() for c in (pulses.time_ns, pulses.charge_pe, pulses.width_ns)):
        raise ValueError("a pulse is not finite")
    xyz = np.asarray(detector["xyz_m"], dtype=np.float64).reshape(-1, 3)
    string = np.asarray(detector["string"], dtype=np.int16)
    om = np.asarray(detector["om"], dtype=np.int16)
    if not len(string) == len(om) == len(xyz) or not np.isfinite(xyz).all():
        raise ValueError("the geometry does not fit together")
    start = head["start_utc"]
    header = EventHeader(
        run=int(head["run"]),
        event=int(head["event"]),
        subrun=int(head["subrun"]),
        sub_event=int(head["sub_event"]),
        stream=str(head["stream"])[:100],
        start=None if start is None else Time(str(start), format="isot", scale="utc"),
    )
    return Event(
        header=header,
        pulses=pulses,
        geometry=Geometry(str(detector["name"])[:100], string, om, xyz),
        recos={},
        truth=_truth(content["truth"]),
        kind=str(content["kind"])[:100],
        message={},
        source=source,
    )


def _truth(found: Mapping[str, Any] | None) -> Reco | None:
    if found is None:
        return None
    x, y, z = (float(v) for v in found["xyz_m"])
    energy = found["energy_gev"]
    return Reco(
        name=str(found["name"])[:100],
        zenith_rad=float(found["zenith_rad"]),
        azimuth_rad=float(found["azimuth_rad"]),
        xyz_m=(x, y, z),
        time_ns=float(found["time_ns"]),
        energy_gev=None if energy is None else float(energy),
    )
