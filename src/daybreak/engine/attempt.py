"""What a worker leaves behind about an attempt, and the limits that it holds itself to.

The note of an attempt lies in the output folder, which driver and workers share. It says where a
step runs, and how it ended: a driver that was killed finds finished work there, and one that lost
a worker finds why.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daybreak.ledger.failure import FailureKind

_BYTES_PER_MB = 1e6
_LOOK_EVERY_S = 0.25
_RESET_PEAK = "5"


def note_path(root: Path, step: str, number: int) -> Path:
    """Where the note of an attempt lies.

    Parameters
    ----------
    root
        The output folder.
    step
        The step's name.
    number
        Of the attempt, from 1.
    """
    return root / ".daybreak" / "attempts" / f"{step}.{number}.json"


def note_names(root: Path) -> set[str]:
    """File names of all notes in an output folder, asked for at one go.

    Parameters
    ----------
    root
        The output folder.

    Returns
    -------
    set of str
        Empty if there are none.
    """
    try:
        with os.scandir(root / ".daybreak" / "attempts") as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def read_note(path: Path) -> dict[str, Any]:
    """The note of an attempt; empty if it is not there or not whole.

    Parameters
    ----------
    path
        As of `note_path`.

    Returns
    -------
    dict
        What `write_note` was given.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_note(path: Path, values: Mapping[str, Any]) -> None:
    """Write a note in one go; a note that can't be written (a full disk) is done without.

    Parameters
    ----------
    path
        As of `note_path`; its folder is made.
    values
        What JSON can hold.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(dict(values)), encoding="utf-8")
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def here() -> dict[str, Any]:
    """Which process on which host this is, and in which job of a scheduler."""
    job = os.environ.get("DAYBREAK_JOB_ID") or os.environ.get("SLURM_JOB_ID") or ""
    return {"host": socket.gethostname(), "pid": os.getpid(), "job": job}


def reset_peak() -> None:
    """Forget the largest memory that this process ever had (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def _status_mb(key: str) -> float:
    try:
        with Path("/proc/self/status").open(encoding="ascii", errors="replace") as stream:
            for line in stream:
                if line.startswith(key):
                    return int(line.split()[1]) * 1024 / _BYTES_PER_MB
    except (OSError, ValueError, IndexError):
        pass
    return 0.0


def peak_mb() -> float:
    """Largest resident memory since :func:`reset_peak`, in MB; 0 if it is not known."""
    return _status_mb("VmHWM:")


@contextmanager
def limited(note: Path | None, begun: Mapping[str, Any]) -> Iterator[None]:
    """End this worker if the step takes more memory or time than it may have.

    Parameters
    ----------
    note
        Where to write why; None for no limits.
    begun
        The note so far, with ``memory_mb`` and ``walltime_s`` (0: no limit).
    """
    memory_mb, walltime_s = float(begun.get("memory_mb", 0)), float(begun.get("walltime_s", 0))
    if note is None or not (memory_mb or walltime_s):
        yield
        return
    stop = threading.Event()
    started = time.monotonic()

    def watch() -> None:
        while not stop.wait(_LOOK_EVERY_S):
            taken = _status_mb("VmRSS:") if memory_mb else 0.0
            if memory_mb and taken > memory_mb:
                _end(note, begun, FailureKind.MEMORY, stop)
            if walltime_s and time.monotonic() - started > walltime_s:
                _end(note, begun, FailureKind.WALLTIME, stop)

    thread = threading.Thread(target=watch, name="limits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


def _end(note: Path, begun: Mapping[str, Any], kind: FailureKind, stop: threading.Event) -> None:
    if stop.is_set():
        return
    write_note(note, {**begun, "kill": kind.value, "peak_mb": peak_mb(), "ended": time.time()})
    os.kill(os.getpid(), signal.SIGKILL)
