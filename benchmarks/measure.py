"""CPU time, wall time and peak memory of a whole process tree, orphans included.

The measuring process makes itself the subreaper of what it starts: a grandchild whose parent has
gone is handed to it, so that the kernel's own account of CPU time is complete. Memory is the sum
of the proportional set sizes, sampled; shared pages count once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """What a command cost."""

    cpu_s: float
    wall_s: float
    peak_pss_mb: float
    exit_code: int


def _children(pid: int) -> list[int]:
    out = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            out += [int(p) for p in task.read_text().split()]
    return out


def _tree(root: int) -> list[int]:
    todo, seen = [root], []
    while todo:
        pid = todo.pop()
        seen.append(pid)
        todo += _children(pid)
    return seen


def _pss_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _run_and_report(command: Sequence[str], write: int, env: dict[str, str] | None) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    code = subprocess.run(command, env=env, check=False).returncode
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.wait3(0)
        except ChildProcessError:
            break
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.write(write, f"{usage.ru_utime + usage.ru_stime} {code}".encode())


def measure(
    command: Sequence[str], *, env: dict[str, str] | None = None, memory: bool = True
) -> Cost:
    """Run a command and say what it and everything it started cost."""
    read, write = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            _run_and_report(command, write, env)
        finally:
            os._exit(0)
    os.close(write)
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], sum(_pss_mb(p) for p in _tree(pid) if p != pid))

    thread = threading.Thread(target=watch, daemon=True)
    if memory:
        thread.start()
    answer = os.read(read, 200).decode().split()
    wall = time.monotonic() - start
    os.waitpid(pid, 0)
    done.set()
    if memory:
        thread.join()
    return Cost(float(answer[0]), wall, peak[0], int(answer[1]))


if __name__ == "__main__":
    import sys

    print(measure(sys.argv[1:]))
