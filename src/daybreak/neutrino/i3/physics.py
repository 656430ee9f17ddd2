"""Make events of frames: which series, which reconstructions, which truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daybreak.errors import EventError
from daybreak.neutrino.containment import STORED_VETO
from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses, Reco
from daybreak.neutrino.i3.decode import decode, decode_as, export_name, pulse_series
from daybreak.neutrino.i3.frames import Frame
from daybreak.neutrino.i3.limits import Limits
from daybreak.neutrino.i3.values import I3Header, I3Particle, I3Time, ParticleTree

if TYPE_CHECKING:
    from astropy.time import Time

BASE_SERIES = (
    "SplitInIcePulses",
    "SplitUncleanedInIcePulses",
    "InIcePulses",
    "OfflinePulses",
    "UncleanedInIcePulses",
    "InIceDSTPulses",
    "I3SuperDST",
)
"""Names of the series before cleaning, the one to be preferred first."""

CLEANED_SERIES = ("TWSRTHVInIcePulsesIC", "CleanedMuonPulsesIC", "SRTInIcePulses")
"""Names of series that are taken as they are, the one to be preferred first."""

EMPTY_SPLITS = frozenset({"NullSplit", "nullsplit", "null_split", "IceTopSplit", "ice_top"})
TREES = ("I3MCTree", "I3MCTree_preMuonProp")
MUON, NEUTRINOS = 13, frozenset({12, 14, 16})
_YEARS = range(1990, 2200)
_DAQ_TICKS_PER_DAY = 864_000_000_000_000
_IN_ICE_OMS = 60


def to_time(value: I3Time) -> Time | None:
    """Return a time of the data acquisition as astropy has it (UTC), None for an empty one.

    Parameters
    ----------
    value
        The value.
    """
    from astropy.time import Time

    if value.year not in _YEARS or not 0 <= value.daq_time < 367 * _DAQ_TICKS_PER_DAY:
        return None
    start = Time(f"{value.year}-01-01T00:00:00", scale="utc").mjd
    days, ticks = divmod(value.daq_time, _DAQ_TICKS_PER_DAY)
    return Time(start + days, ticks / _DAQ_TICKS_PER_DAY, format="mjd", scale="utc")


def header_of(frame: Frame) -> EventHeader:
    """Return the event header of a physics frame.

    Parameters
    ----------
    frame
        A frame of an i3 file.

    Raises
    ------
    EventError
        It has none, or it can't be decoded.
    """
    h = decode_as(frame, "I3EventHeader", I3Header)
    return EventHeader(h.run, h.event, h.subrun, h.sub_event, h.sub_stream, to_time(h.start))


def _reco(name: str, p: I3Particle, params: Any = None) -> Reco:
    fit = params if isinstance(params, dict) else {}
    logl = fit.get("logl")
    return Reco(
        name,
        p.zenith_rad,
        p.azimuth_rad,
        p.xyz_m,
        p.time_ns,
        logl=logl if logl is not None and math.isfinite(logl) else None,
        ndof=fit.get("ndof"),
        energy_gev=p.energy_gev if math.isfinite(p.energy_gev) else None,
        status=p.status,
    )


def recos_of(frame: Frame) -> dict[str, Reco]:
    """Return the particles of a physics frame that have a direction, with their fit parameters.

    Parameters
    ----------
    frame
        A frame of an i3 file.

    Raises
    ------
    EventError
        One of them can't be decoded.
    """
    found = {}
    for key, slot in frame.slots.items():
        if export_name(slot.blob, f"{frame.what}, {key}") != "I3Particle":
            continue
        particle = decode_as(frame, key, I3Particle)
        if not (math.isfinite(particle.zenith_rad) and math.isfinite(particle.azimuth_rad)):
            continue
        params = decode(frame, f"{key}FitParams") if f"{key}FitParams" in frame else None
        found[key] = _reco(key, particle, params)
    return found


def message_recos(numbers: Mapping[str, Any]) -> dict[str, Reco]:
    """Return the reconstructions that an alert carries as numbers (without a vertex).

    Parameters
    ----------
    numbers
        The numbers of the alert message.
    """
    found: dict[str, Reco] = {}
    recos = numbers.get("reco")
    for name, each in recos.items() if isinstance(recos, dict) else ():
        if not isinstance(each, dict):
            continue
        zenith, azimuth = _number(each.get("zen")), _number(each.get("azi"))
        if zenith is None or azimuth is None:
            continue
        ndof, status = _number(each.get("ndof")), _number(each.get("fit_stat"))
        nowhere = (math.nan, math.nan, math.nan)
        found[str(name)] = Reco(
            str(name),
            zenith,
            azimuth,
            nowhere,
            math.nan,
            logl=_number(each.get("llh")),
            ndof=None if ndof is None else int(ndof),
            status=0 if status is None else int(status),
        )
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def truth_of(frame: Frame) -> Reco | None:
    """Return the true track of a simulated event: the most energetic muon, else the first primary.

    Parameters
    ----------
    frame
        A frame of an i3 file.

    Raises
    ------
    EventError
        The tree of particles can't be decoded.
    """
    key = next((k for k in TREES if k in frame), None)
    if key is None:
        return None
    particles = [p for _, p in decode_as(frame, key, ParticleTree)]
    muons = [p for p in particles if abs(p.pdg) == MUON and math.isfinite(p.energy_gev)]
    chosen = max(muons, key=lambda p: p.energy_gev, default=None)
    chosen = chosen or next((p for p in particles if abs(p.pdg) in NEUTRINOS), None)
    if chosen is None and particles:
        chosen = particles[0]
    if chosen is None or not math.isfinite(chosen.zenith_rad + chosen.azimuth_rad):
        return None
    return _reco(key, chosen)


def series(frame: Frame, key: str, limits: Limits) -> Pulses:
    """Return a pulse series of the frame without IceTop and without more than one PMT per DOM.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    key
        Name of the object in the frame.
    limits
        How much may be read.

    Raises
    ------
    EventError
        It can't be decoded, or has more pulses than allowed.
    """
    found = pulse_series(frame, key)
    if len(found.pulses) > limits.pulses:
        raise EventError(
            f"{frame.what}: {key} has {len(found.pulses)} pulses",
            "Raise the limit pulses if you trust the file.",
        )
    if len(found.doms) and found.doms[:, 2].any():
        raise EventError(
            f"{frame.what}: {key} has DOMs of several PMTs", "Such detectors are not supported."
        )
    pulses = found.to_pulses(f"{frame.what}, {key}")
    return pulses.select(pulses.om <= _IN_ICE_OMS)


def is_event(frame: Frame) -> bool:
    """Tell whether a frame is a physics event that has pulses (and not an empty split).

    Parameters
    ----------
    frame
        A frame of an i3 file.
    """
    if frame.stream != "P" or "I3EventHeader" not in frame:
        return False
    if decode_as(frame, "I3EventHeader", I3Header).sub_stream in EMPTY_SPLITS:
        return False
    return any(key in frame for key in BASE_SERIES)


def event_of(
    frame: Frame,
    geometry: Geometry,
    *,
    kind: str,
    numbers: Mapping[str, Any],
    source: str,
    limits: Limits,
) -> Event:
    """Make the event of a physics frame.

    Parameters
    ----------
    frame
        A frame of an i3 file.
    geometry
        Positions of the DOMs.
    kind
        What kind of event it is.
    numbers
        The numbers of the alert message.
    source
        Where it was read, for messages.
    limits
        How much may be read.

    Raises
    ------
    EventError
        Something that is needed is missing or can't be decoded.
    """
    base = next(key for key in BASE_SERIES if key in frame)
    cleaned = next((key for key in CLEANED_SERIES if key in frame), None)
    truth = truth_of(frame)
    stored = decode(frame, STORED_VETO) if STORED_VETO in frame else None
    return Event(
        header=header_of(frame),
        pulses=series(frame, base, limits),
        geometry=geometry,
        recos={**message_recos(numbers), **recos_of(frame)},
        truth=truth,
        kind=kind or ("simulation" if truth else ""),
        message={**numbers, **({STORED_VETO: stored} if isinstance(stored, bool) else {})},
        source=source,
        cleaned=series(frame, cleaned, limits) if cleaned else None,
    )
