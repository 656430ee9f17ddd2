"""Run a plan: only what is missing, on the pools of an engine profile, all of it in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from daybreak.config.engine import EngineProfile, load_engine
from daybreak.engine.driver import Driver
from daybreak.engine.failures import RetryPolicy
from daybreak.engine.pools.driver_watch import interruptible, undisturbed
from daybreak.engine.pools.sizing import clear_folders
from daybreak.engine.pools.worker_pools import cancel_stale, open_pools
from daybreak.engine.progress import Progress, ProgressEvent
from daybreak.engine.readiness import Board
from daybreak.engine.settle import clear_notes, recover
from daybreak.errors import DaybreakError, InterruptedByUser, RequestCancelled
from daybreak.ledger.inbox import driving, durations, learn_durations, remember
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.step import Plan, StepResult, StepState
from daybreak.products.digest import value_digest

__all__ = ["Progress", "ProgressEvent", "run_plan"]


def run_plan(
    plan: Plan,
    root: Path,
    *,
    request: RequestInfo | None = None,
    engine: EngineProfile | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    preload: Sequence[str] = (),
) -> dict[str, StepResult]:
    """Run the steps of a plan whose products are not there yet.

    The caller holds the lock of the folder (:func:`daybreak.products.lock.folder_lock`).

    Parameters
    ----------
    plan
        What to run.
    root
        Output folder; the ledger lies in it.
    request
        Whose plan it is.
    engine
        Where the steps run; by default this machine.
    workers
        Workers at most, 0 for what the profile gives.
    progress
        Told how it goes.
    preload
        Modules that the workers share.

    Returns
    -------
    dict
        Result of every step.

    Raises
    ------
    EngineError
        If the engine does not start or can't go on.
    InterruptedByUser
        On Ctrl-C; finished steps stay finished.
    RequestCancelled
        If the request is cancelled meanwhile.
    """
    info = request or RequestInfo()
    profile = engine or load_engine(None)
    with Ledger(root, info) as ledger:
        if ledger.notice:
            logging.getLogger(__name__).warning(ledger.notice)
        state = _enter(ledger, plan, profile)
        board = Board(plan)
        driver = Driver(
            board,
            ledger,
            durations=durations() if progress is not None else None,
            progress=progress,
            policy=RetryPolicy(
                lost=profile.retries,
                memory=profile.memory_retries,
                memory_factor=profile.memory_factor,
            ),
            shares_host=profile.kind == "local",
        )
        try:
            with interruptible():
                if driver.prepare():
                    _begin(ledger, info, root, profile)
                    _run(driver, profile, info, root, workers, preload)
                elif state is not RequestState.DONE:
                    _begin(ledger, info, root, profile)
        except KeyboardInterrupt:
            with undisturbed():
                _leave(ledger, board, RequestState.PLANNED, "stopped by the user")
            raise InterruptedByUser(
                "stopped; what was finished is kept", "The same command goes on from there."
            ) from None
        except RequestCancelled as error:
            _leave(ledger, board, RequestState.CANCELLED, error.what)
            raise
        except DaybreakError as error:
            _leave(ledger, board, RequestState.FAILED, error.what)
            raise
        finally:
            learn_durations(driver.seen)
        _close(ledger, plan, board)
    return board.results


def _enter(ledger: Ledger, plan: Plan, profile: EngineProfile) -> RequestState:
    """Enter request and plan; settle what a driver that was killed left open."""
    state = ledger.receive()
    if state is RequestState.RUNNING:
        cancel_stale(profile, ledger.request.id)
        ledger.move(RequestState.PLANNED, "its driver was gone")
        state = RequestState.PLANNED
    if state is not RequestState.DONE:
        clear_folders(profile, ledger.request.id, _scratch(ledger.root))
    steps = [(s.name, s.function, s.label, s.required) for s in plan.steps]
    ledger.enter_plan(plan, value_digest(steps))
    recover(ledger, {step.name: step for step in plan.steps})
    return state


def _scratch(root: Path) -> Path:
    """Where the engine's own files go if its profile does not say."""
    return root / ".daybreak" / "engine"


def _begin(ledger: Ledger, info: RequestInfo, root: Path, profile: EngineProfile) -> None:
    if info.kind != "plan":
        remember(info, root)
    ledger.move(RequestState.PLANNED, f"{profile.name} engine")
    ledger.move(RequestState.RUNNING)


def _run(
    driver: Driver,
    profile: EngineProfile,
    info: RequestInfo,
    root: Path,
    workers: int,
    preload: Sequence[str],
) -> None:
    left = driver.board.left()
    with (
        driving(info, root),
        open_pools(
            profile,
            tag=info.id,
            scratch=_scratch(root),
            width=len(left),
            workers=workers,
            preload=preload,
            needs=[step.resources for step in left],
        ) as pools,
    ):
        driver.run(pools)


def _leave(ledger: Ledger, board: Board, state: RequestState, reason: str) -> None:
    """Write down that the run has ended before its plan was done."""
    recover(ledger, board.steps)
    if ledger.state() is RequestState.RUNNING:
        ledger.move(state, reason)


def _close(ledger: Ledger, plan: Plan, board: Board) -> None:
    """Write down how the request ended."""
    clear_notes(ledger.root)
    if ledger.state() is not RequestState.RUNNING:
        return
    failed = [s.name for s in plan.steps if s.required and not _well(board.results[s.name])]
    if failed:
        first = board.results[failed[0]]
        ledger.move(RequestState.FAILED, f"{first.name}: {first.reason}")
    else:
        bad = sum(r.state is StepState.FAILED for r in board.results.values())
        ledger.move(RequestState.DONE, f"without {bad} steps that failed" if bad else "")


def _well(result: StepResult) -> bool:
    return result.state is StepState.DONE or (
        result.state is StepState.SKIPPED and (result.cached or result.attempts > 0)
    )
