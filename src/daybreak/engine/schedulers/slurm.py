"""Slurm's jobs: what it says about them, and cancelling them by name; never through a shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from daybreak.engine.schedulers.jobs import (
    JobEnd,
    JobInfo,
    JobState,
    SchedulerRefused,
    SchedulerUnavailable,
)

#: seconds that a command of Slurm may take
TIMEOUT_S = 30
_BETWEEN = "\x1f"

#: what the commands say if the controller or the network, not the job, is the trouble
_UNAVAILABLE = (
    "unable to contact slurm controller",
    "socket timed out",
    "connection refused",
    "connection timed out",
    "connection reset",
    "zero bytes were transmitted",
    "unable to establish control machine address",
    "unable to establish configuration source",
    "controller is in standby",
    "slurmctld is in standby",
    "primary controller not responding",
    "transport endpoint is not connected",
    "no route to host",
    "munge",
    "protocol authentication error",
    "resource temporarily unavailable",
    "temporarily unable to accept job",
    "communication connection failure",
    "try again later",
    "slurm backup controller in standby",
    "header lengths are longer than data received",
    "insane message length",
    "slurm_persist_conn",
)
#: a limit of the user or account that is reached now: more can be asked for later
_LATER = ("submitjob", "submit job limit", "maxsubmit", "too many jobs")

#: reasons to wait that no time will remove
_HOPELESS = {
    "PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS",
    "QOSMaxWallDurationPerJobLimit", "QOSMaxMemoryPerJob", "QOSMaxCpuPerJobLimit",
    "AssocMaxWallDurationPerJobLimit", "AssociationTimeLimit", "JobHeldAdmin",
}  # fmt: skip
_PENDING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED"}
_RUNNING = {"RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING"}


def explain(error: str) -> Exception:
    """Which kind of refusal a command's message is.

    Parameters
    ----------
    error
        What the command printed on standard error.

    Returns
    -------
    SchedulerUnavailable or SchedulerRefused
    """
    text = " ".join(error.split()) or "the command failed without a word"
    short = text.removeprefix("sbatch: ").removeprefix("error: ")
    lower = text.lower()
    if any(sign in lower for sign in _UNAVAILABLE) or any(sign in lower for sign in _LATER):
        return SchedulerUnavailable(short[:300])
    return SchedulerRefused(f"Slurm refuses the job: {short[:300]}")


def command(arguments: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> str:
    """Run a command of Slurm; what it printed.

    Parameters
    ----------
    arguments
        The command and its arguments, as they are: no shell reads them.
    timeout_s
        How long it may take, in seconds.

    Raises
    ------
    SchedulerUnavailable
        If it does not answer, or the controller can't be reached.
    SchedulerRefused
        If the command is not there or fails otherwise.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SQUEUE_", "SACCT_"))}
    environment["LC_ALL"] = "C"
    environment.pop("SLURM_TIME_FORMAT", None)
    try:
        done = subprocess.run(
            list(arguments),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise SchedulerRefused(
            f"the command {arguments[0]!r} is not there: is Slurm installed on this machine?"
        ) from None
    except subprocess.TimeoutExpired:
        raise SchedulerUnavailable(f"{arguments[0]} did not answer in {timeout_s:.0f} s") from None
    if done.returncode:
        raise explain(done.stderr)
    return done.stdout


def jobs_by_name(prefix: str) -> dict[str, tuple[str, str, str]]:
    """The user's jobs that Slurm has in its memory, by id.

    Parameters
    ----------
    prefix
        Of the jobs' names.

    Returns
    -------
    dict
        Id to (name, state, reason).
    """
    layout = _BETWEEN.join(("%i", "%T", "%r", "%j"))
    out = {}
    printed = command(["squeue", "--me", "--noheader", "--states=all", f"--format={layout}"])
    for line in printed.splitlines():
        job_id, state, reason, name = [*line.strip().split(_BETWEEN, 3), "", "", ""][:4]
        if name.startswith(prefix):
            out[job_id] = (name, state, reason)
    return out


def state_of(word: str) -> JobState:
    """Our state for Slurm's.

    Parameters
    ----------
    word
        Such as ``PENDING``; one that is not known counts as ended.
    """
    if word in _PENDING:
        return JobState.PENDING
    return JobState.RUNNING if word in _RUNNING else JobState.ENDED


def states(ids: Sequence[str], prefix: str, label: str) -> dict[str, JobInfo]:
    """What Slurm says about jobs; a job that it does not list is ``GONE``.

    One question for all jobs of the user: asking by id fails once an id is forgotten.

    Parameters
    ----------
    ids
        Of the jobs.
    prefix
        How the jobs' names begin.
    label
        Of the pool, for the answers.

    Returns
    -------
    dict
        Id to what Slurm says, one for each id.

    Raises
    ------
    SchedulerUnavailable, SchedulerRefused
        As `command` does.
    """
    known = jobs_by_name(prefix)
    out = {}
    for job_id in ids:
        if job_id in known:
            _, state, reason = known[job_id]
            ours = state_of(state)
            said = reason if ours is JobState.PENDING else state
            hopeless = ours is JobState.PENDING and reason in _HOPELESS
            out[job_id] = JobInfo(job_id, label, ours, said, hopeless)
        else:
            out[job_id] = JobInfo(job_id, label, JobState.GONE, "no longer known to Slurm")
    return out


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs by id; those that have ended do not matter.

    Parameters
    ----------
    ids
        Of the jobs; empty: nothing is done.

    Raises
    ------
    SchedulerUnavailable, SchedulerRefused
        As `command` does; refused also if an id is none.
    """
    if not ids:
        return
    for job_id in ids:
        if not all(part.isalnum() for part in job_id.split("_")):
            raise SchedulerRefused(f"{job_id!r} is no id of a job")
    try:
        command(["scancel", "--quiet", *ids])
    except SchedulerRefused as error:
        if "nvalid job id" not in str(error):
            raise


def cancel_named(prefix: str) -> list[str]:
    """Cancel all jobs of the user whose name has the prefix and that have not ended.

    Parameters
    ----------
    prefix
        How the jobs' names begin.

    Returns
    -------
    list of str
        Their ids.

    Raises
    ------
    SchedulerUnavailable, SchedulerRefused
        As `command` does.
    """
    alive = [
        job_id
        for job_id, (_, state, _) in jobs_by_name(prefix).items()
        if state_of(state) is not JobState.ENDED
    ]
    cancel(alive)
    return alive


def end_of(job_id: str) -> JobEnd:
    """How Slurm says that a job ended: its memory of it, then its accounting if it has one.

    Parameters
    ----------
    job_id
        Slurm's; what is none is not asked about.

    Returns
    -------
    JobEnd
        Of state ``UNKNOWN`` if Slurm does not know or does not answer.
    """
    if not job_id or not all(part.isalnum() for part in job_id.split("_")):
        return JobEnd("UNKNOWN")
    try:
        printed = command(["scontrol", "--oneliner", "show", "job", job_id])
        fields = dict(item.split("=", 1) for item in printed.split() if "=" in item)
        if "JobState" in fields:
            return JobEnd(fields["JobState"], fields.get("Reason", ""))
    except (SchedulerRefused, SchedulerUnavailable):
        pass
    try:
        printed = command(
            ["sacct", "-X", "-n", "-P", "--jobs", job_id, "--format=State,Reason"], timeout_s=10
        )
    except (SchedulerRefused, SchedulerUnavailable):
        return JobEnd("UNKNOWN")
    line = (printed.strip().splitlines() or [""])[-1]
    state, _, reason = line.partition("|")
    word = (state.split() or ["UNKNOWN"])[0].rstrip("+")
    return JobEnd(word or "UNKNOWN", reason if reason != "None" else "")
