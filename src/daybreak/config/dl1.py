"""How camera data become image parameters (DL1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from daybreak.config.base import Frozen


class ExtractionConfig(Frozen):
    """Charge and time of a pixel's pulse."""

    method: Literal["local_peak", "neighbor_peak", "fixed"] = Field(
        "neighbor_peak", description="where the window lies: largest sample, of neighbours, fixed"
    )
    width: int = Field(7, ge=1, description="samples in the window")
    shift: int = Field(3, description="samples of it before the peak")
    peak_sample: int = Field(0, ge=0, description="for the method fixed")
    local_weight: int = Field(0, ge=0, description="for neighbor_peak: weight of the pixel itself")
    correct: bool = Field(True, description="correct for the pulse outside the window")


class CleaningConfig(Frozen):
    """Which pixels hold signal."""

    picture: float = Field(8.0, gt=0, description="photo-electrons")
    boundary: float = Field(4.0, gt=0, description="photo-electrons")
    min_picture_neighbors: int = Field(2, ge=0)
    keep_isolated: bool = False
    time_limit: float = Field(0.0, ge=0, description="ns to a neighbour; 0: not asked")
    time_neighbors: int = Field(1, ge=1)
    largest_island: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> CleaningConfig:
        if self.boundary > self.picture:
            raise ValueError("boundary is above picture")
        return self


class Dl1Config(Frozen):
    """The whole configuration of ``daybreak make dl1``."""

    extraction: ExtractionConfig = ExtractionConfig()
    cleaning: CleaningConfig = CleaningConfig()
    min_pixels: int = Field(2, ge=0, description="images with more pixels get parameters")
    min_charge: float = Field(50.0, ge=0, description="and with more photo-electrons")
    timing: Literal["weighted", "trimmed"] = Field(
        "weighted", description="fit of the time gradient; trimmed: ctapipe's definition"
    )
    images: bool = Field(False, description="write charges and peak times of all pixels, too")
    focal_length: Literal["effective", "equivalent"] = Field(
        "effective", description="which of a sim_telarray file's focal lengths"
    )
    chunk: int = Field(500, ge=1, description="events in memory per telescope")
