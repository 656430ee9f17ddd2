"""Whether a process that left a note behind still lives."""

from __future__ import annotations

import os
from pathlib import Path


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
