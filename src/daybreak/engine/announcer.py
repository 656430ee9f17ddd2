"""Tells who asked how a run goes on: each step that ends, what runs, the time to go."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from daybreak.engine.control import Control
from daybreak.engine.progress import ProgressEvent, eta_s
from daybreak.engine.readiness import Readiness
from daybreak.ledger.step import StepResult

_ESTIMATE_EVERY_S = 0.5
_NOTE_EVERY_S = 1.0


class Announcer:
    """Collects what is told of a run.

    Parameters
    ----------
    board
        The plan and what has ended.
    control
        Who is told.
    """

    def __init__(self, board: Readiness, control: Control) -> None:
        self.board = board
        self.control = control
        self.seen: dict[str, list[float]] = defaultdict(list)
        self.capacity = 1
        self._running: tuple[str, ...] = ()
        self._message = ""
        self._estimated: tuple[float, float | None] = (0.0, None)
        self._noted = 0.0

    def now(self, running: Sequence[tuple[str, float]], message: str) -> None:
        """What goes on.

        Parameters
        ----------
        running
            Names of the steps that run, and since when (seconds since 1970).
        message
            What holds the run up; '' if nothing does.
        """
        self._running, self._message = tuple(name for name, _ in running), message
        spent = sum(time.time() - since for _, since in running)
        self._estimate(spent)
        self._tell(None)
        self.note()

    def ended(self, result: StepResult) -> None:
        """A step has ended.

        Parameters
        ----------
        result
            How.
        """
        self._tell(result)

    def detail(self, detail: Any) -> None:
        """A step beside the driver tells how far it is.

        Parameters
        ----------
        detail
            Of any kind.
        """
        self._tell(None, detail)

    def note(self, *, at_once: bool = False) -> None:
        """Have it written down how many steps are in which state.

        Parameters
        ----------
        at_once
            Not only once a second.
        """
        now = time.monotonic()
        if now - self._noted < _NOTE_EVERY_S and not at_once:
            return
        self._noted = now
        steps = Counter(result.state.value for result in self.board.results.values())
        running = sum(name not in self.board.results for name in self._running)
        steps["RUNNING"] += running
        waiting = len(self.board.steps) - len(self.board.results) - running
        steps["PENDING"] += max(waiting, 0)
        self.control.note(dict(+steps), self._message, self._eta())

    def _tell(self, result: StepResult | None, detail: Any = None) -> None:
        if self.control.progress is None:
            return
        self.control.progress(
            ProgressEvent(
                ended=len(self.board.results),
                total=len(self.board.steps),
                result=result,
                running=self._running,
                eta_s=self._eta(),
                message=self._message,
                detail=detail,
            )
        )

    def _estimate(self, spent_s: float) -> None:
        now = time.time()
        if now - self._estimated[0] > _ESTIMATE_EVERY_S:
            mean = dict(self.control.durations)
            mean |= {k: sum(v) / len(v) for k, v in self.seen.items() if v}
            self._estimated = (now, eta_s(self.board.left(), mean, self.capacity, spent_s))

    def _eta(self) -> float | None:
        at, value = self._estimated
        return None if value is None else max(0.0, value - (time.time() - at))
