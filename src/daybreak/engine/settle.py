"""Which steps have to be run: not those whose products are there, nor those that can't run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from daybreak.engine.attempt import note_path, read_note
from daybreak.engine.readiness import Readiness
from daybreak.ledger.failure import FailureKind
from daybreak.ledger.keys import StepKey
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.step import Step, StepResult, StepState
from daybreak.products.atomic import partial_path

Told = Callable[[StepResult], None]


class PendingSteps:
    """Takes ready steps from the board and settles what needs no engine.

    Parameters
    ----------
    board
        The plan and what has ended.
    ledger
        Where endings are written.
    tell
        Called with each step that has ended.
    keep
        Products that other code made from the same are good enough.
    """

    def __init__(self, board: Readiness, ledger: Ledger, tell: Told, *, keep: bool = False) -> None:
        self.board = board
        self.ledger = ledger
        self.tell = tell
        self.keep = keep
        self.keys: dict[str, StepKey] = {}
        self._states = ledger.step_states()

    def next(self) -> Step | None:
        """The next step that has to be run; None if none can now."""
        for step in self.board.ready():
            blocker = self.board.blocked_by(step)
            if blocker is not None:
                reason = f"{blocker.name}: {blocker.reason}"
                self.end(step, StepResult(step.name, StepState.SKIPPED, reason))
                continue
            key = self.ledger.key(step, self.board.upstream(step))
            self.keys[step.name] = key
            cached = self.ledger.finished(step, key, keep=self.keep)
            if cached is None:
                return step
            self._cached(step, cached)
        return None

    def _cached(self, step: Step, result: StepResult) -> None:
        if self._states.get(step.name) is not result.state:
            self.ledger.ended(step, self.keys[step.name], result, 0, {})
        self.board.end(result)
        self.tell(result)

    def end(
        self, step: Step, result: StepResult, number: int = 0, note: Mapping[str, Any] | None = None
    ) -> None:
        """A step has ended: products of a step that did not make them are removed.

        Parameters
        ----------
        step
            Which.
        result
            How it has ended; digests of what it made are remembered.
        number
            Of its last attempt; 0: it was not run.
        note
            What the worker noted about that attempt.
        """
        if result.state is StepState.DONE:
            for path, digest in result.outputs.items():
                self.ledger.digests.learn(Path(path), digest)
        else:
            self.ledger.forget_outputs(step)
        self.ledger.ended(step, self.keys.get(step.name), result, number, note or {})
        self.board.end(result)
        self.tell(result)


def remove_partials(step: Step, pid: int) -> None:
    """Remove what a worker that was lost had half-written.

    Parameters
    ----------
    step
        Whose products they were to be.
    pid
        Of the worker.
    """
    for path in step.outputs.values():
        partial = partial_path(path, pid)
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def recover(ledger: Ledger, steps: Mapping[str, Step]) -> list[str]:
    """Settle what a driver that was killed had begun.

    A step that had ended before its driver could write it down is adopted if its products are
    there with the digests that its worker noted; every other one is to be run again.

    Parameters
    ----------
    ledger
        Of the request.
    steps
        The steps of its plan by name.

    Returns
    -------
    list of str
        Steps that were adopted.
    """
    adopted = []
    for row in ledger.open_attempts():
        step = steps.get(row["step"])
        path = note_path(ledger.root, row["step"], row["number"])
        note = read_note(path)
        result = noted(ledger, step, row["key"], note) if step is not None else None
        if step is not None and result is not None:
            final = result_of(step.name, result, row["number"])
            ledger.ended(step, None, final, row["number"], note)
            adopted.append(step.name)
        else:
            reason = "its driver ended before it did"
            ledger.attempt_failed(row["step"], row["number"], FailureKind.DRIVER, reason, note)
            if step is not None and note.get("pid"):
                remove_partials(step, int(note["pid"]))
        path.unlink(missing_ok=True)
    clear_notes(ledger.root)
    return adopted


def clear_notes(root: Path) -> None:
    """Remove the notes of attempts, whole or not, once nobody works in an output folder.

    Parameters
    ----------
    root
        The output folder.
    """
    folder = root / ".daybreak" / "attempts"
    for path in folder.iterdir() if folder.is_dir() else ():
        path.unlink(missing_ok=True)


def noted(
    ledger: Ledger, step: Step, key: str, note: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """The answer of a worker that was done but could not say so; None if it was not done.

    Parameters
    ----------
    ledger
        Of the request.
    step, key
        The step, and the key that it was started with.
    note
        What the worker noted; its products have to be there with the digests that it names.
    """
    result = note.get("result") or note.get("made")
    if not isinstance(result, dict) or note.get("key") != key or result.get("state") != "DONE":
        return None
    outputs = {ledger.relative(Path(k)): v for k, v in result.get("outputs", {}).items()}
    return result if ledger.whole(step, outputs) else None


def result_of(name: str, answer: Mapping[str, Any], attempts: int) -> StepResult:
    """A worker's answer as a result.

    Parameters
    ----------
    name
        Of the step.
    answer
        As :func:`daybreak.engine.execute.execute` gives it.
    attempts
        How often the step was begun.
    """
    values = dict(answer)
    values["state"] = StepState(values["state"])
    return StepResult(name=name, attempts=attempts, **values)
