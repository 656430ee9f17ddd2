"""What is written down of a request, and the states of its life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


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

    @property
    def open(self) -> bool:
        """Something is left to be done, and nobody has given it up."""
        return self in (
            RequestState.RECEIVED,
            RequestState.WAITING_FOR_DATA,
            RequestState.PLANNED,
            RequestState.RUNNING,
        )


@dataclass(frozen=True)
class RequestInfo:
    """What inbox and ledger keep of a request.

    Attributes
    ----------
    id
        Short name that people use; the same request has the same one.
    key
        Idempotency key: what is asked for twice with one key is one request.
    kind, instrument, target, origin, requester
        Of the request.
    spec
        JSON-able description from which the request can be made again.
    engine
        Name of the engine profile.
    priority
        Higher goes first.
    out
        Output folder.
    deadline
        Seconds since 1970 until which it waits for data; 0: it does not wait.
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
    instrument: str = ""
    out: Path = field(default_factory=Path)
    deadline: float = 0.0
