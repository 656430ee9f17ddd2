"""Path patterns: where files lie below a root folder, with placeholders for what differs.

``DL1/{night:%Y%m%d}/v{version}/dl1_LST-1.Run{run:05d}.h5`` is filled with values to name a file,
and searched to find the files that are there. A placeholder is a date (``%Y``, ``%m``, ``%d``), a
whole number (``05d``) or text (nothing after the name; ``night`` alone is a date). ``*`` stands
for any part of one name. Values are data: they can't hold a ``/``, and no pattern leaves its root.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from daybreak.errors import ConfigError

Value = str | int | date

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)(?::([^{}]*))?\}")
_DATE = re.compile(r"(?:%[Ymd]|[-_.])+")
_NUMBER = re.compile(r"(?:0?[1-9]\d?)?d")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_DIGITS = {"Y": 4, "m": 2, "d": 2}
_LONGEST = 200


@dataclass(frozen=True)
class _Field:
    """One placeholder."""

    name: str
    kind: Literal["date", "number", "text"]
    spec: str

    def text(self, value: Any, where: str) -> str:
        """The value as it stands in a file name."""
        if self.kind == "date":
            return _day(value, where, self.name).strftime(self.spec)
        if self.kind == "number":
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise _bad(where, self.name, "a whole number from 0 on", value)
            return format(value, self.spec)
        text = str(value)
        if not text or len(text) > _LONGEST or "/" in text or _CONTROL.search(text):
            raise _bad(where, self.name, "text for a part of one file name", value)
        return text


def _day(value: Any, where: str, name: str) -> date:
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        day = date.min
    if day.year < 1900:
        raise _bad(where, name, "a date YYYY-MM-DD from 1900 on", value)
    return day


def _bad(where: str, name: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(
        f"{where}: {name}: expected {expected}, got {value!r}",
        "The value goes into a file name; it can't hold '/' or control characters.",
    )


Part = str | _Field
_ANY = "*"


def _field(name: str, spec: str | None) -> _Field:
    if spec is None:
        return _Field(name, "date", "%Y-%m-%d") if name == "night" else _Field(name, "text", "")
    if "%" in spec and _DATE.fullmatch(spec):
        return _Field(name, "date", spec)
    if _NUMBER.fullmatch(spec):
        return _Field(name, "number", spec)
    raise ValueError(
        f"the placeholder {{{name}:{spec}}} is not known: expected a date such as "
        f"{{{name}:%Y%m%d}}, a number such as {{{name}:05d}}, or {{{name}}}"
    )


def _parts(text: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    end = 0

    def literal(piece: str) -> None:
        if "{" in piece or "}" in piece:
            raise ValueError(
                f"the braces in {text!r} don't make a placeholder: expected {{name}}, in small "
                "letters; one placeholder can't go over a '/'"
            )
        for bit in re.split(r"(\*)", piece):
            if bit:
                parts.append(bit)

    for match in _PLACEHOLDER.finditer(text):
        literal(text[end : match.start()])
        parts.append(_field(match[1], match[2]))
        end = match.end()
    literal(text[end:])
    return tuple(parts)


def _group(field: _Field, directive: str = "") -> str:
    return f"D{directive}_{field.name}" if directive else field.name


def _regex(parts: tuple[Part, ...], known: Mapping[str, Any], where: str) -> re.Pattern[str]:
    """Expression for one name; a group for each placeholder that has no value yet."""
    seen: set[str] = set()

    def hole(group: str, expression: str) -> str:
        if group in seen:
            return f"(?P={group})"
        seen.add(group)
        return f"(?P<{group}>{expression})"

    out = []
    for part in parts:
        if part == _ANY:
            out.append(r"[^/]*")
        elif isinstance(part, str):
            out.append(re.escape(part))
        elif part.name in known:
            out.append(re.escape(part.text(known[part.name], where)))
        elif part.kind == "number":
            out.append(hole(part.name, r"\d+"))
        elif part.kind == "text":
            out.append(hole(part.name, r"[^/]+?"))
        else:
            for bit in re.findall(r"%[Ymd]|.", part.spec):
                group = _group(part, bit[1:]) if bit.startswith("%") else ""
                if not group:
                    out.append(re.escape(bit))
                elif group in known:
                    out.append(re.escape(known[group]))
                else:
                    out.append(hole(group, rf"\d{{{_DIGITS[bit[1]]}}}"))
    return re.compile("".join(out))


def _learn(
    parts: tuple[Part, ...], match: re.Match[str], known: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What is known after a name has matched; None if its values are not what they seem."""
    out = dict(known)
    groups = match.groupdict()
    for part in parts:
        if isinstance(part, str) or part.name in known:
            continue
        if part.kind == "number":
            value = int(groups[part.name])
            if format(value, part.spec) != groups[part.name]:
                return None
            out[part.name] = value
        elif part.kind == "text":
            out[part.name] = groups[part.name]
        else:
            keys = {d: _group(part, d) for d in _DIGITS}
            out |= {key: groups[key] for key in keys.values() if key in groups}
            if all(key in out for key in keys.values()):
                try:
                    out[part.name] = date(*(int(out[keys[d]]) for d in "Ymd"))
                except ValueError:
                    return None
    return out


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
        if _CONTROL.search(text):
            raise ValueError("expected a path without backslashes and control characters")
        names = text.split("/")
        if any(name in ("", ".", "..") for name in names):
            raise ValueError("expected a path without empty parts, '.' and '..'")
        pattern = cls(text, tuple(_parts(name) for name in names))
        kinds: dict[str, str] = {}
        for part in pattern._fields():
            if kinds.setdefault(part.name, part.kind) != part.kind:
                raise ValueError(f"{part.name!r} is a {kinds[part.name]} and a {part.kind}")
        return pattern

    def __str__(self) -> str:
        return self.text

    def _fields(self) -> Iterator[_Field]:
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
                if part == _ANY:
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
                raise _bad(self.text, "value", "the name of a file or folder", name)
            out.append(name)
        return "/".join(out)

    def match(self, path: str) -> dict[str, Value] | None:
        """Values of the placeholders in a relative path; None if it does not fit."""
        names = path.split("/")
        if len(names) != len(self.components):
            return None
        known: dict[str, Any] = {}
        for parts, name in zip(self.components, names, strict=True):
            found = _regex(parts, known, self.text).fullmatch(name)
            learnt = _learn(parts, found, known) if found else None
            if learnt is None:
                return None
            known = learnt
        return _values(known)

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
                    asked[field.name] = _day(asked[field.name], self.text, field.name)
        for path, values in self._walk(root, 0, asked, budget or Budget()):
            yield Match(path, _values(values))

    def _walk(
        self, folder: Path, depth: int, known: dict[str, Any], budget: Budget
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        parts = self.components[depth]
        last = depth == len(self.components) - 1
        if all(isinstance(p, str) and p != _ANY for p in parts):
            names = ["".join(map(str, parts))]
        else:
            names = _listing(folder, budget)
        expression = _regex(parts, known, self.text)
        hidden = isinstance(parts[0], str) and parts[0].startswith(".")
        for name in names:
            if name.startswith(".") and not hidden:
                continue
            found = expression.fullmatch(name)
            learnt = _learn(parts, found, known) if found else None
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


def _values(known: Mapping[str, Any]) -> dict[str, Value]:
    """Without the parts of dates."""
    return {key: value for key, value in known.items() if key[0] != "D"}


Pattern = Annotated[
    PathPattern,
    BeforeValidator(PathPattern.parse),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["DL3/{night:%Y%m%d}/dl3_Run{run:05d}.fits"]}),
]
"""A path pattern as a field of a model."""
