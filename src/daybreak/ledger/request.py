"""A request: what somebody or something wants to know. Immutable, the same from every door."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

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
                "config": self.config.of_products(),
            }
        )

    @property
    def name(self) -> str:
        """Short name for people and for jobs: the target and the start of the key."""
        words = re.sub(r"[^a-z0-9]+", "-", self.target.lower()).strip("-")[:24].strip("-")
        return f"{words or self.kind.value}-{self.key[:8]}"

    @property
    def priority(self) -> int:
        """Alerts (scans and follow-up) go before analyses, these before a nightly run."""
        return {RequestKind.DAILY: -10, RequestKind.ANALYSIS: 0}.get(self.kind, 10)


@dataclass(frozen=True)
class RequestInfo:
    """What the ledger keeps of a request.

    Attributes
    ----------
    id
        Short name that people use; the same request has the same one.
    key
        Idempotency key.
    kind, target, origin, requester
        Of the request.
    spec
        JSON-able description from which the request can be made again.
    engine
        Name of the engine profile.
    priority
        Higher goes first.
    """

    id: str = "plan"
    key: str = ""
    kind: str = "plan"
    target: str = ""
    origin: str = "python"
    requester: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "local"
    priority: int = 0
