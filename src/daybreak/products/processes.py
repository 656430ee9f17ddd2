"""Whether a process that left a note behind still lives."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: clock ticks, file systems and steps of the clock
_CLOCKS_APART_S = 5.0


def alive(pid: int) -> bool:
    """Whether a process of this host lives, whoever owns it.

    One that was killed but that its parent has not yet taken notice of (a zombie) is dead: it
    holds no lock and writes no file any more.

    Parameters
    ----------
    pid
        Its id; what can't be one (0, negative, too large) is nobody's.
    """
    if pid <= 0:
        return False  # to the kernel these are groups of processes, our own among them
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's: there, but perhaps a zombie too
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state = stat.rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no /proc here, or hidden
    return state not in ("Z", "X")


def wrote(pid: int, path: Path) -> bool:
    """Whether a process that lives may be the one that wrote a file with its number in the name.

    Numbers are given again, after a day on a busy host also those of steps' workers: a process
    that began after the file was last written to did not write it.

    Parameters
    ----------
    pid
        The number in the file's name.
    path
        The file; one that is not there any more was written by nobody.
    """
    if not alive(pid):
        return False
    began = _began_s(pid)
    try:
        return began is None or began <= path.stat().st_mtime + _CLOCKS_APART_S
    except OSError:
        return False


def _began_s(pid: int) -> float | None:
    """When a process began, in seconds since 1970; None where that can't be told."""
    ticks = born(pid)
    try:
        since_boot = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        per_second = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    return time.time() - since_boot + ticks / per_second if ticks else None


def born(pid: int) -> float:
    """When a process of this host began, in clock ticks since the host did; 0 if not known.

    With it a process can be told from a later one that got the same number.

    Parameters
    ----------
    pid
        Its id.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return float(stat.rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0.0
