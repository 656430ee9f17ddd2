"""What the engine itself costs, and whether it holds a night and an all-sky scan.

``python -m benchmarks.engine [--store DIR] [--only NAME ...]``

Overhead on this machine's own workers and, where a throw-away Slurm can be started (root, Debian's
packages), on Slurm; ``daybreak analyse`` on a finished request; and two large plans on simulated
workers: the real driver and the real ledger, with a virtual clock in place of waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.tables import OUT, markdown, publish, stamp

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "engine")]
DATA = Path(os.environ.get("DAYBREAK_TEST_DATA", ROOT.parent / "shared" / "data"))

PROFILE = """
kind: slurm
heartbeat: 2 s
heartbeat_threshold: 8 s
poll: 1 s
pools:
  default: {partition: short, cores: 2, memory: 1600 MB, walltime: 60 min, max_blocks: 3}
"""

Row = tuple[str, str, str]


def child(
    kind: str, work: Path, environment: Mapping[str, str] | None = None, **options: Any
) -> dict[str, Any]:
    """Run a driver of :mod:`benchmarks.engine_steps` in a process of its own."""
    out = Path(tempfile.mkdtemp(dir=work))
    env = dict(environment or os.environ) | {
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "DAYBREAK_HOME": str(work / "state"),
        "OMP_NUM_THREADS": "1",
    }
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine_steps", kind,
         json.dumps({"out": str(out), **options})],
        env=env, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    shutil.rmtree(out)
    answer = json.loads(done.stdout.splitlines()[-1])
    if "first_at" in answer:
        answer["command_to_first_s"] = answer["first_at"] - began
    return answer


def small(
    work: Path, numbers: dict[str, Any], name: str, rounds: int, limit_s: float, **options: Any
) -> Row:
    """Request to the first step at work; the median of some rounds."""
    found = [
        child("real", work, count=2, seconds=0.0, workers=2, **{"preload": "light"} | options)
        for _ in range(rounds)
    ]
    options.pop("environment", None)
    numbers[name] = found
    first = sorted(f["request_to_first_s"] for f in found)
    command = statistics.median(f["command_to_first_s"] for f in found)
    text = (
        f"{statistics.median(first):.2f} s ({first[0]:.2f} to {first[-1]:.2f}; with the start of "
        f"the command {command:.2f} s)"
    )
    return name, text, f"< {limit_s:g} s"


def bench_start(work: Path, numbers: dict[str, Any], rounds: int) -> list[Row]:
    light = small(work, numbers, "request to first step, local", rounds, 2, engine=None)
    full = small(
        work, numbers, "the same with the modules of an analysis preloaded", rounds, 2,
        engine=None, preload="full",
    )  # fmt: skip
    return [light, (*full[:2], "")]


def bench_slurm(work: Path, numbers: dict[str, Any], rounds: int) -> list[Row]:
    import slurm_server

    if why := slurm_server.missing():
        return [("request to first step, idle Slurm", f"not measured: {why}", "< 5 s")]
    profile = work / "cluster.yaml"
    profile.write_text(PROFILE)
    slurm = slurm_server.Slurm(accounting=False)
    slurm.start()
    try:
        name = "request to first step, idle Slurm"
        environment = slurm.environment
        return [small(work, numbers, name, rounds, 5, engine=str(profile), environment=environment)]
    finally:
        slurm.stop()


def bench_seconds(work: Path, numbers: dict[str, Any], rounds: int) -> list[Row]:
    found = child("real", work, count=200, seconds=1.0, workers=2, engine=None, preload="light")
    numbers["200 one-second steps"] = found
    ideal = 100.0
    return [
        (
            "200 one-second steps on 2 workers",
            f"{found['wall_s']:.1f} s, {ideal / found['wall_s']:.1%} of ideal "
            f"({ideal / found['first_to_last_s']:.1%} from the first step to the last)",
            ">= 90 %",
        )
    ]


def bench_nothing(work: Path, numbers: dict[str, Any], rounds: int) -> list[Row]:
    found = child("real", work, count=10_000, seconds=0.0, workers=2, engine=None, preload="light")
    numbers["10,000 no-op steps"] = found
    return [
        ("10,000 steps that write one byte, 2 workers", f"{found['wall_s']:.1f} s", "< 60 s"),
        ("overhead per step", f"{found['wall_s'] / 10:.1f} ms, of it "
         f"{found['driver_cpu_s'] / 10:.1f} ms CPU of the driver", ""),
        ("peak memory of the driver", f"{found['peak_mb']:.0f} MB", "bounded"),
        ("ledger of 10,000 steps", f"{found['ledger_mb']:.1f} MB", ""),
    ]  # fmt: skip


def bench_done(work: Path, numbers: dict[str, Any], rounds: int) -> list[Row]:
    store = numbers["store"]
    name = "daybreak analyse crab on a finished request"
    if not (Path(store) / "obs-index.fits.gz").is_file():
        return [(name, f"not measured: no store at {store}", "< 1.5 s")]
    out = work / "crab"
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "DAYBREAK_HOME": str(work / "state")}
    code = "from daybreak.cli.main import main; main()"
    command = [sys.executable, "-c", code, "analyse", "crab"]
    command += ["--store", str(store), "-o", str(out)]
    times = []
    for _ in range(rounds + 1):
        began = time.monotonic()
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        times.append(time.monotonic() - began)
    numbers[name] = times
    again = sorted(times[1:])
    text = f"{statistics.median(again):.2f} s ({again[0]:.2f} to {again[-1]:.2f})"
    return [(name, text, "< 1.5 s")]


def _duration(seconds: float) -> str:
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02} min"


def simulated(work: Path, numbers: dict[str, Any], plan: str, what: str, workers: int) -> list[Row]:
    found = child("simulate", work, plan_name=plan, workers=workers)
    numbers[plan] = found
    share = found["driver_cpu_s"] / found["virtual_s"]
    text = (
        f"{_duration(found['virtual_s'])} on {workers} workers, "
        f"{found['ideal_s'] / found['virtual_s']:.1%} of ideal; driver "
        f"{found['driver_cpu_s']:.0f} s of CPU ({share:.2%} of a core), "
        f"{found['peak_mb']:.0f} MB, ledger {found['ledger_mb']:.0f} MB; looked through again "
        f"when done: {found['again_s']:.1f} s"
    )
    return [(f"{what}: {found['steps']:,} steps (simulated)", text, "")]


def bench_night(work: Path, numbers: dict[str, Any], rounds: int) -> list[Row]:
    return simulated(work, numbers, "night", "night, 20 runs x 100 sub-runs x 4 stages", 100)


def bench_sky(work: Path, numbers: dict[str, Any], rounds: int) -> list[Row]:
    return simulated(work, numbers, "sky", "all-sky scan, 3,145,728 pixels", 500)


PARTS: dict[str, Callable[[Path, dict[str, Any], int], list[Row]]] = {
    "start": bench_start,
    "slurm": bench_slurm,
    "seconds": bench_seconds,
    "nothing": bench_nothing,
    "done": bench_done,
    "night": bench_night,
    "sky": bench_sky,
}
HEAD = ("what", "measured", "required", "load of the machine before")
NOTES = """Simulated: the driver and the ledger are the real ones; workers are a virtual clock
that ends steps after the durations that they are given, so nothing waits and every round of the
driver's loop is run as often as it would be. Durations are assumed, spread evenly by 30 %: night
120, 40, 20 and 10 s for the stages of a sub-run, 30 s to join a run, 60 s for the night; scan 256
pixels per step of 2.45 s each (seven fits of 0.35 s), 5 s to join 64 steps, 30 s for the map."""


def main(argv: list[str] | None = None) -> int:
    """Measure and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, default=DATA / "hess-dl3-dr1")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    kept = OUT / "engine.json"
    blocks: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    work = Path(tempfile.mkdtemp(prefix="daybreak-bench-"))
    try:
        for name in options.only:
            numbers: dict[str, Any] = {"store": str(options.store)}
            load = os.getloadavg()[0]
            rows = PARTS[name](work, numbers, options.rounds)
            blocks[name] = {"rows": rows, "load": load, "numbers": numbers}
            for row in rows:
                print(*row, sep=" | ", flush=True)
            OUT.mkdir(exist_ok=True)
            kept.write_text(json.dumps(blocks, indent=1, default=float) + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = [(row, blocks[name]["load"]) for name in PARTS if name in blocks
             for row in blocks[name]["rows"]]  # fmt: skip
    table = markdown(HEAD, [(*row, f"{load:.1f}") for row, load in found])
    publish("engine", f"{table}\n\n{NOTES}\n\n{stamp()}", blocks)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
