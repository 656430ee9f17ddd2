"""The part of a configuration that a step declares, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from daybreak.errors import UndeclaredSettingError


def declare(model: BaseModel, paths: Iterable[str]) -> dict[str, Any]:
    """The settings at some paths, as JSON-able values by path.

    Parameters
    ----------
    model
        The whole configuration.
    paths
        Sections or single settings with dots, e.g. ``lightcurve`` or ``spectrum.n_sigma_ul``.

    Raises
    ------
    UndeclaredSettingError
        If the configuration has no such path.
    """
    values = model.model_dump(mode="json")
    found = {}
    for path in paths:
        value: Any = values
        for part in path.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise UndeclaredSettingError(f"the configuration has no {path!r}")
            value = value[part]
        found[path] = value
    return found


class Declared:
    """A configuration of which only the declared settings can be read.

    Parameters
    ----------
    model
        The class of the whole configuration.
    values
        What :func:`declare` gave.

    Raises
    ------
    UndeclaredSettingError
        When a setting is read that was not declared.
    """

    def __init__(self, model: type[BaseModel], values: Mapping[str, Any]) -> None:
        nested: dict[str, Any] = {}
        for path, value in values.items():
            *parents, last = path.split(".")
            into = nested
            for part in parents:
                into = into.setdefault(part, {})
            into[last] = value
        self._model = model.model_validate(nested)
        self._paths = frozenset(values)
        self._prefix = ""

    @classmethod
    def _below(cls, model: BaseModel, paths: frozenset[str], prefix: str) -> Declared:
        view = cls.__new__(cls)
        view._model, view._paths, view._prefix = model, paths, prefix
        return view

    def __getattr__(self, name: str) -> Any:
        """A declared setting, or a section in which something is declared."""
        path = f"{self._prefix}{name}"
        if path in self._paths:
            return getattr(self._model, name)
        if any(known.startswith(f"{path}.") for known in self._paths):
            return self._below(getattr(self._model, name), self._paths, f"{path}.")
        raise UndeclaredSettingError(
            f"the step reads the setting {path!r} without declaring it",
            f"It declares: {', '.join(sorted(self._paths)) or 'nothing'}.",
        )
