"""Jobs of a scheduler as the engine sees them, whatever the scheduler."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class JobState(StrEnum):
    """State of a job; ``GONE`` is one that the scheduler no longer knows."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    ENDED = "ENDED"
    GONE = "GONE"


@dataclass(frozen=True)
class JobInfo:
    """A job of the scheduler.

    Attributes
    ----------
    id
        The scheduler's.
    label
        Of the pool that it is for.
    state
        See `JobState`.
    reason
        The scheduler's own word: why it waits (``Priority``, ``Resources``) or how it ended
        (``TIMEOUT``, ``OUT_OF_MEMORY``).
    hopeless
        It waits for what will never be.
    """

    id: str
    label: str
    state: JobState
    reason: str = ""
    hopeless: bool = False


@dataclass(frozen=True)
class JobEnd:
    """How the scheduler says that a job ended.

    Attributes
    ----------
    state
        ``COMPLETED``, ``FAILED``, ``TIMEOUT``, ``OUT_OF_MEMORY``, ``NODE_FAIL``, ``CANCELLED``,
        ``PREEMPTED``, ``RUNNING``, ``PENDING`` or ``UNKNOWN``.
    reason
        Its own words.
    """

    state: str
    reason: str = ""


class SchedulerRefused(Exception):  # noqa: N818 - seen by the engine only
    """The scheduler will not take such a job: an unknown account, too much memory."""


class SchedulerUnavailable(Exception):  # noqa: N818 - seen by the engine only
    """The scheduler does not answer; it may later."""


class Jobs(Protocol):
    """Asks for blocks of one pool, asks about them, gives them back."""

    #: how often to ask about the jobs, in seconds
    poll_s: float

    def submit(self, command: str, number: int) -> str:
        """Ask for a block.

        Parameters
        ----------
        command
            What it runs, as a line of shell.
        number
            Of the block within its pool.

        Returns
        -------
        str
            The scheduler's id of the job.

        Raises
        ------
        SchedulerRefused
            If the scheduler will not take such a job.
        SchedulerUnavailable
            If it does not answer.
        """

    def states(self, ids: Sequence[str]) -> dict[str, JobInfo]:
        """What the scheduler says about the jobs.

        Parameters
        ----------
        ids
            Of jobs that `submit` has given.

        Returns
        -------
        dict
            Id to what is known, one for each id.

        Raises
        ------
        SchedulerUnavailable
            If the scheduler does not answer.
        """

    def cancel(self, ids: Sequence[str]) -> None:
        """Cancel jobs; those that have ended do not matter.

        Parameters
        ----------
        ids
            Of jobs that `submit` has given.

        Raises
        ------
        SchedulerUnavailable
            If the scheduler does not answer.
        """

    def end_of(self, job_id: str) -> JobEnd:
        """How a job ended.

        Parameters
        ----------
        job_id
            The scheduler's id.

        Returns
        -------
        JobEnd
            Of state ``UNKNOWN`` if nothing is known.
        """

    def last_words(self, job_id: str) -> str:
        """The end of what the job printed.

        Parameters
        ----------
        job_id
            The scheduler's id.

        Returns
        -------
        str
            A few lines; empty if nothing is known.
        """


def tail(path: Path, lines: int = 4) -> str:
    """The last lines of a small text file; empty if it is not there.

    Parameters
    ----------
    path
        Of the file.
    lines
        How many at most; empty ones do not count.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[-4000:]
    except OSError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


class LocalJobs:
    """Blocks that are processes of this host.

    Parameters
    ----------
    label
        Of the pool.
    folder
        For what the processes print.
    """

    poll_s = 0.2

    def __init__(self, label: str, folder: Path) -> None:
        self.label = label
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._outputs: dict[str, Path] = {}
        self._early: subprocess.Popen[bytes] | None = None

    def prestart(self, command: Sequence[str]) -> None:
        """Start a worker pool that imports what it needs while the interchange starts.

        Parameters
        ----------
        command
            Without the pool's arguments, which it gets on its standard input by `submit`.
        """
        self._early = self._start(command, "early", subprocess.PIPE)

    def _start(self, command: Sequence[str], name: str, stdin: int) -> subprocess.Popen[bytes]:
        path = self.folder / f"{self.label}-{name}.out"
        with path.open("wb") as output:
            process = subprocess.Popen(
                list(command),
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._processes[str(process.pid)], self._outputs[str(process.pid)] = process, path
        return process

    def submit(self, command: str, number: int) -> str:
        """See `Jobs`; the id is that of the process."""
        words = shlex.split(command)
        early, self._early = self._early, None
        if early is not None and early.stdin is not None and early.poll() is None:
            arguments = words[words.index("--") + 1 :]
            try:
                early.stdin.write(json.dumps(arguments).encode() + b"\n")
                early.stdin.close()
                return str(early.pid)
            except OSError:
                self.cancel([str(early.pid)])
        return str(self._start(words, str(number), subprocess.DEVNULL).pid)

    def discard(self) -> None:
        """End a pool that was started early and never used."""
        if self._early is not None:
            self.cancel([str(self._early.pid)])
            self._early = None

    def states(self, ids: Sequence[str]) -> dict[str, JobInfo]:
        """See `Jobs`; whether the processes live."""
        out = {}
        for job_id in ids:
            code = self._processes[job_id].poll()
            state = JobState.RUNNING if code is None else JobState.ENDED
            reason = "" if code is None else f"exit code {code}"
            out[job_id] = JobInfo(job_id, self.label, state, reason)
        return out

    def cancel(self, ids: Sequence[str]) -> None:
        """See `Jobs`; the processes are killed with all that they started."""
        for job_id in ids:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(int(job_id), signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._processes[job_id].wait(timeout=5)

    def end_of(self, job_id: str) -> JobEnd:
        """See `Jobs`; a process has no scheduler that could say."""
        return JobEnd("UNKNOWN")

    def last_words(self, job_id: str) -> str:
        """See `Jobs`."""
        return tail(self._outputs[job_id]) if job_id in self._outputs else ""
