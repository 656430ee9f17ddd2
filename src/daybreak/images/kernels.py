"""How the kernels of images are compiled: see :mod:`daybreak.products.compiled`."""

from __future__ import annotations

from pathlib import Path

from daybreak.products.compiled import KernelFamily

FAMILY = KernelFamily(
    Path(__file__).parent, ("cleaning", "moments", "timing", "parameters", "extraction", "invalid")
)
compiled, inlined = FAMILY.compiled, FAMILY.inlined
