"""Reading a ledger: what people and pages are shown. Nothing here changes anything."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybreak.errors import RequestNotFoundError
from daybreak.ledger.database import database_error, open_database
from daybreak.ledger.places import ledger_path
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.schema import LEDGER

_SQLITE = b"SQLite format 3\0"


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
class FolderRequest:
    """A request as its output folder knows it.

    Attributes
    ----------
    info
        What is written down of it; its folder is where it was found.
    state
        The state that it had when somebody last worked on it there.
    created
        When that began, in seconds since 1970.
    """

    info: RequestInfo
    state: RequestState
    created: float


@contextmanager
def reading(root: Path) -> Iterator[sqlite3.Connection]:
    """The ledger of a folder.

    Parameters
    ----------
    root
        The output folder.

    Yields
    ------
    sqlite3.Connection
        To read from.

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


def requests_of(root: Path) -> list[FolderRequest]:
    """The requests that an output folder knows, the newest first.

    Parameters
    ----------
    root
        The folder.
    """
    with reading(root) as db:
        rows = db.execute("SELECT * FROM requests ORDER BY updated DESC").fetchall()
    found = []
    for row in rows:
        spec = spec_of(row)
        info = RequestInfo(
            id=row["id"], key=row["key"] or row["id"], kind=row["kind"], target=row["target"],
            origin=row["origin"], requester=row["requester"], spec=spec, engine=row["engine"],
            priority=row["priority"], out=root,
        )  # fmt: skip
        found.append(FolderRequest(info, RequestState(row["state"]), row["created"]))
    return found


def spec_of(row: sqlite3.Row) -> dict[str, Any]:
    """The description from which a request can be made again.

    Parameters
    ----------
    row
        Of the inbox or of a ledger.
    """
    try:
        value = json.loads(row["spec"])
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def looks_damaged(root: Path) -> str:
    """Why the ledger of a folder can't be read, at a glance; '' if nothing is seen.

    Parameters
    ----------
    root
        The folder.
    """
    try:
        with ledger_path(root).open("rb") as stream:
            head = stream.read(len(_SQLITE))
    except OSError:
        return f"{root} holds no requests any more"
    return "" if head in (_SQLITE, b"") else f"{ledger_path(root)}: file is not a database"


def steps(root: Path, request: str) -> list[StepView]:
    """The steps of a request's newest plan, in its order.

    Parameters
    ----------
    root
        The output folder.
    request
        Id of the request.

    Raises
    ------
    RequestNotFoundError, LedgerError
        As `reading` does.
    """
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
    """Attempts, products and transitions of a step.

    Parameters
    ----------
    root
        The output folder.
    request
        Id of the request.
    step
        Name of the step.

    Returns
    -------
    dict
        ``attempts``, ``products`` and ``transitions``, each a list of rows.

    Raises
    ------
    RequestNotFoundError, LedgerError
        As `reading` does.
    """
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
