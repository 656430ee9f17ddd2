"""Virtual telescopes: nights of DL3 runs with injected truth, and stores damaged on purpose."""

from daybreak.simulate.instrument import VirtualInstrument
from daybreak.simulate.night import Field, simulate_night, simulate_store
from daybreak.simulate.sources import Flare, Source, Spectrum, crab_like
from daybreak.simulate.truth import RunTruth, Truth, read_truth

__all__ = [
    "Field",
    "Flare",
    "RunTruth",
    "Source",
    "Spectrum",
    "Truth",
    "VirtualInstrument",
    "crab_like",
    "read_truth",
    "simulate_night",
    "simulate_store",
]
