"""Job descriptions from an engine profile, by Parsl's providers: the one place for their options.

Parsl's providers write the job's script or description. Asking about jobs and cancelling them is
done for Slurm by :mod:`daybreak.engine.schedulers.slurm`, for the others by the provider; by
name, :mod:`daybreak.engine.schedulers.cancelling` does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daybreak.config.engine import EngineProfile, PoolConfig
from daybreak.engine.schedulers import slurm
from daybreak.engine.schedulers.jobs import (
    JobEnd,
    JobInfo,
    Jobs,
    JobState,
    SchedulerRefused,
    SchedulerUnavailable,
    tail,
)
from daybreak.errors import EngineError

_MIB = 2**20
_GIB = 2**30


def _memory_bytes(pool: PoolConfig) -> float | None:
    return None if pool.memory is None else float(pool.memory.to_value("byte"))


def walltime_text(pool: PoolConfig) -> str:
    """Walltime as HH:MM:SS, rounded up to whole minutes: Slurm knows no seconds.

    Parameters
    ----------
    pool
        The profile's pool.
    """
    minutes = max(1, math.ceil(pool.walltime_s / 60))
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"


def worker_init(pool: PoolConfig) -> str:
    """Lines of shell before the workers: the user's, and what Parsl's workers want to know.

    Parameters
    ----------
    pool
        The profile's pool.
    """
    lines = [*pool.worker_init, f"export PARSL_CORES={pool.cores}"]
    memory = _memory_bytes(pool)
    if memory is not None:
        lines.append(f"export PARSL_MEMORY_GB={memory / _GIB:.3f}")
    return "\n".join(lines)


def slurm_options(pool: PoolConfig) -> str:
    """The ``#SBATCH`` lines that Parsl's provider has no parameter for.

    Parameters
    ----------
    pool
        The profile's pool.
    """
    lines = ["--no-requeue", f"--cpus-per-task={pool.cores}"]
    memory = _memory_bytes(pool)
    if memory is not None:
        lines.append(f"--mem={math.ceil(memory / _MIB)}M")
    lines.extend(pool.options)
    return "\n".join(f"#SBATCH {line}" for line in lines)


def slurm_provider(pool: PoolConfig, folder: Path) -> Any:
    """Parsl's provider that writes the script and submits it, without a shell.

    Parameters
    ----------
    pool
        The profile's pool.
    folder
        For scripts and what the jobs print.
    """
    from parsl.launchers import SingleNodeLauncher, SrunLauncher
    from parsl.providers import SlurmProvider

    class Provider(SlurmProvider):  # type: ignore[misc]
        def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
            if not cmd.startswith("sbatch "):
                return 1, "", "not asked"  # jobs are asked about elsewhere
            return 0, slurm.command(["sbatch", cmd.removeprefix("sbatch ")]), ""

    provider = Provider(
        partition=pool.partition,
        account=pool.account,
        qos=pool.qos,
        constraint=pool.constraint,
        nodes_per_block=pool.nodes,
        init_blocks=0,
        min_blocks=pool.min_blocks,
        max_blocks=pool.max_blocks,
        walltime=walltime_text(pool),
        scheduler_options=slurm_options(pool),
        worker_init=worker_init(pool),
        exclusive=False,
        launcher=SrunLauncher() if pool.nodes > 1 else SingleNodeLauncher(),
    )
    provider.script_dir = str(folder)
    return provider


class SlurmJobs:
    """Blocks that are jobs of Slurm.

    Parameters
    ----------
    pool, label
        The pool and its label.
    name
        Of the jobs, followed by the block's number and a time.
    folder
        For scripts and what the jobs print.
    poll_s
        How often to ask about the jobs, in seconds.
    """

    def __init__(
        self, pool: PoolConfig, label: str, name: str, folder: Path, poll_s: float
    ) -> None:
        self.poll_s = poll_s
        self._label, self._name = label, name
        self._provider = slurm_provider(pool, folder)

    def submit(self, command: str, number: int) -> str:
        """See `Jobs`; submits a script that runs the command."""
        from parsl.providers.errors import SubmitException

        try:
            return str(self._provider.submit(command, 1, f"{self._name}-{number}"))
        except SubmitException as error:
            raise SchedulerUnavailable(f"sbatch did not name a job: {error}") from error

    def states(self, ids: Sequence[str]) -> dict[str, JobInfo]:
        """See `Jobs`."""
        try:
            return slurm.states(ids, self._name, self._label)
        except SchedulerRefused as error:
            raise SchedulerUnavailable(str(error)) from error

    def cancel(self, ids: Sequence[str]) -> None:
        """See `Jobs`."""
        try:
            slurm.cancel(ids)
        except SchedulerRefused as error:
            raise SchedulerUnavailable(str(error)) from error

    def end_of(self, job_id: str) -> JobEnd:
        """See `Jobs`."""
        return slurm.end_of(job_id)

    def last_words(self, job_id: str) -> str:
        """See `Jobs`."""
        job = self._provider.resources.get(job_id)
        if job is None:
            return ""
        return tail(Path(job["job_stderr_path"])) or tail(Path(job["job_stdout_path"]))


def condor_provider(pool: PoolConfig, name: str, folder: Path) -> Any:
    """Parsl's provider for HTCondor.

    Parameters
    ----------
    pool
        The profile's pool.
    name
        The batch name of the jobs, by which they can be removed.
    folder
        For descriptions and what the jobs print.
    """
    from parsl.providers import CondorProvider

    memory = _memory_bytes(pool)
    lines = [f'+JobBatchName = "{name}"', f"RequestCpus = {pool.cores}"]
    if memory is not None:
        lines.append(f"RequestMemory = {math.ceil(memory / _MIB)}")
    # the queue has no walltime of its own: a job that runs longer is removed
    ran = "(time() - EnteredCurrentStatus)"
    lines.append(f"periodic_remove = (JobStatus == 2) && {ran} > {pool.walltime_s}")
    lines.extend(pool.options)
    provider = CondorProvider(
        nodes_per_block=pool.nodes,
        init_blocks=0,
        min_blocks=pool.min_blocks,
        max_blocks=pool.max_blocks,
        project=f'"{pool.account}"' if pool.account else '""',
        requirements=pool.constraint or "True",
        scheduler_options="\n".join(lines),
        walltime=walltime_text(pool),
        worker_init=worker_init(pool),
    )
    provider.script_dir = str(folder)
    return provider


def kubernetes_provider(pool: PoolConfig, name: str) -> Any:
    """Parsl's provider for Kubernetes.

    Parameters
    ----------
    pool
        The profile's pool.
    name
        Of the pods, followed by an id.

    Raises
    ------
    EngineError
        If the ``kubernetes`` package or the cluster's configuration is not there.
    """
    from parsl.errors import OptionalModuleMissing
    from parsl.providers import KubernetesProvider

    memory = f"{math.ceil((_memory_bytes(pool) or 0) / _MIB)}Mi"
    try:
        return KubernetesProvider(
            image=pool.image,
            namespace=pool.namespace,
            nodes_per_block=1,
            init_blocks=0,
            min_blocks=pool.min_blocks,
            max_blocks=pool.max_blocks,
            init_cpu=float(pool.cores),
            max_cpu=float(pool.cores),
            init_mem=memory,
            max_mem=memory,
            worker_init=worker_init(pool),
            pod_name=name,
            service_account_name=pool.service_account,
            persistent_volumes=[(c, p) for c, _, p in (v.partition(":") for v in pool.volumes)],
        )
    except OptionalModuleMissing:
        raise EngineError(
            "the Kubernetes engine needs the Python package 'kubernetes'",
            "pip install kubernetes",
        ) from None
    except Exception as error:
        raise EngineError(
            f"the Kubernetes cluster can't be used: {error}", "Check ~/.kube/config."
        ) from error


class ProviderJobs:
    """Blocks asked for and asked about through a provider of Parsl: HTCondor, Kubernetes.

    Parameters
    ----------
    provider
        Parsl's.
    label
        Of the pool.
    poll_s
        How often to ask about the jobs, in seconds.
    """

    def __init__(self, provider: Any, label: str, poll_s: float) -> None:
        self.poll_s = poll_s
        self._provider, self._label = provider, label

    def submit(self, command: str, number: int) -> str:
        """See `Jobs`."""
        try:
            job = self._provider.submit(command, 1, f"block-{number}")
        except Exception as error:
            raise SchedulerUnavailable(f"{type(error).__name__}: {error}") from error
        if not job:
            raise SchedulerUnavailable("the scheduler did not name a job")
        return str(job)

    def states(self, ids: Sequence[str]) -> dict[str, JobInfo]:
        """See `Jobs`."""
        try:
            found = self._provider.status(list(ids))
        except Exception as error:
            raise SchedulerUnavailable(f"{type(error).__name__}: {error}") from error
        out = {}
        for job_id, status in zip(ids, found, strict=True):
            word = status.state.name
            if word in ("PENDING", "HELD", "UNKNOWN"):
                state = JobState.PENDING
            else:
                state = JobState.RUNNING if word == "RUNNING" else JobState.ENDED
            out[job_id] = JobInfo(job_id, self._label, state, word)
        return out

    def cancel(self, ids: Sequence[str]) -> None:
        """See `Jobs`."""
        try:
            self._provider.cancel(list(ids))
        except Exception as error:
            raise SchedulerUnavailable(f"{type(error).__name__}: {error}") from error

    def end_of(self, job_id: str) -> JobEnd:
        """See `Jobs`; as far as Parsl's provider knows."""
        job = self._provider.resources.get(job_id)
        return JobEnd(job["status"].state.name if job else "UNKNOWN")

    def last_words(self, job_id: str) -> str:
        """See `Jobs`; never known here."""
        return ""


def cluster_jobs(profile: EngineProfile, label: str, name: str, folder: Path) -> Jobs:
    """What asks for the blocks of a pool of a cluster.

    Parameters
    ----------
    profile, label
        The profile, and which of its pools.
    name
        Of the jobs.
    folder
        Shared with the nodes.
    """
    pool = profile.pools[label]
    poll_s = float(profile.poll.to_value("s"))
    if profile.kind == "slurm":
        return SlurmJobs(pool, label, name, folder, poll_s)
    if profile.kind == "htcondor":
        return ProviderJobs(condor_provider(pool, name, folder), label, poll_s)
    return ProviderJobs(kubernetes_provider(pool, name), label, poll_s)
