"""How kernels are compiled, and where what was compiled is kept.

Numba's cache on disk notices a change only in the file of the function that is called. So the
folder of the cache carries the digest of all files of a family of kernels: another version of any
of them has another folder, and one that nobody has used for a month is removed. It lies with the
user's other caches, so that an installation that can't be written to is no obstacle.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import caching

_F = TypeVar("_F", bound=Callable[..., Any])

# a product and a sum may be rounded once; nothing more, or the first run after compilation would
# not give the same numbers as those that find the compiled code on the disk
_MATH = {"contract"}
_UNUSED_S = 30 * 86_400.0


def cache_base() -> Path:
    """The user's folder for compiled kernels of any version."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "daybreak" / "kernels"


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
    """Puts the cache of kernels into the folder of their family."""

    family: KernelFamily

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._line = py_func.__code__.co_firstlineno

    def ensure_cache_path(self) -> None:
        folder = self.family.cache_folder
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _remove_unused(folder.parent, folder)
        super().ensure_cache_path()

    def get_cache_path(self) -> str:
        return str(self.family.cache_folder)

    def get_source_stamp(self) -> str:
        return self.family.cache_folder.name

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


class KernelFamily:
    """Kernels that call one another, and are compiled anew when any of their files changes.

    Parameters
    ----------
    folder
        Of the files.
    names
        Of the modules with kernels, without suffix.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.files = [folder / f"{name}.py" for name in names]
        self.locator = locator = type("FamilyLocator", (_Locator,), {"family": self})
        usual = caching.CompileResultCacheImpl
        places = (locator, *usual._locator_classes)
        implementation = type("FamilyImpl", (usual,), {"_locator_classes": places})
        self._cache = type("FamilyCache", (caching.FunctionCache,), {"_impl_class": implementation})

    @cached_property
    def _digest(self) -> str:
        sha = hashlib.sha256(numba.__version__.encode())
        for path in (Path(__file__), *self.files):
            sha.update(path.read_bytes())
        return sha.hexdigest()[:16]

    @property
    def cache_folder(self) -> Path:
        """The folder for what these files compile to, with this version of Numba."""
        return cache_base() / self._digest

    def compiled(self, function: _F) -> _F:
        """Compile a function of bare numbers and arrays when it is first called.

        Parameters
        ----------
        function
            It takes no Python objects, so that it lets go of the interpreter's lock.
        """
        return self._made(function, "never")

    def inlined(self, function: _F) -> _F:
        """As `compiled`, for a function that becomes a part of each that calls it.

        Parameters
        ----------
        function
            The function that Numba puts in place of each call.
        """
        return self._made(function, "always")

    def _made(self, function: _F, inline: str) -> _F:
        made = numba.njit(nogil=True, fastmath=_MATH, error_model="numpy", inline=inline)(function)
        if not os.environ.get("NUMBA_CACHE_DIR"):
            made._cache = self._cache(made.py_func)
        else:
            made.enable_caching()  # the user has said where
        return cast(_F, made)
