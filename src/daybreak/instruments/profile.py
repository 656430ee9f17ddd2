"""What an instrument is: site, telescopes, how its files are recognised, where its data lie.

One YAML file per instrument gives an :class:`InstrumentProfile`;
:mod:`daybreak.instruments.profiles` finds and reads them. Nothing here depends on a source, and
nothing is executed: patterns and values are data, and a reader is named by a dotted name of a
known form.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.base import Frozen
from daybreak.errors import ConfigError
from daybreak.instruments.parts import (
    Location,
    Locations,
    Recognition,
    Site,
    Telescope,
    TelescopeArray,
    without_none,
)
from daybreak.instruments.patterns import Budget, Match, Pattern
from daybreak.instruments.placeholders import Value

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
READERS = "daybreak.readers"
_READER = re.compile(
    r"daybreak\.instruments(?:\.[a-z][a-z0-9_]*)+|entry-point:[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
)
_KEY = re.compile(r"[a-z][a-z0-9_]*")
Group = Literal["data", "models", "irfs"]


def _known_keys(value: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in value:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r}: expected a name of small letters, digits and '_'")
    return value


class InstrumentProfile(Frozen):
    """Everything that Daybreak knows of an instrument."""

    name: str = Field(pattern=rf"^{NAME.pattern}$", description="the name of its file")
    title: str = Field("", max_length=80, description="what people call it")
    site: Site | None = None
    telescopes: tuple[Telescope, ...] = ()
    arrays: tuple[TelescopeArray, ...] = Field(
        (), description="what is analysed together; empty: all telescopes, in one folder"
    )
    recognise: Recognition = Recognition()
    roots: dict[str, Path | None] = Field(
        default={}, description="folders under which files lie, by name; null: not known here"
    )
    values: Annotated[dict[str, str | int], BeforeValidator(without_none)] = Field(
        default={}, description="usual values of placeholders"
    )
    data: Locations = Field(default={}, description="where data of each level lie")
    models: Locations = Field(default={}, description="where trained models lie")
    irfs: Locations = Field(default={}, description="where instrument responses lie")
    products: Annotated[dict[str, Pattern], BeforeValidator(without_none)] = Field(
        default={}, description="names of products, below the folder of a target"
    )
    reader: str | None = Field(
        None,
        description="what reads its files: a module in daybreak.instruments, or entry-point:NAME",
    )
    analysis: AnalysisConfig = Field(
        AnalysisConfig(), description="settings that differ from the defaults"
    )

    @field_validator("roots", mode="after")
    @classmethod
    def _absolute(cls, value: dict[str, Path | None]) -> dict[str, Path | None]:
        out: dict[str, Path | None] = {}
        for key, path in value.items():
            if path is not None:
                if str(path).startswith("~/"):
                    path = path.expanduser()
                if not path.is_absolute() or ".." in path.parts or "\0" in str(path):
                    raise ValueError(f"{key}: expected an absolute folder, got '{path}'")
            out[key] = path
        return out

    @field_validator("roots", "values", "data", "models", "irfs", "products")
    @classmethod
    def _keys(cls, value: dict[str, Any]) -> Mapping[str, Any]:
        return _known_keys(value)

    @field_validator("values", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        """Refuse a number with a point: 0.10 would become 0.1."""
        for key, item in value.items() if isinstance(value, Mapping) else ():
            if isinstance(item, float | bool):
                raise ValueError(f"{key}: write it in quotes, as it stands in the file names")
        return value

    @field_validator("reader")
    @classmethod
    def _reader_name(cls, value: str | None) -> str | None:
        if value is not None and not _READER.fullmatch(value):
            raise ValueError("expected daybreak.instruments.MODULE or entry-point:NAME")
        return value

    @field_validator("analysis")
    @classmethod
    def _no_instrument(cls, value: AnalysisConfig) -> AnalysisConfig:
        if "instrument" in value.model_fields_set:
            raise ValueError("instrument: the profile's own name is used")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> InstrumentProfile:
        if self.name == "auto":
            raise ValueError("name: 'auto' stands for the one that is recognised")
        ids = [telescope.id for telescope in self.telescopes]
        if len(set(ids)) < len(ids):
            raise ValueError("telescopes: two have the same id")
        for array in self.arrays:
            if unknown := sorted(set(array.telescopes) - set(ids)):
                raise ValueError(f"arrays: {array.name}: there is no telescope {unknown[0]}")
        if len({array.name for array in self.arrays}) < len(self.arrays):
            raise ValueError("arrays: two have the same name")
        for group, level, location in self.locations():
            if location.root not in self.roots:
                raise ValueError(
                    f"{group}.{level}.root: {location.root!r} is not among the roots "
                    f"({', '.join(self.roots) or 'there are none'})"
                )
        return self

    def locations(self) -> Iterator[tuple[Group, str, Location]]:
        """All locations with their group and level."""
        for level, location in self.data.items():
            yield "data", level, location
        for level, location in self.models.items():
            yield "models", level, location
        for level, location in self.irfs.items():
            yield "irfs", level, location

    def location(self, level: str, group: Group = "data") -> Location:
        """Where files of a level lie.

        Parameters
        ----------
        level
            Key in the group, for instance ``dl1``.
        group
            ``data``, ``models`` or ``irfs``.

        Raises
        ------
        ConfigError
            If the profile does not say.
        """
        found: dict[str, Location] = getattr(self, group)
        if level not in found:
            raise ConfigError(
                f"instrument {self.name}: {group}.{level} is not in its profile "
                f"(there are: {', '.join(found) or 'none'})",
                "Add it in a profile of your own with 'extends', see docs/instruments.md.",
            )
        return found[level]

    def root(self, name: str) -> Path:
        """A root folder.

        Parameters
        ----------
        name
            Key of roots.

        Raises
        ------
        ConfigError
            If it is not known on this machine.
        """
        folder = self.roots.get(name)
        if folder is None:
            raise ConfigError(
                f"instrument {self.name}: the folder roots.{name} is not given",
                "Set it in a profile of your own with 'extends', see docs/instruments.md.",
            )
        return folder

    def file(self, level: str, group: Group = "data", **values: Value) -> Path:
        """The usual path of a file, whether it is there or not.

        Parameters
        ----------
        level, group
            As in :meth:`location`.
        **values
            Values of the placeholders; they beat the profile's ``values``.

        Raises
        ------
        ConfigError
            If the location, its root or a value is not known.
        """
        location = self.location(level, group)
        return self.root(location.root) / location.path[0].fill(**{**self.values, **values})

    def find(
        self,
        level: str,
        group: Group = "data",
        *,
        budget: Budget | None = None,
        **values: Value | None,
    ) -> Iterator[Match]:
        """Files and folders of a level that are there, the newest night first.

        Parameters
        ----------
        level, group
            As in :meth:`location`.
        budget
            Bound of the search.
        **values
            Values that are asked for; they beat the profile's ``values``. None: any.

        Yields
        ------
        Match
            Each path once, with the values in it.

        Raises
        ------
        ConfigError
            If the location or its root is not known, or a value is of the wrong kind.
        OSError
            If a folder can't be read.
        """
        location = self.location(level, group)
        root = self.root(location.root)
        asked = {k: v for k, v in {**self.values, **values}.items() if v is not None}
        seen: set[Path] = set()
        for pattern in location.path:
            for match in pattern.find(root, asked, budget):
                if match.path not in seen:
                    seen.add(match.path)
                    yield match

    def telescope(self, id_: int) -> Telescope:
        """A telescope by its id.

        Parameters
        ----------
        id_
            Its ``id``.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for telescope in self.telescopes:
            if telescope.id == id_:
                return telescope
        known = ", ".join(str(t.id) for t in self.telescopes) or "none"
        raise ConfigError(
            f"instrument {self.name}: there is no telescope {id_}", f"There are: {known}."
        )

    def load_reader(self) -> ModuleType | Any:
        """Import the module that reads the instrument's files.

        Returns
        -------
        ModuleType
            The module, or what the entry point names.

        Raises
        ------
        ConfigError
            If the profile names none, or it can't be imported.
        """
        if self.reader is None:
            raise ConfigError(
                f"instrument {self.name}: its profile names no reader",
                "Only standard files (GADF DL3) can be read.",
            )
        try:
            if not self.reader.startswith("entry-point:"):
                return importlib.import_module(self.reader)
            wanted = self.reader.removeprefix("entry-point:")
            for entry in metadata.entry_points(group=READERS, name=wanted):
                return entry.load()
        except ImportError as error:
            reason = str(error)
        else:
            reason = f"no installed package has an entry point {wanted!r} in {READERS!r}"
        raise ConfigError(
            f"instrument {self.name}: the reader {self.reader} can't be imported: {reason}",
            "Install the package that brings it, or correct 'reader' in the profile.",
        )
