"""Loading: defaults, instrument profile, file and command line merged into one frozen model.

The command line beats the file, the file beats the instrument profile, the profile beats the
default. What is wrong is said with the key, the file and line it stands in, and what was
expected.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from daybreak.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
KeyPath = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a date stays the text that was written."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in pairs if not tag.endswith(":timestamp")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Layer:
    """One source of settings.

    Attributes
    ----------
    name
        What to call it in messages and in ``daybreak config show``.
    values
        Nested mapping of settings.
    lines
        Line (from 1) of each key path, where the source is a file.
    """

    name: str
    values: Mapping[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Name and line of a key, as ``file.yaml:12``.

        Parameters
        ----------
        path
            Of the key; where its line is not known, that of the section it stands in is told.
        """
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.name}:{self.lines[path[:length]]}"
        return self.name


def _walk_lines(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise ConfigError(
                    f"{name}:{line}: the key {'.'.join((*path, key))!r} stands there twice",
                    "Remove one of them.",
                )
            seen.add(key)
            lines[(*path, key)] = line
            _walk_lines(value_node, (*path, key), lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, str(index))] = item.start_mark.line + 1
            _walk_lines(item, (*path, str(index)), lines, name)


def yaml_layer(text: str, name: str) -> Layer:
    """Parse YAML text into a layer that knows the line of each key.

    Parameters
    ----------
    text
        Content of the file.
    name
        What to call it in messages.

    Raises
    ------
    ConfigError
        If it is not YAML, or not a mapping at the top.
    """
    lines: dict[KeyPath, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            _walk_lines(node, (), lines, name)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except RecursionError:
        raise ConfigError(f"{name}: nested too deep", "Check the file's structure.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(
            f"{place}: this is not YAML: {problem}", "Check the indentation and the quotes there."
        ) from None
    except ValueError as error:
        raise ConfigError(f"{name}: a value can't be read: {error}", "Put it in quotes.") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{name}: expected 'key: value' lines, found a {type(values).__name__}",
            "See docs/configuration.md for an example.",
        )
    return Layer(name, _string_keys(values), lines)


def parse_value(text: str) -> Any:
    """The value of a single setting as YAML reads it; the text itself where it is not YAML.

    Parameters
    ----------
    text
        As it stands after ``KEY=`` on the command line.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def _string_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _string_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_string_keys(item) for item in value]
    return value


def file_layer(path: Path) -> Layer:
    """Read a YAML file into a layer.

    Parameters
    ----------
    path
        Of the file, in UTF-8.

    Raises
    ------
    ConfigError
        If the file can't be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f"can't read the configuration {path}: {reason}", "Check the path given with --config."
        ) from None
    return yaml_layer(text, str(path))


def settings_layer(
    settings: Iterable[str],
    name: str = "--set",
    example: str = "maps.pixel='0.05 deg'",
) -> Layer:
    """Turn ``section.key=value`` texts into a layer.

    Parameters
    ----------
    settings
        Later ones beat earlier ones; values are read as YAML reads them.
    name
        Where they were given, for messages.
    example
        What one looks like.

    Raises
    ------
    ConfigError
        If a text has no ``=``, or a key is given a value and a key below it.
    """
    values: dict[str, Any] = {}
    for text in settings:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"{name} {text!r}: expected KEY=VALUE", f"For example {example}.")
        into = values
        *parents, last = key.strip().split(".")
        for part in parents:
            into = into.setdefault(part, {})
            if not isinstance(into, dict):
                raise ConfigError(f"{name} {text!r}: {part!r} is given a value and a key below it")
        if isinstance(into.get(last), dict):
            raise ConfigError(f"{name} {text!r}: {last!r} is given a value and a key below it")
        into[last] = parse_value(value)
    return Layer(name, values)


def merge(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """Merge layers, later ones winning key by key; lists are replaced whole.

    Parameters
    ----------
    layers
        The weakest first.

    Returns
    -------
    values : dict
        The merged settings.
    origin : dict
        For each leaf's key path, where its value came from.
    """
    values: dict[str, Any] = {}
    origin: dict[KeyPath, str] = {}

    def put(into: dict[str, Any], new: Mapping[str, Any], layer: Layer, path: KeyPath) -> None:
        for key, value in new.items():
            here = (*path, key)
            if isinstance(value, Mapping):
                if not isinstance(into.get(key), dict):
                    into[key] = {}
                put(into[key], value, layer, here)
            else:
                into[key] = value
                for old in [p for p in origin if p[: len(here)] == here]:
                    del origin[old]
                for below in layer.lines:
                    if below[: len(here)] == here:
                        origin[below] = layer.where(below)
            origin[here] = layer.where(here)

    for layer in layers:
        put(values, layer.values, layer, ())
    return values, origin


def _names_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    current: Any = model
    named = False
    for part in path:
        if part.isdigit() or named:  # an item: the model was taken at the list or the mapping
            named = False
            continue
        info = current.model_fields.get(part)
        if info is None:
            return []
        current = info.annotation
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            options = [
                a
                for a in getattr(current, "__args__", ())
                if isinstance(a, type) and issubclass(a, BaseModel)
            ]
            if not options:
                return []
            named = getattr(current, "__origin__", None) is dict
            current = options[0]
    return list(current.model_fields)


def _explain(model: type[BaseModel], error: Any, origin: Mapping[KeyPath, str]) -> str:
    path = tuple(str(part) for part in error["loc"])
    key = ".".join(path)
    place = next(
        (origin[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origin), "configuration"
    )
    if error["type"] == "extra_forbidden":
        names = _names_at(model, path[:-1])
        near = difflib.get_close_matches(path[-1], names, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"
        return f"{place}: unknown key {key!r}; {advice}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{place}: the key {key!r} is missing"
    return f"{place}: {key}: {message} (found {error.get('input')!r})"


def build(model: type[M], layers: Sequence[Layer]) -> tuple[M, dict[KeyPath, str]]:
    """Merge the layers and make the model of them.

    Parameters
    ----------
    model
        The frozen pydantic model to build.
    layers
        From the weakest to the strongest.

    Returns
    -------
    model : BaseModel
        The resolved configuration.
    origin : dict
        Where each value that is not a default came from.

    Raises
    ------
    ConfigError
        For unknown keys or bad values; all of them at once, a line each.
    """
    values, origin = merge(layers)
    try:
        return model.model_validate(values), origin
    except ValidationError as error:
        lines = [_explain(model, item, origin) for item in error.errors()]
        raise ConfigError(
            "\n".join(lines), "`daybreak config show` prints every key with its value and origin."
        ) from None


def _flow(value: Any, style: str | None) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, allow_unicode=True, width=10_000
    )
    return text.removesuffix("\n").removesuffix("\n...")


def to_yaml(
    model: BaseModel, origin: Mapping[KeyPath, str] | None = None, *, defaults: bool = True
) -> str:
    """The whole configuration as YAML, each line with a comment where its value came from.

    Parameters
    ----------
    model
        The configuration.
    origin
        Where values came from; none: no comments.
    defaults
        Also the keys that nobody has set.
    """

    def scalar(value: Any) -> str:
        text = _flow(value, None)
        return text if parse_value(text) == value else _flow(value, '"')

    def lines(values: Mapping[str, Any], path: KeyPath, depth: int) -> list[str]:
        out = []
        for key, value in values.items():
            here = (*path, key)
            if isinstance(value, Mapping) and value:
                out.append("  " * depth + f"{key}:")
                out.extend(lines(value, here, depth + 1))
            else:
                text = "  " * depth + f"{key}: {scalar(value)}"
                if origin is not None:
                    text += f"  # {origin.get(here, 'default')}"
                out.append(text)
        return out

    values = model.model_dump(mode="json", exclude_unset=not defaults)
    return "\n".join(lines(values, (), 0)) + "\n"
