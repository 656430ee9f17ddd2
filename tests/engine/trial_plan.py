"""The plan that the fault trials disturb, and its driver as a program.

``python trial_plan.py OUT [--engine PROFILE] [--workers N] [--scale X] [--hungry STEP]``: 60 steps,
12 chains of 4 and what joins them, of 0.2 to 0.6 s each, which write bytes that depend on nothing
but the plan. Running it again resumes. It prints how long what is left should take.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CHAINS, LENGTH = 12, 4
SIZE = 60_000
MEMORY_MB = 300
HUNGRY_MB = 420


def make(inputs, outputs, params):
    """Write bytes made of the inputs and the step's name, in two goes."""
    seed = hashlib.sha256(params["name"].encode())
    for value in inputs.values():
        for path in value if isinstance(value, list) else [value]:
            seed.update(Path(path).read_bytes())
    block = seed.digest()
    content = b"".join(hashlib.sha256(block + bytes([n % 256])).digest() for n in range(SIZE // 32))
    food = b""
    if params["name"] == params["hungry"]:
        food = b"x" * (HUNGRY_MB * 10**6)
    with outputs["out"].open("wb") as stream:
        stream.write(content[: SIZE // 2])
        stream.flush()
        time.sleep(max(params["seconds"], 0.8 if food else 0.0))
        stream.write(content[SIZE // 2 :])


def seconds(name: str, scale: float) -> float:
    """Duration of a step: 0.2 to 0.6 s, by its name."""
    return scale * (0.2 + 0.4 * hashlib.sha256(name.encode()).digest()[0] / 255)


def graph() -> dict[str, list[str]]:
    """Steps and what each waits for."""
    steps: dict[str, list[str]] = {}
    for chain in range(CHAINS):
        for n in range(LENGTH):
            steps[f"c{chain:02}-{n}"] = [f"c{chain:02}-{n - 1}"] if n else []
    ends = [f"c{chain:02}-{LENGTH - 1}" for chain in range(CHAINS)]
    for level in ("pair", "quad"):
        joined = [f"{level}-{n}" for n in range(len(ends) // 2)]
        steps |= {name: ends[2 * n : 2 * n + 2] for n, name in enumerate(joined)}
        ends = joined
    steps |= {"left": ends[:2], "right": ends[1:], "all": ["left", "right"]}
    return steps


def plan(out: Path, *, scale: float = 1.0, hungry: str = ""):
    """The plan; steps of a chain come in the order in which they can run."""
    from daybreak.ledger.step import Plan, Resources, Step

    return Plan(
        tuple(
            Step(
                name=name,
                function="trial_plan:make",
                inputs={f"in{i}": out / f"{other}.bin" for i, other in enumerate(before)},
                outputs={"out": out / f"{name}.bin"},
                params={
                    "name": name,
                    "seconds": seconds(name, scale),
                    "hungry": hungry if name == hungry else "",
                },
                resources=Resources(memory_mb=MEMORY_MB),
            )
            for name, before in graph().items()
        )
    )


def ideal_s(left: Sequence[str], workers: int, scale: float) -> float:
    """Time of the steps that are left on perfect workers: each takes the first that can go."""
    waits = {n: {b for b in before if b in set(left)} for n, before in graph().items() if n in left}
    order = {name: n for n, name in enumerate(waits)}
    ready = [(n, name) for name, n in order.items() if not waits[name]]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            name = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + seconds(name, scale), name))
        now, ended = heapq.heappop(running)
        for name, before in waits.items():
            if ended in before:
                before.discard(ended)
                if not before:
                    heapq.heappush(ready, (order[name], name))
    return now


def drive(options: argparse.Namespace) -> Mapping[str, object]:
    """Run the plan as any request is run; how it ended."""
    from trial_request import TrialRequest

    from daybreak.cli.running import stop_on_signals
    from daybreak.requests.run import run
    from daybreak.requests.target import TargetSpec

    request = TrialRequest(
        target=TargetSpec(name="trial"),
        out=options.out.resolve(),
        options={"engine": {"profile": options.engine or "local", "workers": options.workers}},
        scale=options.scale,
        hungry=options.hungry,
    )
    with stop_on_signals() as stop:
        result = run(request, stop=stop)
    return {r.name: [r.state.value, r.cached, r.reason] for r in result.steps.values()}


def main() -> int:
    """Exit code 0 if every step is done; else that of the error."""
    from daybreak.errors import DaybreakError

    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--engine")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--hungry", default="")
    options = parser.parse_args()
    try:
        results = drive(options)
    except DaybreakError as error:
        print(f"{type(error).__name__}: {error.what}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(results))
    return 0 if all(state == "DONE" for state, _, _ in results.values()) else 9


if __name__ == "__main__":
    raise SystemExit(main())
