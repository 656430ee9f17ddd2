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


class OutputError(DaybreakError):
    """The output can't be written: no permission, a full disk, or somebody else is at it."""

    exit_code = 8


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


class InterruptedByUser(DaybreakError):  # noqa: N818 - an interruption, not a fault
    """The user stopped the command; what was finished is kept."""

    exit_code = 130
