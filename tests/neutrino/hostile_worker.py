"""Read damaged files in a process of its own, with limits on memory and time; report as JSON.

``python hostile_worker.py SEED FIRST COUNT [FOLDER]``: cases FIRST to FIRST + COUNT - 1.
"""

from __future__ import annotations

import collections
import json
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from event_mutations import made_up_seed, mutate, real_seeds

MEMORY_BYTES = 1 << 30
SECONDS = 5.0
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen",
    "pickle.find_class", "socket.connect", "exec", "compile", "marshal.loads", "ctypes.dlopen",
    "os.remove", "os.rename", "os.mkdir", "shutil.rmtree",
)  # fmt: skip


class TooSlow(BaseException):
    """The time of a case is over."""


def _memory(what: str) -> int:
    """Memory of this process in KiB: VmSize, or VmHWM for the most since it was reset."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1])
    raise RuntimeError(what)


def main() -> None:
    from daybreak.errors import EventError
    from daybreak.neutrino.cleaning import clean
    from daybreak.neutrino.geometry import load_geometry, make_geometry
    from daybreak.neutrino.i3.summary import summary
    from daybreak.neutrino.read import read_events, read_frames_of

    seed, first, count = (int(x) for x in sys.argv[1:4])
    folder = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    warnings.simplefilter("ignore")
    seeds = [made_up_seed()]
    if folder is not None:
        seeds += real_seeds(folder)
        geometry = load_geometry(folder / "geometry_ic86_5160.parquet")
    else:
        doms = [(s, o) for s in range(1, 87) for o in range(1, 61)]
        places = [(100.0 * (s % 10), 100.0 * (s // 10), 500.0 - 17 * o) for s, o in doms]
        geometry = make_geometry("all", *zip(*doms, strict=True), places)

    def look(path: Path) -> None:
        frames, _, _ = read_frames_of(path)
        for frame in frames:
            json.dumps(summary(frame))
        for event in read_events(path, geometry=geometry):
            clean(event)

    watching = False
    seen: list[str] = []

    def hook(name: str, arguments: tuple) -> None:
        if watching and (
            name.startswith(FORBIDDEN)
            or (
                name == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
            )
        ):
            seen.append(f"{name} {str(arguments)[:80]}")

    def too_slow(*_: object) -> None:
        raise TooSlow

    sys.addaudithook(hook)
    signal.signal(signal.SIGALRM, too_slow)
    ends: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    slowest = (0.0, -1)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "case"
        # everything that is imported on demand is imported before it counts
        for number in range(-60, 0):
            path.write_bytes(mutate(random.Random(f"warm {number}"), seeds)[1])
            try:
                look(path)
            except Exception as error:
                assert number, error
        watching = True  # the watch itself is tried: loading this pickle names a function
        pickle.loads(b"\x80\x02cos\ngetcwd\n)R.")
        watching = False
        assert seen == ["pickle.find_class ('os', 'getcwd')"], seen
        seen.clear()
        # addresses are reserved by libraries; what counts is what reading adds to them
        limit = _memory("VmSize") * 1024 + MEMORY_BYTES
        peak_kib = 0
        for number in range(first, first + count):
            kind, data = mutate(random.Random(f"{seed} {number}"), seeds)
            path.write_bytes(data)
            del data
            kinds[kind] += 1
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            begin = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            watching = True
            try:
                look(path)
                end = "value"
            except EventError as error:
                end = "EventError"
                str(error)
            except TooSlow:
                end = "hang"
                faults.append(f"case {number} ({kind}): longer than {SECONDS} s")
            except BaseException as error:
                end = "other"
                faults.append(f"case {number} ({kind}): {type(error).__name__}: {error}"[:300])
            watching = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            peak_kib = max(peak_kib, here := _memory("VmHWM"))
            if here * 1024 > MEMORY_BYTES:
                faults.append(f"case {number} ({kind}): {here // 1024} MiB of memory")
            ends[end] += 1
            slowest = max(slowest, (time.monotonic() - begin, number))
    report = {
        "cases": sum(ends.values()),
        "ends": dict(ends),
        "kinds": dict(kinds),
        "faults": faults,
        "run": seen,
        "slowest_s": slowest[0],
        "slowest_case": slowest[1],
        "peak_mib": peak_kib / 1024,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
