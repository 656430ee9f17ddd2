"""Path patterns: where files lie below a root folder, with placeholders for what differs.

``DL1/{night:%Y%m%d}/v{version}/dl1_LST-1.Run{run:05d}.h5`` is filled with values to name a file,
and searched to find the files that are there. A placeholder is a date (``%Y``, ``%m``, ``%d``), a
whole number (``05d``) or text (nothing after the name; ``night`` alone is a date). ``*`` stands
for any part of one name. Values are data: they can't hold a ``/``, and no pattern leaves its root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from daybreak.errors import ConfigError
from daybreak.instruments.placeholders import (
    ANY,
    CONTROL,
    Part,
    Placeholder,
    Value,
    as_date,
    bad_value,
    exact_name,
    known_values,
    learn,
    name_regex,
    read_parts,
)


@dataclass
class Budget:
    """How many folder entries a search may look at; 0 left: it was broken off."""

    left: int = 200_000


@dataclass(frozen=True)
class Match:
    """A file or folder that was found.

    Attributes
    ----------
    path
        Where it is.
    values
        What stood in the place of each placeholder.
    """

    path: Path
    values: Mapping[str, Value]


@dataclass(frozen=True)
class PathPattern:
    """A path below a root folder, with placeholders; make it with :meth:`parse`."""

    text: str
    components: tuple[tuple[Part, ...], ...]

    @classmethod
    def parse(cls, text: Any) -> PathPattern:
        """Read a pattern.

        Parameters
        ----------
        text
            Relative path with ``/``, placeholders and ``*``.

        Raises
        ------
        ValueError
            If it is absolute, leaves its root, or has a placeholder of unknown form.
        """
        if isinstance(text, PathPattern):
            return text
        if not isinstance(text, str) or not text:
            raise ValueError("expected a path pattern such as 'DL3/{night:%Y%m%d}/dl3_{run:05d}'")
        if text.startswith(("/", "~")):
            raise ValueError("expected a path below the root folder, without a leading '/' or '~'")
        if CONTROL.search(text):
            raise ValueError("expected a path without backslashes and control characters")
        names = text.split("/")
        if any(name in ("", ".", "..") for name in names):
            raise ValueError("expected a path without empty parts, '.' and '..'")
        pattern = cls(text, tuple(read_parts(name) for name in names))
        kinds: dict[str, str] = {}
        for part in pattern._fields():
            if kinds.setdefault(part.name, part.kind) != part.kind:
                raise ValueError(f"{part.name!r} is a {kinds[part.name]} and a {part.kind}")
        return pattern

    def __str__(self) -> str:
        return self.text

    def _fields(self) -> Iterator[Placeholder]:
        for parts in self.components:
            yield from (part for part in parts if not isinstance(part, str))

    @property
    def names(self) -> frozenset[str]:
        """Names of the placeholders."""
        return frozenset(part.name for part in self._fields())

    @property
    def dated(self) -> bool:
        """Whether a date is in it."""
        return any(part.kind == "date" for part in self._fields())

    def fill(self, **values: Value) -> str:
        """The relative path for given values.

        Parameters
        ----------
        **values
            A value for each placeholder; others are not looked at.

        Returns
        -------
        str
            Relative path with ``/``.

        Raises
        ------
        ConfigError
            If a value is missing or of the wrong kind, or the pattern has a ``*``.
        """
        out = []
        for parts in self.components:
            name = ""
            for part in parts:
                if part == ANY:
                    raise ConfigError(
                        f"{self.text}: a pattern with '*' names no single file",
                        "Search with it, or write the name out.",
                    )
                if isinstance(part, str):
                    name += part
                elif part.name not in values:
                    raise ConfigError(
                        f"{self.text}: there is no value for {part.name!r}",
                        "Give it, or set it under 'values' of the instrument profile.",
                    )
                else:
                    name += part.text(values[part.name], self.text)
            if name in (".", ".."):
                raise bad_value(self.text, "value", "the name of a file or folder", name)
            out.append(name)
        return "/".join(out)

    def match(self, path: str) -> dict[str, Value] | None:
        """Values of the placeholders in a relative path; None if it does not fit.

        Parameters
        ----------
        path
            With ``/``; it need not be there.

        Returns
        -------
        dict or None
            Placeholder to value.
        """
        names = path.split("/")
        if len(names) != len(self.components):
            return None
        known: dict[str, Any] = {}
        for parts, name in zip(self.components, names, strict=True):
            found = name_regex(parts, known, self.text).fullmatch(name)
            learnt = learn(parts, found, known) if found else None
            if learnt is None:
                return None
            known = learnt
        return known_values(known)

    def find(
        self, root: Path, known: Mapping[str, Value] | None = None, budget: Budget | None = None
    ) -> Iterator[Match]:
        """Files and folders that are there, the last name first: of dates, the newest.

        Parameters
        ----------
        root
            Folder to start in; one that does not exist holds nothing.
        known
            Values that are asked for.
        budget
            Bound of the search; it stops when nothing of it is left.

        Raises
        ------
        OSError
            If a folder can't be read.
        """
        asked = {k: v for k, v in (known or {}).items() if k in self.names}
        for field in self._fields():  # a bad value is said even where nothing is searched
            if field.name in asked:
                field.text(asked[field.name], self.text)
                if field.kind == "date":
                    asked[field.name] = as_date(asked[field.name], self.text, field.name)
        for path, values in self._walk(root, 0, asked, budget or Budget()):
            yield Match(path, known_values(values))

    def _walk(
        self, folder: Path, depth: int, known: dict[str, Any], budget: Budget
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        parts = self.components[depth]
        last = depth == len(self.components) - 1
        exact = exact_name(parts, known, self.text)
        names = _listing(folder, budget) if exact is None else [exact]
        expression = name_regex(parts, known, self.text)
        hidden = isinstance(parts[0], str) and parts[0].startswith(".")
        for name in names:
            if name.startswith(".") and not hidden:
                continue
            found = expression.fullmatch(name)
            learnt = learn(parts, found, known) if found else None
            if learnt is None:
                continue
            path = folder / name
            if not last:
                yield from self._walk(path, depth + 1, learnt, budget)
            elif path.exists():
                yield path, learnt
            if budget.left <= 0:
                return


def _listing(folder: Path, budget: Budget) -> list[str]:
    """Names in a folder, the last one first; none where there is no such folder."""
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                budget.left -= 1
                if budget.left <= 0:
                    break
                names.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(names, reverse=True)


Pattern = Annotated[
    PathPattern,
    BeforeValidator(PathPattern.parse),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["DL3/{night:%Y%m%d}/dl3_Run{run:05d}.fits"]}),
]
"""A path pattern as a field of a model."""
