"""Damaged raw files of SST-1M, in numbers: ``python -m benchmarks.hostile_raw``.

Each must end in a named error or in events, with what lacks counted: no other exception, nothing
longer than 5 s, no more than 1 GiB of memory, no wrong value that neither the reader nor the
checksum tells of. The cases are read in processes of their own, in blocks; a block whose process
dies counts as a fault. Sources are a small written file and the real ones inside the protozfits
wheel (``--protozfits`` reads them with that library as well, one process each, for comparison).
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = Path(__file__).parents[1] / "tests" / "instruments" / "sst1m"
_THEIRS = """
import sys
from protozfits import File
with File(sys.argv[1]) as file:
    for event in file.Events:
        pass
"""


def sources(folder: Path) -> list[Path]:
    """A small written file, and the real ones if protozfits is here."""
    from sst1m_cases import write_small

    found = [folder / "written.fits.fz"]
    write_small(found[0])
    spec = importlib.util.find_spec("protozfits")
    if spec is not None and spec.origin is not None:
        real = Path(spec.origin).parent / "tests" / "resources"
        found += [real / "example_10evts.fits.fz", real / "example_SST1M_20180822.fits.fz"]
    return found


def work(seed: int, first: int, count: int) -> None:
    """Read a block of cases and print what came of it as JSON."""
    from sst1m_cases import peak_mib, run_cases

    with tempfile.TemporaryDirectory() as folder:
        found = run_cases(sources(Path(folder)), count, seed, first)
    out = {**vars(found), "peak_mib": peak_mib()}
    print(json.dumps(out))


def theirs(seed: int, count: int) -> collections.Counter[str]:
    """What protozfits makes of the same cases."""
    from sst1m_cases import damage

    ends: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.fits.fz"
        paths = sources(Path(folder))
        for number in range(count):
            rng = random.Random(f"{seed}:{number}")
            path.write_bytes(damage(paths[number % len(paths)].read_bytes(), rng)[1])
            command = [sys.executable, "-c", _THEIRS, str(path)]
            try:
                done = subprocess.run(command, capture_output=True, timeout=20)
            except subprocess.TimeoutExpired:
                ends["hangs (20 s)"] += 1
                continue
            code = done.returncode
            ends[{0: "read", 1: "exception"}.get(code, f"killed by signal {-code}")] += 1
    return ends


def main(arguments: list[str] | None = None) -> int:
    """Run all blocks and print the counts; 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--block", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--protozfits", type=int, default=0, metavar="N", help="cases for it")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(CASES))
    if options.work:
        work(options.seed, *options.work)
        return 0
    ends: collections.Counter[str] = collections.Counter()
    bad: list[str] = []
    slowest = peak = 0.0
    begin = time.monotonic()
    for first in range(0, options.cases, options.block):
        count = min(options.block, options.cases - first)
        command = [sys.executable, "-m", "benchmarks.hostile_raw", "--seed", str(options.seed)]
        command += ["--work", str(first), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600 + 6 * count)
        if done.returncode:
            bad.append(f"cases {first}-{first + count - 1} died: {done.stderr[-500:]}")
            continue
        found = json.loads(done.stdout)
        ends.update(found["ends"])
        bad += found["faults"] + found["unnoticed"]
        slowest = max(slowest, found["slowest_s"])
        peak = max(peak, found["peak_mib"])
    print(f"{sum(ends.values())} damaged files in {time.monotonic() - begin:.0f} s")
    for end, count in ends.most_common():
        print(f"  {count:6d}  {end}")
    print(f"longest {slowest:.2f} s, peak memory {peak:.0f} MiB, faults {len(bad)}")
    for text in bad[:20]:
        print(f"  {text}")
    if options.protozfits:
        print(f"protozfits on the first {options.protozfits}:")
        for end, count in theirs(options.seed, options.protozfits).most_common():
            print(f"  {count:6d}  {end}")
    return 1 if bad or slowest > 5 or peak > 1024 else 0


if __name__ == "__main__":
    raise SystemExit(main())
