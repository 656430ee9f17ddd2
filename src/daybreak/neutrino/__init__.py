"""Events of neutrino telescopes: readers, pulse cleaning, likelihoods and the sky scan."""

from __future__ import annotations

from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses, Reco

__all__ = ["Event", "EventHeader", "Geometry", "Pulses", "Reco"]
