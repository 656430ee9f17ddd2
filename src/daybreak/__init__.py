"""Daybreak: fast offline analysis of gamma-ray and neutrino telescopes.

What the command line does, Python can do too. Here a simulated store stands for one's own:

    >>> from pathlib import Path
    >>> import daybreak
    >>> from daybreak.simulate import simulate_night
    >>> truth = simulate_night(Path("store"), seed=1, sampler="direct")
    >>> result = daybreak.analyse("virtual_crab", store="store", out="crab")
    >>> result.results["counts"]["significance"] > 20
    True
    >>> result.report.name
    'report.html'

The names below are imported on first use, so that ``import daybreak`` is instant.
"""

from __future__ import annotations

from typing import Any

from daybreak._version import __version__

_PUBLIC = {
    "analyse": "daybreak.requests.verbs",
    "resolve_config": "daybreak.instruments.settings",
    "figures": "daybreak.report.analysis.redraw",
    "demo": "daybreak.requests.demo",
    "scan": "daybreak.requests.verbs",
    "list_store": "daybreak.stores.verbs",
    "copy_store": "daybreak.stores.verbs",
    "verify_store": "daybreak.stores.verbs",
    "index_store": "daybreak.stores.verbs",
    "known_datasets": "daybreak.stores.datasets",
    "fetch_dataset": "daybreak.stores.datasets",
}

__all__ = [
    "__version__",
    "analyse",
    "copy_store",
    "demo",
    "fetch_dataset",
    "figures",
    "index_store",
    "known_datasets",
    "list_store",
    "resolve_config",
    "scan",
    "verify_store",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'daybreak' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
