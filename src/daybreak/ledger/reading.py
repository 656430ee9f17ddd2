"""Reading a ledger: what people and pages are shown. Nothing here changes anything."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybreak.errors import RequestNotFoundError
from daybreak.ledger.database import database_error, open_database
from daybreak.ledger.inbox import durations
from daybreak.ledger.ledger import ledger_path
from daybreak.ledger.schema import LEDGER
from daybreak.ledger.step import StepState
from daybreak.products.processes import alive

_UNFINISHED = ("RECEIVED", "WAITING_FOR_DATA", "PLANNED", "RUNNING")


@dataclass(frozen=True)
class StepView:
    """A step as it stands.

    Attributes
    ----------
    name, label, state, reason, hint, kind, seconds, required
        See :class:`~daybreak.ledger.step.StepResult`.
    attempts
        How often it was started, over all runs.
    host, job
        Of the last attempt.
    peak_mb
        Largest memory of the last attempt, in MB; None if it is not known.
    log
        Its log file.
    """

    name: str
    label: str
    state: str
    reason: str
    hint: str
    kind: str
    seconds: float
    required: bool
    attempts: int
    host: str
    job: str
    peak_mb: float | None
    log: str


@dataclass(frozen=True)
class RequestView:
    """A request as it stands.

    Attributes
    ----------
    id, kind, target, state, reason, engine, origin, requester
        See :class:`~daybreak.ledger.ledger.RequestInfo`.
    out
        Its output folder.
    created, updated
        Seconds since 1970 (UTC).
    driver
        ``host:pid`` of the process that runs it; '' if none does.
    driver_alive
        Whether that lives: None where it is on another host.
    steps
        State to number of steps of its newest plan.
    eta_s
        Seconds until it is done; None if not known.
    """

    id: str
    kind: str
    target: str
    state: str
    reason: str
    engine: str
    origin: str
    requester: str
    out: Path
    created: float
    updated: float
    driver: str
    driver_alive: bool | None
    steps: Mapping[str, int]
    eta_s: float | None

    @property
    def interrupted(self) -> bool:
        """It is not done and nobody works on it."""
        return self.state in _UNFINISHED and (not self.driver or self.driver_alive is False)

    @property
    def unfinished(self) -> bool:
        """Something is left to be done, and nobody has given it up."""
        return self.state in _UNFINISHED


@contextmanager
def reading(root: Path) -> Iterator[sqlite3.Connection]:
    """The ledger of a folder.

    Raises
    ------
    RequestNotFoundError
        If the folder has none.
    LedgerError
        If it can't be read.
    """
    path = ledger_path(root)
    if not path.is_file():
        raise RequestNotFoundError(
            f"{root} holds no requests", "'daybreak status' lists those that are known."
        )
    connection = open_database(path, LEDGER)
    try:
        yield connection
    except sqlite3.Error as error:
        raise database_error(path, error) from error
    finally:
        connection.close()


def requests(root: Path) -> list[RequestView]:
    """The requests of an output folder, the newest first."""
    with reading(root) as db:
        rows = db.execute("SELECT * FROM requests ORDER BY updated DESC").fetchall()
        return [_request(db, root, row) for row in rows]


def _request(db: sqlite3.Connection, root: Path, row: sqlite3.Row) -> RequestView:
    steps = db.execute(
        "SELECT function, state FROM steps WHERE request=? AND plan IN "
        "(SELECT number FROM plans WHERE request=?)",
        (row["id"], row["id"]),
    ).fetchall()
    host, pid = row["driver_host"], row["driver_pid"]
    return RequestView(
        id=row["id"],
        kind=row["kind"],
        target=row["target"],
        state=row["state"],
        reason=row["reason"],
        engine=row["engine"],
        origin=row["origin"],
        requester=row["requester"],
        out=root,
        created=row["created"],
        updated=row["updated"],
        driver=f"{host}:{pid}" if pid else "",
        driver_alive=alive(pid) if pid and host == socket.gethostname() else None,
        steps=dict(Counter(step["state"] for step in steps)),
        eta_s=_eta(steps) if row["state"] == "RUNNING" else None,
    )


def _eta(steps: list[sqlite3.Row]) -> float | None:
    """From mean durations: steps that are left, as many at a time as run now."""
    known = durations()
    left = [s for s in steps if not StepState(s["state"]).ended]
    found = [known[s["function"]] for s in left if s["function"] in known]
    if not found:
        return None
    busy = max(1, sum(s["state"] in ("RUNNING", "SUBMITTED") for s in left))
    return sum(found) / len(found) * len(left) / busy


def spec(root: Path, request: str) -> dict[str, Any]:
    """The description from which a request can be made again."""
    with reading(root) as db:
        row = db.execute("SELECT spec FROM requests WHERE id=?", (request,)).fetchone()
    value = json.loads(row["spec"]) if row is not None else {}
    return value if isinstance(value, dict) else {}


def steps(root: Path, request: str) -> list[StepView]:
    """The steps of a request's newest plan, in its order."""
    with reading(root) as db:
        rows = db.execute(
            "SELECT s.*, a.number, a.host, a.job, a.peak_mb FROM steps s LEFT JOIN attempts a ON "
            "a.request = s.request AND a.step = s.name AND a.number = (SELECT MAX(number) FROM "
            "attempts WHERE request = s.request AND step = s.name) WHERE s.request=? AND s.plan IN "
            "(SELECT number FROM plans WHERE request=?) ORDER BY s.plan, s.position",
            (request, request),
        ).fetchall()
    return [
        StepView(
            name=row["name"],
            label=row["label"],
            state=row["state"],
            reason=row["reason"],
            hint=row["hint"],
            kind=row["kind"],
            seconds=row["seconds"],
            required=bool(row["required"]),
            attempts=row["number"] or 0,
            host=row["host"] or "",
            job=row["job"] or "",
            peak_mb=row["peak_mb"],
            log=str(root / row["log"]) if row["log"] else "",
        )
        for row in rows
    ]


def history(root: Path, request: str, step: str) -> dict[str, list[dict[str, Any]]]:
    """Attempts, products and transitions of a step."""
    with reading(root) as db:
        found = {
            "attempts": "SELECT * FROM attempts WHERE request=? AND step=? ORDER BY number",
            "products": "SELECT * FROM products WHERE request=? AND step=? ORDER BY path",
            "transitions": "SELECT * FROM transitions WHERE request=? AND step=? ORDER BY id",
        }
        return {
            key: [dict(row) for row in db.execute(query, (request, step))]
            for key, query in found.items()
        }
