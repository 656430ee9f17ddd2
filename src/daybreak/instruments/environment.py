"""What of the environment is there on this machine: Python, packages, folders, disk, scheduler."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from daybreak.instruments.doctor import Check, State

PACKAGE = "daybreak"
#: what each group of optional packages is for; the other groups are the developers'
OPTIONAL = {
    "sftp": "stores over sftp",
    "fast": "copies that are checked twice as fast",
    "kubernetes": "engines on Kubernetes",
}
SLURM = ("sbatch", "squeue", "sacct", "scancel")
_GB = 1e9
_LEAST_DISK_GB, _GOOD_DISK_GB = 1.0, 10.0
_LEAST_MEMORY_GB, _GOOD_MEMORY_GB = 2.0, 4.0


def environment_checks(
    *, state: Path, cache: Path, output: Path, memory_mb: tuple[float, float]
) -> list[Check]:
    """Look at everything that does not depend on the instrument.

    Parameters
    ----------
    state
        Folder of the inbox of requests and the like; need not exist yet.
    cache
        Folder of what can be made again; need not exist yet.
    output
        Folder in which output would lie.
    memory_mb
        Total and free memory, in MB (10⁶ bytes).

    Returns
    -------
    list of Check
        In the order in which they are printed.
    """
    return [
        python_check(),
        *package_checks(),
        folder_check("state folder", state, needed=True, key="$DAYBREAK_HOME"),
        folder_check("cache folder", cache, needed=False, key="$XDG_CACHE_HOME"),
        folder_check("output folder", output, needed=True, key="-o"),
        kernel_cache_check(Path(__file__).parents[1] / "neutrino" / "likelihood"),
        *disk_checks({"state folder": state, "output folder": output}),
        cores_check(),
        memory_check(*memory_mb),
        slurm_check(),
    ]


def _requires() -> tuple[str, list[str]]:
    """Versions of Python, and requirements, of the installed Daybreak."""
    meta = metadata.metadata(PACKAGE)
    python = meta["Requires-Python"]
    return str(python or ""), list(metadata.requires(PACKAGE) or ())


def python_check() -> Check:
    """Whether this Python is new enough."""
    from packaging.specifiers import SpecifierSet

    version = platform.python_version()
    try:
        wanted = _requires()[0]
    except metadata.PackageNotFoundError:
        wanted = ">=3.11"
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return Check("python", "ok", f"{version} ({sys.executable})")
    return Check(
        "python",
        "missing",
        f"{version} ({sys.executable})",
        f"install Daybreak into a Python {wanted}",
    )


def package_checks(requirements: Iterable[str] | None = None) -> list[Check]:
    """Whether the packages that Daybreak uses are there, in versions that fit.

    Parameters
    ----------
    requirements
        As in a package's metadata; none: those of the installed Daybreak.

    Returns
    -------
    list of Check
        One for all that are needed and right, one for each that is not, one for each optional
        group.
    """
    from packaging.requirements import Requirement

    if requirements is None:
        try:
            requirements = _requires()[1]
        except metadata.PackageNotFoundError:
            return [
                Check(
                    "packages",
                    "warning",
                    "Daybreak is not installed, so its requirements are not known",
                    "python -m pip install . in its clone",
                )
            ]
    wanted = [Requirement(text) for text in requirements]
    needed = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    bad = [check for r in needed if (check := _package(r.name, str(r.specifier), "missing"))]
    checks = [Check("packages", "ok", f"{len(needed) - len(bad)} of {len(needed)} fit"), *bad]
    for extra, purpose in OPTIONAL.items():
        group = [r for r in wanted if r not in needed and _of_extra(r, extra)]
        wrong = [c for r in group if (c := _package(r.name, str(r.specifier), "warning"))]
        names = ", ".join(r.name for r in group)
        if wrong:
            found = "; ".join(f"{c.name.removeprefix('package ')}: {c.found}" for c in wrong)
            advice = f"for {purpose}: python -m pip install 'daybreak[{extra}]'"
            checks.append(Check(f"optional {extra}", "warning", found, advice))
        elif group:
            checks.append(Check(f"optional {extra}", "ok", names))
    return checks


def _of_extra(requirement: object, extra: str) -> bool:
    marker = getattr(requirement, "marker", None)
    return marker is not None and bool(marker.evaluate({"extra": extra}))


def _package(name: str, specifier: str, state: State) -> Check | None:
    """What is wrong with an installed package; None if nothing is."""
    from packaging.specifiers import SpecifierSet

    label, advice = f"package {name}", f"python -m pip install '{name}{specifier}'"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(label, state, "not installed", advice)
    if SpecifierSet(specifier).contains(version, prereleases=True):
        return None
    return Check(label, state, f"{version} does not fit {specifier}", advice)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.expanduser().absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def folder_check(name: str, folder: Path, *, needed: bool, key: str) -> Check:
    """Whether a folder can be written to, or made.

    Parameters
    ----------
    name
        What it is for.
    folder
        The folder; it is not made here.
    needed
        Nothing works without it.
    key
        The variable or option that says where it is.
    """
    bad: State = "missing" if needed else "warning"
    there = _existing(folder)
    advice = f"give another one with {key}, or get the right to write"
    if not there.is_dir():
        return Check(name, bad, f"{there} is not a folder", advice)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Check(name, bad, f"{there} can't be written to: {error.strerror or error}", advice)
    return Check(
        name, "ok", str(folder) + ("" if there == folder.absolute() else " (not yet made)")
    )


def kernel_cache_check(kernels: Path) -> Check:
    """Whether compiled kernels can be kept; Numba fails where it finds no place for them.

    Parameters
    ----------
    kernels
        Folder of a module with kernels; Numba's first choice lies below it.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "numba"
    places = [Path(given)] if given else [kernels / "__pycache__", cache]
    for place in places:
        check = folder_check("kernel cache", place, needed=True, key="$NUMBA_CACHE_DIR")
        if check.state == "ok":
            return check
    return check


def disk_checks(folders: dict[str, Path]) -> list[Check]:
    """Free space on the disks of folders, each disk once.

    Parameters
    ----------
    folders
        Folder by what it is for.
    """
    checks, seen = [], set()
    for name, folder in folders.items():
        there = _existing(folder)
        try:
            device, free = there.stat().st_dev, shutil.disk_usage(there).free / _GB
        except OSError as error:
            found = f"{there}: {error.strerror or error}"
            checks.append(Check("disk space", "warning", found, "look at the disk"))
            continue
        if device in seen:
            continue
        seen.add(device)
        state: State = "ok"
        if free < _GOOD_DISK_GB:
            state = "warning" if free >= _LEAST_DISK_GB else "missing"
        advice = "" if state == "ok" else "free some; `daybreak gc` removes what is not needed"
        checks.append(Check("disk space", state, f"{free:.1f} GB free ({name})", advice))
    return checks


def cores_check() -> Check:
    """Cores that this process may use."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    if cores > 1:
        return Check("cores", "ok", str(cores))
    return Check("cores", "warning", "1", "steps run one after the other; see --engine for more")


def memory_check(total_mb: float, free_mb: float) -> Check:
    """Whether there is memory for a worker.

    Parameters
    ----------
    total_mb, free_mb
        In MB (10⁶ bytes).
    """
    total, free = total_mb * 1e6 / _GB, free_mb * 1e6 / _GB
    found = f"{free:.1f} GB free of {total:.1f} GB"
    if total < _LEAST_MEMORY_GB:
        return Check("memory", "missing", found, f"use a machine with {_GOOD_MEMORY_GB:g} GB")
    if free < _GOOD_MEMORY_GB:
        return Check("memory", "warning", found, "end other programs, or use fewer --workers")
    return Check("memory", "ok", found)


def slurm_check() -> Check:
    """Whether the commands of Slurm are there."""
    there = [name for name in SLURM if shutil.which(name)]
    if len(there) == len(SLURM):
        return Check("slurm", "ok", f"{shutil.which(SLURM[0])} and the others")
    lacking = ", ".join(name for name in SLURM if name not in there)
    advice = "only engines of kind slurm need them; on a submit node, load Slurm's module"
    return Check("slurm", "warning", f"not found: {lacking}", advice)
