"""Kinds of failure told apart, and the error that each of them ends a step with."""

from __future__ import annotations

from enum import StrEnum

from daybreak.errors import (
    DaybreakError,
    DiskFullError,
    EngineError,
    InputChangedError,
    MemoryLimitError,
    SchedulerError,
    WalltimeError,
    WorkerLostError,
)


class FailureKind(StrEnum):
    """Why an attempt at a step did not end well."""

    CODE = "code"
    LOST = "lost"
    WALLTIME = "walltime"
    MEMORY = "memory"
    SCHEDULER = "scheduler"
    INPUT = "input"
    DISK = "disk"
    DRIVER = "driver"


#: the error class that a step ends with if nothing more can be tried
ERRORS: dict[FailureKind, type[DaybreakError]] = {
    FailureKind.CODE: EngineError,
    FailureKind.LOST: WorkerLostError,
    FailureKind.WALLTIME: WalltimeError,
    FailureKind.MEMORY: MemoryLimitError,
    FailureKind.SCHEDULER: SchedulerError,
    FailureKind.INPUT: InputChangedError,
    FailureKind.DISK: DiskFullError,
    FailureKind.DRIVER: EngineError,
}


def kind_of(error: DaybreakError) -> FailureKind:
    """The kind of failure that an error tells of; CODE for all that are of no other.

    Parameters
    ----------
    error
        What the step raised.
    """
    kinds = (k for k, cls in ERRORS.items() if cls is not EngineError and isinstance(error, cls))
    return next(kinds, FailureKind.CODE)
