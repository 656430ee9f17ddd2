"""The driver's loop: gives steps to the pools, hears how they end, tries again where that helps."""

from __future__ import annotations

import heapq
import itertools
import queue
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.engine.attempt import note_names, note_path, read_note
from daybreak.engine.failures import RetryPolicy, Verdict, delay_s, lost_verdict
from daybreak.engine.payload import log_path, payload
from daybreak.engine.progress import Progress, ProgressEvent, eta_s
from daybreak.engine.readiness import Board
from daybreak.engine.settle import Intake, noted, remove_partials, result_of
from daybreak.errors import EngineError, RequestCancelled, SchedulerError
from daybreak.ledger.failure import FailureKind
from daybreak.ledger.inbox import more_urgent
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.step import Resources, Step, StepResult, StepState

if TYPE_CHECKING:
    from daybreak.engine.pools.worker_pools import Pools

EXECUTE = "daybreak.engine.execute:execute"
_TICK_S = 0.5
_LOOK_AROUND_S = 2.0
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
    board, ledger, pools
        The plan, where endings are written, what runs steps.
    durations
        Function to mean duration in s, for the ETA.
    progress
        Told how it goes.
    policy
        What is tried again.
    shares_host
        The pools are this host's own cores: give way to more urgent requests.
    """

    def __init__(
        self,
        board: Board,
        ledger: Ledger,
        *,
        durations: Mapping[str, float] | None = None,
        progress: Progress | None = None,
        policy: RetryPolicy | None = None,
        shares_host: bool = True,
    ) -> None:
        self.board = board
        self.ledger = ledger
        self.intake = Intake(board, ledger, self._tell)
        self.durations = dict(durations or {})
        self.seen: dict[str, list[float]] = defaultdict(list)
        self.progress = progress
        self.policy = policy or RetryPolicy()
        self.shares_host = shares_host
        self.pools: Pools | None = None
        self._active: dict[Future[dict[str, Any]], _Active] = {}
        self._ended: queue.SimpleQueue[Future[dict[str, Any]]] = queue.SimpleQueue()
        self._waiting: deque[Step] = deque()
        self._later: list[tuple[float, int, Step]] = []
        self._count = itertools.count()
        self._failures: Counter[tuple[str, FailureKind]] = Counter()
        self._resources: dict[str, Resources] = {}
        self._looked = self._ticked = 0.0
        self._held = ""
        self._message = ""
        self._estimated: tuple[float, float | None] = (0.0, None)

    def prepare(self) -> bool:
        """Settle what needs no engine; whether there is anything to run."""
        step = self.intake.next()
        if step is not None:
            self._waiting.append(step)
        return step is not None or not self.board.finished

    def run(self, pools: Pools) -> None:
        """Run what is left of the plan.

        Raises
        ------
        RequestCancelled
            If somebody cancels the request.
        EngineError
            If the plan can't go on.
        """
        self.pools = pools
        while not self.board.finished:
            self._look_around(pools)
            if not self._held:
                self._fill(pools)
            if not self._active and not self._waiting and not self._later and not self._held:
                self._check_stuck()
            else:
                self._hear(pools)

    def _check_stuck(self) -> None:
        if not self.board.finished and not self.board.has_ready:
            raise EngineError("the plan can't go on: its steps wait for each other")

    def _hear(self, pools: Pools) -> None:
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

    def _fill(self, pools: Pools) -> None:
        """Give the pools as many steps as keeps them busy, no more."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._waiting.appendleft(heapq.heappop(self._later)[2])
        kept: deque[Step] = deque()
        load = Counter(item.label for item in self._active.values())
        room = True
        while room:
            if not self._waiting:
                step = self.intake.next()
                if step is None:
                    break
                self._waiting.append(step)
            step = self._waiting.popleft()
            resources = self._resources.get(step.name, step.resources)
            try:
                label = pools.label_for(resources)
            except EngineError as error:
                self._give_up(step, Verdict(FailureKind.MEMORY, error.what), 0, {})
                continue
            most = 2 * pools.capacity(label) + _AHEAD
            if load[label] < most:
                self._submit(step, label, resources, pools)
                load[label] += 1
            else:
                kept.append(step)
                room = len(kept) < _AHEAD * most
        self._waiting = kept + self._waiting

    def _submit(self, step: Step, label: str, resources: Resources, pools: Pools) -> None:
        key, log = self.intake.keys[step.name], log_path(step, self.ledger.root)
        number = self.ledger.submitted(step, key, label, resources.memory_mb, log)
        block = payload(
            step,
            self.board.upstream(step),
            self.ledger.root,
            key=key.key,
            number=number,
            resources=resources,
        )
        future = pools.submit(EXECUTE, block, label=label, priority=self.ledger.request.priority)
        note = note_path(self.ledger.root, step.name, number)
        self._active[future] = _Active(step, number, label, resources, note)
        future.add_done_callback(self._ended.put)

    def _settle(self, future: Future[dict[str, Any]], pools: Pools) -> None:
        item = self._active.pop(future)
        error: BaseException | None = None
        answer: dict[str, Any] = {}
        note = read_note(item.note) if future.exception() is not None else {}
        try:
            answer = dict(future.result())
        except Exception as raised:
            error = raised
            key = self.intake.keys[item.step.name].key
            if note.get("result") and note.get("key") == key:
                answer = dict(note["result"])
            else:
                answer = dict(noted(self.ledger, item.step, key, note) or {})
        if not answer and error is not None:
            if not note and self._never_began(item, pools):
                return
            end = pools.job_of(note)
            verdict = lost_verdict(note, end.state if end is not None else "", error)
            if note.get("pid"):
                remove_partials(item.step, int(note["pid"]))
            self._failed(item, verdict, note)
        elif answer.get("kind") == FailureKind.MEMORY:
            self._failed(item, Verdict(FailureKind.MEMORY, str(answer["reason"])), answer)
        else:
            self._finish(item, answer)
        item.note.unlink(missing_ok=True)

    def _finish(self, item: _Active, answer: dict[str, Any]) -> None:
        result = result_of(item.step.name, answer, item.number)
        if result.state is StepState.DONE:
            self.seen[item.step.function].append(result.seconds)
        note = {"started": time.time() - result.seconds}
        self.intake.end(item.step, result, item.number, note)

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
        self.intake.end(step, result, number, note)

    def _look_around(self, pools: Pools) -> None:
        """Which steps have begun; whether somebody cancels, or needs the cores more."""
        now = time.monotonic()
        if now - self._ticked >= _TICK_S:
            self._ticked = now
            waiting = [item for item in self._active.values() if not item.started]
            there = note_names(self.ledger.root) if waiting else set()
            for item in waiting:
                if item.note.name in there and (note := read_note(item.note)).get("started"):
                    item.started = float(note["started"])
                    self.ledger.started(item.step.name, item.number, note)
        if now - self._looked < _LOOK_AROUND_S:
            return
        self._looked = now
        if self.ledger.wanted() == "cancel":
            raise RequestCancelled("the request was cancelled", "'daybreak resume' takes it up.")
        urgent = more_urgent(self.ledger.request) if self.shares_host else ""
        self._held = f"waits for the more urgent {urgent}" if urgent else ""
        trouble = pools.health()
        if trouble is not None and trouble.fatal:
            raise SchedulerError(str(trouble), "Check the profile with 'daybreak engine test'.")
        self._message = self._held or str(trouble or "")
        self._report(None)

    def _tell(self, result: StepResult) -> None:
        self._report(result)

    def _report(self, result: StepResult | None) -> None:
        if self.progress is None:
            return
        running = [item for item in self._active.values() if item.started]
        self.progress(
            ProgressEvent(
                ended=len(self.board.results),
                total=len(self.board.steps),
                result=result,
                running=tuple(item.step.name for item in running),
                eta_s=self._eta(running),
                message=self._message,
            )
        )

    def _eta(self, running: list[_Active]) -> float | None:
        """The estimate, made anew twice a second at most."""
        now = time.time()
        if now - self._estimated[0] > _TICK_S:
            pools = self.pools
            capacity = max((pools.capacity(a.label) for a in running), default=1) if pools else 1
            mean = self.durations | {k: sum(v) / len(v) for k, v in self.seen.items() if v}
            spent = sum(now - item.started for item in running)
            self._estimated = (now, eta_s(self.board.left(), mean, capacity, spent))
        at, value = self._estimated
        return None if value is None else max(0.0, value - (now - at))
