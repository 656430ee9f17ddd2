"""What of an instrument's profile is there on this machine: folders, data, models, responses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from daybreak.errors import ConfigError
from daybreak.instruments.parts import Location
from daybreak.instruments.patterns import Budget, Match
from daybreak.instruments.profile import READERS, Group, InstrumentProfile

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    state
        ``missing``: it is needed and not there. ``warning``: less works without it.
    found
        What there is.
    advice
        What to do; empty if nothing.
    """

    name: str
    state: State
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return {
            "name": self.name,
            "state": self.state,
            "found": self.found,
            "advice": self.advice,
        }


def profile_checks(profile: InstrumentProfile, *, most_entries: int = 200_000) -> list[Check]:
    """Look for everything that a profile names.

    Parameters
    ----------
    profile
        The profile.
    most_entries
        Folder entries to look at for each kind of file at most; beyond that, numbers are "at
        least".

    Returns
    -------
    list of Check
        Each root with what lies below it, then the reader.
    """
    checks = []
    for name in profile.roots:
        checks.append(_root(profile, name))
        if checks[-1].state == "ok":
            checks += [
                _location(profile, group, level, location, most_entries)
                for group, level, location in profile.locations()
                if location.root == name
            ]
    if not checks:
        checks.append(
            Check("data", "ok", "the profile names no folders: give --store, as for any DL3 store")
        )
    if profile.reader is not None:
        checks.append(_reader(profile))
    return checks


def _own_copy(profile: InstrumentProfile, key: str) -> str:
    return (
        f"set {key} in a profile of your own that says 'extends: {profile.name}' "
        "(docs/instruments.md)"
    )


def _root(profile: InstrumentProfile, name: str) -> Check:
    label, folder = f"roots.{name}", profile.roots[name]
    below = [
        (f"{g}.{level}", loc.needed) for g, level, loc in profile.locations() if loc.root == name
    ]
    bad: State = "missing" if any(needed for _, needed in below) else "warning"
    use = f" (for {', '.join(what for what, _ in below)})"
    if folder is None:
        return Check(label, bad, f"no folder is given{use}", _own_copy(profile, label))
    if not folder.is_dir():
        advice = f"mount it, or {_own_copy(profile, label)}"
        return Check(label, bad, f"there is no folder {folder}{use}", advice)
    if not os.access(folder, os.R_OK | os.X_OK):
        return Check(label, bad, f"{folder} can't be read{use}", "ask for the right to read it")
    return Check(label, "ok", str(folder))


def _matches(
    profile: InstrumentProfile, group: Group, level: str, budget: Budget
) -> Iterator[Match]:
    """All matches, whatever the usual values of the profile are."""
    anything = dict.fromkeys(profile.values)
    return profile.find(level, group, budget=budget, **anything)


def _location(
    profile: InstrumentProfile, group: Group, level: str, location: Location, most_entries: int
) -> Check:
    label = f"{group}.{level}"
    bad: State = "missing" if location.needed else "warning"
    root = profile.root(location.root)
    pattern = location.path[0]
    budget = Budget(most_entries)
    count, first = 0, None
    try:
        for match in _matches(profile, group, level, budget):
            first = first or match.path
            count += 1
    except OSError as error:
        where = error.filename or root
        found = f"{where} can't be read: {error.strerror or error}"
        return Check(label, bad, found, "ask for the right to read it")
    if first is None:
        cut = ", as far as it was searched" if budget.left <= 0 else ""
        return Check(
            label,
            bad,
            f"nothing at {root / pattern.text}{cut}",
            f"bring the files there, or {_own_copy(profile, f'{label}.path')}",
        )
    number = f"at least {count}" if budget.left <= 0 else str(count)
    which = "newest" if pattern.dated else "last by name"
    return Check(label, "ok", f"{number}, {which} {_short(first, root)} in {root}")


def _short(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _reader(profile: InstrumentProfile) -> Check:
    """Whether the reader is installed; it is not imported."""
    name = profile.reader or ""
    try:
        if name.startswith("entry-point:"):
            wanted = name.removeprefix("entry-point:")
            there = bool(metadata.entry_points(group=READERS, name=wanted))
        else:
            there = find_spec(name) is not None
    except (ImportError, ValueError, ConfigError):
        there = False
    if there:
        return Check("reader", "ok", name)
    advice = "install the package that brings it, or correct 'reader' in the profile"
    return Check("reader", "missing", f"{name} is not installed", advice)
