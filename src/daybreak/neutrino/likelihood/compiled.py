"""How the inner loop of the likelihood is compiled: see :mod:`daybreak.products.compiled`."""

from __future__ import annotations

from pathlib import Path

from daybreak.products.compiled import KernelFamily, cache_base

__all__ = ["cache_base", "cache_folder", "compiled", "inlined"]

_SOURCES = ("tables", "delay", "value", "minimise", "fit", "jitter")
FAMILY = KernelFamily(Path(__file__).parent, _SOURCES)
compiled, inlined = FAMILY.compiled, FAMILY.inlined


def cache_folder() -> Path:
    """The folder for what the likelihood's files compile to, with this version of Numba."""
    return FAMILY.cache_folder
