"""One pool: the blocks of workers that its executor has been given.

Parsl's ``HighThroughputExecutor`` carries steps to workers and answers back. Which blocks there
are is decided here rather than by Parsl's own scaling, which gives a pool up for good after a few
failed submissions and takes a job that the scheduler has forgotten for a completed one.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

from daybreak.engine.attempt import read_note
from daybreak.engine.pools.carrier import ANSWER_S, Carrier, Trouble
from daybreak.engine.pools.executor import PoolSetup
from daybreak.engine.pools.lost_answers import LostAnswers
from daybreak.engine.schedulers.jobs import (
    JobInfo,
    Jobs,
    JobState,
    SchedulerRefused,
    SchedulerUnavailable,
)

_log = logging.getLogger(__name__)
#: longest time between two attempts to ask a scheduler that does not answer, in seconds
LONGEST_DELAY_S = 60.0
#: blocks in a row that end before a worker has come, after which the pool is given up
FRUITLESS_BLOCKS = 3


@dataclass
class _Block:
    job: str
    number: int
    started: float
    info: JobInfo
    connected: bool = False
    running_since: float = 0.0


class BlockPool(Carrier):
    """One executor and its blocks; everything but `submit` is called by the supervisor.

    Parameters
    ----------
    setup
        What the pool is made of.
    jobs
        Gets its blocks.
    """

    def __init__(self, setup: PoolSetup, jobs: Jobs) -> None:
        super().__init__(setup)
        self.jobs = jobs
        #: some jobs could not be cancelled
        self.left_behind = False
        self._lost_answers = LostAnswers(local=not setup.addresses)
        self._blocks: dict[str, _Block] = {}
        self._ended: list[JobInfo] = []
        self._next_block = 0
        self._fruitless = 0
        self._delay = 0.0
        self._next_ask = self._next_poll = self._next_look = 0.0
        self._unheard_since = 0.0
        self._idle_since = 0.0

    def _drop_blocks(self) -> None:
        self._cancel(list(self._blocks))

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
        if self._deaf or not self._interchange_lives():
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
        """Fail the steps that ran in a job that has ended, rather than wait for its heartbeats.

        A job may have taken steps since it was last looked at: their notes count.
        """
        if not self.setup.addresses:
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
        block.connected |= bool(tasks)
        self._fail(tasks, f"job {block.job} has ended ({block.info.reason})")

    def _miss_answers(self) -> None:
        """Fail the steps whose answer was lost; their notes may hold the result."""
        with self._lock:
            notes = [(number, task.note) for number, task in self._tasks.items()]
            lost = [self._tasks.pop(n) for n in self._lost_answers.lost(notes) if n in self._tasks]
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
