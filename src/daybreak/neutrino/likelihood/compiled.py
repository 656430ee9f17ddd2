"""How the inner loop is compiled, and where what was compiled is kept.

Numba's cache on disk notices a change only in the file of the function that is called. So the
folder of the cache carries the digest of all files that are compiled: another version of any of
them has another folder, and one that nobody has used for a month is removed. It lies with the
user's other caches, so that an installation that can't be written to is no obstacle.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import caching

_F = TypeVar("_F", bound=Callable[..., Any])

# a product and a sum may be rounded once; nothing more, or the first run after compilation would
# not give the same numbers as those that find the compiled code on the disk
_MATH = {"contract"}
_SOURCES = ("compiled", "tables", "delay", "value", "minimise", "fit", "jitter")
_UNUSED_S = 30 * 86_400.0


def cache_base() -> Path:
    """The user's folder for compiled kernels of any version."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "daybreak" / "kernels"


@lru_cache(maxsize=1)
def cache_folder() -> Path:
    """The folder for what these files compile to, with this version of Numba."""
    sha = hashlib.sha256(numba.__version__.encode())
    for name in _SOURCES:
        sha.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return cache_base() / sha.hexdigest()[:16]


def _remove_unused(base: Path, kept: Path) -> None:
    """Remove folders of other versions that nobody has used for a month."""
    try:
        others = [path for path in base.iterdir() if path != kept and path.is_dir()]
    except OSError:
        return
    for path in others:
        try:
            if time.time() - path.stat().st_mtime > _UNUSED_S:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Puts the cache of our kernels into :func:`cache_folder`."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._line = py_func.__code__.co_firstlineno

    def ensure_cache_path(self) -> None:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _remove_unused(folder.parent, folder)
        super().ensure_cache_path()

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return cache_folder().name

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator | None:
        try:
            made = cls(py_func, py_file)
            made.ensure_cache_path()
        except OSError:
            return None  # no home to write to: compiled again in each process
        return made


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    class _impl_class(caching.CompileResultCacheImpl):  # type: ignore[misc] # noqa: N801
        _locator_classes = (_Locator, *caching.CompileResultCacheImpl._locator_classes)


def compiled(function: _F) -> _F:
    """Compile a function of bare numbers and arrays when it is first called.

    Parameters
    ----------
    function
        It takes no Python objects, so that it lets go of the interpreter's lock.
    """
    return _made(function, "never")


def inlined(function: _F) -> _F:
    """As :func:`compiled`, for a function that becomes a part of each that calls it.

    Parameters
    ----------
    function
        The function that Numba puts in place of each call.
    """
    return _made(function, "always")


def _made(function: _F, inline: str) -> _F:
    made = numba.njit(nogil=True, fastmath=_MATH, error_model="numpy", inline=inline)(function)
    if not os.environ.get("NUMBA_CACHE_DIR"):
        made._cache = _Cache(made.py_func)
    else:
        made.enable_caching()  # the user has said where
    return cast(_F, made)
