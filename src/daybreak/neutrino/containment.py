"""Recognise events that neither come in nor go out: showers inside, for which a track fit is empty.

The idea is that of IceCube's high-energy starting event search (Science 342, 1242856): while the
first 250 photoelectrons arrive, an incoming muon leaves light in the outer layer of the detector
and a neutrino's interaction inside does not. Here the light of the whole event in that layer has to
be small too, so that a track which starts inside and leaves is not taken for a shower; and no light
may be ahead of what a shower at the first vertex can send, which a muon between the strings is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daybreak.neutrino.cleaning import clean
from daybreak.neutrino.event import Event, Geometry, Pulses
from daybreak.neutrino.labels import FEW_DOMS

START_CHARGE_PE = 250.0
START_WINDOW_NS = 3000.0
VETO_FRACTION = 3.0 / 250.0
LAYER_FRACTION = 0.05
TOP_LAYER_M, BOTTOM_LAYER_M = 90.0, 10.0
LIGHT_NS_PER_M = 1.35634 / 0.299792458
EARLY_NS, EARLY_FROM_M, EARLY_DOMS = 200.0, 100.0, 3
NEIGHBOUR_M, EDGE_GAP_DEG = 180.0, 150.0
STORED_VETO = "HESE_VHESelfVeto"
"""Name under which a message stores that its own veto has fired (true: it comes from outside)."""


@dataclass(frozen=True)
class Containment:
    """Whether an event is contained, and why.

    Parameters
    ----------
    contained
        It is.
    reason
        One sentence.
    veto_charge_pe
        Charge in the outer layer while the event begins.
    layer_fraction
        Part of the event's whole charge that is in the outer layer.
    early_doms
        DOMs that had light before any could come from the vertex.
    """

    contained: bool
    reason: str
    veto_charge_pe: float
    layer_fraction: float
    early_doms: int = 0


def edge_strings(geometry: Geometry) -> NDArray[np.int16]:
    """Return the strings at the side of the detector.

    Seen from such a string the neighbours within 180 m leave an angle of more than 150 deg free.

    Parameters
    ----------
    geometry
        Positions of the DOMs.
    """
    strings = np.unique(geometry.string)
    at = np.searchsorted(strings, geometry.string)
    n = np.bincount(at)
    xy = np.stack([np.bincount(at, geometry.xyz_m[:, i]) / n for i in (0, 1)], axis=1)
    edge = np.ones(len(strings), dtype=bool)
    for i, here in enumerate(xy):
        away = xy - here
        near = (distance := np.hypot(*away.T)) < NEIGHBOUR_M
        near &= distance > 0
        if near.any():
            angles = np.sort(np.arctan2(away[near, 1], away[near, 0]))
            gaps = np.diff(np.append(angles, angles[0] + 2 * np.pi))
            edge[i] = gaps.max() > np.deg2rad(EDGE_GAP_DEG)
    return strings[edge]


def outer_layer(geometry: Geometry) -> NDArray[np.bool_]:
    """Return the mask of the DOMs at the sides, in the top 90 m and in the lowest 10 m.

    Parameters
    ----------
    geometry
        Positions of the DOMs.
    """
    z = geometry.xyz_m[:, 2]
    side = np.isin(geometry.string, edge_strings(geometry))
    return np.asarray(side | (z > z.max() - TOP_LAYER_M) | (z < z.min() + BOTTOM_LAYER_M))


def beginning(time_ns: NDArray[np.float64], charge_pe: NDArray[np.float64]) -> slice:
    """Return the range of time-ordered pulses in which the event begins.

    It ends where the charge of the last 3 us first reaches 250 photoelectrons, or a quarter of all
    charge if that is less.

    Parameters
    ----------
    time_ns
        Times in ns, shape (n,).
    charge_pe
        Charges in photoelectrons, shape (n,).
    """
    running = np.concatenate([[0.0], np.cumsum(charge_pe)])
    low = np.searchsorted(time_ns, time_ns - START_WINDOW_NS, side="left")
    needed = min(START_CHARGE_PE, running[-1] / 4)
    last = int(np.argmax(running[1:] - running[low] >= needed))
    return slice(int(low[last]), last + 1)


def _early_doms(event: Event, pulses: Pulses, begin: slice) -> int:
    """Count the DOMs that light from where the event begins could not have reached in time.

    The vertex is the charge-weighted mean position of the pulses of the beginning, its time their
    mean time less that of direct light; pulses must be in order of time.
    """
    first = pulses.select(np.arange(len(pulses))[begin])
    xyz, weights = event.geometry.positions(first), first.charge_pe.astype(np.float64)
    vertex = np.average(xyz, axis=0, weights=weights)
    away_ns = np.linalg.norm(xyz - vertex, axis=1) * LIGHT_NS_PER_M
    vertex_ns = np.average(first.time_ns - away_ns, weights=weights)
    cleaned = clean(event, keep_deepcore=True)
    _, rows = np.unique(cleaned.keys, return_index=True)
    doms = cleaned.select(rows)  # the first pulse of each DOM
    distance = np.linalg.norm(event.geometry.positions(doms) - vertex, axis=1)
    ahead = doms.time_ns - vertex_ns - distance * LIGHT_NS_PER_M < -EARLY_NS
    return int(np.count_nonzero(ahead & (distance > EARLY_FROM_M)))


def assess(event: Event) -> Containment:
    """Tell whether an event is contained in the detector, so that it has no track to fit.

    Parameters
    ----------
    event
        An event; its HLC pulses before cleaning are used, and what a message stores of its own
        veto.

    Raises
    ------
    EventError
        The geometry lacks a DOM that has pulses.
    """
    pulses = event.pulses.select(event.pulses.hlc)
    charge = pulses.charge_pe.astype(np.float64)
    if not len(pulses) or not charge.sum() > 0:
        return Containment(False, "there are no HLC pulses to tell from", 0.0, 0.0)
    event.geometry.positions(pulses)  # every DOM is known
    layer = outer_layer(event.geometry)[event.geometry.index(pulses.string, pulses.om)]
    order = np.argsort(pulses.time_ns, kind="stable")
    charge, layer, pulses = charge[order], layer[order], pulses.select(order)
    begin = beginning(pulses.time_ns, charge)
    veto = float(charge[begin][layer[begin]].sum())
    of_begin = veto / max(float(charge[begin].sum()), 1e-9)
    fraction = float(charge[layer].sum() / charge.sum())
    seen = (
        f"{veto:.1f} photoelectrons in the outer layer while it begins, "
        f"{100 * fraction:.1f} % of all charge there"
    )
    if event.message.get(STORED_VETO) is False:
        return Containment(
            True, f"its message says that it starts inside the detector ({seen})", veto, fraction
        )
    contained = of_begin < VETO_FRACTION and fraction < LAYER_FRACTION
    early = 0
    if contained and charge[begin].min() >= 0 and charge[begin].sum() > 0:
        early = _early_doms(event, pulses, begin)
        contained = early < EARLY_DOMS
        seen += f", {early} DOMs ahead of its light"
    reason = f"it neither enters nor leaves: {seen}" if contained else f"it has a track: {seen}"
    return Containment(contained, reason, veto, fraction, early)


def containment(event: Event) -> str:
    """Return why an event has no track to fit, empty if nothing speaks against one.

    Parameters
    ----------
    event
        The event.

    Raises
    ------
    EventError
        The geometry lacks a DOM that has pulses.
    """
    found = assess(event)
    return f"the event is contained: {found.reason}" if found.contained else ""


def label(event: Event) -> Event:
    """Return the event with the labels that its readers must see: ``contained``, ``few-doms``.

    Parameters
    ----------
    event
        The event.
    """
    labels = ["contained"] if containment(event) else []
    if clean(event).n_doms < FEW_DOMS:
        labels.append("few-doms")
    return event.with_labels(*labels)
