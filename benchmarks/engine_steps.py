"""Steps that do next to nothing, and drivers of plans of them: for :mod:`benchmarks.engine`.

``python -m benchmarks.engine_steps DRIVER JSON`` runs one driver in a process of its own, so that
its memory and CPU time can be told; it prints a JSON block.
"""

from __future__ import annotations

import heapq
import itertools
import json
import resource
import sys
import time
import types
from collections.abc import Mapping
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from typing import Any

RUNS, SUBRUNS = 20, 100
#: assumed seconds per sub-run of each stage, one core: calibration and images, features, DL2, DL3
STAGES = {"dl1": 120.0, "features": 40.0, "dl2": 20.0, "dl3": 10.0}
#: a map of nside 512; a step takes the 256 pixels of one pixel of nside 32
PIXELS, PIXELS_PER_STEP = 12 * 512**2, 256
#: seven SplineMPE fits of 0.35 s, as production logs of IceCube's alerts have them
SECONDS_PER_PIXEL = 2.45
SPREAD = 0.3


def nap(inputs: Any, outputs: Any, params: Mapping[str, Any]) -> None:
    """Sleep, then write one byte per output."""
    if params["seconds"]:
        time.sleep(params["seconds"])
    for path in outputs.values():
        path.write_bytes(b"1")


def flat_plan(out: Path, count: int, seconds: float) -> Any:
    """Steps that wait for nothing."""
    from daybreak.ledger.step import Plan, Resources, Step

    return Plan(
        tuple(
            Step(
                name=f"s{n:05}",
                function="benchmarks.engine_steps:nap",
                inputs={},
                outputs={"out": out / f"{n // 1000:02}" / f"s{n:05}.bin"},
                params={"seconds": seconds},
                resources=Resources(memory_mb=500),
            )
            for n in range(count)
        )
    )


def _spread(name: str, mean_s: float) -> float:
    """A duration about a mean, by the name."""
    return mean_s * (1 + SPREAD * (2 * sha256(name.encode()).digest()[0] / 255 - 1))


def night_plan(out: Path) -> Any:
    """20 runs of 100 sub-runs through four stages; each run is merged, then the night."""
    from daybreak.ledger.step import Plan

    steps = []
    merged = []
    for run in range(RUNS):
        last = []
        for sub in range(SUBRUNS):
            before: dict[str, Any] = {}
            for stage, mean_s in STAGES.items():
                name = f"{stage}-{run:02}-{sub:03}"
                path = out / f"run{run:02}" / f"{name}.bin"
                steps.append(_step(name, f"night:{stage}", before, path, mean_s))
                before = {"in": path}
            last.append(path)
        path = out / f"run{run:02}" / "merged.bin"
        steps.append(_step(f"merge-{run:02}", "night:merge", {"in": tuple(last)}, path, 30.0))
        merged.append(path)
    steps.append(_step("night", "night:sum", {"in": tuple(merged)}, out / "night.bin", 60.0))
    return Plan(tuple(steps))


def _step(name: str, function: str, inputs: Any, path: Path, mean_s: float) -> Any:
    from daybreak.ledger.step import Step

    params = {"seconds": _spread(name, mean_s)}
    return Step(name=name, function=function, inputs=inputs, outputs={"out": path}, params=params)


def sky_plan(out: Path) -> Any:
    """All pixels of nside 512, 256 per step, joined by 64s, then all."""
    from daybreak.ledger.step import Plan

    steps, parts, joined = [], [], []
    for n in range(PIXELS // PIXELS_PER_STEP):
        name = f"pixels-{n:05}"
        parts.append(out / f"{n // 1000:02}" / f"{name}.bin")
        mean_s = PIXELS_PER_STEP * SECONDS_PER_PIXEL
        steps.append(_step(name, "sky:fit", {}, parts[-1], mean_s))
    for n in range(0, len(parts), 64):
        name = f"join-{n // 64:03}"
        joined.append(out / f"{name}.bin")
        steps.append(_step(name, "sky:join", {"in": tuple(parts[n : n + 64])}, joined[-1], 5.0))
    steps.append(_step("sky", "sky:all", {"in": tuple(joined)}, out / "sky.bin", 30.0))
    return Plan(tuple(steps))


class Clock(types.SimpleNamespace):
    """Stands in for the module ``time``: nobody waits."""

    now: float = 0.0
    zero: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.zero + self.now


class SimulatedPools:
    """Workers on a virtual clock: steps begin in order, last as long as they say, end well.

    What stands for the workers' own work (notes, the product's byte) is done here and now; its
    CPU time is kept apart.
    """

    def __init__(self, workers: int, clock: Clock) -> None:
        self.workers = workers
        self.clock = clock
        self.cpu_s = 0.0
        self.busy_s = 0.0
        self._running: list[tuple[float, int, Future[dict[str, Any]], dict[str, Any]]] = []
        self._waiting: list[tuple[int, int, Future[dict[str, Any]], dict[str, Any]]] = []
        self._count = itertools.count()

    def label_for(self, resources: Any) -> str:
        return "simulated"

    def capacity(self, label: str) -> int:
        return self.workers

    def jobs(self) -> list[Any]:
        return []

    def health(self) -> None:
        return None

    def job_of(self, attempt_note: Any) -> None:
        return None

    def submit(self, function: str, payload: Any, *, label: str, priority: int = 0) -> Future:
        future: Future[dict[str, Any]] = Future()
        heapq.heappush(self._waiting, (-priority, next(self._count), future, dict(payload)))
        return future

    def advance(self, most_s: float) -> None:
        """Let time pass to the next end of a step, by `most_s` at most."""
        began = time.thread_time()
        self._begin()
        target = self.clock.now + most_s
        if self._running and self._running[0][0] <= target:
            end, _, future, payload = heapq.heappop(self._running)
            self.clock.now = max(self.clock.now, end)
            answer = self._end(payload)
            self.cpu_s += time.thread_time() - began
            future.set_result(answer)
            return
        self.clock.now = target
        self.cpu_s += time.thread_time() - began

    def _begin(self) -> None:
        from daybreak.engine.attempt import write_note

        while self._waiting and len(self._running) < self.workers:
            _, _, future, payload = heapq.heappop(self._waiting)
            note = {"host": "node", "pid": 0, "job": "1", "started": self.clock.time()}
            write_note(Path(payload["note"]), {**note, "key": payload["key"]})
            end = self.clock.now + payload["params"]["seconds"]
            heapq.heappush(self._running, (end, next(self._count), future, payload))

    def _end(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        seconds = payload["params"]["seconds"]
        self.busy_s += seconds
        outputs = {}
        for name in payload["outputs"].values():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.name.encode()
            path.write_bytes(content)
            outputs[name] = sha256(content).hexdigest()
        return {"state": "DONE", "seconds": seconds, "outputs": outputs, "host": "node"}


def simulate(out: Path, plan_name: str, workers: int) -> dict[str, Any]:
    """Run a plan on simulated workers; what that cost the driver."""
    from daybreak.engine import driver as drive
    from daybreak.engine.readiness import Board
    from daybreak.ledger.ledger import Ledger
    from daybreak.ledger.request import RequestInfo

    clock = Clock(zero=time.time())
    drive.time = clock  # type: ignore[assignment]
    pools = SimulatedPools(workers, clock)

    class Driver(drive.Driver):
        ticks = 0

        def _hear(self, found: Any) -> None:
            self.ticks += 1
            pools.advance(self._pause())
            while not self._ended.empty():
                self._settle(self._ended.get_nowait(), found)

    plan = {"night": night_plan, "sky": sky_plan}[plan_name](out)
    longest = _critical_s(plan)
    cpu, wall = time.process_time(), time.monotonic()
    with Ledger(out, RequestInfo(id=plan_name)) as ledger:
        ledger.receive()
        ledger.enter_plan(plan, plan_name)
        driver = Driver(Board(plan), ledger, progress=lambda event: None, shares_host=False)
        driver.prepare()
        driver.run(pools)
        states = {r.state.value for r in driver.board.results.values()}
    spent = {
        "driver_cpu_s": time.process_time() - cpu - pools.cpu_s,
        "wall_s": time.monotonic() - wall,
    }
    if states != {"DONE"}:
        raise SystemExit(f"not all steps are done: {states}")
    again = time.monotonic()
    with Ledger(out, RequestInfo(id=plan_name)) as ledger:
        second = Driver(Board(plan), ledger, shares_host=False)
        if second.prepare():
            raise SystemExit("a finished plan wants to be run again")
    ideal = max(longest, pools.busy_s / workers)
    return spent | {
        "steps": len(plan.steps),
        "workers": workers,
        "virtual_s": clock.now,
        "ideal_s": ideal,
        "rounds": driver.ticks,
        "again_s": time.monotonic() - again,
        "peak_mb": _peak_mb(),
        "ledger_mb": _ledger_mb(out),
    }


def _critical_s(plan: Any) -> float:
    """The longest chain of a plan."""
    ends: dict[str, float] = {}
    waits = plan.dependencies()
    for step in plan.steps:
        before = max((ends[name] for name in waits[step.name]), default=0.0)
        ends[step.name] = before + step.params["seconds"]
    return max(ends.values())


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _ledger_mb(out: Path) -> float:
    return sum(p.stat().st_size for p in (out / ".daybreak").glob("ledger.sqlite*")) / 1e6


def real(
    out: Path, count: int, seconds: float, workers: int, engine: str | None, preload: str
) -> dict[str, Any]:
    """Run a flat plan on real workers."""
    import sqlite3

    from daybreak.config.engine import load_engine
    from daybreak.engine.run import run_plan
    from daybreak.ledger.request import RequestInfo
    from daybreak.requests.analysis.plan import PRELOAD

    modules = PRELOAD if preload == "full" else ("benchmarks.engine_steps",)
    requested, wall, cpu = time.time(), time.monotonic(), time.process_time()
    results = run_plan(
        flat_plan(out, count, seconds),
        out,
        request=RequestInfo(id="bench"),
        engine=load_engine(engine),
        workers=workers,
        preload=modules,
    )
    spent = time.monotonic() - wall
    if {r.state.value for r in results.values()} != {"DONE"}:
        raise SystemExit(next(r.reason for r in results.values() if r.reason))
    with sqlite3.connect(out / ".daybreak" / "ledger.sqlite") as db:
        first, last = db.execute("SELECT MIN(started), MAX(ended) FROM attempts").fetchone()
    return {
        "wall_s": spent,
        "driver_cpu_s": time.process_time() - cpu,
        "request_to_first_s": first - requested,
        "first_at": first,
        "first_to_last_s": last - first,
        "peak_mb": _peak_mb(),
        "ledger_mb": _ledger_mb(out),
    }


def main() -> int:
    """See the module."""
    driver = {"real": real, "simulate": simulate}[sys.argv[1]]
    options = json.loads(sys.argv[2])
    options["out"] = Path(options["out"])
    print(json.dumps(driver(**options)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
