"""Cancelling the jobs of a driver that is gone, by the beginning of their name."""

from __future__ import annotations

import shlex
import subprocess

from daybreak.config.engine import EngineProfile
from daybreak.engine.schedulers import slurm
from daybreak.engine.schedulers.jobs import SchedulerRefused, SchedulerUnavailable
from daybreak.engine.schedulers.providers import kubernetes_provider
from daybreak.errors import SchedulerError

#: seconds that a command of HTCondor may take
_COMMAND_S = 60


def cancel_command(profile: EngineProfile, prefix: str) -> list[str]:
    """The command that removes all jobs by name, where one command can; else empty.

    Parameters
    ----------
    profile
        The cluster.
    prefix
        Of the jobs' names.
    """
    if profile.kind == "htcondor":
        return ["condor_rm", "-constraint", f'regexp("^{prefix}", JobBatchName)']
    return []


def cancel_named(profile: EngineProfile, prefix: str) -> list[str]:
    """Cancel the user's jobs of a cluster by the beginning of their name; their ids.

    Parameters
    ----------
    profile
        The cluster.
    prefix
        How the jobs' names begin.

    Raises
    ------
    SchedulerError
        If the scheduler does not answer.
    """
    try:
        if profile.kind == "slurm":
            return slurm.cancel_named(prefix)
        if profile.kind == "htcondor":
            return _cancel_condor(profile, prefix)
        return _cancel_pods(profile, prefix)
    except (SchedulerRefused, SchedulerUnavailable) as error:
        raise SchedulerError(
            f"jobs of an earlier driver can't be cancelled: {error}",
            f"Try again later, or cancel the jobs whose name begins with {prefix!r} by hand.",
        ) from error


def _cancel_condor(profile: EngineProfile, prefix: str) -> list[str]:
    ask = ["condor_q", "-constraint", f'regexp("^{prefix}", JobBatchName)', "-af:j", "JobStatus"]
    try:
        found = subprocess.run(ask, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
        if found.returncode:
            raise SchedulerUnavailable(found.stderr.strip()[:300])
        ids = [line.split()[0] for line in found.stdout.splitlines() if line.strip()]
        if ids:
            remove = cancel_command(profile, prefix)
            subprocess.run(remove, capture_output=True, timeout=_COMMAND_S, check=False)
    except FileNotFoundError:
        raise SchedulerRefused(f"the command {ask[0]!r} is not there") from None
    except subprocess.TimeoutExpired:
        raise SchedulerUnavailable(f"{shlex.join(ask[:1])} does not answer") from None
    return ids


def _cancel_pods(profile: EngineProfile, prefix: str) -> list[str]:
    gone = []
    for label, pool in profile.pools.items():
        provider = kubernetes_provider(pool, f"{prefix}{label}")
        try:
            pods = provider.kube_client.list_namespaced_pod(namespace=pool.namespace).items
            for pod in pods:
                if pod.metadata.name.startswith(f"{prefix}{label}"):
                    provider._delete_pod(pod.metadata.name)
                    gone.append(str(pod.metadata.name))
        except Exception as error:
            raise SchedulerUnavailable(f"{type(error).__name__}: {error}") from error
    return gone
