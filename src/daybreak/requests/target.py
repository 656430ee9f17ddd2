"""What a request is about: a name, a position, a region, or a sky map."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, model_validator

from daybreak.config.base import Angle, Frozen, Size

_SHORT = 24


def short_word(text: str) -> str:
    """A text as a part of names: at most 24 lower case letters, digits and ``-``.

    Parameters
    ----------
    text
        Any.
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_SHORT].strip("-")


class TargetSpec(Frozen):
    """A target as it was asked for; one of the four.

    Attributes
    ----------
    name
        To be resolved; also what people call a target that is given otherwise.
    ra, dec
        A position (ICRS).
    radius
        With a position: a circle.
    sky_map
        A HEALPix map of where the target is.
    """

    name: str = Field("", max_length=200)
    ra: Angle | None = None
    dec: Angle | None = None
    radius: Size | None = None
    sky_map: Path | None = None

    @model_validator(mode="after")
    def _is_one(self) -> TargetSpec:
        if (self.ra is None) != (self.dec is None):
            raise ValueError("a position has both ra and dec")
        if self.radius is not None and self.ra is None:
            raise ValueError("a region needs the position of its centre")
        if not self.name and self.ra is None and self.sky_map is None:
            raise ValueError("expected a name, a position, a region or a sky map")
        return self

    @property
    def text(self) -> str:
        """The target in words, as people type it."""
        if self.name or self.ra is None or self.dec is None:
            return self.name or (self.sky_map.name if self.sky_map is not None else "")
        return f"{self.ra.to_value('deg'):.10g} {self.dec.to_value('deg'):.10g}"

    @property
    def word(self) -> str:
        """The target as a part of names."""
        return short_word(self.text)
