"""What issue-sized claims about data stores come to on this machine.

``python -m benchmarks.stores [--store DIR] [--kills N] [--large N] [--only NAME ...]``

Each figure is printed with how it was measured. Caches are warm unless it says *cold*: then the
pages of the source are dropped (posix_fadvise) before each run, which needs no privileges.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "stores")]

from killing import run_trials  # noqa: E402
from servers import Behaviour, serving  # noqa: E402
from store_maker import make_large_store, make_runs, make_store, tree  # noqa: E402

from daybreak.api.stores import copy_store, list_store, verify_store  # noqa: E402

CLI = [sys.executable, str(ROOT / "tests" / "stores" / "daybreak_cli.py")]


def say(name: str, text: str) -> None:
    print(f"{name:<34} {text}", flush=True)


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
        say(name, "cold source" if cold else "warm source")
        for what, pick in (("median", statistics.median), ("best", min)):
            t = {way: pick(times) for way, (times, _cpu) in found.items()}
            text = ", ".join(f"{way} {size / 1e6 / s:.0f} MB/s" for way, s in t.items())
            ratios = f"of cp {t['cp'] / t['function']:.2f}, of cp+sync " + (
                f"{t['cp+sync'] / t['function']:.2f} (command {t['cp'] / t['command']:.2f}, "
                f"{t['cp+sync'] / t['command']:.2f})"
            )
            say(f"  {what} of {rounds}", f"{text}; {ratios}")
        say("  CPU", ", ".join(f"{way} {cpu:.2f} s" for way, (_t, cpu) in found.items()))


def bench_throughput(work: Path, args: argparse.Namespace) -> None:
    source = work / "big"
    make_store(source, make_runs(args.files), noise=2_000_000, suffix=".fits")
    show_throughput(f"{args.files} x 2 MB, FITS structure", source, work, args.rounds)
    verify_store(source, write_sums=True)
    show_throughput(f"{args.files} x 2 MB, SHA256SUMS", source, work, args.rounds)
    shutil.rmtree(source)
    if args.store:
        real = work / "real"
        shutil.copytree(args.store, real)
        show_throughput("given store, FITS and gzip CRC", real, work, 2 * args.rounds + 1)
        verify_store(real, write_sums=True)
        show_throughput("given store, SHA256SUMS", real, work, 2 * args.rounds + 1)
        shutil.rmtree(real)


def bench_real(work: Path, args: argparse.Namespace) -> None:
    if not args.store:
        return say("given store", "no --store")
    info = list_store(args.store).datasets[0]
    say("list", f"{info.observations} observations, {info.ontime_h:.2f} h, {info.events:,} events")
    say("list, command", f"{min(command('store', 'list', args.store) for _ in range(5)):.2f} s")
    command("store", "copy", args.store, work / "copy")
    diff = subprocess.run(["diff", "-r", "-x", ".daybreak", args.store, work / "copy"])
    say("full copy", "identical byte for byte" if diff.returncode == 0 else "DIFFERS")
    times = [command("store", "copy", args.store, work / "copy") for _ in range(7)]
    moved = copy_store(args.store, work / "copy").copied_bytes
    say("repeated copy, command", f"{moved} bytes, median {statistics.median(times):.2f} s")
    return None


def bench_large(work: Path, args: argparse.Namespace) -> None:
    source, dest = work / "large", work / "large-copy"
    make_large_store(source, args.large)
    firsts, agains = [], []
    for _ in range(3):
        shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]), ignore_errors=True)
        firsts.append(command("store", "list", source))
        agains.append(command("store", "list", source))
    say(
        f"{args.large} runs, list",
        f"first {statistics.median(firsts):.2f} s, again {statistics.median(agains):.2f} s",
    )
    say(f"{args.large} runs, full copy", f"{command('store', 'copy', source, dest):.2f} s")
    times = [command("store", "copy", source, dest) for _ in range(3)]
    say(f"{args.large} runs, no-op copy", f"{statistics.median(times):.2f} s")


def bench_http(work: Path, _args: argparse.Namespace) -> None:
    from test_store_remote import sequential_copy

    source = work / "web"
    make_store(source, 150, noise=20_000)
    slow, fast = [], []
    for i in range(3):
        with serving(source, Behaviour(latency=0.02)) as url:
            slow.append(sequential_copy(url, list(tree(source)), work / f"slow{i}"))
            fast.append(command("store", "copy", url, work / f"fast{i}"))
    one, many = statistics.median(slow), statistics.median(fast)
    say(
        "HTTP with 20 ms, 150 runs",
        f"sequential {one:.2f} s, daybreak {many:.2f} s (interpreter "
        f"start included): {one / many:.1f} times",
    )


def bench_memory(work: Path, _args: argparse.Namespace) -> None:
    for size in (10_000_000, 400_000_000):
        source = work / f"memory{size}"
        make_store(source, 1, noise=size, suffix=".fits")
        code = (
            "import sys; from daybreak.api.stores import copy_store; copy_store(*sys.argv[1:]); "
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
    verify_store(source, write_sums=True)
    started = time.perf_counter()
    for name, tally in run_trials(source, work, args.kills, seed=7).items():
        say(
            f"kills, source a {name}",
            f"{tally.kills} kills ({tally.in_the_middle} with a partial "
            f"index), {tally.ended_before} ended before, {tally.restarts} begun anew, "
            f"{len(tally.findings)} findings {tally.findings[:3]}",
        )
    say("", f"{time.perf_counter() - started:.0f} s")


BENCHES = {
    "real": bench_real,
    "large": bench_large,
    "http": bench_http,
    "memory": bench_memory,
    "throughput": bench_throughput,
    "kills": bench_kills,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ROOT.parent / "shared" / "data" / "hess-dl3-dr1"
    parser.add_argument("--store", type=Path, default=default if default.is_dir() else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--large", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(BENCHES), default=list(BENCHES))
    parser.add_argument("--work", type=Path, help="where to write; a temporary folder by default")
    args = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    load = json.dumps(os.getloadavg())
    say("machine", f"{os.cpu_count()} cores, load averages {load}")
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        for name in args.only:
            work = Path(folder) / name
            work.mkdir()
            BENCHES[name](work, args)
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
