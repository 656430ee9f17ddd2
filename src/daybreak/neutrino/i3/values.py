"""Decoders of small frame objects: plain values, maps, header, particle, fit parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daybreak.neutrino.i3.archive import Archive

NULL_DATE = 0


@dataclass(frozen=True)
class I3Time:
    """UTC as a year and tenths of nanoseconds since its first of January."""

    year: int
    daq_time: int


@dataclass(frozen=True)
class I3Header:
    """Event header: numbers of run and event, the split it belongs to, start and end."""

    run: int
    subrun: int
    event: int
    state: int
    sub_event: int
    sub_stream: str
    start: I3Time
    end: I3Time


@dataclass(frozen=True)
class I3Particle:
    """A particle: identity, shape, and where it comes from (SI-like units: m, ns, GeV, rad)."""

    pdg: int
    shape: int
    status: int
    xyz_m: tuple[float, float, float]
    zenith_rad: float
    azimuth_rad: float
    time_ns: float
    energy_gev: float
    length_m: float
    speed_m_per_ns: float
    location: int


class ParticleTree(list[tuple[int, I3Particle]]):
    """Particles in pre-order, each with the index of its parent (-1: primary)."""


def position(a: Archive) -> tuple[float, float, float]:
    """Read an I3Position, in metres.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3Position")
    a.base()
    return a.f64(), a.f64(), a.f64()


def direction(a: Archive) -> tuple[float, float]:
    """Read an I3Direction: zenith and azimuth in radians.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3Direction")
    a.base()
    return a.f64(), a.f64()


def particle(a: Archive) -> I3Particle:
    """Read an I3Particle.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3Particle", (5,))
    a.base()
    a.i32(), a.u64()  # its identity inside a tree
    pdg, shape, status = a.i32(), a.i32(), a.i32()
    xyz, (zenith, azimuth) = position(a), direction(a)
    time, energy, length, speed = a.f64(), a.f64(), a.f64(), a.f64()
    return I3Particle(
        pdg, shape, status, xyz, zenith, azimuth, time, energy, length, speed, a.i32()
    )


def time(a: Archive) -> I3Time:
    """Read an I3Time.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3Time")
    a.base()
    return I3Time(a.i32(), a.i64())


def header(a: Archive) -> I3Header:
    """Read an I3EventHeader.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3EventHeader", (3,))
    a.base()
    run, subrun, event, state, sub_event = a.u32(), a.u32(), a.u32(), a.i32(), a.u32()
    return I3Header(run, subrun, event, state, sub_event, a.string(), time(a), time(a))


def fit_params(a: Archive) -> dict[str, float]:
    """Read I3LogLikelihoodFitParams.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3LogLikelihoodFitParams")
    a.base()
    return {"logl": a.f64(), "rlogl": a.f64(), "ndof": a.i32(), "nmini": a.i32()}


def time_window(a: Archive) -> tuple[float, float]:
    """Read an I3TimeWindow: start and stop in ns.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3TimeWindow", (1,))
    a.base()
    return a.f64(), a.f64()


def pod(read: Callable[[Archive], Any]) -> Callable[[Archive], Any]:
    """Make the decoder of an I3PODHolder, which holds one bare value.

    Parameters
    ----------
    read
        Reads one item.
    """

    def decode(a: Archive) -> Any:
        a.enter("I3PODHolder")
        a.base()
        return read(a)

    return decode


def string_map(read: Callable[[Archive], Any]) -> Callable[[Archive], dict[str, Any]]:
    """Make the decoder of an I3Map from text to plain values.

    Parameters
    ----------
    read
        Reads one item.
    """

    def decode(a: Archive) -> dict[str, Any]:
        a.enter("I3Map")
        a.base()
        a.enter("map")
        found = {}
        for _ in range(a.count(4)):
            a.enter("pair")
            key = a.string()
            found[key] = read(a)
        return found

    return decode


def vector(dtype: str) -> Callable[[Archive], Any]:
    """Make the decoder of an I3Vector of plain numbers.

    Parameters
    ----------
    dtype
        Type of the items.
    """

    def decode(a: Archive) -> Any:
        a.enter("I3Vector")
        a.base()
        return a.array(dtype)

    return decode


def string_vector(a: Archive) -> list[str]:
    """Read an I3Vector of texts.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3Vector")
    a.base()
    a.enter("vector<string>")
    return [a.string() for _ in range(a.count(4))]


def particle_vector(a: Archive) -> list[I3Particle]:
    """Read an I3Vector of particles.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3Vector")
    a.base()
    a.enter("vector<I3Particle>")
    return [particle(a) for _ in range(a.count(100, 2))]


def window_series_map(a: Archive) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """Read an I3TimeWindowSeriesMap: windows of time by string and om.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    from daybreak.neutrino.i3.pulses import om_key

    a.enter("I3Map")
    a.base()
    a.enter("map")
    found = {}
    for _ in range(a.count(13)):
        a.enter("pair")
        string, om, _pmt = om_key(a)
        found[string, om] = window_series(a)
    return found


def window_series(a: Archive) -> list[tuple[float, float]]:
    """Read an I3TimeWindowSeries.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3TimeWindowSeries", (1,))
    a.base()
    a.enter("vector<I3TimeWindow>")
    return [time_window(a) for _ in range(a.count(16))]


def mc_tree(a: Archive) -> ParticleTree:
    """Read an I3MCTree: particles in pre-order, each with the index of its parent (-1: primary).

    The tree is stored as a string of bits, depth first: 1 for a particle, 0 for "no child" or "no
    sibling", followed by the particles of the ones.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3MCTree", (1,))
    a.base()
    nodes = ParticleTree()
    waiting = [-1]  # parents of the pointers that are still to come, the next one last
    while True:
        n_bits = a.u32()
        if not n_bits:  # an empty tree
            break
        words = a.array("<u8").tolist()
        if n_bits > 64 * len(words):
            raise a.fail(f"a tree has {n_bits} bits in {len(words)} words")
        for bit in range(n_bits):
            if not waiting:
                raise a.fail("a tree goes on after its end")
            parent = waiting.pop()
            if words[bit >> 6] >> (bit & 63) & 1:
                a.spend(2)
                nodes.append((parent, particle(a)))
                waiting += [parent, len(nodes) - 1]
        if n_bits != _FULL_CHUNK:
            break
    if waiting and nodes:
        raise a.fail("a tree is not complete")
    return nodes


_FULL_CHUNK = 65535
