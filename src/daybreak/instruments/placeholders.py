"""Placeholders in path patterns: how a value stands in a file's name and is read from one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from daybreak.errors import ConfigError

Value = str | int | date

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)(?::([^{}]*))?\}")
_DATE = re.compile(r"(?:%[Ymd]|[-_.])+")
_NUMBER = re.compile(r"(?:0?[1-9]\d?)?d")
CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_DIGITS = {"Y": 4, "m": 2, "d": 2}
_LONGEST = 200


@dataclass(frozen=True)
class Placeholder:
    """One placeholder."""

    name: str
    kind: Literal["date", "number", "text"]
    spec: str

    def text(self, value: Any, where: str) -> str:
        """The value as it stands in a file name.

        Parameters
        ----------
        value
            A date (or text YYYY-MM-DD), a whole number or text, by the kind.
        where
            The pattern, for the message.

        Raises
        ------
        ConfigError
            If the value is of the wrong kind or can't stand in a file name.
        """
        if self.kind == "date":
            return as_date(value, where, self.name).strftime(self.spec)
        if self.kind == "number":
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise bad_value(where, self.name, "a whole number from 0 on", value)
            return format(value, self.spec)
        text = str(value)
        if not text or len(text) > _LONGEST or "/" in text or CONTROL.search(text):
            raise bad_value(where, self.name, "text for a part of one file name", value)
        return text


def as_date(value: Any, where: str, name: str) -> date:
    """A value as a date.

    Parameters
    ----------
    value
        A date, or text YYYY-MM-DD.
    where, name
        The pattern and the placeholder, for the message.

    Raises
    ------
    ConfigError
        If it is none.
    """
    try:
        day = value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        day = date.min
    if day.year < 1900:
        raise bad_value(where, name, "a date YYYY-MM-DD from 1900 on", value)
    return date(day.year, day.month, day.day)


def bad_value(where: str, name: str, expected: str, value: Any) -> ConfigError:
    """The error for a value that can't stand in a file name.

    Parameters
    ----------
    where, name
        The pattern and the placeholder.
    expected
        In words.
    value
        What was given.
    """
    return ConfigError(
        f"{where}: {name}: expected {expected}, got {value!r}",
        "The value goes into a file name; it can't hold '/' or control characters.",
    )


Part = str | Placeholder
ANY = "*"


def _field(name: str, spec: str | None) -> Placeholder:
    if spec is None:
        return (
            Placeholder(name, "date", "%Y-%m-%d")
            if name == "night"
            else Placeholder(name, "text", "")
        )
    if "%" in spec and _DATE.fullmatch(spec):
        return Placeholder(name, "date", spec)
    if _NUMBER.fullmatch(spec):
        return Placeholder(name, "number", spec)
    raise ValueError(
        f"the placeholder {{{name}:{spec}}} is not known: expected a date such as "
        f"{{{name}:%Y%m%d}}, a number such as {{{name}:05d}}, or {{{name}}}"
    )


def read_parts(text: str) -> tuple[Part, ...]:
    """Literal texts, ``*`` and placeholders of one name of a path.

    Parameters
    ----------
    text
        One name, as it stands in the pattern.

    Raises
    ------
    ValueError
        If a placeholder has an unknown form.
    """
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


def _group(field: Placeholder, directive: str = "") -> str:
    return f"D{directive}_{field.name}" if directive else field.name


def exact_name(parts: tuple[Part, ...], known: Mapping[str, Any], where: str) -> str | None:
    """The only name that fits; None if there can be several.

    Parameters
    ----------
    parts
        Of the name.
    known
        Values by placeholder, as :func:`learn` gives them.
    where
        The pattern, for messages.
    """
    out = ""
    for part in parts:
        if part == ANY:
            return None
        if isinstance(part, str):
            out += part
        elif part.name in known:
            out += part.text(known[part.name], where)
        else:
            return None
    return out


def name_regex(parts: tuple[Part, ...], known: Mapping[str, Any], where: str) -> re.Pattern[str]:
    """Expression for one name; a group for each placeholder that has no value yet.

    Parameters
    ----------
    parts
        Of the name.
    known
        Values by placeholder, as :func:`learn` gives them.
    where
        The pattern, for messages.
    """
    seen: set[str] = set()

    def hole(group: str, expression: str) -> str:
        if group in seen:
            return f"(?P={group})"
        seen.add(group)
        return f"(?P<{group}>{expression})"

    out = []
    for part in parts:
        if part == ANY:
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


def learn(
    parts: tuple[Part, ...], match: re.Match[str], known: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What is known after a name has matched; None if its values are not what they seem.

    Parameters
    ----------
    parts
        Of the name.
    match
        Of :func:`name_regex`.
    known
        What was known before.

    Returns
    -------
    dict or None
        Values by placeholder; the parts of a date by the groups of their expression.
    """
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


def known_values(known: Mapping[str, Any]) -> dict[str, Value]:
    """Without the parts of dates.

    Parameters
    ----------
    known
        As of `learn`.
    """
    return {key: value for key, value in known.items() if key[0] != "D"}
