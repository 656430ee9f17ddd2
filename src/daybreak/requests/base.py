"""A request: what somebody or something wants to know. Immutable, the same from every door."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field

from daybreak.config.base import Frozen
from daybreak.ledger.request import RequestInfo
from daybreak.products.digest import value_digest
from daybreak.requests.target import TargetSpec


class RequestKind(StrEnum):
    """What kind of work is wanted."""

    ANALYSIS = "analysis"
    DAILY = "daily"
    SCAN = "scan"
    FOLLOWUP = "followup"


#: higher goes first: what an alert asks for before analyses, these before a nightly run
PRIORITIES = {
    RequestKind.DAILY: -10,
    RequestKind.ANALYSIS: 0,
    RequestKind.SCAN: 10,
    RequestKind.FOLLOWUP: 10,
}
#: what says where from, for whom and how a request is made: the same work with and without it
_NO_WORK = {"origin", "requester", "priority", "idempotency_key", "wait_until"}


class Times(Frozen):
    """When the data were taken: a night, or a window of time (UTC)."""

    night: str | None = Field(None, description="date of the evening, YYYY-MM-DD, or 'yesterday'")
    start: str | None = None
    stop: str | None = None

    def as_settings(self) -> dict[str, str]:
        """Those that are given."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class Request(Frozen):
    """What all kinds of requests have in common.

    Attributes
    ----------
    kind
        What kind of work is wanted.
    instrument
        Profile of the instrument; ``auto``: found from the data.
    target
        What it is about.
    times
        When the data were taken.
    options
        Settings that differ from the defaults, by section, as in a configuration file.
    out
        Output folder.
    origin, requester
        By which door it came, and from whom.
    priority
        Higher goes first; none: that of its kind.
    idempotency_key
        What is asked for twice with one key is one request; '': the work itself is the key.
    wait_until
        Until when it waits for data that are not there yet, in seconds since 1970; 0: not at all.
    """

    kind: RequestKind
    instrument: str = "auto"
    target: TargetSpec
    times: Times = Times()
    options: dict[str, Any] = Field(default_factory=dict)
    out: Path
    origin: str = "python"
    requester: str = ""
    priority: int | None = None
    idempotency_key: str = ""
    wait_until: float = Field(0.0, ge=0)

    def work(self) -> dict[str, Any]:
        """What is to be done, as JSON-able values: two requests with the same are one."""
        return self.model_dump(mode="json", exclude=_NO_WORK)

    @property
    def key(self) -> str:
        """Idempotency key."""
        if self.idempotency_key:
            return value_digest({"kind": self.kind.value, "key": self.idempotency_key})
        return value_digest(self.work())

    @property
    def name(self) -> str:
        """Short name for people and for jobs: the target and the start of the key."""
        return f"{self.target.word or self.kind.value}-{self.key[:8]}"

    @property
    def urgency(self) -> int:
        """Its priority, or that of its kind."""
        return PRIORITIES[self.kind] if self.priority is None else self.priority

    @property
    def engine(self) -> str:
        """Name or file of the engine profile."""
        section = self.options.get("engine")
        return str(section.get("profile", "local")) if isinstance(section, dict) else "local"

    @property
    def workers(self) -> int:
        """Workers at most; 0: what the engine gives."""
        section = self.options.get("engine")
        return int(section.get("workers", 0)) if isinstance(section, dict) else 0

    def info(self) -> RequestInfo:
        """What inbox and ledger keep of it."""
        return RequestInfo(
            id=self.name,
            key=self.key,
            kind=self.kind.value,
            instrument=self.instrument,
            target=self.target.text,
            origin=self.origin,
            requester=self.requester,
            spec=self.model_dump(mode="json"),
            engine=self.engine,
            priority=self.urgency,
            out=self.out,
            deadline=self.wait_until,
        )
