"""The configuration of a sky scan: which pixels, which likelihood, which contours."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from daybreak.config.analysis import EngineConfig
from daybreak.config.base import Angle, Frozen, Size

_MOST_NSIDE = 8192
_MOST_FIRST_NSIDE = 64

OptionValue = bool | int | float | str | None


class AroundConfig(Frozen):
    """A circle on the sky."""

    ra: Angle
    dec: Angle
    radius: Size


class PixelConfig(Frozen):
    """Which pixels a scan looks at."""

    nsides: tuple[int, ...] = Field(
        (1, 8, 64, 512), description="HEALPix resolutions, from coarse to fine"
    )
    n_best: int = Field(
        12, ge=1, le=1000, description="best pixels of a level that are always refined"
    )
    n_minima: int = Field(4, ge=0, le=1000, description="secondary minima that are refined, too")
    margin_llh: float = Field(
        1.0, ge=0, le=100, description="how far beyond the 90 % contour the scan looks, in -log L"
    )
    max_pixels: int = Field(8000, ge=1, description="the outward growth of a level ends here")
    around: AroundConfig | None = Field(None, description="look at this circle only")

    @field_validator("nsides")
    @classmethod
    def _powers_that_grow(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("give at least one nside")
        for nside in value:
            if nside < 1 or nside > _MOST_NSIDE or nside & (nside - 1):
                raise ValueError(f"{nside} is not a power of 2 between 1 and {_MOST_NSIDE}")
        if list(value) != sorted(set(value)):
            raise ValueError("nsides must grow")
        if value[0] > _MOST_FIRST_NSIDE:
            raise ValueError("the first nside must be at most 64: the whole sky is scanned at it")
        return value


class LikelihoodConfig(Frozen):
    """The likelihood of a track."""

    name: str = Field("pandel-mpe", min_length=1, description="name of the likelihood")
    options: dict[str, OptionValue] = Field(
        default_factory=dict, description="what it takes, e.g. sigma_ns"
    )


class ScanConfig(Frozen):
    """The whole configuration of ``daybreak scan``."""

    scan: PixelConfig = PixelConfig()
    likelihood: LikelihoodConfig = LikelihoodConfig()
    contours: Literal["auto", "resimulation", "wilks", "millipede"] = Field(
        "auto", description="calibration of the contours"
    )
    engine: EngineConfig = EngineConfig()

    def of_products(self) -> dict[str, Any]:
        """JSON-able settings that products depend on: all but where the fits run."""
        return self.model_dump(mode="json", exclude={"engine"})
