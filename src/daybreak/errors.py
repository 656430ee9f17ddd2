"""Named errors, each with a documented exit code and a message that says what to do.

Every error that a user can meet is a :class:`DaybreakError`. The command line turns it into one
message on standard error and the exit code of its class; a traceback never reaches the user.
The table of codes is in ``docs/exit-codes.md``.
"""

from __future__ import annotations

from typing import ClassVar


class DaybreakError(Exception):
    """Base of all errors that Daybreak raises on purpose.

    Parameters
    ----------
    what
        What went wrong, naming the file, key or run.
    hint
        What the user can do about it; shown on a line of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n{self.hint}" if self.hint else self.what

    def __reduce__(self) -> tuple[type[DaybreakError], tuple[str, str]]:
        """Travel between processes with both texts."""
        return type(self), (self.what, self.hint)


class ConfigError(DaybreakError):
    """A configuration key, value or file is not what was expected."""

    exit_code = 3


class TargetError(DaybreakError):
    """The target can't be resolved to a position, or lies outside every field of view."""

    exit_code = 4


class StoreError(DaybreakError):
    """The data store is missing, or its index files can't be read."""

    exit_code = 5


class NoDataError(DaybreakError):
    """The selection, or what is left after bad runs are set aside, holds no data."""

    exit_code = 6


class RunDataError(DaybreakError):
    """One run's file is missing, damaged or incomplete; the other runs go on without it."""

    exit_code = 7


class UnusableRunError(RunDataError):
    """One run was read, but can't be used: no livetime, no exposure at the target."""


class OutputError(DaybreakError):
    """The output can't be written: no permission, a full disk, or somebody else is at it."""

    exit_code = 8


class DiskFullError(OutputError):
    """The disk or the quota is full; free some space and resume."""


class EngineError(DaybreakError):
    """A step of the plan failed, or the engine that runs the steps did not start."""

    exit_code = 9


class PartialResultError(DaybreakError):
    """The work ended, but something that was asked for had to be left out."""

    exit_code = 10


class ProductError(DaybreakError):
    """A product of an earlier step is missing or is not what its step writes."""

    exit_code = 11


class StoreIntegrityError(DaybreakError):
    """Verification of a data store found files or index rows that are damaged or missing."""

    exit_code = 12


class EventError(DaybreakError):
    """An event file or message can't be read, or is not what is supported."""

    exit_code = 13


class WorkerLostError(EngineError):
    """The worker or the node that ran a step was lost again and again."""

    exit_code = 20


class WalltimeError(EngineError):
    """A step took longer than the walltime that it may have."""

    exit_code = 21


class MemoryLimitError(EngineError):
    """A step needs more memory than the largest pool of the engine gives."""

    exit_code = 22


class SchedulerError(EngineError):
    """The cluster's scheduler refuses the jobs, or can't be reached for too long."""

    exit_code = 23


class InputChangedError(EngineError):
    """A file that a step reads has vanished or changed since the plan was made."""

    exit_code = 24


class UndeclaredSettingError(EngineError):
    """A step reads a setting that it does not declare: a fault of the program."""


class RequestNotFoundError(DaybreakError):
    """No request, or no step of it, has that name."""

    exit_code = 25


class RequestCancelled(DaybreakError):  # noqa: N818 - an outcome, not a fault
    """The request was cancelled while it ran; what was finished is kept."""

    exit_code = 26


class LedgerError(DaybreakError):
    """The ledger of an output folder can't be read, or was written by a newer version."""

    exit_code = 27


class SetupError(DaybreakError):
    """Something that is needed is missing on this machine; `daybreak doctor` says what."""

    exit_code = 30


class InterruptedByUser(DaybreakError):  # noqa: N818 - an interruption, not a fault
    """The user stopped the command; what was finished is kept."""

    exit_code = 130
