"""What is known across output folders: where requests are, who runs, how long steps take.

A small SQLite file in ``$DAYBREAK_STATE`` (by default ``$XDG_STATE_HOME/daybreak``). It can be lost
without harm: everything that matters is in the ledgers of the output folders.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from daybreak.errors import DaybreakError
from daybreak.ledger.database import open_database, transaction
from daybreak.ledger.request import RequestInfo
from daybreak.ledger.schema import REGISTRY
from daybreak.products.processes import alive

#: weight of the past in the mean duration of a step
_MOST_SAMPLES = 20


def state_folder() -> Path:
    """Where the registry is."""
    if os.environ.get("DAYBREAK_STATE"):
        return Path(os.environ["DAYBREAK_STATE"])
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "daybreak"


@contextmanager
def _open() -> Iterator[sqlite3.Connection | None]:
    """The registry; None where there is none and none can be made: nothing depends on it."""
    try:
        connection = open_database(state_folder() / "registry.sqlite", REGISTRY)
    except (DaybreakError, RuntimeError):
        yield None
        return
    try:
        with suppress(sqlite3.Error):
            yield connection
    finally:
        connection.close()


def remember(info: RequestInfo, out: Path) -> None:
    """Note where a request's output folder is."""
    with _open() as db:
        if db is not None:
            db.execute(
                "INSERT OR REPLACE INTO requests VALUES (?,?,?,?,?)",
                (info.id, str(out), info.kind, info.target, time.time()),
            )


def forget(out: Path) -> None:
    """Forget the requests of a folder that is gone."""
    with _open() as db:
        if db is not None:
            db.execute("DELETE FROM requests WHERE out=?", (str(out),))


def known_requests() -> list[tuple[str, Path]]:
    """Names of requests and their output folders, the newest first."""
    found: list[tuple[str, Path]] = []
    with _open() as db:
        if db is not None:
            rows = db.execute("SELECT id, out FROM requests ORDER BY updated DESC").fetchall()
            found = [(row["id"], Path(row["out"])) for row in rows]
    return found


@contextmanager
def driving(info: RequestInfo, out: Path) -> Iterator[None]:
    """While this process drives a request, others can see it."""
    who = (socket.gethostname(), os.getpid(), info.id)
    with _open() as db:
        if db is not None:
            row = (*who, str(out), info.engine, info.priority, time.time())
            db.execute("INSERT OR REPLACE INTO drivers VALUES (?,?,?,?,?,?,?)", row)
    try:
        yield
    finally:
        with _open() as db:
            if db is not None:
                db.execute("DELETE FROM drivers WHERE host=? AND pid=? AND request=?", who)


def more_urgent(info: RequestInfo) -> str:
    """Name of a request of higher priority that runs on this host's own cores; '' if none does."""
    found = ""
    with _open() as db:
        if db is None:
            return found
        rows = db.execute(
            "SELECT pid, request FROM drivers WHERE host=? AND engine=? AND priority > ?",
            (socket.gethostname(), info.engine, info.priority),
        ).fetchall()
        for row in rows:
            if alive(row["pid"]):
                found = str(row["request"])
                break
            db.execute(
                "DELETE FROM drivers WHERE host=? AND pid=?", (socket.gethostname(), row["pid"])
            )
    return found


def durations() -> dict[str, float]:
    """Mean duration in s of the functions of steps, as seen so far."""
    found: dict[str, float] = {}
    with _open() as db:
        if db is not None:
            rows = db.execute("SELECT function, mean_s FROM durations").fetchall()
            found = {row["function"]: float(row["mean_s"]) for row in rows}
    return found


def learn_durations(seen: Mapping[str, list[float]]) -> None:
    """Add the durations of steps that have just run.

    Parameters
    ----------
    seen
        Function to durations in s.
    """
    if not seen:
        return
    with _open() as db:
        if db is None:
            return
        with transaction(db):
            for function, values in seen.items():
                row = db.execute(
                    "SELECT samples, mean_s FROM durations WHERE function=?", (function,)
                ).fetchone()
                n, mean = (row["samples"], row["mean_s"]) if row is not None else (0, 0.0)
                for value in values:
                    n = min(n + 1, _MOST_SAMPLES)
                    mean += (value - mean) / n
                db.execute(
                    "INSERT OR REPLACE INTO durations VALUES (?,?,?,?)",
                    (function, n, mean, time.time()),
                )
