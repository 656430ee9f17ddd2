"""Requests as people and pages are shown them: what the inbox knows. Changes nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daybreak.ledger.inbox import driver_alive
from daybreak.ledger.request import RequestState


@dataclass(frozen=True)
class RequestView:
    """A request as it stands.

    Attributes
    ----------
    id, kind, instrument, target, state, reason, engine, origin, requester, priority
        See :class:`~daybreak.ledger.request.RequestInfo`.
    out
        Its output folder.
    created, updated
        Seconds since 1970 (UTC).
    driver
        ``host:pid`` of the process that works on it; '' if none does.
    driver_alive
        Whether that lives: None where it is on another host.
    steps
        State to number of steps of its plans.
    eta_s
        Seconds until it is done; None if not known.
    message
        What its driver is doing.
    look_at, deadline
        While it waits for data: when to look again, and until when (seconds since 1970).
    trouble
        What is wrong with its folder; '' if nothing is.
    """

    id: str
    kind: str
    instrument: str
    target: str
    state: str
    reason: str
    engine: str
    origin: str
    requester: str
    priority: int
    out: Path
    created: float
    updated: float
    driver: str
    driver_alive: bool | None
    steps: Mapping[str, int]
    eta_s: float | None
    message: str
    look_at: float
    deadline: float
    trouble: str = ""

    @property
    def unfinished(self) -> bool:
        """Something is left to be done, and nobody has given it up."""
        return RequestState(self.state).open

    @property
    def interrupted(self) -> bool:
        """It is not done and nobody works on it."""
        return self.unfinished and (not self.driver or self.driver_alive is False)


def view_of(row: sqlite3.Row, trouble: str = "") -> RequestView:
    """A row of the inbox for people.

    Parameters
    ----------
    row
        Of the request.
    trouble
        What is wrong with its folder.
    """
    pid = row["driver_pid"]
    lives = driver_alive(row) if pid else None
    return RequestView(
        id=row["id"], kind=row["kind"], instrument=row["instrument"], target=row["target"],
        state=row["state"], reason=row["reason"], engine=row["engine"], origin=row["origin"],
        requester=row["requester"], priority=row["priority"], out=Path(row["out"]),
        created=row["created"], updated=row["updated"],
        driver=f"{row['driver_host']}:{pid}" if pid else "", driver_alive=lives,
        steps=json.loads(row["steps"]), eta_s=row["eta_s"] if row["state"] == "RUNNING" else None,
        message=row["message"], look_at=row["look_at"], deadline=row["deadline"], trouble=trouble,
    )  # fmt: skip
