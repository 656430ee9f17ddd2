"""How much an event file or message may cost to read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20


class Limits(BaseModel):
    """Bounds on what a file from outside can make the readers do; beyond them it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file_bytes: int = Field(16 * MIB, gt=0, description="size of a message as it is on disk")
    total_bytes: int = Field(
        4096 * MIB, gt=0, description="bytes of all frames of a file, after decompression"
    )
    frame_bytes: int = Field(
        64 * MIB, gt=0, description="bytes of one frame (or one pickle), after decompression"
    )
    ratio: int = Field(
        200, gt=0, description="bytes after decompression per byte on disk, beyond the first 32 MiB"
    )
    frames: int = Field(50_000, gt=0, description="frames in a file")
    slots: int = Field(20_000, gt=0, description="objects in one frame")
    events: int = Field(2_000, gt=0, description="physics events that are returned from a file")
    pulses: int = Field(500_000, gt=0, description="pulses in one event")
    opcodes: int = Field(200_000, gt=0, description="opcodes in one pickle")
    depth: int = Field(64, gt=0, description="nesting of a pickle or JSON message")


DEFAULT_LIMITS = Limits()
