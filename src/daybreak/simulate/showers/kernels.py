"""How the kernels of showers are compiled: see :mod:`daybreak.products.compiled`."""

from __future__ import annotations

from pathlib import Path

from daybreak.products.compiled import KernelFamily

FAMILY = KernelFamily(
    Path(__file__).parent,
    (
        *("atmosphere", "batch", "cherenkov", "electromagnetic", "hadron", "muon", "optics"),
        *("trigger", "waveforms"),
    ),
)
compiled = FAMILY.compiled
