"""Carries steps to the workers of a pool and answers back, with Parsl's executor."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from daybreak.engine.pools.executor import (
    PoolSetup,
    make_executor,
    never_block,
    shut,
    taken_by_nobody,
)
from daybreak.errors import EngineError, WorkerLostError

_log = logging.getLogger(__name__)
#: times an interchange is started that is lost before it answers
STARTS = 3
#: seconds that the interchange has to answer a question
ANSWER_S = 10


class Trouble(str):
    """Why no worker can come. `fatal`: waiting will not help."""

    __slots__ = ("fatal",)
    fatal: bool

    def __new__(cls, text: str, *, fatal: bool) -> Trouble:
        """Make a text that knows whether waiting helps."""
        made = super().__new__(cls, text)
        made.fatal = fatal
        return made


@dataclass
class _Task:
    future: Future[dict[str, Any]]
    inner: Any
    note: str = ""
    since: float = field(default_factory=time.monotonic)


class Carrier:
    """One executor and the steps that it has.

    Parameters
    ----------
    setup
        What the pool is made of.
    """

    def __init__(self, setup: PoolSetup) -> None:
        self.setup = setup
        self.trouble: Trouble | None = None
        self._lock = threading.RLock()
        self._ready = threading.Event()
        #: the interchange took no step any more
        self._deaf = False
        self._tasks: dict[int, _Task] = {}
        self._next_task = self._generation = 0
        self._executor: Any = None

    def _drop_blocks(self) -> None:
        """Give back the blocks that belong to an executor that is stopped."""

    def start(self) -> None:
        """Start the interchange; one that is lost while it starts is started again.

        Raises
        ------
        EngineError
            If it does not come up.
        """
        if not any(self._start() for _ in range(STARTS)):
            raise EngineError("the engine's interchange ended while it started", "Try again.")

    def _start(self) -> bool:
        """Whether it has come up; False if it was lost before."""
        self._generation += 1
        folder = self.setup.folder / f"{self.setup.label}-{self._generation}"
        folder.mkdir(mode=0o700, parents=True)
        executor = make_executor(self.setup)
        executor.run_id, executor.run_dir = self.setup.label, str(folder)
        failure: list[BaseException] = []

        def begin() -> None:
            try:
                executor.start()
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=begin, name="engine-start", daemon=True)
        try:
            thread.start()
            while thread.is_alive():  # Parsl would wait minutes for an interchange that died
                thread.join(0.05)
                process = executor.interchange_proc
                if process is not None and process.poll() is not None and thread.is_alive():
                    return False
        except BaseException:  # Ctrl-C: the interchange is told nothing, and may be still to come
            end = time.monotonic() + ANSWER_S
            while thread.is_alive() and executor.interchange_proc is None:
                if time.monotonic() > end:
                    break
                thread.join(0.02)
            if executor.interchange_proc is not None:
                executor.interchange_proc.kill()
                executor.interchange_proc.wait()
            raise
        if failure:
            raise EngineError(
                f"the engine did not start: {failure[0]}", "Try again; see docs/exit-codes.md."
            ) from failure[0]
        never_block(executor)
        self._executor, self._deaf = executor, False
        self._ready.set()
        return True

    def submit(
        self, function: str, payload: Mapping[str, Any], priority: int
    ) -> Future[dict[str, Any]]:
        """Give a call to the workers; larger priorities go first.

        Parameters
        ----------
        function
            ``package.module:function``.
        payload
            Its argument; plain data.
        priority
            Larger ones go first.

        Returns
        -------
        Future
            The function's answer; fails with `WorkerLostError` if the worker is lost or the pool
            takes nothing.
        """
        from daybreak.engine.pools.workers import call

        future: Future[dict[str, Any]] = Future()
        self._ready.wait(timeout=ANSWER_S)  # while it is started again
        with self._lock:
            self._next_task += 1
            number = self._next_task
            try:
                inner = self._executor.submit(call, {"priority": -priority}, function, payload)
            except Exception as error:
                if taken_by_nobody(error):  # its end is still to be noticed
                    self._deaf = True
                    self._ready.clear()
                future.set_exception(_lost(self.setup.label, error))
                return future
            self._tasks[number] = _Task(future, inner, str(payload.get("note") or ""))
        inner.add_done_callback(lambda done: self._settle(number, done))
        return future

    def _settle(self, number: int, inner: Any) -> None:
        with self._lock:
            task = self._tasks.pop(number, None)
        if task is None:
            return
        error = inner.exception()
        with contextlib.suppress(InvalidStateError):
            if error is None:
                task.future.set_result(inner.result())
            else:
                task.future.set_exception(_lost(self.setup.label, error))

    def _fail(self, tasks: list[_Task], why: str) -> None:
        for task in tasks:
            with contextlib.suppress(InvalidStateError):
                task.future.set_exception(WorkerLostError(f"pool {self.setup.label!r}: {why}"))

    def _take_down(self) -> list[_Task]:
        """Stop the executor and give its blocks back; the steps that it had."""
        with self._lock:
            self._ready.clear()
            executor, self._executor = self._executor, None
            tasks, self._tasks = list(self._tasks.values()), {}
            self._drop_blocks()
        if executor is not None:  # without the lock: its thread may be settling a step
            shut(executor)
        return tasks

    def _restart(self, why: str) -> None:
        """Begin anew: the interchange has gone, or the workers can't be reached any more."""
        _log.warning("engine: pool %s: %s; it is started again", self.setup.label, why)
        tasks = self._take_down()
        try:
            self.start()
        except EngineError as error:
            self.trouble = Trouble(error.what, fatal=True)
        self._fail(tasks, why)


def _lost(label: str, error: BaseException) -> WorkerLostError:
    made = WorkerLostError(f"pool {label!r}: {type(error).__name__}: {error}")
    made.__cause__ = error
    return made
