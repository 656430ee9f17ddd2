"""What a worker needs of Parsl, and SciPy without its documentation: before workers are forked.

SciPy 1.16 and later parse and rewrite the docstring of some 700 functions while they are
imported, which takes half of the time of importing Gammapy. Nobody reads help in a worker: there
the docstrings stay as they are written. Where SciPy does not do so, nothing changes.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import Any

from daybreak.engine.pools.lean_parsl import import_lean


class _AsWritten(defaultdict[str, list[str]]):
    """Stands for a parsed docstring: takes additions and gives the docstring back without."""

    def __init__(self, function: Any, *_: object, **__: object) -> None:
        super().__init__(list)
        self._text = getattr(function, "__doc__", None) or ""

    def __str__(self) -> str:
        return f"\n{self._text}"


import_lean("parsl.executors.high_throughput.process_worker_pool")
with contextlib.suppress(ImportError):
    from scipy._lib import _array_api

    if hasattr(_array_api, "FunctionDoc"):
        _array_api.FunctionDoc = _AsWritten
