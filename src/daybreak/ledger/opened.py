"""A ledger that is open: its database, its transactions, and the request that it is open for."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from daybreak.ledger.database import (
    database_error,
    file_system,
    is_network,
    open_database,
    transaction,
)
from daybreak.ledger.digests import Digests
from daybreak.ledger.places import ledger_path
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.schema import LEDGER


class OpenLedger:
    """What :class:`~daybreak.ledger.ledger.Ledger` stands on: its arguments are explained there."""

    def __init__(self, root: Path, request: RequestInfo | None = None) -> None:
        self.root = root
        self.request = request or RequestInfo()
        self.path = ledger_path(root)
        self.db = open_database(self.path, LEDGER)
        self.digests = Digests(self.db)
        kind = file_system(self.path.parent)
        self.notice = (
            f"the ledger {self.path} lies on a network file system ({kind}): use it from one host "
            "at a time"
            if is_network(kind)
            else ""
        )

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _write(self) -> Iterator[None]:
        try:
            with transaction(self.db):
                yield
        except sqlite3.Error as error:
            raise database_error(self.path, error) from error

    def _log(self, step: str | None, old: str, new: str, reason: str) -> None:
        self.db.execute(
            "INSERT INTO transitions (request, step, old, new, time, reason) VALUES (?,?,?,?,?,?)",
            (self.request.id, step, old, new, time.time(), reason),
        )

    def enter(self) -> None:
        """Enter the request, or bring what is known of it up to date.

        The inbox has its state; here it is a copy that travels with the folder.
        """
        info, now = self.request, time.time()
        changing = (json.dumps(dict(info.spec), default=str), info.engine, info.priority, info.key)
        with self._write():
            self.db.execute(
                "INSERT INTO requests (id, key, kind, target, origin, requester, spec, engine, "
                "priority, state, reason, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) "
                "ON CONFLICT (id) DO UPDATE SET spec=excluded.spec, engine=excluded.engine, "
                "priority=excluded.priority, key=excluded.key",
                (
                    *(info.id, info.key, info.kind, info.target, info.origin, info.requester),
                    *(changing[0], info.engine, info.priority, RequestState.PLANNED.value, ""),
                    *(now, now),
                ),
            )

    def copy_state(self, state: RequestState, reason: str = "") -> None:
        """Note the state that the request has in the inbox.

        Parameters
        ----------
        state, reason
            The state, and why.
        """
        with self._write():
            self.db.execute(
                "UPDATE requests SET state=?, reason=?, updated=? WHERE id=?",
                (state.value, reason, time.time(), self.request.id),
            )
