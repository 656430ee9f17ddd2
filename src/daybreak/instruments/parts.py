"""Parts of an instrument profile: site, telescopes, recognition, locations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from daybreak.config.base import Angle, Frozen, Length
from daybreak.instruments.patterns import PathPattern, Pattern


def plain(word: str) -> str:
    """A TELESCOP or INSTRUME word without case, blanks and signs: ``H.E.S.S.`` is ``HESS``.

    Parameters
    ----------
    word
        As it stands in a header.
    """
    return "".join(c for c in word.upper() if c.isalnum())


def without_none(value: Any) -> Any:
    """Remove keys set to null: so a profile takes away what it inherits.

    Parameters
    ----------
    value
        Anything else than a mapping is returned as it is.
    """
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if item is not None}
    return value


def as_list(value: Any) -> Any:
    """One text stands for a list of one.

    Parameters
    ----------
    value
        Anything else than text is returned as it is.
    """
    return [value] if isinstance(value, str) else value


class Site(Frozen):
    """Where the instrument stands."""

    longitude: Angle = Field(description="east positive; says which night a time belongs to")
    latitude: Angle = Field(description="north positive")
    height: Length = Field(description="above the sea")

    @model_validator(mode="after")
    def _on_earth(self) -> Site:
        if not -180 <= self.longitude.to_value("deg") <= 360:
            raise ValueError("longitude: expected -180 deg to 360 deg, east positive")
        if not -90 <= self.latitude.to_value("deg") <= 90:
            raise ValueError("latitude: expected -90 deg to 90 deg")
        if not -500 <= self.height.to_value("m") <= 10_000:
            raise ValueError("height: expected metres above the sea")
        return self


class Telescope(Frozen):
    """One telescope."""

    id: int = Field(ge=0, le=999, description="number in file names and product folders")
    data_id: int | None = Field(None, ge=0, description="number inside its files; none: id")
    name: str = Field(min_length=1, max_length=40)
    type: str = Field("", max_length=40, description="for instance LST, MST, SST")
    camera: str = Field("", max_length=40)
    focal_length: Length | None = Field(None, description="equivalent focal length")
    position: tuple[Length, Length, Length] | None = Field(
        None, description="north, west, up from the centre of the array"
    )

    @property
    def id_in_files(self) -> int:
        """The number by which its files call it."""
        return self.id if self.data_id is None else self.data_id


class TelescopeArray(Frozen):
    """Telescopes that are analysed together: one of them, or several in stereo."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="name of product folders")
    telescopes: tuple[int, ...] = Field(min_length=1, description="ids")

    @property
    def stereo(self) -> bool:
        """More than one telescope."""
        return len(self.telescopes) > 1


class Recognition(Frozen):
    """How files of the instrument are told from others."""

    words: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        (), description="TELESCOP or INSTRUME of its FITS files; case, blanks and signs don't count"
    )
    prefixes: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(
        (), description="beginnings of such words"
    )
    files: Annotated[tuple[Pattern, ...], BeforeValidator(as_list)] = Field(
        (), description="patterns of the names of its raw files"
    )

    @field_validator("words", "prefixes")
    @classmethod
    def _letters(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if len(plain(word)) < 2:
                raise ValueError(f"{word!r}: expected a word with at least two letters or digits")
        return value

    @field_validator("files")
    @classmethod
    def _names(cls, value: tuple[PathPattern, ...]) -> tuple[PathPattern, ...]:
        for pattern in value:
            if len(pattern.components) != 1:
                raise ValueError(f"{pattern}: expected the name of a file, without folders")
        return value


class Location(Frozen):
    """Where files of one kind lie."""

    root: str = Field(description="key of roots")
    path: Annotated[tuple[Pattern, ...], BeforeValidator(as_list)] = Field(
        min_length=1, description="pattern below the root, or several: the first is the usual one"
    )
    needed: bool = Field(True, description="false: daybreak doctor only warns if there is nothing")


Locations = Annotated[dict[str, Location], BeforeValidator(without_none)]
