"""The driver's loop: gives steps to the pools, hears how they end, tries again where that helps."""

from __future__ import annotations

import heapq
import itertools
import queue
import time
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.engine.announcer import Announcer
from daybreak.engine.attempt import note_names, note_path, read_note
from daybreak.engine.control import Control
from daybreak.engine.failures import RetryPolicy, Verdict, delay_s, lost_verdict
from daybreak.engine.hosted import HOST, Host, HostThread, remove_work
from daybreak.engine.payload import log_path, payload
from daybreak.engine.readiness import Readiness
from daybreak.engine.settle import PendingSteps, noted, remove_partials, result_of
from daybreak.engine.stop import StopReason
from daybreak.errors import EngineError, SchedulerError
from daybreak.ledger.failure import FailureKind
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.step import Place, Resources, Step, StepResult, StepState

if TYPE_CHECKING:
    from daybreak.engine.pools.worker_pools import Pools

EXECUTE = "daybreak.engine.execute:execute"
_TICK_S = 0.5
_LOOK_AROUND_S = 1.0
_AHEAD = 4
#: times that a step may be lost before it begins while all seems well with the pools
_MOST_UNBEGUN = 20


@dataclass
class _Active:
    """A step that the engine has."""

    step: Step
    number: int
    label: str
    resources: Resources
    note: Path
    started: float = 0.0


class Driver:
    """One run of a plan on some pools.

    Parameters
    ----------
    board, ledger
        The plan, and where endings are written.
    control
        When to end early, and who is told what.
    host
        For steps beside the driver.
    policy
        What is tried again.
    """

    def __init__(
        self,
        board: Readiness,
        ledger: Ledger,
        *,
        control: Control | None = None,
        host: Host | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.board = board
        self.ledger = ledger
        self.control = control or Control()
        self.announcer = Announcer(board, self.control)
        self.pending = PendingSteps(board, ledger, self.announcer.ended, keep=self.control.keep)
        self.host = host
        self.policy = policy or RetryPolicy()
        self.pools: Pools | None = None
        self._thread = HostThread()
        self._active: dict[Future[dict[str, Any]], _Active] = {}
        self._ended: queue.SimpleQueue[Future[dict[str, Any]]] = queue.SimpleQueue()
        self._waiting: deque[Step] = deque()
        self._later: list[tuple[float, int, Step]] = []
        self._count = itertools.count()
        self._failures: Counter[tuple[str, FailureKind]] = Counter()
        self._resources: dict[str, Resources] = {}
        self._looked = self._ticked = 0.0
        self._held = ""
        self._remarks: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    @property
    def seen(self) -> dict[str, list[float]]:
        """Function to the durations in s that this run has seen."""
        return self.announcer.seen

    def prepare(self) -> bool:
        """Settle what needs no engine; whether there is anything to run."""
        step = self.pending.next()
        if step is not None:
            self._waiting.append(step)
        return step is not None or not self.board.finished

    def run(self, pools: Pools | None) -> None:
        """Run what is left of the plan.

        Parameters
        ----------
        pools
            What runs steps; None if all that are left run beside the driver.

        Raises
        ------
        InterruptedByUser, RequestCancelled
            If the run is asked to end.
        EngineError
            If the plan can't go on.
        """
        self.pools = pools
        stop = self.control.stop
        try:
            while not self.board.finished and not stop.look():
                self._go_on(pools)
        except KeyboardInterrupt:
            stop.request(StopReason.USER)
        except BaseException:
            stop.request(StopReason.SHUTDOWN)
            self._wind_down()
            raise
        finally:
            if stop.requested:
                self._wind_down()
            self._thread.close()
            self.announcer.note(at_once=True)
        if not self.board.finished:
            raise stop.error()

    def _go_on(self, pools: Pools | None) -> None:
        self._look_around(pools)
        if not self._held:
            self._fill(pools)
        if not self._active and not self._waiting and not self._later and not self._held:
            self._check_stuck()
        else:
            self._hear(pools)

    def _wind_down(self) -> None:
        """Hear the end of steps beside the driver, then make what is made to the end.

        What runs on workers is lost with them: it is begun again next time.
        """
        hosted = [future for future, item in self._active.items() if item.label == HOST]
        for future in hosted:
            self._settle(future, None)
        self._active.clear()
        for step in self.board.left():
            if step.to_the_end and step.place is Place.DRIVER:
                self._make_of_what_there_is(step)

    def _make_of_what_there_is(self, step: Step) -> None:
        upstream = self.board.upstream(step)
        self.pending.keys[step.name] = self.ledger.key(step, upstream)
        future = self._start(step, HOST, step.resources, None)
        item = self._active.pop(future)
        answer = future.result()
        reason = str(answer.get("reason") or "made of what there was")
        self.ledger.attempt_failed(step.name, item.number, FailureKind.DRIVER, reason, answer)
        item.note.unlink(missing_ok=True)

    def _check_stuck(self) -> None:
        if not self.board.finished and not self.board.has_ready:
            raise EngineError("the plan can't go on: its steps wait for each other")

    def _hear(self, pools: Pools | None) -> None:
        """Wait a moment for steps that end, and settle all that have."""
        try:
            future = self._ended.get(timeout=self._pause())
        except queue.Empty:
            return
        while True:
            self._settle(future, pools)
            try:
                future = self._ended.get_nowait()
            except queue.Empty:
                return

    def _pause(self) -> float:
        if not self._later:
            return _TICK_S
        return min(_TICK_S, max(0.01, self._later[0][0] - time.monotonic()))

    def _fill(self, pools: Pools | None) -> None:
        """Give the pools as many steps as keeps them busy, no more."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._waiting.appendleft(heapq.heappop(self._later)[2])
        kept: deque[Step] = deque()
        load = Counter(item.label for item in self._active.values())
        room = True
        while room:
            if not self._waiting:
                step = self.pending.next()
                if step is None:
                    break
                self._waiting.append(step)
            step = self._waiting.popleft()
            resources = self._resources.get(step.name, step.resources)
            try:
                label, most = self._label(step, resources, pools)
            except EngineError as error:
                self._give_up(step, Verdict(FailureKind.MEMORY, error.what), 0, {})
                continue
            if load[label] < most:
                self._start(step, label, resources, pools)
                load[label] += 1
            else:
                kept.append(step)
                room = len(kept) < _AHEAD * most
        self._waiting = kept + self._waiting

    def _label(self, step: Step, resources: Resources, pools: Pools | None) -> tuple[str, int]:
        """Where a step goes, and how many may be there at a time."""
        if step.place is Place.DRIVER or pools is None:
            return HOST, 1
        label = pools.label_for(resources)
        return label, 2 * pools.capacity(label) + _AHEAD

    def _start(
        self, step: Step, label: str, resources: Resources, pools: Pools | None
    ) -> Future[dict[str, Any]]:
        """Give a step to a pool, or to the thread beside the driver."""
        key, log = self.pending.keys[step.name].key, log_path(step, self.ledger.root)
        memory_mb = resources.memory_mb if label != HOST else 0
        again = self.ledger.key_of(step.name) == ""
        number = self.ledger.submitted(step, self.pending.keys[step.name], label, memory_mb, log)
        root, upstream = self.ledger.root, self.board.upstream(step)
        block = payload(step, upstream, root, key=key, number=number, resources=resources)
        if label == HOST or pools is None:
            future = self._thread.submit(block, self._host_of(step, again))
        else:
            priority = self.ledger.request.priority
            future = pools.submit(EXECUTE, block, label=label, priority=priority)
        note = note_path(root, step.name, number)
        self._active[future] = _Active(step, number, label, resources, note)
        future.add_done_callback(self._ended.put)
        return future

    def _host_of(self, step: Step, again: bool) -> Host:
        """What a step beside the driver is given; its remarks are written down by the driver."""
        if self.host is None:
            raise EngineError(f"step {step.name!r} runs beside the driver, and there is no host")
        return replace(
            self.host,
            say=lambda text: self._remarks.put((step.name, text)),
            report=self.announcer.detail,
            again=again,
        )

    def _settle(self, future: Future[dict[str, Any]], pools: Pools | None) -> None:
        item = self._active.pop(future, None)
        if item is None:
            return  # settled already, or given up
        error: BaseException | None = None
        answer: dict[str, Any] = {}
        note = read_note(item.note) if future.exception() is not None else {}
        try:
            answer = dict(future.result())
        except Exception as raised:
            error = raised
            key = self.pending.keys[item.step.name].key
            if note.get("result") and note.get("key") == key:
                answer = dict(note["result"])
            else:
                answer = dict(noted(self.ledger, item.step, key, note) or {})
        if not answer and error is not None:
            if pools is not None and not note and self._never_began(item, pools):
                return
            end = pools.job_of(note) if pools is not None else None
            verdict = lost_verdict(note, end.state if end is not None else "", error)
            if note.get("pid"):
                remove_partials(item.step, int(note["pid"]))
            self._failed(item, verdict, note)
        elif answer.get("state") == StepState.PENDING:
            self._stopped(item, answer)
        elif answer.get("kind") == FailureKind.MEMORY:
            self._failed(item, Verdict(FailureKind.MEMORY, str(answer["reason"])), answer)
        else:
            self._finish(item, answer)
        item.note.unlink(missing_ok=True)

    def _stopped(self, item: _Active, answer: dict[str, Any]) -> None:
        """A step beside the driver has ended early: so does the run."""
        self.control.stop.request(StopReason.USER)
        self.ledger.attempt_failed(
            item.step.name, item.number, FailureKind.DRIVER, str(answer["reason"]), answer
        )

    def _finish(self, item: _Active, answer: dict[str, Any]) -> None:
        result = result_of(item.step.name, answer, item.number)
        if result.state is StepState.DONE:
            self.seen[item.step.function].append(result.seconds)
            remove_work(self.ledger.root, item.step.name)
        note = {"started": time.time() - result.seconds}
        self.pending.end(item.step, result, item.number, note)

    def _failed(self, item: _Active, verdict: Verdict, note: Mapping[str, Any]) -> None:
        """Try again if that can help, else the step has failed."""
        name, kind = item.step.name, verdict.kind
        self._failures[name, kind] += 1
        count = self._failures[name, kind]
        more = self.policy.grown(item.resources, kind, float(note.get("peak_mb") or 0))
        if self.policy.may_retry(kind, count) and self._fits(more):
            self.ledger.attempt_failed(name, item.number, kind, verdict.reason, note)
            self._resources[name] = more
            when = time.monotonic() + delay_s(kind, count)
            heapq.heappush(self._later, (when, next(self._count), item.step))
        else:
            self._give_up(item.step, verdict, item.number, note)

    def _never_began(self, item: _Active, pools: Pools) -> bool:
        """Put back a step that was lost before a worker had it: that is no failure of its own."""
        name = item.step.name
        self._failures[name, FailureKind.SCHEDULER] += 1
        trouble = pools.health()
        if trouble is None and self._failures[name, FailureKind.SCHEDULER] > _MOST_UNBEGUN:
            return False
        reason = str(trouble or "lost before a worker had it")
        self.ledger.attempt_failed(name, item.number, FailureKind.SCHEDULER, reason, {})
        when = time.monotonic() + _LOOK_AROUND_S
        heapq.heappush(self._later, (when, next(self._count), item.step))
        return True

    def _fits(self, resources: Resources) -> bool:
        try:
            return self.pools is not None and bool(self.pools.label_for(resources))
        except EngineError:
            return False

    def _give_up(self, step: Step, verdict: Verdict, number: int, note: Mapping[str, Any]) -> None:
        tries = self._failures[step.name, verdict.kind]
        times = f" (tried {tries} times)" if tries > 1 else ""
        result = StepResult(
            step.name,
            StepState.FAILED,
            reason=verdict.reason + times,
            hint=verdict.hint,
            error=verdict.error.__name__,
            exit_code=verdict.error.exit_code,
            kind=verdict.kind.value,
            host=str(note.get("host", "")),
            job=str(note.get("job", "")),
            peak_mb=float(note.get("peak_mb") or 0),
            attempts=number,
        )
        self.pending.end(step, result, number, note)

    def _look_around(self, pools: Pools | None) -> None:
        """Which steps have begun; whether somebody needs the cores more."""
        now = time.monotonic()
        if now - self._ticked >= _TICK_S:
            self._ticked = now
            self._hear_begins()
            self._hear_remarks()
        if now - self._looked < _LOOK_AROUND_S:
            return
        self._looked = now
        urgent = self.control.urgent()
        self._held = f"waits for the more urgent {urgent}" if urgent else ""
        trouble = pools.health() if pools is not None else None
        if trouble is not None and trouble.fatal:
            raise SchedulerError(str(trouble), "Check the profile with 'daybreak engine test'.")
        running = [(i.step.name, i.started) for i in self._active.values() if i.started]
        if pools is not None and self._active:
            labels = {item.label for item in self._active.values()} - {HOST}
            self.announcer.capacity = max((pools.capacity(x) for x in labels), default=1)
        self.announcer.now(running, self._held or str(trouble or ""))

    def _hear_begins(self) -> None:
        waiting = [item for item in self._active.values() if not item.started]
        there = note_names(self.ledger.root) if waiting else set()
        for item in waiting:
            if item.note.name in there and (note := read_note(item.note)).get("started"):
                item.started = float(note["started"])
                self.ledger.started(item.step.name, item.number, note)

    def _hear_remarks(self) -> None:
        said: dict[str, str] = {}
        while not self._remarks.empty():
            name, text = self._remarks.get()
            said[name] = text
        for name, text in said.items():
            self.ledger.remark(name, text)
