"""Parsl's modules without what their packages import on the way: half a second per process.

``import parsl`` brings in every executor and provider with their libraries (Kubernetes, Flux,
a data-flow kernel). The processes of the engine that only carry steps need a dozen modules of
it. Here the packages stand in as empty ones while those modules are imported; where that does
not work, as with another layout of Parsl, everything is imported as usual.

For processes of the engine's own only: after it ``parsl`` is an empty package.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

_PACKAGES = ("parsl", "parsl.executors", "parsl.providers", "parsl.app")


def _stand_in(name: str, root: Path) -> types.ModuleType:
    module = types.ModuleType(name)
    folder = root.joinpath(*name.split(".")[1:])
    module.__path__ = [str(folder)]
    module.__file__ = str(folder / "__init__.py")
    return module


def import_lean(name: str) -> None:
    """Import one of Parsl's modules, and with it as little as possible.

    Parameters
    ----------
    name
        Full name of the module.

    Raises
    ------
    ImportError
        If Parsl has no such module.
    """
    before = {n for n in sys.modules if n == "parsl" or n.startswith("parsl.")}
    spec = importlib.util.find_spec("parsl") if not before else None
    if spec is None or spec.origin is None:
        importlib.import_module(name)
        return
    root = Path(spec.origin).parent
    for package in _PACKAGES:
        sys.modules[package] = _stand_in(package, root)
    try:
        importlib.import_module(name)
    except (ImportError, AttributeError):
        for module in [n for n in sys.modules if n == "parsl" or n.startswith("parsl.")]:
            del sys.modules[module]
        importlib.import_module(name)
