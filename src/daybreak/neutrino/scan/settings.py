"""What a scan can be asked for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

NSIDES = (1, 8, 64, 512)
_MAX_NSIDE = 8192


class Region(BaseModel):
    """A circle on the sky (ICRS).

    Attributes
    ----------
    ra_deg, dec_deg, radius_deg
        Centre and radius in degrees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ra_deg: float = Field(allow_inf_nan=False, ge=-360, le=360)
    dec_deg: float = Field(allow_inf_nan=False, ge=-90, le=90)
    radius_deg: float = Field(allow_inf_nan=False, gt=0, le=180)


class ScanSettings(BaseModel):
    """Which pixels a scan looks at.

    Attributes
    ----------
    nsides
        Resolutions, from coarse to fine.
    n_best
        Pixels of a level that are always refined: the best ones.
    n_minima
        Secondary minima of a level that are refined beside them.
    closure_delta_llh
        On each level the scan goes on outwards until every pixel that is by less than this above
        the best one has all its neighbours looked at.
    max_pixels
        The outward growth of a level ends here.
    around
        Look at this circle only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nsides: tuple[int, ...] = NSIDES
    n_best: Annotated[int, Field(ge=1, le=1000)] = 12
    n_minima: Annotated[int, Field(ge=0, le=1000)] = 4
    closure_delta_llh: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 4.0
    max_pixels: Annotated[int, Field(ge=1)] = 8000
    around: Region | None = None

    @field_validator("nsides")
    @classmethod
    def _powers_that_grow(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("give at least one nside")
        for nside in value:
            if nside < 1 or nside > _MAX_NSIDE or nside & (nside - 1):
                raise ValueError(f"{nside} is not a power of 2 between 1 and {_MAX_NSIDE}")
        if list(value) != sorted(set(value)):
            raise ValueError("nsides must grow")
        if value[0] > 64:
            raise ValueError("the first nside must be at most 64: the whole sky is scanned at it")
        return value

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for records and digests."""
        return self.model_dump(mode="json")
