"""One pool: Parsl's executor, and the blocks of workers that it has been given.

Parsl's ``HighThroughputExecutor`` carries steps to workers and answers back. Which blocks there
are is decided here rather than by Parsl's own scaling, which gives a pool up for good after a few
failed submissions and takes a job that the scheduler has forgotten for a completed one.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daybreak.engine.attempt import read_note
from daybreak.engine.pools.executor import PoolSetup, make_executor, shut
from daybreak.engine.pools.lost_answers import Vigil
from daybreak.engine.schedulers.jobs import (
    JobInfo,
    Jobs,
    JobState,
    SchedulerRefused,
    SchedulerUnavailable,
)
from daybreak.errors import EngineError, WorkerLostError

_log = logging.getLogger(__name__)
#: longest time between two attempts to ask a scheduler that does not answer, in seconds
LONGEST_DELAY_S = 60.0
#: blocks in a row that end before a worker has come, after which the pool is given up
FRUITLESS_BLOCKS = 3
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
class _Block:
    job: str
    number: int
    started: float
    info: JobInfo
    connected: bool = False
    running_since: float = 0.0


@dataclass
class _Task:
    future: Future[dict[str, Any]]
    inner: Any
    note: str = ""
    since: float = field(default_factory=time.monotonic)


class Pool:
    """One executor and its blocks; everything but `submit` is called by the supervisor.

    Parameters
    ----------
    setup
        What the pool is made of.
    jobs
        Gets its blocks.
    """

    def __init__(self, setup: PoolSetup, jobs: Jobs) -> None:
        self.setup = setup
        self.jobs = jobs
        self.trouble: Trouble | None = None
        #: some jobs could not be cancelled
        self.left_behind = False
        self._lock = threading.RLock()
        self._ready = threading.Event()
        self._vigil = Vigil(local=not setup.addresses)
        self._tasks: dict[int, _Task] = {}
        self._blocks: dict[str, _Block] = {}
        self._ended: list[JobInfo] = []
        self._next_task = self._next_block = self._generation = 0
        self._executor: Any = None
        self._fruitless = 0
        self._delay = 0.0
        self._next_ask = self._next_poll = self._next_look = 0.0
        self._unheard_since = 0.0
        self._idle_since = 0.0

    # the executor -----------------------------------------------------------------------------

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
        self._executor = executor
        self._ready.set()
        return True

    def submit(
        self, function: str, payload: Mapping[str, Any], priority: int
    ) -> Future[dict[str, Any]]:
        """Give a call to the workers; larger priorities go first."""
        from daybreak.engine.pools.workers import call

        future: Future[dict[str, Any]] = Future()
        self._ready.wait(timeout=ANSWER_S)  # while it is started again
        with self._lock:
            self._next_task += 1
            number = self._next_task
            try:
                inner = self._executor.submit(call, {"priority": -priority}, function, payload)
            except Exception as error:
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
            self._cancel(list(self._blocks))
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

    # the blocks -------------------------------------------------------------------------------

    def outstanding(self) -> int:
        """Steps that were given to the pool and have not ended."""
        return len(self._tasks)

    def infos(self) -> list[JobInfo]:
        """Blocks that are there, and the last ones that ended."""
        with self._lock:
            return [block.info for block in self._blocks.values()] + self._ended[-20:]

    def tick(self, hint: int = 0) -> None:
        """Look after the pool; called again and again.

        Parameters
        ----------
        hint
            Steps that will come soon.
        """
        now = time.monotonic()
        if not self._interchange_lives():
            self._restart("its interchange was lost")
            return
        if self._executor.bad_state_is_set:
            self.trouble = Trouble(
                f"pool {self.setup.label!r}: {self._executor.executor_exception}", fatal=True
            )
            return
        if self._blocks and now >= self._next_poll:
            self._next_poll = now + self.jobs.poll_s
            self._ask()
        self._look(now)
        self._miss_answers()
        self._scale(max(self.outstanding(), hint), now)

    def _interchange_lives(self) -> bool:
        executor = self._executor
        return executor is not None and executor.interchange_proc.poll() is None

    def _ask(self) -> None:
        """Ask the scheduler about the blocks; forget those that have ended."""
        try:
            states = self.jobs.states(list(self._blocks))
        except SchedulerUnavailable as error:
            self._unheard(str(error))
            return
        self._heard()
        for job, info in states.items():
            block = self._blocks[job]
            if info.state is JobState.RUNNING and not block.running_since:
                block.running_since = time.monotonic()
            block.info = info
            if info.hopeless:
                self._cancel([job])
                self.trouble = Trouble(
                    f"pool {self.setup.label!r}: the scheduler will never start job {job}: "
                    f"{info.reason}",
                    fatal=True,
                )
            elif info.state in (JobState.ENDED, JobState.GONE):
                self._block_ended(block)

    def _block_ended(self, block: _Block) -> None:
        del self._blocks[block.job]
        self._ended.append(block.info)
        self._lose_job(block)
        words = self.jobs.last_words(block.job)
        if not block.connected:
            self._fruitless += 1
            self._delay = min(max(2 * self._delay, 0.5), LONGEST_DELAY_S)
            self._next_ask = time.monotonic() + self._delay
            if self._fruitless >= FRUITLESS_BLOCKS:
                self.trouble = Trouble(
                    f"pool {self.setup.label!r}: {self._fruitless} jobs in a row ended before a "
                    f"worker came (the last: job {block.job}, {block.info.reason}): {words}",
                    fatal=True,
                )
        if not self.setup.addresses:  # this host: all there was of the pool
            self._cancel_job(block.job)  # what the process left behind
            if self._tasks and block.connected:
                self._restart(f"its workers were lost ({block.info.reason})")

    def _lose_job(self, block: _Block) -> None:
        """Fail the steps that ran in a job that has ended, rather than wait for its heartbeats."""
        if not block.connected or not self.setup.addresses:
            return
        with contextlib.suppress(Exception):
            self._executor._hold_block(str(block.number))
        with self._lock:
            numbers = [
                number
                for number, task in self._tasks.items()
                if task.note
                and (note := read_note(Path(task.note))).get("job") == block.job
                and "result" not in note
            ]
            tasks = [self._tasks.pop(number) for number in numbers]
        self._fail(tasks, f"job {block.job} has ended ({block.info.reason})")

    def _miss_answers(self) -> None:
        """Fail the steps whose answer was lost; their notes may hold the result."""
        with self._lock:
            notes = [(number, task.note) for number, task in self._tasks.items()]
            lost = [self._tasks.pop(n) for n in self._vigil.lost(notes) if n in self._tasks]
        self._fail(lost, "its worker has ended without an answer")

    def _look(self, now: float) -> None:
        """Which blocks have workers that have come."""
        waiting = [b for b in self._blocks.values() if not b.connected]
        if not waiting or now < self._next_look:
            return
        self._next_look = now + 0.2
        try:
            there = set(self._executor.command_client.run("CONNECTED_BLOCKS", timeout_s=ANSWER_S))
        except Exception:
            self._restart("its interchange does not answer")
            return
        for block in waiting:
            if str(block.number) in there:
                block.connected = True
                self._fruitless, self._delay, self.trouble = 0, 0.0, None

    def _scale(self, work: int, now: float) -> None:
        setup = self.setup
        usable = [b for b in self._blocks.values() if not self._drains(b, now)]
        wanted = min(max(math.ceil(work / setup.slots), setup.min_blocks), setup.max_blocks)
        if wanted > len(usable):
            self._idle_since = 0.0
            if now >= self._next_ask and not (self.trouble and self.trouble.fatal):
                for _ in range(wanted - len(usable)):
                    if not self._request():
                        break
        elif wanted < len(usable):
            self._idle_since = self._idle_since or now
            if now - self._idle_since > setup.idle_s:
                self._give_back(usable, len(usable) - wanted)
        else:
            self._idle_since = 0.0

    def _drains(self, block: _Block, now: float) -> bool:
        since = block.running_since
        return bool(self.setup.drain_s and since and now - since > self.setup.drain_s)

    def _request(self) -> bool:
        number = self._next_block
        self._next_block += 1
        command = self._executor.launch_cmd.format(block_id=number)
        try:
            job = self.jobs.submit(command, number)
        except SchedulerRefused as error:
            self._heard()
            self.trouble = Trouble(f"pool {self.setup.label!r}: {error}", fatal=True)
            return False
        except SchedulerUnavailable as error:
            self._unheard(str(error))
            return False
        self._heard()
        now = time.monotonic()
        self._blocks[job] = _Block(
            job, number, now, JobInfo(job, self.setup.label, JobState.PENDING)
        )
        return True

    def _unheard(self, why: str) -> None:
        now = time.monotonic()
        self._unheard_since = self._unheard_since or now
        self._delay = min(max(2 * self._delay, 1.0), LONGEST_DELAY_S)
        self._next_ask = now + self._delay
        self.trouble = Trouble(
            f"the scheduler can't be reached for {now - self._unheard_since:.0f} s: {why}",
            fatal=now - self._unheard_since > self.setup.wait_s,
        )

    def _heard(self) -> None:
        if self._unheard_since:
            self._unheard_since, self._delay, self._next_ask = 0.0, 0.0, 0.0
            self.trouble = None

    def _give_back(self, usable: list[_Block], count: int) -> None:
        """Cancel blocks that wait in the queue or have nothing to do."""
        idle = [b for b in usable if b.info.state is JobState.PENDING and not b.connected]
        if len(idle) < count:
            try:
                managers = self._executor.command_client.run("MANAGERS", timeout_s=ANSWER_S)
            except Exception:
                self._restart("its interchange does not answer")
                return
            busy = {m["block_id"] for m in managers if m["tasks"]}
            idle += [b for b in usable if b.connected and str(b.number) not in busy]
        chosen = idle[:count]
        for block in chosen:
            with contextlib.suppress(Exception):
                self._executor._hold_block(str(block.number))
        self._cancel([b.job for b in chosen])

    # the end ----------------------------------------------------------------------------------

    def _cancel_job(self, job: str) -> None:
        with contextlib.suppress(SchedulerUnavailable):
            self.jobs.cancel([job])

    def _cancel(self, jobs: list[str]) -> None:
        if not jobs:
            return
        for job in jobs:
            self._ended.append(self._blocks.pop(job).info)
        try:
            self.jobs.cancel(jobs)
        except SchedulerUnavailable as error:
            self.left_behind = True
            _log.warning("engine: jobs %s can't be cancelled now: %s", ", ".join(jobs), error)

    def close(self) -> None:
        """Give everything back; steps that have not ended fail."""
        self._fail(self._take_down(), "the engine was closed")


def _lost(label: str, error: BaseException) -> WorkerLostError:
    made = WorkerLostError(f"pool {label!r}: {type(error).__name__}: {error}")
    made.__cause__ = error
    return made
