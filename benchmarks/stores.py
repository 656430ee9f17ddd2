"""What the claims about data stores come to on this machine.

``python -m benchmarks.stores [--store DIR] [--kills N] [--large N] [--only NAME ...]``

Each figure is printed with how it was measured; the table in docs/benchmarks.md is made from
these and from those of earlier runs of the parts that were not run now. Caches are warm unless it
says *cold*: then the pages of the source are dropped (posix_fadvise) before each run, which needs
no privileges.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "stores")]

from killing import run_trials  # noqa: E402
from servers import Behaviour, serving  # noqa: E402
from store_maker import (  # noqa: E402
    index_rows,
    index_runs,
    make_large_store,
    make_runs,
    make_store,
    tree,
)

from benchmarks import tables  # noqa: E402
from daybreak.stores.verbs import copy_store, list_store, verify_store  # noqa: E402

CLI = [sys.executable, "-m", "daybreak"]


Row = tuple[str, str, str]
_rows: list[Row] = []
_speeds: list[list[str]] = []


def say(name: str, text: str, required: str = "", *, keep: bool = True) -> None:
    """Print a figure; it becomes a row of the table, with what was required of it."""
    print(f"{name:<34} {text}", flush=True)
    if keep:
        _rows.append((name, required, text))


def command(*args: object) -> float:
    """Wall time of a command, interpreter start included."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    started = time.perf_counter()
    done = subprocess.run([*CLI, *map(str, args)], env=env, capture_output=True, text=True)
    spent = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{args}: {done.stdout}{done.stderr}")
    return spent


def drop_cache(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def cp(source: Path, dest: Path, *, sync: bool) -> float:
    started = time.perf_counter()
    subprocess.run(["cp", "-r", str(source), str(dest)], check=True)
    if sync:
        subprocess.run(["sync", "-f", str(dest)], check=True)
    return time.perf_counter() - started


def ours(source: Path, dest: Path) -> float:
    started = time.perf_counter()
    if not copy_store(source, dest).complete:
        sys.exit("the copy is not complete")
    return time.perf_counter() - started


def cpu_seconds() -> float:
    return sum(os.times()[:4])


def throughput(
    source: Path, work: Path, rounds: int, *, cold: bool
) -> dict[str, tuple[list[float], float]]:
    """Seconds and CPU seconds of each way, taken in turn so that other load hits all alike."""
    ways: dict[str, Callable[[Path], float]] = {
        "cp": lambda dest: cp(source, dest, sync=False),
        "cp+sync": lambda dest: cp(source, dest, sync=True),
        "function": lambda dest: ours(source, dest),
        "command": lambda dest: command("store", "copy", source, dest),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    spent = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for name, way in ways.items():
            dest = work / "dest"
            shutil.rmtree(dest, ignore_errors=True)
            os.sync()
            if cold:
                drop_cache(source)
            before = cpu_seconds()
            times[name].append(way(dest))
            spent[name] += (cpu_seconds() - before) / rounds
    return {name: (times[name], spent[name]) for name in ways}


def show_throughput(name: str, source: Path, work: Path, rounds: int) -> None:
    size = sum(p.stat().st_size for p in source.rglob("*") if p.is_file())
    for cold in (False, True):
        found = throughput(source, work, rounds, cold=cold)
        best = {way: min(times) for way, (times, _cpu) in found.items()}
        middle = {way: statistics.median(times) for way, (times, _cpu) in found.items()}
        speeds = [f"{size / 1e6 / best[way]:.0f}" for way in found]
        pairs = (("cp", "function"), ("cp+sync", "function"), ("cp+sync", "command"))
        ratios = [
            f"{best[theirs] / best[mine]:.2f} ({middle[theirs] / middle[mine]:.2f})"
            for theirs, mine in pairs
        ]
        cpu = "/".join(f"{spent:.2f}" for _times, spent in found.values())
        row = [f"{name}, {size / 1e6:.0f} MB", "cold" if cold else "warm", *speeds, *ratios, cpu]
        _speeds.append(row)
        print(" | ".join(row), flush=True)


def many_copies(store: Path, folder: Path, count: int) -> None:
    """A large store of real, compressed files: the given one many times, one dataset each."""
    for i in range(count):
        shutil.copytree(store, folder / f"set{i:02d}")


def bench_throughput(work: Path, args: argparse.Namespace) -> None:
    """Plain and compressed stores, without and with digests at the source."""
    plain, real, many = work / "plain", work / "real", work / "many"
    make_store(plain, make_runs(args.files), noise=2_000_000, suffix=".fits")
    trees = [(plain, "plain FITS", args.rounds)]
    if args.store:
        shutil.copytree(args.store, real)
        many_copies(args.store, many, args.files // 60)
        trees += [(real, "given store", 3 * args.rounds), (many, "gzip FITS", args.rounds)]
    for source, name, rounds in trees:
        show_throughput(f"{name}, structure checked", source, work, rounds)
        verify_store(source, write_sums=True, content=False)
        show_throughput(f"{name}, SHA256SUMS", source, work, rounds)
        shutil.rmtree(source)


def bench_real(work: Path, args: argparse.Namespace) -> None:
    if not args.store:
        return say("given store", "no --store", keep=False)
    info = list_store(args.store).datasets[0]
    say(
        "H.E.S.S. store, list",
        f"{info.observations} observations, {info.ontime_h:.2f} h, {info.events:,} events",
        "105 observations, 48.56 h, 1,046,156 events",
    )
    spent = [command("store", "list", args.store) for _ in range(5)]
    say("H.E.S.S. store, list, time", f"{statistics.median(spent):.2f} s")
    command("store", "copy", args.store, work / "copy")
    diff = subprocess.run(["diff", "-r", "-x", ".daybreak", args.store, work / "copy"])
    same = "identical byte for byte" if diff.returncode == 0 else "DIFFERS"
    say("H.E.S.S. store, full copy", f"{same} (diff -r)", "identical")
    times = [command("store", "copy", args.store, work / "copy") for _ in range(7)]
    moved = copy_store(args.store, work / "copy").copied_bytes
    say(
        "H.E.S.S. store, copy again",
        f"{moved} bytes, {statistics.median(times):.2f} s",
        "0 bytes, < 1 s",
    )
    return None


def bench_large(work: Path, args: argparse.Namespace) -> None:
    source, dest = work / "large", work / "large-copy"
    make_large_store(source, args.large)

    def best(name: str, count: int, required: str, *what: object, fresh: bool = False) -> None:
        times, spent = [], []
        for _ in range(count):
            if fresh:
                shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]), ignore_errors=True)
            before = cpu_seconds()
            times.append(command("store", *what))
            spent.append(cpu_seconds() - before)
        text = f"best of {count} {min(times):.2f} s (median {statistics.median(times):.2f} s, "
        say(f"{args.large} runs, {name}", f"{text}CPU {min(spent):.2f} s)", required)

    best("list, first time", 7, "< 2 s", "list", source, fresh=True)
    best("list again", 3, "< 2 s", "list", source)
    best("full copy", 1, "", "copy", source, dest)
    best("no-op copy", 3, "< 5 s", "copy", source, dest)


def bench_http(work: Path, _args: argparse.Namespace) -> None:
    from servers import sequential_copy

    source = work / "web"
    make_store(source, 150, noise=20_000)
    slow, fast = [], []
    for i in range(3):
        with serving(source, Behaviour(latency=0.02)) as url:
            slow.append(sequential_copy(url, list(tree(source)), work / f"slow{i}"))
            fast.append(command("store", "copy", url, work / f"fast{i}"))
        if not tree(source) == tree(work / f"slow{i}") == tree(work / f"fast{i}"):
            sys.exit("the copies over HTTP are not alike")
    one, many = statistics.median(slow), statistics.median(fast)
    say(
        "HTTP with 20 ms, 150 runs",
        f"sequential {one:.2f} s, daybreak {many:.2f} s (start of the interpreter included): "
        f"{one / many:.1f} times as fast",
        "5 times",
    )


def bench_memory(work: Path, _args: argparse.Namespace) -> None:
    for size in (10_000_000, 400_000_000):
        source = work / f"memory{size}"
        make_store(source, 1, noise=size, suffix=".fits")
        code = (
            "import sys; from daybreak.stores.verbs import copy_store; copy_store(*sys.argv[1:]); "
            "lines = open('/proc/self/status').read().splitlines(); "
            "print([x.split()[1] for x in lines if x.startswith('VmHWM')][0])"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            [sys.executable, "-c", code, str(source), str(work / f"m{size}")],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        say(f"peak memory, one {size // 10**6} MB file", f"{int(done.stdout) // 1024} MiB")


def bench_kills(work: Path, args: argparse.Namespace) -> None:
    source = work / "killed"
    make_store(source, 40, noise=60_000)
    verify_store(source, write_sums=True, content=False)
    started = time.perf_counter()
    for name, tally in run_trials(source, work, args.kills, seed=7).items():
        say(
            f"kills, source a {name}",
            f"{tally.kills} kills ({tally.in_the_middle} with a partial "
            f"index), {tally.ended_before} ended before, {tally.restarts} begun anew, "
            f"{len(tally.findings)} findings {tally.findings[:3] or ''}".strip(),
            "0 findings",
        )
    say("kills, time", f"{time.perf_counter() - started:.0f} s", keep=False)


def bench_together(work: Path, _args: argparse.Namespace) -> None:
    """Two copies into one folder at once: halves of a store, and all of it twice."""
    source, wrong, rounds = work / "both", 0, 10
    make_store(source, 40, noise=60_000)
    runs = sorted(index_runs(source))
    for name, part in (("low", runs[:25]), ("high", runs[15:])):
        (work / name).write_text("".join(f"{run}\n" for run in part))
    for i in range(rounds):
        for kind, extra in (("halves", ["--runs", work / "low"]), ("twice", [])):
            dest = work / f"{kind}{i}"
            other = ["--runs", work / "high"] if extra else []
            with ThreadPoolExecutor(2) as pool:
                tasks = [
                    pool.submit(command, "store", "copy", source, dest, *options)
                    for options in (extra, other)
                ]
                for task in tasks:
                    task.result()
            there, here = tree(source), tree(dest)
            data = {path for path in there if path.startswith("data/")}
            whole = all(here.get(path) == there[path] for path in data)
            rows = sorted(index_rows(dest)) == sorted(index_rows(source))
            wrong += not (
                whole
                and rows
                and sorted(index_runs(dest)) == runs
                and verify_store(dest, content=False).ok
            )
    say("two copies at once, 40 runs", f"{wrong} of {2 * rounds} lost anything", "0")


BENCHES = {
    "real": bench_real,
    "large": bench_large,
    "http": bench_http,
    "memory": bench_memory,
    "throughput": bench_throughput,
    "kills": bench_kills,
    "together": bench_together,
}
SPEEDS = ["store", "cache", "cp", "cp, sync", "copy", "command"]
SPEEDS += ["copy : cp", "copy : cp, sync", "command : cp, sync", "CPU s"]


def load() -> str:
    return "load " + ", ".join(f"{value:.1f}" for value in os.getloadavg())


def publish(done: dict[str, Any]) -> None:
    """The table of what was measured now and, of the other parts, earlier."""
    kept = tables.OUT / "stores.json"
    earlier = json.loads(kept.read_text()) if kept.exists() else {}
    parts = {name: done.get(name) or earlier.get(name) for name in BENCHES}
    rows = [row for part in parts.values() if part for row in part["rows"]]
    speeds = [row for part in parts.values() if part for row in part["speeds"]]
    loads = "; ".join(f"{name} {part['load']}" for name, part in parts.items() if part)
    text = tables.markdown(["", "required", "found"], rows)
    text += "\n\n" + tables.markdown(SPEEDS, speeds)
    notes = """
Speeds in MB/s, best of the rounds, taken in turn; ratios of the best and, in brackets, of the
medians; required of copy : cp is 0.8. *copy* is `copy_store`, *command* `daybreak store copy` with
the start of the interpreter. *cp, sync* is `cp -r` and `sync -f`: `cp` alone leaves the files in
memory, a copy of ours is on the disk when it ends. CPU seconds in the order of the columns."""
    publication = f"{text}\n{notes}\n\nLoad averages before each part: {loads}. {tables.stamp()}"
    tables.publish("stores", publication, {k: v for k, v in parts.items() if v})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ROOT.parent / "shared" / "data" / "hess-dl3-dr1"
    parser.add_argument("--store", type=Path, default=default if default.is_dir() else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--large", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(BENCHES), default=list(BENCHES))
    parser.add_argument("--work", type=Path, help="where to write; a temporary folder by default")
    args = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    done: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        for name in args.only:
            work = Path(folder) / name
            work.mkdir()
            before = load()
            print(f"{name}: {os.cpu_count()} cores, {before}", flush=True)
            BENCHES[name](work, args)
            done[name] = {"load": before, "rows": [*_rows], "speeds": [*_speeds]}
            _rows.clear()
            _speeds.clear()
            shutil.rmtree(work, ignore_errors=True)
    publish(done)


if __name__ == "__main__":
    main()
