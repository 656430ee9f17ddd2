"""Daybreak: fast offline analysis of gamma-ray and neutrino telescopes.

What the command line does, Python can do too. Here on a simulated store:

>>> import daybreak
>>> from pathlib import Path
>>> from astropy import units as u
>>> from daybreak.simulate import simulate_night
>>> truth = simulate_night(Path("store"), seed=1, n_runs=2, ontime=12 * u.min, sampler="direct")
>>> result = daybreak.analyse("Crab", store="store", out="crab")
>>> result.results["counts"]["significance"] > 10, result.report.name
(True, 'report.html')

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
