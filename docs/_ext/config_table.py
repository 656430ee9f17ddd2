"""Tables of the configuration, made from the models and the profiles at build time.

Directives
----------
``config-table``
    A section for each group of keys, with key, type, default and meaning, from the JSON schema of
    :class:`daybreak.config.analysis.AnalysisConfig`.
``profile-table``
    What each instrument profile sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MEANINGS = Path(__file__).with_name("meanings.yaml")
_QUANTITIES = {"deg": "angle", "TeV": "energy", "min": "duration"}
_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
_NAMES = {"number": "number", "integer": "whole number", "boolean": "true or false"}


@dataclass(frozen=True)
class Key:
    """One key of the configuration.

    Attributes
    ----------
    path
        With its group, as in ``--set``.
    kind
        Type, in words.
    unit
        Unit of a quantity, else empty.
    default
        As it would stand in a file.
    meaning
        What it does.
    """

    path: str
    kind: str
    unit: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Group:
    """A group of keys; the name is empty for the keys at the top."""

    name: str
    meaning: str
    keys: tuple[Key, ...]


def _extra_meanings() -> dict[str, str]:
    """Meanings of keys whose model says nothing because the name says it."""
    loaded = yaml.safe_load(MEANINGS.read_text(encoding="utf-8"))
    return {str(key): str(text) for key, text in loaded.items()}


def _kind(block: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, str]:
    """Type and unit in words."""
    options = block.get("anyOf")
    if options:
        kind, unit = _kind(next(o for o in options if o.get("type") != "null"), definitions)
        return f"{kind} or none", unit
    if block.get("type") == "array":
        item, unit = _kind(block["items"], definitions)
        return f"list: {item}", unit
    if "$ref" in block:
        target = definitions[block["$ref"].rsplit("/", 1)[1]]
        return f"mapping with {', '.join(target['properties'])}", ""
    if "enum" in block:
        return " | ".join(str(value) for value in block["enum"]), ""
    if block.get("type") == "string" and block.get("examples"):
        unit = str(block["examples"][0]).split()[-1]
        return _QUANTITIES.get(unit, "quantity"), unit
    limits = [f"{word} {block[key]:g}" for key, word in _LIMITS.items() if key in block]
    name = _NAMES.get(block.get("type", ""), "text")
    return f"{name}, {', '.join(limits)}" if limits else name, ""


def _default(block: Mapping[str, Any]) -> str:
    value = block.get("default")
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(str, value))}]"
    return '""' if value == "" else str(value)


def groups() -> list[Group]:
    """All groups of keys from the schema."""
    from daybreak.config.analysis import AnalysisConfig

    schema = AnalysisConfig.model_json_schema()
    definitions, extra = schema["$defs"], _extra_meanings()

    def keys(properties: Mapping[str, Any], prefix: str) -> Iterator[Key]:
        for name, block in properties.items():
            path = f"{prefix}{name}"
            kind, unit = _kind(block, definitions)
            meaning = block.get("description") or extra.get(path, "")
            yield Key(path, kind, unit, _default(block), meaning)

    top: dict[str, Any] = {}
    found = []
    for name, block in schema["properties"].items():
        reference = block.get("$ref") or next(
            (part["$ref"] for part in block.get("allOf", ()) if "$ref" in part), None
        )
        if reference is None:
            top[name] = block
            continue
        target = definitions[reference.rsplit("/", 1)[1]]
        found.append(
            Group(
                name,
                target.get("description", ""),
                tuple(keys(target["properties"], f"{name}.")),
            )
        )
    return [Group("", "", tuple(keys(top, ""))), *found]


def profiles() -> dict[str, dict[str, str]]:
    """What each shipped profile sets: profile to key to value."""
    from daybreak.instruments.profiles import profile_layer, profile_names

    def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
        for key, value in values.items():
            if isinstance(value, Mapping):
                yield from flat(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", str(value)

    return {name: dict(flat(profile_layer(name).values)) for name in profile_names()}


def _cell(text: str, *, code: bool = False) -> nodes.entry:
    part = nodes.literal(text, text) if code else nodes.Text(text)
    return nodes.entry("", nodes.paragraph("", "", part) if text else nodes.paragraph())


def _table(head: list[str], widths: list[int], rows: list[list[nodes.entry]]) -> nodes.table:
    group = nodes.tgroup("", cols=len(head))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", nodes.row("", *[_cell(text) for text in head]))
    group += nodes.tbody("", *[nodes.row("", *row) for row in rows])
    return nodes.table("", group)


class ConfigTable(SphinxDirective):
    """Every key, group by group."""

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        out: list[nodes.Node] = []
        self.env.note_dependency(str(MEANINGS))
        for group in groups():
            title = group.name or "at the top"
            section = nodes.section(ids=[f"keys-{group.name or 'top'}"], names=[f"keys-{title}"])
            section += nodes.title("", "", nodes.Text(title))
            if group.meaning:
                section += nodes.paragraph("", group.meaning)
            rows = [
                [
                    _cell(key.path, code=True),
                    _cell(key.kind),
                    _cell(key.unit),
                    _cell(key.default, code=True),
                    _cell(key.meaning),
                ]
                for key in group.keys
            ]
            head = ["key", "type", "unit", "default", "meaning"]
            section += _table(head, [24, 16, 6, 16, 38], rows)
            out.append(section)
        return out


class ProfileTable(SphinxDirective):
    """What the instrument profiles set; those that set nothing are left out."""

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        found = {name: values for name, values in profiles().items() if values}
        names = list(found)
        keys = list(dict.fromkeys(key for values in found.values() for key in values))
        rows = [
            [_cell(key, code=True), *[_cell(found[name].get(key, ""), code=True) for name in names]]
            for key in keys
        ]
        table = _table(["key", *names], [28, *[12] * len(names)], rows)
        table["classes"].append("values")
        return [table]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("config-table", ConfigTable)
    app.add_directive("profile-table", ProfileTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
