"""Faults at random moments while a plan runs: does everything end as if nothing had been?

``python -m benchmarks.kills [--trials 200] [--engine local|slurm|both] [--kinds K ...] [--seed N]``

A plan of 60 steps (12 chains of 4 and what joins them, 0.2 to 0.6 s each, six workers) is run
again and again; each time a fault comes at a moment drawn evenly from the length of an
undisturbed run. A driver that ends is started again. In the end the products have to be those of
an undisturbed run, byte for byte, and the checker of the tests finds nothing wrong: see ``trials``
and ``checker`` in ``tests/engine``. Slurm is a real one of three nodes on this host, for which
root is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tables import OUT, markdown, publish, stamp

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "engine")]

import slurm_server  # noqa: E402
from trials import LOCAL, SLURM, Bench, Trial, describe, run_trial  # noqa: E402

#: how often a kind comes, of those of its engine
WEIGHTS = {
    "local": {
        "driver SIGKILL": 32, "driver SIGTERM": 22, "driver SIGINT": 22, "worker": 24,
        "interchange": 22, "memory limit": 14, "disk full": 20,
    },
    "slurm": {
        "driver SIGKILL": 8, "driver SIGTERM": 4, "driver SIGINT": 4, "worker": 4,
        "interchange": 4, "scancel": 8, "node": 6, "slurmctld": 4, "memory limit": 2,
    },
}  # fmt: skip
SLURM_SHARE = 44 / 200


def counts(engine: str, kinds: list[str] | None, trials: int) -> dict[str, int]:
    """How many trials of each kind."""
    weights = {k: w for k, w in WEIGHTS[engine].items() if not kinds or k in kinds}
    total = sum(weights.values())
    exact = {k: trials * w / total for k, w in weights.items()}
    out = {k: int(x) for k, x in exact.items()}
    for k in sorted(exact, key=lambda k: out[k] - exact[k])[: trials - sum(out.values())]:
        out[k] += 1
    return out


def series(
    bench: Bench, todo: dict[str, int], rng: random.Random, engine: str, until: float
) -> list[Trial]:
    """Run the trials in a random order; a line for each as soon as it is done."""
    order = [kind for kind, n in todo.items() for _ in range(n)]
    rng.shuffle(order)
    done = []
    for number, kind in enumerate(order):
        if time.monotonic() > until:
            print(f"{engine}: time is over after {number} of {len(order)}", flush=True)
            break
        began = time.monotonic()
        trial = run_trial(bench, kind, rng, number)
        for _ in range(5):  # the moment came after the end: not a fault, again
            if trial.hit or trial.findings:
                break
            trial = run_trial(bench, kind, rng, number)
        done.append(trial)
        save(engine, bench.undisturbed_s, done)
        took = time.monotonic() - began
        print(f"{engine} {number + 1}/{len(order)} {took:.1f} s {describe(trial)}", flush=True)
        with (OUT / "kills.jsonl").open("a") as stream:
            stream.write(json.dumps({"engine": engine, **vars(trial)}) + "\n")
        if bench.slurm is not None:
            ready(bench)
    return done


def ready(bench: Bench) -> None:
    """Wait until the cluster has got over the fault; a new one if it has not in a while."""
    try:
        bench.slurm.wait_for_nodes()
    except RuntimeError:
        print("slurm: not ready again after the fault, another one is started", flush=True)
        bench.slurm.stop()
        bench.slurm = slurm_server.Slurm(accounting=False)
        bench.slurm.start()


def row(name: str, trials: list[Trial]) -> list[str]:
    """One line of the table."""
    times = [t.recovery_s for t in trials]
    lost = [t.attempts_lost for t in trials]
    return [
        name,
        str(len(trials)),
        str(sum(bool(t.findings) for t in trials)),
        f"{statistics.median(times):.1f}",
        f"{max(times):.1f}",
        f"{sum(lost) / len(lost):.1f}",
        str(sum(t.repeated for t in trials)),
        f"{max(t.gone_s for t in trials):.1f}",
    ]


HEAD = (
    "fault", "trials", "failures", "median recovery (s)", "largest (s)",
    "attempts lost per trial", "steps done twice", "last process or job gone after (s)",
)  # fmt: skip


def table(results: dict[str, list[Trial]], undisturbed: dict[str, float]) -> str:
    """The section of the page."""
    rows = []
    for engine, trials in results.items():
        for kind in WEIGHTS[engine]:
            mine = [t for t in trials if t.kind == kind]
            if mine:
                rows.append(row(f"{engine}: {kind}", mine))
    everything = [t for trials in results.values() for t in trials]
    rows.append(row("all", everything))
    times = ", ".join(f"{engine} {s:.1f} s" for engine, s in undisturbed.items())
    return (
        f"{markdown(HEAD, rows)}\n\nUndisturbed run (median of 3): {times}. Recovery after a fault "
        "that ends the driver: from the start of the second driver to the end, less what six "
        "perfect workers take for the steps that were left, so its own start is counted; after "
        "any other fault: the time of the run less that of an undisturbed one. Load of the "
        f"machine at the end: {os.getloadavg()[0]:.1f}.\n" + stamp()
    )


def save(engine: str, undisturbed_s: float, trials: list[Trial]) -> None:
    """Keep the numbers of an engine; the table shows the last ones of each."""
    block = {"undisturbed_s": undisturbed_s, "trials": [vars(t) for t in trials]}
    (OUT / f"kills-{engine}.json").write_text(json.dumps(block, indent=1) + "\n")


def show() -> None:
    """Publish the table of what is kept."""
    blocks = {
        engine: json.loads(path.read_text())
        for engine in WEIGHTS
        if (path := OUT / f"kills-{engine}.json").exists()
    }
    results = {engine: [Trial(**t) for t in block["trials"]] for engine, block in blocks.items()}
    undisturbed = {engine: block["undisturbed_s"] for engine, block in blocks.items()}
    publish("kills", table(results, undisturbed), blocks)


def main(argv: list[str] | None = None) -> int:
    """Exit code 1 if any trial failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--engine", choices=("local", "slurm", "both"), default="both")
    parser.add_argument("--kinds", nargs="+", choices=sorted({*LOCAL, *SLURM}))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no trial after that")
    parser.add_argument("--no-table", action="store_true", help="do not change the page")
    parser.add_argument("--show", action="store_true", help="only make the table of the last runs")
    options = parser.parse_args(argv)
    if options.show:
        show()
        return 0
    until = time.monotonic() + 60 * options.minutes
    OUT.mkdir(exist_ok=True)
    rng = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    engines = ("local", "slurm") if options.engine == "both" else (options.engine,)
    n_slurm = round(options.trials * SLURM_SHARE) if options.engine == "both" else options.trials
    results: dict[str, list[Trial]] = {}
    undisturbed = {}
    for engine in engines:
        n = n_slurm if engine == "slurm" else options.trials - n_slurm * (len(engines) > 1)
        slurm = bench = None
        work = Path(tempfile.mkdtemp(prefix="daybreak-kills-"))
        try:
            if engine == "slurm":
                if why := slurm_server.missing():
                    raise SystemExit(why)
                slurm = slurm_server.Slurm(accounting=False)
                slurm.start()
            bench = Bench(work, slurm=slurm)
            bench.rehearse()
            print(f"{engine}: undisturbed {bench.undisturbed_s:.2f} s", flush=True)
            undisturbed[engine] = bench.undisturbed_s
            results[engine] = series(bench, counts(engine, options.kinds, n), rng, engine, until)
        finally:
            if slurm is not None:
                (slurm if bench is None else bench.slurm).stop()
            if not any(t.findings for t in results.get(engine, [])):
                shutil.rmtree(work, ignore_errors=True)
    failed = [t for trials in results.values() for t in trials if t.findings]
    for trial in failed:
        print("FAILED", describe(trial))
    if options.no_table:
        print(table(results, undisturbed))
    else:
        show()
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
