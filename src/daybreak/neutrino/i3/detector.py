"""Decoders of the geometry objects of GCD files (written from the format's description).

Of a position map only the DOMs' positions are kept. Of `I3Geometry` the stations at the surface are
walked over; versions with scintillators, antennas or telescopes are read where those are empty.
"""

from __future__ import annotations

from daybreak.neutrino.i3.archive import Archive
from daybreak.neutrino.i3.pulses import om_key
from daybreak.neutrino.i3.values import position, time


class Positions(dict[tuple[int, int], tuple[float, float, float]]):
    """Positions in metres by string and om."""


def _orientation(a: Archive) -> None:
    a.enter("I3Orientation")
    a.base()
    a.enter("I3Quaternion")
    a.base()
    a.take(4 * 8)


def _dom(a: Archive) -> tuple[float, float, float]:
    """Read an I3OMGeo, of which the position counts."""
    version = a.enter("I3OMGeo", (0, 1))
    where = position(a)
    if version:
        _orientation(a)
    else:
        a.i32()
    a.i32(), a.f64()  # type and area
    if not version:
        a.f64()
    return where


def _map_of_doms(a: Archive) -> Positions:
    a.enter("map<OMKey, I3OMGeo>")
    found = Positions()
    for _ in range(a.count(40, 4)):
        a.enter("pair<OMKey, I3OMGeo>")
        string, om, pmt = om_key(a)
        where = _dom(a)
        if not pmt:
            found[string, om] = where
    return found


def om_geo_map(a: Archive) -> Positions:
    """Read an I3OMGeoMap: positions in metres by string and om.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    a.enter("I3Map<OMKey, I3OMGeo>")
    a.base()
    return _map_of_doms(a)


def _tank(a: Archive) -> None:
    version = a.enter("I3TankGeo", (0, 1, 2))
    position(a)
    a.take(4 * 8)
    if version:
        a.enter("I3Vector<OMKey>")
        a.base()
        a.enter("vector<OMKey>")
        for _ in range(a.count(5)):
            om_key(a)
    if version == 2:
        a.f64(), a.i32()


def _stations(a: Archive, wrapped: bool) -> None:
    if wrapped:
        a.enter("I3Map<int, I3StationGeo>")
        a.base()
    a.enter("map<int, I3StationGeo>")
    for _ in range(a.count(8)):
        a.enter("pair<int, I3StationGeo>")
        a.i32()
        if wrapped:
            a.enter("I3Vector<I3TankGeo>")
            a.base()
        a.enter("vector<I3TankGeo>")
        for _ in range(a.count(40, 4)):
            _tank(a)


def _empty(a: Archive, name: str) -> None:
    a.enter(f"I3Map<{name}>")
    a.base()
    a.enter(f"map<{name}>")
    if a.size(1):
        raise a.fail(f"a geometry with {name} is not supported")


def geometry(a: Archive) -> Positions:
    """Read an I3Geometry: positions in metres by string and om.

    Parameters
    ----------
    a
        The archive, at the first byte of the object.
    """
    version = a.enter("I3Geometry", (0, 1, 2))
    a.base()
    found = om_geo_map(a) if version else _map_of_doms(a)
    _stations(a, bool(version))
    if version == 2:
        for name in ("I3ScintGeo", "I3AntennaGeo", "I3IceActGeo"):
            _empty(a, name)
    time(a)
    time(a)
    return found
