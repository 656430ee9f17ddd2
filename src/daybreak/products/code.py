"""Which modules a step's function uses, and the digest of their text.

The imports are read from the text, not by importing: planning has to be quick. A module uses what
it imports, at its top or inside its functions, and what it names in a string of the form
``package.module:function``; imports for type checkers do not count. What is found is never too
little: a line of a docstring that looks like an import counts, too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

OWN = "daybreak"
#: the version is no code: products of an older version stay good where the code is the same
_NO_CODE = {f"{OWN}._version"}
#: libraries whose versions count where a module imports them
LIBRARIES = (
    "astropy", "astropy_healpix", "ctapipe", "gammapy", "iminuit", "matplotlib", "numba", "numpy",
    "pyirf", "regions", "scipy", "sklearn",
)  # fmt: skip
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "astropy_healpix": "astropy-healpix"}

_FROM = re.compile(r"^[ \t]*from[ \t]+([A-Za-z_][\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.M)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n#]+)", re.M)
_NAMED = re.compile(r"[\"']([A-Za-z_]\w*(?:\.\w+)+):\w+[\"']")
_TYPES_ONLY = re.compile(r"^([ \t]*)if TYPE_CHECKING:[^\n]*\n(?:\1[ \t]+[^\n]*\n|[ \t]*\n)+", re.M)
_COMMENT = re.compile(r"#[^\n]*")


@lru_cache(maxsize=1024)
def _file_of(module: str) -> Path | None:
    """The file of a module that belongs to us or to the function's own package."""
    top, _, rest = module.partition(".")
    spec = util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    if not rest:
        return origin
    if spec.submodule_search_locations is None:
        return None
    base = origin.parent.joinpath(*rest.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imported(text: str) -> Iterator[str]:
    """Dotted names that may be modules, as the text imports or names them."""
    text = _TYPES_ONLY.sub("", text)
    for found in _FROM.finditer(text):
        base = found.group(1)
        yield base
        for item in _COMMENT.sub("", found.group(2)).strip("() \n").split(","):
            name = item.strip().split(" ")[0]
            if name.isidentifier():
                yield f"{base}.{name}"
    for found in _IMPORT.finditer(text):
        for item in found.group(1).split(","):
            name = item.strip().split(" ")[0]
            if name:
                yield name
    for found in _NAMED.finditer(text):
        yield found.group(1)


@lru_cache(maxsize=1024)
def _read(path: Path, mark: tuple[int, int]) -> tuple[str, tuple[str, ...]]:
    """SHA-256 of a module's text and the names that it imports."""
    content = path.read_bytes()
    names = dict.fromkeys(_imported(content.decode("utf-8", errors="replace")))
    return hashlib.sha256(content).hexdigest(), tuple(names)


def _look(path: Path) -> tuple[str, tuple[str, ...]]:
    found = path.stat()
    return _read(path, (found.st_size, found.st_mtime_ns))


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def used_modules(module: str) -> dict[str, Path]:
    """The modules that a module uses, itself included, by name, with their files.

    Parameters
    ----------
    module
        Of a step's function.

    Returns
    -------
    dict
        Only modules of Daybreak and of the function's own package.
    """
    packages = {OWN, module.partition(".")[0]}
    found: dict[str, Path] = {}
    todo = [module]
    while todo:
        for name in _with_parents(todo.pop()):
            if name in found or name in _NO_CODE or name.partition(".")[0] not in packages:
                continue
            path = _file_of(name)
            if path is None:
                break
            found[name] = path
            todo += _look(path)[1]
    return found


def used_libraries(paths: Iterable[Path]) -> dict[str, str]:
    """Versions of the numerical libraries that some modules import.

    Parameters
    ----------
    paths
        Files of the modules.
    """
    tops = {name.partition(".")[0] for path in paths for name in _look(path)[1]}
    return {name: _version(name) for name in LIBRARIES if name in tops}


@lru_cache(maxsize=64)
def _version(library: str) -> str:
    try:
        return metadata.version(_DISTRIBUTIONS.get(library, library))
    except metadata.PackageNotFoundError:
        return ""


def function_digest(function: str, data: Iterable[str] = ()) -> str:
    """SHA-256 over the code that a function uses and the versions of the libraries below it.

    Parameters
    ----------
    function
        ``package.module:function``.
    data
        Files that the code reads, relative to the package of Daybreak; or folders: all in them.

    Returns
    -------
    str
        The same as long as the text of the modules, the data and the versions are the same.
    """
    module = function.partition(":")[0]
    modules = used_modules(module)
    sha = hashlib.sha256()
    for name, path in sorted(modules.items()):
        sha.update(f"{name}={_look(path)[0]}\n".encode())
    for name, version in used_libraries(modules.values()).items():
        sha.update(f"{name}=={version}\n".encode())
    root = Path(__file__).resolve().parent.parent
    for item in sorted(data):
        path = root / item
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            sha.update(f"{file.relative_to(root).as_posix()}={_look(file)[0]}\n".encode())
    return sha.hexdigest()
