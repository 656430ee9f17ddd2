"""The ledger of an output folder: plans, steps, attempts, products, transitions.

What runs, ran or failed is written here, in one transaction per change, and read from here: never
from log text, folder contents or a scheduler's prose. One driver writes at a time (it holds the
folder's lock); readers come and go.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daybreak._version import __version__
from daybreak.errors import RequestNotFoundError
from daybreak.ledger.failure import FailureKind
from daybreak.ledger.keys import StepKey, step_key
from daybreak.ledger.opened import OpenLedger
from daybreak.ledger.step import Plan, Step, StepResult, StepState
from daybreak.ledger.transitions import check_step
from daybreak.products.folder import remove_folder, size_of

_OPEN = (StepState.SUBMITTED.value, StepState.RUNNING.value)


class Ledger(OpenLedger):
    """The ledger of one output folder, opened for one request.

    Parameters
    ----------
    root
        The output folder.
    request
        Whose steps are written.
    """

    def enter_plan(self, plan: Plan, digest: str, stage: int = 1) -> None:
        """Enter the steps of a plan; steps that are known keep their state and history.

        Parameters
        ----------
        plan, digest
            The plan, and a digest of what it consists of.
        stage
            Which of the request's plans it is, from 1. A new plan takes the place of the old one
            of its stage and makes those of later stages void.
        """
        now, request = time.time(), self.request.id
        with self._write():
            row = self.db.execute(
                "SELECT digest FROM plans WHERE request=? AND stage=? ORDER BY number DESC",
                (request, stage),
            ).fetchone()
            if row is not None and row["digest"] == digest:
                return
            last = self.db.execute("SELECT MAX(plan) FROM steps WHERE request=?", (request,))
            number = 1 + (last.fetchone()[0] or 0)
            self.db.execute("DELETE FROM plans WHERE request=? AND stage>=?", (request, stage))
            self.db.execute(
                "INSERT INTO plans (request, number, created, digest, n_steps, stage) "
                "VALUES (?,?,?,?,?,?)",
                (request, number, now, digest, len(plan.steps), stage),
            )
            self.db.executemany(
                "INSERT INTO steps (request, name, plan, position, function, label, required, "
                "state, updated) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (request, name) DO UPDATE "
                "SET plan=excluded.plan, position=excluded.position, function=excluded.function, "
                "label=excluded.label, required=excluded.required",
                [
                    (
                        *(request, step.name, number, position, step.function, step.label),
                        *(int(step.required), StepState.PENDING.value, now),
                    )
                    for position, step in enumerate(plan.steps)
                ],
            )

    def step_states(self) -> dict[str, StepState]:
        """State of every step of the request's plans."""
        rows = self.db.execute(
            "SELECT name, state FROM steps WHERE request=? AND plan IN "
            "(SELECT number FROM plans WHERE request=?) ORDER BY plan, position",
            (self.request.id, self.request.id),
        )
        return {row["name"]: StepState(row["state"]) for row in rows}

    def key(self, step: Step, upstream: Mapping[str, Any] | None = None) -> StepKey:
        """What a step's products depend on, as its inputs are now.

        Parameters
        ----------
        step
            Which.
        upstream
            For a tolerant step, how those before it have ended.
        """
        return step_key(step, self.digests, upstream)

    def finished(self, step: Step, key: StepKey, *, keep: bool = False) -> StepResult | None:
        """The result of an earlier run, if its key is the same and its products are whole.

        Parameters
        ----------
        step, key
            The step and what it depends on now.
        keep
            Take products of other code, too, if they were made from the same.
        """
        rows = self.db.execute(
            "SELECT * FROM steps WHERE name=? AND (key=? OR (? AND made_from=? AND key!='')) "
            "AND state IN ('DONE', 'SKIPPED') ORDER BY key=? DESC, request=? DESC, updated DESC",
            (step.name, key.key, keep, key.made_from, key.key, self.request.id),
        ).fetchall()
        for row in rows:
            outputs = json.loads(row["outputs"])
            if row["state"] == "DONE" and not self.whole(step, outputs):
                continue
            return StepResult(
                name=step.name,
                state=StepState(row["state"]),
                reason=row["reason"],
                cached=True,
                kept="" if row["key"] == key.key else row["version"] or "an older version",
                seconds=row["seconds"],
                outputs={str(self.root / name): digest for name, digest in outputs.items()},
            )
        return None

    def whole(self, step: Step, outputs: Mapping[str, str]) -> bool:
        """Whether each product of a step is there with the digest that was recorded.

        Parameters
        ----------
        step
            Whose products they are.
        outputs
            Name in the ledger to digest.
        """
        return all(
            outputs.get(self.relative(path), "-") == self.digests.of(path)
            for path in step.outputs.values()
        )

    def relative(self, path: Path) -> str:
        """A product's name in the ledger: relative to the folder, which may be moved.

        Parameters
        ----------
        path
            Of the product; outside the folder it is kept as it is.
        """
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def _state_of(self, name: str) -> StepState | None:
        row = self.db.execute(
            "SELECT state FROM steps WHERE request=? AND name=?", (self.request.id, name)
        ).fetchone()
        return StepState(row["state"]) if row is not None else None

    def to(self, name: str, new: StepState, reason: str = "", **columns: Any) -> None:
        """Take a step to another state inside a transaction; same state: only the columns.

        Parameters
        ----------
        name
            Of the step.
        new
            The state that it gets.
        reason
            Why, for people.
        **columns
            Other columns of the table of steps, with their values.

        Raises
        ------
        RequestNotFoundError
            If the request has no such step.
        LedgerError
            If a step can't go from its state to this one.
        """
        old = self._state_of(name)
        if old is None:
            raise RequestNotFoundError(f"no step {name!r} in request {self.request.id!r}")
        if old is not new:
            check_step(old, new, name)
            self._log(name, old.value, new.value, reason)
        values = {"state": new.value, "reason": reason, "updated": time.time(), **columns}
        marks = ", ".join(f"{key}=?" for key in values)
        self.db.execute(
            f"UPDATE steps SET {marks} WHERE request=? AND name=?",  # noqa: S608 - fixed column names
            (*values.values(), self.request.id, name),
        )

    def submitted(self, step: Step, key: StepKey, pool: str, memory_mb: int, log: Path) -> int:
        """A step was given to the engine; returns the number of the attempt.

        Parameters
        ----------
        step, key
            The step and what it depends on.
        pool, memory_mb
            Where it was given, and what it may take.
        log
            Its log file.
        """
        with self._write():
            old = self._state_of(step.name)
            if old is not None and old.ended:
                self.to(step.name, StepState.PENDING, "to be made again")
            self.to(step.name, StepState.SUBMITTED, "", **vars(key), log=self.relative(log))
            number = 1 + self.attempts(step.name)
            self.db.execute(
                "INSERT INTO attempts (request, step, number, state, key, pool, memory_mb, "
                "submitted) VALUES (?,?,?,?,?,?,?,?)",
                (
                    *(self.request.id, step.name, number, StepState.SUBMITTED.value, key.key),
                    *(pool, memory_mb, time.time()),
                ),
            )
        return number

    def remark(self, name: str, text: str) -> None:
        """Note how far a step that runs has come; its state stays.

        Parameters
        ----------
        name
            Of the step.
        text
            For people; takes the place of the state's reason.
        """
        with self._write():
            state = self._state_of(name)
            if state is not None and not state.ended:
                self.to(name, state, text)

    def key_of(self, name: str) -> str | None:
        """The key a step was last begun with; '' if it was asked for again, None if never begun.

        Parameters
        ----------
        name
            Of the step.
        """
        row = self.db.execute(
            "SELECT key FROM steps WHERE request=? AND name=?", (self.request.id, name)
        ).fetchone()
        return row["key"] if row is not None and self.attempts(name) else None

    def attempts(self, name: str) -> int:
        """How many attempts a step has had, in all runs of the request.

        Parameters
        ----------
        name
            Of the step.
        """
        row = self.db.execute(
            "SELECT MAX(number) FROM attempts WHERE request=? AND step=?", (self.request.id, name)
        ).fetchone()
        return int(row[0] or 0)

    def started(self, name: str, number: int, note: Mapping[str, Any]) -> None:
        """A worker has begun with a step.

        Parameters
        ----------
        name, number
            The step, and which attempt at it.
        note
            What the worker has noted: ``host``, ``pid``, ``job``, ``started``.
        """
        with self._write():
            self.to(name, StepState.RUNNING, f"on {note.get('host', '?')}")
            self._attempt(name, number, StepState.RUNNING, note)

    def _attempt(self, name: str, number: int, state: StepState, values: Mapping[str, Any]) -> None:
        known = ("host", "pid", "job", "started", "ended", "peak_mb", "kind", "reason", "exit_code")
        found = {key: values[key] for key in known if values.get(key) is not None}
        marks = "".join(f", {key}=?" for key in found)
        self.db.execute(
            f"UPDATE attempts SET state=?{marks} WHERE request=? AND step=? AND number=?",  # noqa: S608
            (state.value, *found.values(), self.request.id, name, number),
        )

    def attempt_failed(
        self, name: str, number: int, kind: FailureKind, reason: str, note: Mapping[str, Any]
    ) -> None:
        """An attempt failed and the step is tried again.

        Parameters
        ----------
        name, number
            The step, and which attempt at it.
        kind, reason
            Why it failed, for programs and for people.
        note
            What the worker has noted; may be empty.
        """
        with self._write():
            self.to(name, StepState.PENDING, reason)
            ended = {"ended": time.time()} | dict(note) | {"kind": kind.value, "reason": reason}
            self._attempt(name, number, StepState.FAILED, ended)

    def ended(
        self,
        step: Step,
        key: StepKey | None,
        result: StepResult,
        number: int,
        note: Mapping[str, Any],
    ) -> None:
        """A step has ended: its state, its last attempt and its products, in one go.

        Parameters
        ----------
        step, key
            The step, and what it depended on; None if that is not known: the key that it was
            begun with stays.
        result
            How it ended. Products that are kept keep the key of the code that made them.
        number, note
            Its last attempt (0: none), and what is known of it.
        """
        columns = {} if key is None or result.kept else vars(key) | {"version": __version__}
        outputs = {self.relative(Path(k)): v for k, v in result.outputs.items()}
        with self._write():
            old = self._state_of(step.name)
            if old is not None and old.ended and old is not result.state:
                self.to(step.name, StepState.PENDING, "planned again")
            self.to(
                step.name,
                result.state,
                result.reason,
                **columns,
                hint=result.hint,
                error=result.error,
                exit_code=result.exit_code,
                kind=result.kind,
                outputs=json.dumps(outputs),
                seconds=result.seconds,
            )
            if number:
                values = {"ended": time.time()} | dict(note)
                values |= {"kind": result.kind, "reason": result.reason}
                values |= {"exit_code": result.exit_code, "peak_mb": result.peak_mb}
                values |= {"host": result.host or None, "job": result.job or None}
                self._attempt(step.name, number, result.state, values)
            self._products(step, result, outputs)

    def _products(self, step: Step, result: StepResult, outputs: Mapping[str, str]) -> None:
        if result.state is not StepState.DONE:
            names = [(self.relative(path),) for path in step.outputs.values()]
            self.db.executemany("DELETE FROM products WHERE path=?", names)
            return
        for name, digest in outputs.items():
            size = size_of(self.root / name)
            self.db.execute(
                "INSERT OR REPLACE INTO products VALUES (?,?,?,?,?,?)",
                (name, self.request.id, step.name, digest, size, time.time()),
            )

    def forget_outputs(self, step: Step) -> None:
        """Remove products of an earlier run of a step that now failed or was skipped.

        Parameters
        ----------
        step
            Whose products they are.
        """
        for path in step.outputs.values():
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink(missing_ok=True)
            self.digests.forget(path)

    def again(self, name: str) -> None:
        """A step that has ended is to be made again, whatever is there.

        Parameters
        ----------
        name
            Of the step.
        """
        with self._write():
            self.to(name, StepState.PENDING, "asked for again", key="")

    def open_attempts(self) -> list[sqlite3.Row]:
        """Attempts that a driver left without an end."""
        return self.db.execute(
            "SELECT * FROM attempts WHERE request=? AND state IN (?, ?)", (self.request.id, *_OPEN)
        ).fetchall()
