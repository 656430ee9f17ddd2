"""Run a plan: only what is missing, on the pools of an engine profile, all of it in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from daybreak.config.engine import EngineProfile, load_engine
from daybreak.engine.control import Control
from daybreak.engine.driver import Driver
from daybreak.engine.failures import RetryPolicy
from daybreak.engine.hosted import Host
from daybreak.engine.pools.sizing import clear_folders
from daybreak.engine.pools.worker_pools import cancel_stale, open_pools
from daybreak.engine.progress import Progress, ProgressEvent
from daybreak.engine.readiness import Readiness
from daybreak.engine.settle import clear_notes, recover
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.request import RequestInfo
from daybreak.ledger.step import Place, Plan, StepResult
from daybreak.products.atomic import write_text
from daybreak.products.digest import value_digest

__all__ = ["Progress", "ProgressEvent", "clear_abandoned", "run_plan"]

Opener = Callable[..., AbstractContextManager[Any]]


def run_plan(
    plan: Plan,
    root: Path,
    *,
    request: RequestInfo | None = None,
    stage: int = 1,
    engine: EngineProfile | None = None,
    workers: int = 0,
    preload: Sequence[str] = (),
    control: Control | None = None,
    opener: Opener | None = None,
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
    stage
        Which of the request's plans it is, from 1.
    engine
        Where the steps run; by default this machine.
    workers
        Workers at most, 0 for what the profile gives.
    preload
        Modules that the workers share.
    control
        When to end early, and who is told what.
    opener
        Opens pools, as :func:`daybreak.engine.pools.worker_pools.open_pools`, which is the
        default; :class:`daybreak.engine.pools.kept_pools.KeptPools` keeps them for the next run.

    Returns
    -------
    dict
        Result of every step.

    Raises
    ------
    EngineError
        If the engine does not start or can't go on.
    InterruptedByUser, RequestCancelled
        If the run was asked to end; finished steps stay finished.
    """
    info, profile = request or RequestInfo(), engine or load_engine(None)
    control, opener = control or Control(), opener or open_pools
    with Ledger(root, info) as ledger:
        if ledger.notice:
            logging.getLogger(__name__).warning(ledger.notice)
        _enter(ledger, plan, stage)
        board = Readiness(plan)
        host = Host(root, info.id, profile, control.stop, opener=opener)
        driver = Driver(board, ledger, control=control, host=host, policy=_policy(profile))
        try:
            if driver.prepare():
                control.begin()
                _run(driver, profile, info, root, workers, preload, opener)
        finally:
            recover(ledger, board.steps)
            control.seen = dict(driver.seen)
        clear_notes(ledger.root)
    return board.results


def _policy(profile: EngineProfile) -> RetryPolicy:
    return RetryPolicy(
        lost=profile.retries,
        memory=profile.memory_retries,
        memory_factor=profile.memory_factor,
    )


def _enter(ledger: Ledger, plan: Plan, stage: int) -> None:
    """Enter request and plan; settle what a driver that was killed left open."""
    ledger.enter()
    for path, text in plan.texts.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    steps = [(s.name, s.function, s.label, s.required) for s in plan.steps]
    ledger.enter_plan(plan, value_digest(steps), stage)
    recover(ledger, {step.name: step for step in plan.steps})


def clear_abandoned(profile: EngineProfile, request: str, root: Path) -> list[str]:
    """Take away what a driver that was killed left: jobs on a cluster, the engine's files.

    Parameters
    ----------
    profile
        The engine that it used.
    request
        Name of its request.
    root
        Output folder.

    Returns
    -------
    list of str
        Jobs that were cancelled.
    """
    cancelled = cancel_stale(profile, request)
    clear_folders(profile, request, _scratch(root))
    return cancelled


def _scratch(root: Path) -> Path:
    """Where the engine's own files go if its profile does not say."""
    return root / ".daybreak" / "engine"


def _run(
    driver: Driver,
    profile: EngineProfile,
    info: RequestInfo,
    root: Path,
    workers: int,
    preload: Sequence[str],
    opener: Opener,
) -> None:
    left = driver.board.left()
    on_workers = [step for step in left if step.place is Place.WORKER]
    if not on_workers:
        driver.run(None)
        return
    with opener(
        profile,
        tag=info.id,
        scratch=_scratch(root),
        width=len(on_workers),
        workers=workers,
        preload=preload,
        needs=[step.resources for step in on_workers],
    ) as pools:
        driver.run(pools)
