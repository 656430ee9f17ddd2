"""Run a plan with Parsl on this machine's workers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daybreak.errors import EngineError, InterruptedByUser
from daybreak.pipeline.lifeline import interruptible
from daybreak.pipeline.records import Records
from daybreak.pipeline.step import Plan, Step, StepResult, StepState

Progress = Callable[[StepResult, int, int], None]
Submit = Callable[[Mapping[str, Any]], "Future[dict[str, Any]]"]

#: longest temporary folder below which Unix sockets still fit
_LONGEST_TMP = 40
#: imported once by the fork server of the local workers
PRELOAD = (
    "parsl.executors.high_throughput.process_worker_pool",
    "daybreak.pipeline.execute",
    "daybreak.pipeline.analysis_steps",
    "daybreak.report.steps",
    "daybreak.pipeline.freeze",
)


def useful_workers(requested: int, plan_width: int) -> int:
    """Workers to start: as many as asked for (0: one per core), never more than can be fed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(requested or cores or 1, plan_width))


def _short_tmp() -> str:
    """The temporary folder; /tmp where its path is too long for the sockets below it."""
    folder = tempfile.gettempdir()
    return folder if len(folder) < _LONGEST_TMP else "/tmp"  # noqa: S108 - mkdtemp makes a private folder


@contextmanager
def local_workers(n_workers: int, preload: Sequence[str]) -> Iterator[Submit]:
    """Parsl with `n_workers` processes on this machine.

    Yields
    ------
    callable
        Submits a payload of :func:`daybreak.pipeline.execute.execute`, returns a future.

    Raises
    ------
    EngineError
        If Parsl or its workers do not start.
    """
    from parsl.config import Config
    from parsl.dataflow.dflow import DataFlowKernel
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
    from parsl.providers import LocalProvider

    from daybreak.pipeline.execute import execute

    run_dir = Path(tempfile.mkdtemp(prefix="daybreak-engine-", dir=_short_tmp()))
    arguments = DEFAULT_LAUNCH_CMD.split(" ", 1)[1]
    pool = (
        f"{sys.executable} -m daybreak.pipeline.workers {os.getpid()} {run_dir} "
        f"{','.join(preload) or ','} {arguments}"
    )
    executor = HighThroughputExecutor(
        label="local",
        address="127.0.0.1",
        loopback_address="127.0.0.1",
        max_workers_per_node=n_workers,
        cores_per_worker=1e-6,
        encrypted=False,
        poll_period=5,
        heartbeat_period=5,
        heartbeat_threshold=60,
        launch_cmd=pool,
        interchange_launch_cmd=[sys.executable, "-m", "daybreak.pipeline.interchange"],
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    config = Config(
        executors=[executor],
        run_dir=str(run_dir),
        strategy="none",
        strategy_period=0.5,
        initialize_logging=False,
        usage_tracking=0,
        exit_mode="skip",
        retries=0,
    )
    kernel = None
    try:
        try:
            kernel = DataFlowKernel(config)
        except Exception as error:
            raise EngineError(
                f"the engine did not start: {error}", "Try again; see docs/exit-codes.md."
            ) from error

        def submit(payload: Mapping[str, Any]) -> Future[dict[str, Any]]:
            return kernel.submit(  # type: ignore[no-any-return]
                execute,
                app_args=(dict(payload),),
                app_kwargs={},
                executors=["local"],
                cache=False,
                ignore_for_cache=[],
            )

        yield submit
    finally:
        if kernel is not None:
            kernel.cleanup()
        shutil.rmtree(run_dir, ignore_errors=True)


def _payload(step: Step, upstream: Mapping[str, Any], logs: Path) -> dict[str, Any]:
    params = dict(step.params)
    if step.tolerant:
        params["upstream"] = dict(upstream)
    inputs: dict[str, Any] = {}
    for key, value in step.inputs.items():
        if isinstance(value, Path):
            if value.exists() or not step.tolerant:
                inputs[key] = str(value)
        else:
            inputs[key] = [str(p) for p in value if p.exists() or not step.tolerant]
    first = next(iter(step.outputs.values()), None)
    log = first.parent / f"{step.name}.log" if first is not None else logs / f"{step.name}.log"
    return {
        "name": step.name,
        "function": step.function,
        "inputs": inputs,
        "outputs": {key: str(path) for key, path in step.outputs.items()},
        "params": params,
        "log": str(log),
    }


def _upstream(results: Mapping[str, StepResult], names: Sequence[str]) -> dict[str, Any]:
    return {
        name: {"state": results[name].state.value, "reason": results[name].reason} for name in names
    }


class _Run:
    """The state of one run of a plan."""

    def __init__(self, plan: Plan, records: Records, progress: Progress | None) -> None:
        self.plan = plan
        self.records = records
        self.progress = progress
        self.waits = plan.dependencies()
        self.results: dict[str, StepResult] = {}
        self.keys: dict[str, str] = {}
        self.todo = deque(plan.steps)

    def end(self, step: Step, result: StepResult) -> None:
        self.results[step.name] = result
        if not result.cached:
            if result.state is not StepState.DONE:
                self.records.forget_outputs(step)
            self.records.store(step, self.keys.get(step.name, ""), result)
        if self.progress is not None:
            self.progress(result, len(self.results), len(self.plan.steps))

    def next_ready(self) -> Step | None:
        """A step whose inputs are decided and that has to be run; settles those that have not."""
        blocked: deque[Step] = deque()
        chosen = None
        while self.todo and chosen is None:
            step = self.todo.popleft()
            before = self.waits[step.name]
            if any(name not in self.results for name in before):
                blocked.append(step)
                continue
            bad = [n for n in before if self.results[n].state is not StepState.DONE]
            if bad and not step.tolerant:
                why = self.results[bad[0]].reason
                self.end(step, StepResult(step.name, StepState.SKIPPED, f"{bad[0]}: {why}"))
                continue
            upstream = _upstream(self.results, before) if step.tolerant else {}
            self.keys[step.name] = self.records.key(step, upstream)
            cached = self.records.finished(step, self.keys[step.name])
            if cached is not None:
                self.end(step, cached)
                continue
            chosen = step
        self.todo = blocked + self.todo
        return chosen


def run_plan(
    plan: Plan,
    root: Path,
    *,
    workers: int = 0,
    progress: Progress | None = None,
    preload: Sequence[str] = PRELOAD,
) -> dict[str, StepResult]:
    """Run the steps of a plan whose products are not there yet.

    Parameters
    ----------
    plan
        What to run.
    root
        Output folder; the step records lie in it.
    workers
        Local workers, 0 for one per core.
    progress
        Called after each step with its result, how many have ended, how many there are.
    preload
        Modules that the workers share.

    Returns
    -------
    dict
        Result of every step.

    Raises
    ------
    EngineError
        If the engine does not start or loses its workers.
    InterruptedByUser
        On Ctrl-C; finished steps stay finished.
    """
    run = _Run(plan, Records(root), progress)
    first = run.next_ready()
    if first is None and not run.todo:
        return run.results
    if first is not None:
        run.todo.appendleft(first)
    width = sum(1 for s in plan.steps if s.name not in run.results)
    try:
        with (
            interruptible(),
            local_workers(useful_workers(workers, width), preload) as submit,
        ):
            _drive(run, submit, root)
    except KeyboardInterrupt:
        raise InterruptedByUser(
            "stopped; what was finished is kept", "The same command goes on from there."
        ) from None
    return run.results


def _drive(run: _Run, submit: Submit, root: Path) -> None:
    active: dict[Future[dict[str, Any]], Step] = {}
    logs = root / ".daybreak"
    while True:
        while (step := run.next_ready()) is not None:
            upstream = _upstream(run.results, run.waits[step.name])
            active[submit(_payload(step, upstream, logs))] = step
        if not active:
            if run.todo:
                raise EngineError("the plan can't go on: its steps wait for each other")
            return
        done, _ = wait(active, return_when=FIRST_COMPLETED)
        for future in done:
            step = active.pop(future)
            run.end(step, _result(step, future))


def _result(step: Step, future: Future[dict[str, Any]]) -> StepResult:
    started = time.perf_counter()
    try:
        answer = future.result()
    except Exception as error:
        return StepResult(
            step.name,
            StepState.FAILED,
            reason=f"the worker was lost: {type(error).__name__}",
            hint="Run the same command again; if it happens again the step needs more memory.",
            error="EngineError",
            exit_code=EngineError.exit_code,
            seconds=time.perf_counter() - started,
        )
    answer["state"] = StepState(answer["state"])
    return StepResult(name=step.name, **answer)
