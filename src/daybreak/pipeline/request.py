"""A request: what somebody or something wants to know. Immutable, the same from every door."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.base import Frozen
from daybreak.products.digest import value_digest


class RequestKind(StrEnum):
    """What kind of work is wanted."""

    ANALYSIS = "analysis"
    DAILY = "daily"
    SCAN = "scan"
    FOLLOWUP = "followup"


class RequestState(StrEnum):
    """Life of a request."""

    RECEIVED = "RECEIVED"
    REJECTED = "REJECTED"
    WAITING_FOR_DATA = "WAITING_FOR_DATA"
    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class AnalysisRequest(Frozen):
    """A request for an analysis from DL3 to a report.

    Attributes
    ----------
    target
        What the user typed.
    store
        The data store.
    out
        Output folder.
    config
        The resolved configuration.
    origin, requester
        By which door it came and from whom.
    """

    kind: RequestKind = RequestKind.ANALYSIS
    target: str = Field(min_length=1, max_length=200)
    store: Path
    out: Path
    config: AnalysisConfig
    origin: str = "cli"
    requester: str = ""

    @property
    def key(self) -> str:
        """Idempotency key: the same work has the same key."""
        return value_digest(
            {
                "kind": self.kind.value,
                "target": self.target,
                "store": str(self.store),
                "out": str(self.out),
                "config": self.config.model_dump(mode="json"),
            }
        )
