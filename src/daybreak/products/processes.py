"""Whether a process that left a note behind still lives."""

from __future__ import annotations

import os
from pathlib import Path

#: flag of a Linux process that is past its last instruction (PF_EXITING in linux/sched.h)
_EXITING = 0x4


def alive(pid: int) -> bool:
    """Whether a process of this host lives, whoever owns it.

    One that was killed is dead from then on that it runs no code any more: while the kernel takes
    its memory back, which takes a tenth of a second for a large one, and until its parent has
    taken notice of it (a zombie). It writes no file any more.

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
        fields = stat.rpartition(")")[2].split()
        state, flags = fields[0], int(fields[6])
    except (OSError, IndexError, ValueError):
        return True  # no /proc here, or hidden
    return state not in ("Z", "X") and not flags & _EXITING


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
