"""The one way of a request: inbox, plan after plan, products, result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from daybreak.config.engine import load_engine
from daybreak.engine.control import Control
from daybreak.engine.pools.opened_ahead import OpenedAhead
from daybreak.engine.progress import Progress, ProgressEvent
from daybreak.engine.run import Opener, clear_abandoned, run_plan
from daybreak.engine.stop import StopReason, StopToken
from daybreak.errors import (
    DaybreakError,
    EngineError,
    InterruptedByUser,
    NoDataError,
    OutputError,
    RequestCancelled,
)
from daybreak.ledger.durations import learn_durations, mean_durations
from daybreak.ledger.inbox import Inbox
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.places import ledger_path
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.step import Plan, StepResult, StepState
from daybreak.products.atomic import ensure_folder, remove_stale_partials
from daybreak.products.lock import folder_lock
from daybreak.requests.base import Request
from daybreak.requests.kind import Kind
from daybreak.requests.kinds import kind_of
from daybreak.requests.result import Result
from daybreak.requests.stages import Stage, StageDone, Stages

#: seconds between two looks for data that are not there yet
LOOK_EVERY_S = 30.0


def first_stage(request: Request) -> Stage:
    """The first plan of a request; writes nothing.

    Parameters
    ----------
    request
        What is wanted.

    Raises
    ------
    DaybreakError
        If the request can't be planned.
    """
    return next(kind_of(request.kind).stages(request))


def run(
    request: Request,
    *,
    progress: Progress | None = None,
    stop: StopToken | None = None,
    keep: bool = False,
    opener: Opener | None = None,
    inbox: Inbox | None = None,
) -> Result:
    """Enter a request into the inbox and run it to its end, or go on with it.

    Only what is missing is made.

    Parameters
    ----------
    request
        What is wanted.
    progress
        Told how it goes.
    stop
        Asks for an early end.
    keep
        Products that an older version of Daybreak made from the same data and settings are good
        enough.
    opener
        Opens pools of workers, see :func:`daybreak.engine.run.run_plan`.
    inbox
        The site's inbox; by default that of :func:`daybreak.ledger.places.home_folder`.

    Returns
    -------
    Result
        What it has left, of the class that belongs to its kind.

    Raises
    ------
    DaybreakError
        If it is rejected, fails, or is asked to end; the inbox says so, too.
    """
    with _opened(inbox) as box:
        info = request.info()
        box.submit(info)
        name = box.name_of(info.key)
        box.claim(name)
        way = Way(box, name, request, progress=progress, stop=stop, keep=keep, opener=opener)
        return way.run()


@contextmanager
def _opened(inbox: Inbox | None) -> Iterator[Inbox]:
    if inbox is not None:
        yield inbox
        return
    with Inbox() as own:
        yield own


class Way:
    """A request that this process has claimed, on its way.

    Parameters
    ----------
    inbox, name
        Where it is written down, and under which name.
    request
        What is wanted.
    progress, stop, keep, opener
        As for :func:`run`.
    patient
        Stay until its data are there or its time is over; otherwise leave it in the inbox.
    """

    def __init__(
        self,
        inbox: Inbox,
        name: str,
        request: Request,
        *,
        progress: Progress | None = None,
        stop: StopToken | None = None,
        keep: bool = False,
        opener: Opener | None = None,
        patient: bool = True,
    ) -> None:
        self.inbox = inbox
        self.request = request
        self.info: RequestInfo = replace(request.info(), id=name)
        self.stop = stop or StopToken()
        self.opener = opener
        self.patient = patient
        self._abandoned = False
        self.control = Control(
            stop=self.stop,
            begin=self._begin,
            urgent=lambda: inbox.more_urgent(name),
            note=lambda steps, message, eta: inbox.note(name, steps, message, eta),
            progress=progress,
            durations=mean_durations(inbox) if progress is not None else {},
            keep=keep,
        )

    def run(self) -> Result:
        """Go the whole way; the claim is given back at the end, however it is."""
        self.stop.listen(self._asked)
        try:
            return self._go()
        except KeyboardInterrupt:
            self.stop.request(StopReason.USER)
            self._to(RequestState.PLANNED, "stopped by the user", only_from_running=True)
            raise self.stop.error() from None
        finally:
            self.stop.deaf(self._asked)
            self.inbox.release(self.info.id)

    def _asked(self) -> StopReason | None:
        return StopReason.CANCEL if self.inbox.wanted(self.info.id) == "cancel" else None

    def _go(self) -> Result:
        state = self.inbox.state(self.info.id)
        self._abandoned = state is RequestState.RUNNING
        kind = kind_of(self.request.kind)
        with self._ahead(kind, state):
            return self._on(kind)

    @contextmanager
    def _ahead(self, kind: Kind, state: RequestState) -> Iterator[None]:
        """While the plan is made the workers of this host get ready, unless none may be needed."""
        if self.opener is not None or not kind.preload or state is RequestState.DONE:
            yield
            return
        profile = load_engine(self.request.engine)
        ahead = OpenedAhead(profile, self.request.workers, kind.preload)
        self.opener = ahead.open
        try:
            yield
        finally:
            ahead.close()
            self.opener = None

    def _on(self, kind: Kind) -> Result:
        stages, stage = self._first(kind)
        try:
            out = ensure_folder(self.request.out)
            with folder_lock(out):
                remove_stale_partials(out)
                if self._abandoned:
                    clear_abandoned(load_engine(stage.engine), self.info.id, out)
                    self.inbox.move(self.info.id, RequestState.PLANNED, "its driver was gone")
                self._planned(stage)
                results = self._stages(stages, stage)
                result = kind.result(self.request, results)
                self._done(results)
                return result
        except (InterruptedByUser, RequestCancelled) as error:
            cancelled = isinstance(error, RequestCancelled)
            state = RequestState.CANCELLED if cancelled else RequestState.PLANNED
            self._to(state, "cancelled" if cancelled else "stopped by the user")
            there = kind.stopped(self.request)
            what = f"{error.what}; {there}" if there else error.what
            raise type(error)(what, error.hint) from None
        except DaybreakError as error:
            self._failed(error.what)
            raise
        except Exception as error:
            self._failed(f"{type(error).__name__}: {error}")
            raise

    def _failed(self, reason: str) -> None:
        """It has failed; if it had not even been planned, it is rejected."""
        state = self.inbox.state(self.info.id)
        if state in (RequestState.RECEIVED, RequestState.WAITING_FOR_DATA):
            self._to(RequestState.REJECTED, reason)
        elif state.open:
            self._to(RequestState.FAILED, reason)

    # planning ---------------------------------------------------------------------------------

    def _first(self, kind: Kind) -> tuple[Stages, Stage]:
        """The plans with the first of them, as soon as there are data for it."""
        while True:
            stages = kind.stages(self.request)
            try:
                return stages, next(stages)
            except NoDataError as error:
                self._wait(error)
            except DaybreakError as error:
                self._reject(error)
                raise

    def _wait(self, error: NoDataError) -> None:
        """Let the request wait; returns when it is time to look again."""
        left = self.request.wait_until - time.time()
        if left <= 0:
            self._reject(error)
            raise error
        self._settle_open()
        self.inbox.wait(self.info.id, error.what, time.time() + LOOK_EVERY_S)
        if not self.patient:
            raise error
        if self.control.progress is not None:
            self.control.progress(ProgressEvent(0, 0, message=f"waits: {error.what}"))
        if self.stop.wait(min(LOOK_EVERY_S, left)):
            ended = self.stop.error()
            if isinstance(ended, RequestCancelled):
                self._to(RequestState.CANCELLED, "cancelled")
            raise ended

    def _settle_open(self) -> None:
        """Take the request to a state from which it can wait or be rejected."""
        state = self.inbox.state(self.info.id)
        if state is RequestState.RUNNING:
            self.inbox.move(self.info.id, RequestState.PLANNED, "its driver was gone")
            self._abandoned = False
        elif not state.open:
            self.inbox.move(self.info.id, RequestState.RECEIVED, "asked for again")

    def _reject(self, error: DaybreakError) -> None:
        self._settle_open()
        self._to(RequestState.REJECTED, error.what)

    def _planned(self, stage: Stage) -> None:
        state = self.inbox.state(self.info.id)
        if state is RequestState.REJECTED:
            self.inbox.move(self.info.id, RequestState.RECEIVED, "asked for again")
        if state is not RequestState.DONE:
            self.inbox.move(self.info.id, RequestState.PLANNED, f"{stage.engine} engine")

    # running ----------------------------------------------------------------------------------

    def _stages(self, stages: Stages, stage: Stage) -> dict[str, StepResult]:
        """Run one plan after the other."""
        results: dict[str, StepResult] = {}
        number = 1
        while True:
            found = self._run_stage(stage, number)
            results |= found
            raise_for(stage.plan, found)
            try:
                stage = stages.send(StageDone(found, stage.plan.products))
            except StopIteration:
                return results
            number += 1

    def _run_stage(self, stage: Stage, number: int) -> dict[str, StepResult]:
        try:
            return run_plan(
                stage.plan,
                self.request.out,
                request=self.info,
                stage=number,
                engine=load_engine(stage.engine),
                workers=stage.workers,
                preload=stage.preload,
                control=self.control,
                opener=self.opener,
            )
        finally:
            learn_durations(self.inbox, self.control.seen)

    def _begin(self) -> None:
        """Something has to be run."""
        self._to(RequestState.PLANNED, "planned again", unless_open=True)
        self._to(RequestState.RUNNING)

    def _done(self, results: Mapping[str, StepResult]) -> None:
        if self.inbox.state(self.info.id) is RequestState.DONE:
            return
        bad = sum(r.state is StepState.FAILED for r in results.values())
        self._begin()
        self._to(RequestState.DONE, f"without {bad} steps that failed" if bad else "")

    def _to(
        self,
        state: RequestState,
        reason: str = "",
        *,
        unless_open: bool = False,
        only_from_running: bool = False,
    ) -> None:
        """Take the request to a state, in the inbox and then in the folder's copy."""
        now = self.inbox.state(self.info.id)
        if now is state or (unless_open and now.open):
            return
        if only_from_running and now is not RequestState.RUNNING:
            return
        if now is RequestState.DONE and state is not RequestState.PLANNED:
            self.inbox.move(self.info.id, RequestState.PLANNED, "planned again")
        self.inbox.move(self.info.id, state, reason)
        if ledger_path(self.request.out).is_file():
            with Ledger(self.request.out, self.info) as ledger:
                ledger.copy_state(state, reason)


def raise_for(plan: Plan, results: Mapping[str, StepResult]) -> None:
    """Raise what a required step's failure, or a full disk anywhere, means.

    Parameters
    ----------
    plan, results
        The plan, and how its steps have ended.

    Raises
    ------
    DaybreakError
        Of the class that the step has ended with.
    """
    required = {step.name for step in plan.steps if step.required}
    failed = [r for r in results.values() if r.state is StepState.FAILED]
    for result in failed:
        if result.exit_code == OutputError.exit_code:
            raise OutputError(result.reason, result.hint)
    for result in failed:
        if result.name in required:
            raise _error_class(result.error)(result.reason, result.hint)
    for result in results.values():
        ran = result.cached or result.attempts > 0
        if result.name in required and result.state is StepState.SKIPPED and not ran:
            raise EngineError(f"step {result.name} could not run: {result.reason}")


def _error_class(name: str) -> type[DaybreakError]:
    todo: list[Any] = [DaybreakError]
    for cls in todo:
        if cls.__name__ == name:
            found: type[DaybreakError] = cls
            return found
        todo += cls.__subclasses__()
    return EngineError
