"""Damaged event files and messages, in numbers: ``python -m benchmarks.hostile_events``.

Each must end in a value or an `EventError`: no other exception, nothing longer than 5 s, no more
than 1 GiB of memory, nothing executed. The cases are read in processes of their own
(``tests/neutrino/hostile_worker.py``), in blocks; a block whose process dies counts as a fault.
"""

from __future__ import annotations

import argparse
import collections
import json
import subprocess
import sys
import time
from pathlib import Path

WORKER = Path(__file__).parents[1] / "tests" / "neutrino" / "hostile_worker.py"


def run_block(seed: int, first: int, count: int, folder: Path | None) -> dict:
    """Read a block of cases in a process of its own."""
    command = [sys.executable, str(WORKER), *map(str, (seed, first, count))]
    done = subprocess.run(
        [*command, *([str(folder)] if folder else [])],
        capture_output=True,
        text=True,
        timeout=60 + 6 * count,
        check=False,
    )
    if done.returncode:
        return {
            "cases": count,
            "ends": {"died": count},
            "kinds": {},
            "faults": [f"cases {first}-{first + count - 1}: {done.stderr[-500:]}"],
            "run": [],
            "slowest_s": 0.0,
            "peak_mib": 0.0,
        }
    return json.loads(done.stdout)


def main(arguments: list[str] | None = None) -> int:
    """Run all blocks and print the counts; 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--block", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, help="folder of real IceCube files to damage as well")
    options = parser.parse_args(arguments)
    ends: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    slowest = peak = 0.0
    begin = time.monotonic()
    for first in range(0, options.cases, options.block):
        count = min(options.block, options.cases - first)
        found = run_block(options.seed, first, count, options.data)
        ends.update(found["ends"])
        kinds.update(found["kinds"])
        faults += found["faults"] + [f"executed: {each}" for each in found["run"]]
        slowest, peak = max(slowest, found["slowest_s"]), max(peak, found["peak_mib"])
        print(f"{first + count} cases, {len(faults)} faults", file=sys.stderr, flush=True)
        for each in (*found["faults"], *found["run"]):
            print(f"  {each}", file=sys.stderr, flush=True)
    print(f"cases: {sum(ends.values())} in {time.monotonic() - begin:.0f} s")
    print("ended in:", ", ".join(f"{n} {end}" for end, n in ends.most_common()))
    print("damage:", ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()))
    print(f"slowest case {slowest:.2f} s, most memory of the process {peak:.0f} MiB")
    print(f"faults: {len(faults)}")
    for fault in faults[:20]:
        print(" ", fault)
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
