"""What is done about a failure: try again, wait, or give up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from daybreak.errors import (
    DaybreakError,
)
from daybreak.ledger.failure import ERRORS, FailureKind
from daybreak.ledger.step import Resources

#: seconds before a step that lost its worker is tried again, doubled each time
FIRST_DELAY_S = 0.5

_HINTS = {
    FailureKind.LOST: "Resume later, or on other nodes; 'daybreak show' lists the attempts.",
    FailureKind.WALLTIME: "Give the engine's pool a longer walltime, then resume.",
    FailureKind.MEMORY: "Give the engine a pool with more memory, then resume.",
    FailureKind.SCHEDULER: "Check the account and the partition with 'daybreak engine test'.",
    FailureKind.INPUT: "Put the file back, or run the command again to plan with what is there.",
    FailureKind.DISK: "Free some space, then resume; what was finished is kept.",
}

#: how a scheduler says that a job ended
_JOB_ENDS = {
    "TIMEOUT": FailureKind.WALLTIME,
    "OUT_OF_MEMORY": FailureKind.MEMORY,
    "NODE_FAIL": FailureKind.LOST,
    "CANCELLED": FailureKind.LOST,
    "PREEMPTED": FailureKind.LOST,
}


@dataclass(frozen=True)
class Verdict:
    """What an attempt's failure was.

    Attributes
    ----------
    kind
        The kind of failure.
    reason
        For people.
    """

    kind: FailureKind
    reason: str

    @property
    def error(self) -> type[DaybreakError]:
        """The error class that a step ends with if nothing more can be tried."""
        return ERRORS[self.kind]

    @property
    def hint(self) -> str:
        """What the user can do."""
        return _HINTS.get(self.kind, "See the step's log.")


def lost_verdict(note: Mapping[str, Any], job_end: str, error: BaseException) -> Verdict:
    """Why a worker did not answer.

    Parameters
    ----------
    note
        What the worker wrote about the attempt: why it ended itself, where it ran; may be empty.
    job_end
        How the scheduler says that the job ended, e.g. ``TIMEOUT``; '' if it is not known.
    error
        What the engine raised.
    """
    where = f" on {note['host']}" if note.get("host") else ""
    if note.get("kill") == FailureKind.MEMORY:
        return Verdict(
            FailureKind.MEMORY,
            f"took {note.get('peak_mb', 0):.0f} MB{where}, more than the "
            f"{note.get('memory_mb')} MB that it asked for",
        )
    if note.get("kill") == FailureKind.WALLTIME:
        return Verdict(FailureKind.WALLTIME, f"ran longer than {note.get('walltime_s'):g} s{where}")
    kind = _JOB_ENDS.get(job_end.split(" ")[0].rstrip("+"), FailureKind.LOST)
    if kind is FailureKind.WALLTIME:
        return Verdict(kind, f"the job's walltime was over{where} (job {note.get('job')})")
    if kind is FailureKind.MEMORY:
        return Verdict(kind, f"the job was ended for its memory{where} (job {note.get('job')})")
    how = f"job {note.get('job')}: {job_end}" if job_end else type(error).__name__
    return Verdict(FailureKind.LOST, f"the worker was lost{where} ({how})")


@dataclass(frozen=True)
class RetryPolicy:
    """How often a step is tried again, by kind of failure; kinds not listed are final.

    Attributes
    ----------
    lost
        Times a step whose worker or node was lost is run again.
    memory
        Times a step that ran out of memory gets more.
    walltime
        Times a step that ran out of time gets more.
    memory_factor, time_factor
        How much more each time.
    """

    lost: int = 2
    memory: int = 2
    walltime: int = 1
    memory_factor: float = 2.0
    time_factor: float = 2.0

    def may_retry(self, kind: FailureKind, failures: int) -> bool:
        """Whether a step may be tried again.

        Parameters
        ----------
        kind
            Why it failed now.
        failures
            How often it has failed for this reason, this time included.
        """
        allowed = {
            FailureKind.LOST: self.lost,
            FailureKind.MEMORY: self.memory,
            FailureKind.WALLTIME: self.walltime,
        }
        return failures <= allowed.get(kind, 0)

    def grown(self, resources: Resources, kind: FailureKind, peak_mb: float = 0.0) -> Resources:
        """What the next attempt asks for: more memory or time where that was the reason.

        Parameters
        ----------
        resources
            What the failed attempt had.
        kind
            Why it failed.
        peak_mb
            The memory that it was seen to take, in MB.
        """
        if kind is FailureKind.MEMORY:
            wanted = max(resources.memory_mb * self.memory_factor, 1.2 * peak_mb)
            return replace(resources, memory_mb=int(wanted))
        if kind is FailureKind.WALLTIME:
            minutes = resources.walltime_min * self.time_factor
            return replace(resources, walltime_min=minutes)
        return resources


def delay_s(kind: FailureKind, failures: int) -> float:
    """Seconds to wait before the next attempt.

    Parameters
    ----------
    kind
        Why the step failed.
    failures
        How often it has failed for this reason, from 1.
    """
    return FIRST_DELAY_S * 2 ** (failures - 1) if kind is FailureKind.LOST else 0.0
