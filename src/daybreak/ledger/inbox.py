"""The inbox of a site: every request from its arrival, whatever becomes of it.

An SQLite file in ``$DAYBREAK_HOME`` (by default ``$XDG_STATE_HOME/daybreak``). A request is in it
before anything else is done with it. One process at a time works on a request: it has claimed it.
The steps of a request are in the ledger of its output folder.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daybreak.errors import OutputError, RequestNotFoundError
from daybreak.ledger.database import database_error, open_database, transaction
from daybreak.ledger.places import home_folder
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.schema import INBOX
from daybreak.ledger.transitions import check_request
from daybreak.products.processes import alive, born

#: a driver on another host that has not been heard of for so long is gone, in s
SILENT_S = 180.0
_COLUMNS = (
    *("id", "key", "kind", "instrument", "target", "origin", "requester", "spec", "engine"),
    *("priority", "out", "deadline"),
)


def driver_alive(row: Mapping[str, Any] | sqlite3.Row) -> bool | None:
    """Whether the driver of a request lives; None where it is on another host and not yet silent.

    Parameters
    ----------
    row
        Of the request.
    """
    pid = int(row["driver_pid"])
    if not pid:
        return False
    if row["driver_host"] != socket.gethostname():
        return None if time.time() - row["heard"] < SILENT_S else False
    return alive(pid) and row["driver_born"] in (0.0, born(pid))


class Inbox:
    """The requests of a site.

    Parameters
    ----------
    folder
        Where it lies; by default :func:`home_folder`.

    Raises
    ------
    OutputError
        If it can't be written.
    LedgerError
        If the file is damaged, or was written by a newer version.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or home_folder()) / "inbox.sqlite"
        try:
            self.db = open_database(self.path, INBOX)
        except OutputError as error:
            raise OutputError(
                f"requests can't be written down: {error.what}",
                "Set DAYBREAK_HOME to a folder that you may write to.",
            ) from error

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    def __enter__(self) -> Inbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        try:
            with transaction(self.db):
                yield
        except sqlite3.Error as error:
            raise database_error(self.path, error) from error

    def _log(self, request: str, old: str, new: str, reason: str) -> None:
        self.db.execute(
            "INSERT INTO transitions (request, old, new, time, reason) VALUES (?,?,?,?,?)",
            (request, old, new, time.time(), reason),
        )

    # arrival ----------------------------------------------------------------------------------

    def submit(self, info: RequestInfo) -> RequestState:
        """Enter a request, or find the one with its key; returns the state.

        What describes how it is to be run (specification, engine, priority, folder) is brought up
        to date; who asked first stays.

        Parameters
        ----------
        info
            The request.
        """
        now = time.time()
        spec = json.dumps(dict(info.spec), default=str)
        with self.writing():
            row = self.db.execute(
                "SELECT id, state FROM requests WHERE key=?", (info.key,)
            ).fetchone()
            if row is not None:
                self.db.execute(
                    "UPDATE requests SET spec=?, engine=?, priority=?, out=?, deadline=? "
                    "WHERE key=?",
                    (spec, info.engine, info.priority, str(info.out), info.deadline, info.key),
                )
                return RequestState(row["state"])
            self._insert(info, spec, RequestState.RECEIVED, now)
            self._log(info.id, "", RequestState.RECEIVED.value, info.origin)
        return RequestState.RECEIVED

    def _insert(self, info: RequestInfo, spec: str, state: RequestState, created: float) -> None:
        values = {name: getattr(info, name) for name in _COLUMNS} | {"spec": spec}
        values |= {"out": str(info.out), "state": state.value}
        values |= {"created": created, "updated": created}
        marks = ",".join("?" * len(values))
        self.db.execute(
            f"INSERT INTO requests ({','.join(values)}) VALUES ({marks})",  # noqa: S608 - our names
            tuple(values.values()),
        )

    def adopt(self, info: RequestInfo, state: RequestState, created: float) -> None:
        """Enter a request that its output folder knows and this inbox does not.

        Parameters
        ----------
        info
            The request, with the folder where it is now.
        state
            As the folder has it; one that ran there is planned.
        created
            When it arrived, in seconds since 1970.
        """
        state = RequestState.PLANNED if state is RequestState.RUNNING else state
        with self.writing():
            row = self.db.execute(
                "SELECT id FROM requests WHERE key=? OR id=?", (info.key, info.id)
            ).fetchone()
            if row is not None:
                self.db.execute("UPDATE requests SET out=? WHERE id=?", (str(info.out), row["id"]))
                return
            self._insert(info, json.dumps(dict(info.spec), default=str), state, created)
            self._log(info.id, "", state.value, f"found in {info.out}")

    # reading ----------------------------------------------------------------------------------

    def row(self, request: str) -> sqlite3.Row:
        """All that is known of a request.

        Parameters
        ----------
        request
            Its name.

        Raises
        ------
        RequestNotFoundError
            If there is none of that name.
        """
        row = self.db.execute("SELECT * FROM requests WHERE id=?", (request,)).fetchone()
        if row is None:
            raise RequestNotFoundError(
                f"no request {request!r}",
                "'daybreak status' lists them; an output folder will do, too.",
            )
        found: sqlite3.Row = row
        return found

    def rows(self) -> list[sqlite3.Row]:
        """All requests, the newest first."""
        return self.db.execute("SELECT * FROM requests ORDER BY updated DESC").fetchall()

    def state(self, request: str) -> RequestState:
        """State of a request.

        Parameters
        ----------
        request
            Its name.
        """
        return RequestState(self.row(request)["state"])

    def name_of(self, key: str) -> str:
        """Name of the request with an idempotency key; '' if there is none.

        Parameters
        ----------
        key
            The key.
        """
        row = self.db.execute("SELECT id FROM requests WHERE key=?", (key,)).fetchone()
        return str(row["id"]) if row is not None else ""

    def history(self, request: str) -> list[dict[str, Any]]:
        """Changes of state of a request, the oldest first.

        Parameters
        ----------
        request
            Its name.
        """
        rows = self.db.execute("SELECT * FROM transitions WHERE request=? ORDER BY id", (request,))
        return [dict(row) for row in rows]

    # working ----------------------------------------------------------------------------------

    def claim(self, request: str) -> None:
        """Become the one process that works on a request.

        Parameters
        ----------
        request
            Its name.

        Raises
        ------
        OutputError
            If another one does.
        """
        with self.writing():
            row = self.row(request)
            if driver_alive(row) is not False:
                raise OutputError(
                    f"{request} is in use by process {row['driver_pid']} on {row['driver_host']}",
                    "Wait until it is done; 'daybreak status' tells.",
                )
            self._claim(request)

    def _claim(self, request: str) -> None:
        me, now = os.getpid(), time.time()
        self.db.execute(
            "UPDATE requests SET driver_host=?, driver_pid=?, driver_born=?, heard=?, wanted='', "
            "updated=? WHERE id=?",
            (socket.gethostname(), me, born(me), now, now, request),
        )

    def take(self) -> str:
        """Claim the open request that is most urgent and that nobody works on; '' if none is.

        Requests that wait for data are taken when it is time to look again.
        """
        with self.writing():
            rows = self.db.execute(
                "SELECT * FROM requests WHERE state IN ('RECEIVED','PLANNED','RUNNING',"
                "'WAITING_FOR_DATA') AND look_at <= ? ORDER BY priority DESC, created",
                (time.time(),),
            )
            for row in rows:
                if driver_alive(row) is False:
                    self._claim(row["id"])
                    return str(row["id"])
        return ""

    def release(self, request: str) -> None:
        """Work on it no longer.

        Parameters
        ----------
        request
            Its name.
        """
        with self.writing():
            self.db.execute(
                "UPDATE requests SET driver_host='', driver_pid=0, driver_born=0, message='', "
                "eta_s=NULL, updated=? WHERE id=? AND driver_host=? AND driver_pid=?",
                (time.time(), request, socket.gethostname(), os.getpid()),
            )

    def move(self, request: str, new: RequestState, reason: str = "") -> None:
        """Take a request to another state, with time and reason.

        Parameters
        ----------
        request
            Its name.
        new, reason
            The state, and why.
        """
        with self.writing():
            old = self.state(request)
            if old is new:
                return
            check_request(old, new)
            self.db.execute(
                "UPDATE requests SET state=?, reason=?, condition='', look_at=0, updated=? "
                "WHERE id=?",
                (new.value, reason, time.time(), request),
            )
            self._log(request, old.value, new.value, reason)

    def wait(self, request: str, condition: str, look_at: float) -> None:
        """Let a request wait for data.

        Parameters
        ----------
        request
            Its name.
        condition
            What it waits for.
        look_at
            When to look again, in seconds since 1970.
        """
        self.move(request, RequestState.WAITING_FOR_DATA, condition)
        with self.writing():
            self.db.execute(
                "UPDATE requests SET condition=?, look_at=?, updated=? WHERE id=?",
                (condition, look_at, time.time(), request),
            )

    def want(self, request: str, wanted: str) -> None:
        """Ask the driver, whoever it is, for something: ``cancel`` or nothing.

        Parameters
        ----------
        request, wanted
            The request's name, and what is wanted of it.
        """
        with self.writing():
            self.db.execute("UPDATE requests SET wanted=? WHERE id=?", (wanted, request))

    def wanted(self, request: str) -> str:
        """What was asked of the driver.

        Parameters
        ----------
        request
            Its name.
        """
        row = self.db.execute("SELECT wanted FROM requests WHERE id=?", (request,)).fetchone()
        return str(row["wanted"]) if row is not None else ""

    def note(
        self, request: str, steps: Mapping[str, int], message: str = "", eta_s: float | None = None
    ) -> None:
        """Write down how far a request is; says that its driver lives, too.

        Parameters
        ----------
        request
            Its name.
        steps
            State to number of steps.
        message
            What is being done.
        eta_s
            Seconds until it is done.
        """
        now = time.time()
        with self.writing():
            self.db.execute(
                "UPDATE requests SET steps=?, message=?, eta_s=?, heard=?, updated=? WHERE id=?",
                (json.dumps(dict(steps)), message, eta_s, now, now, request),
            )

    def prioritise(self, request: str, priority: int) -> None:
        """Change how urgent a request is.

        Parameters
        ----------
        request, priority
            The request's name; higher goes first.
        """
        with self.writing():
            self.db.execute("UPDATE requests SET priority=? WHERE id=?", (priority, request))

    def more_urgent(self, request: str) -> str:
        """Name of a request of higher priority that runs on the same cores; '' if none does.

        Parameters
        ----------
        request
            Name of the one that would give way.
        """
        rows = self.db.execute(
            "SELECT a.* FROM requests a JOIN requests b ON b.id=? WHERE a.priority > b.priority "
            "AND a.engine=b.engine AND a.state='RUNNING' AND a.driver_host=? AND a.id != b.id",
            (request, socket.gethostname()),
        )
        return next((str(row["id"]) for row in rows if driver_alive(row)), "")
