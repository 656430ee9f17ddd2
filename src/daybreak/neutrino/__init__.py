"""Events of neutrino telescopes: readers, pulse cleaning, likelihoods and the sky scan."""

from __future__ import annotations

from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses, Reco
from daybreak.neutrino.i3.limits import Limits
from daybreak.neutrino.read import read_events

__all__ = ["Event", "EventHeader", "Geometry", "Limits", "Pulses", "Reco", "read_events"]
