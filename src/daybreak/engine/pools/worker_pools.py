"""The engine: pools of workers from a profile. Only this package imports Parsl."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from daybreak.config.engine import EngineProfile, PoolConfig
from daybreak.engine.pools.blocks import BlockPool
from daybreak.engine.pools.carrier import Trouble
from daybreak.engine.pools.driver_watch import Link
from daybreak.engine.pools.executor import PoolSetup, worker_command
from daybreak.engine.pools.scratch import remove_scratch
from daybreak.engine.pools.sizing import (
    drain_s,
    local_workers,
    memory_mb,
    own_addresses,
    run_folder,
)
from daybreak.engine.schedulers.job_cleanup import JobCleanup
from daybreak.engine.schedulers.jobs import JobEnd, JobInfo, Jobs, LocalJobs
from daybreak.errors import EngineError
from daybreak.ledger.step import Resources

#: imported once by the fork server of a node's workers, before and after what the caller names
_FIRST = (
    "parsl.executors.high_throughput.process_worker_pool",
    "daybreak.engine.pools.workers",
    "daybreak.engine.execute",
)
_LAST = ("daybreak.engine.pools.gc_freeze",)
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,40}")


class Pools(Protocol):
    """What runs the steps."""

    def label_for(self, resources: Resources) -> str:
        """The label of the smallest pool that fits.

        Parameters
        ----------
        resources
            What a step asks for: memory in MB, time in minutes, cores.

        Raises
        ------
        EngineError
            If none does; the message names what is too large.
        """

    def submit(
        self, function: str, payload: Mapping[str, Any], *, label: str, priority: int = 0
    ) -> Future[dict[str, Any]]:
        """Run a function on a worker.

        Parameters
        ----------
        function
            ``package.module:function``.
        payload
            Its argument; plain data.
        label
            Of the pool, as of `label_for`.
        priority
            Larger ones go first.

        Returns
        -------
        Future
            The function's answer; fails with :class:`~daybreak.errors.WorkerLostError` if the
            worker, its node or the pool is lost; what Parsl raised is its cause.
        """

    def capacity(self, label: str) -> int:
        """Workers of a pool that may run at once.

        Parameters
        ----------
        label
            Of the pool.
        """

    def jobs(self) -> list[JobInfo]:
        """Blocks of all pools with their jobs."""

    def health(self) -> Trouble | None:
        """None if all is well, else why no worker can come, a :class:`Trouble`."""

    def job_of(self, attempt_note: Mapping[str, Any]) -> JobEnd | None:
        """How the job of an attempt ended; None where there is no scheduler or no job.

        Parameters
        ----------
        attempt_note
            What the worker noted: ``job`` is the scheduler's id.
        """


class EnginePools:
    """The pools of a profile; made by :func:`open_pools`."""

    def __init__(
        self,
        profile: EngineProfile,
        pools: Mapping[str, BlockPool],
        configs: Mapping[str, PoolConfig],
    ) -> None:
        self.profile = profile
        self._pools = dict(pools)
        self._configs = dict(configs)
        self._memory_mb = memory_mb()[0] if profile.kind == "local" else float("inf")
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._hints = dict.fromkeys(self._pools, 0)
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)

    def begin(self, hint: int) -> None:
        """Start to look after the pools.

        Parameters
        ----------
        hint
            Steps that come soon to the first of them, so that blocks are asked for now.
        """
        self._hints[next(iter(self._pools))] = hint
        self._thread.start()

    def _supervise(self) -> None:
        pause = 0.1 if self.profile.kind == "local" else 0.25
        while not self._stop.is_set():
            for label, pool in self._pools.items():
                if self._stop.is_set():
                    return
                try:
                    pool.tick(self._hints[label])
                except Exception as error:
                    pool.trouble = Trouble(
                        f"pool {label!r}: {type(error).__name__}: {error}", fatal=True
                    )
            self._wake.wait(pause)
            self._wake.clear()

    def close(self) -> None:
        """Give everything back."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        for pool in self._pools.values():
            pool.close()

    def label_for(self, resources: Resources) -> str:
        """See :class:`Pools`."""
        local = self.profile.kind == "local"
        best: tuple[tuple[float, float], str] | None = None
        limits = []
        for label, config in self._configs.items():
            limit = min(config.worker_memory_mb, self._memory_mb)
            limits.append(limit)
            too_long = not local and resources.walltime_min * 60 > config.walltime_s
            too_wide = not local and resources.cores > config.worker_cores
            if resources.memory_mb > limit or too_long or too_wide:
                continue
            size = (limit, float(config.walltime_s))
            if best is None or size < best[0]:
                best = (size, label)
        if best is not None:
            return best[1]
        raise EngineError(self._too_large(resources, max(limits)), _hint(self.profile))

    def _too_large(self, resources: Resources, memory: float) -> str:
        what = []
        if resources.memory_mb > memory:
            what.append(f"{resources.memory_mb} MB of memory (a worker has {memory:.0f} MB)")
        if self.profile.kind != "local":
            walltime = max(c.walltime_s for c in self._configs.values()) / 60
            cores = max(c.worker_cores for c in self._configs.values())
            if resources.walltime_min > walltime:
                what.append(f"{resources.walltime_min} min (a job has {walltime:.0f} min)")
            if resources.cores > cores:
                what.append(f"{resources.cores} cores (a worker has {cores})")
        wanted = " and ".join(what) or "a mix of cores, memory and time that no pool has"
        return f"engine {self.profile.name!r}: a step needs {wanted}"

    def submit(
        self, function: str, payload: Mapping[str, Any], *, label: str, priority: int = 0
    ) -> Future[dict[str, Any]]:
        """See :class:`Pools`."""
        self._hints[label] = 0
        future = self._pools[label].submit(function, dict(payload), priority)
        return future

    def capacity(self, label: str) -> int:
        """See :class:`Pools`."""
        setup = self._pools[label].setup
        return setup.slots * setup.max_blocks

    def labels(self) -> list[str]:
        """The pools."""
        return list(self._pools)

    def jobs(self) -> list[JobInfo]:
        """See :class:`Pools`."""
        return [info for pool in self._pools.values() for info in pool.infos()]

    def health(self) -> Trouble | None:
        """See :class:`Pools`."""
        troubles = [p.trouble for p in self._pools.values() if p.trouble is not None]
        fatal = [t for t in troubles if t.fatal]
        return next(iter(fatal or troubles), None)

    def job_of(self, attempt_note: Mapping[str, Any]) -> JobEnd | None:
        """See :class:`Pools`."""
        job = str(attempt_note.get("job") or "")
        if not job or self.profile.kind == "local":
            return None
        return next(iter(self._pools.values())).jobs.end_of(job)


def _hint(profile: EngineProfile) -> str:
    if profile.kind == "local":
        return "Use a machine with more memory, or a cluster's engine."
    return "Add a pool with larger workers to the engine's profile."


@contextmanager
def open_pools(
    profile: EngineProfile,
    *,
    tag: str,
    scratch: Path,
    width: int,
    workers: int = 0,
    preload: Sequence[str] = (),
    needs: Sequence[Resources] = (),
) -> Iterator[EnginePools]:
    """Pools of workers for one run of a plan; everything is given back at the end.

    Parameters
    ----------
    profile
        Where the steps run.
    tag
        Of the request: letters, digits and ``-``; part of the names of the cluster's jobs.
    scratch
        Folder that driver and workers share, used if the profile names none.
    width
        Steps that may ever run at once.
    workers
        Local workers, 0 for one per core; without meaning on a cluster.
    preload
        Modules that the workers of a node share.
    needs
        What the plan's steps ask for.

    Yields
    ------
    EnginePools
        Ready to take steps; workers may still be on their way.

    Raises
    ------
    EngineError
        If the engine does not start.
    """
    if not _TAG.fullmatch(tag):
        raise EngineError(f"{tag!r} can't be part of a job's name")
    folder = run_folder(profile, tag, scratch)
    local, link, cleanup = None, None, None
    pools: dict[str, BlockPool] = {}
    engine = None
    try:
        if profile.kind == "local":
            label, config = next(iter(profile.pools.items()))
            count = local_workers(config, width=width, workers=workers, needs=needs)
            configs = {label: config}
            local = LocalJobs(label, folder)
            setup = _local_setup(profile, label, count, folder, preload)
            local.prestart(worker_command(setup))
            pools[label] = BlockPool(setup, local)
        else:
            configs = dict(profile.pools)
            link = Link(profile.ports)
            cleanup = JobCleanup(profile, f"daybreak-{tag}-", folder)
            for label in configs:
                setup = _cluster_setup(profile, label, folder, preload, link, needs)
                pools[label] = BlockPool(setup, _cluster_jobs(profile, label, tag, folder))
        for pool in pools.values():
            pool.start()
        engine = EnginePools(profile, pools, configs)
        engine.begin(width)
        yield engine
    finally:
        with ExitStack() as end:  # Ctrl-C in the middle of it does not skip the rest
            end.callback(remove_scratch, folder)
            if cleanup is not None:
                end.callback(_dismiss, cleanup, pools)
            if link is not None:
                end.callback(link.close)
            if local is not None:
                end.callback(local.discard)
            if engine is not None:
                end.callback(engine.close)
            else:
                for pool in pools.values():
                    end.callback(pool.close)


def _dismiss(cleanup: JobCleanup, pools: Mapping[str, BlockPool]) -> None:
    """End the cleanup, or leave it to cancel what could not be cancelled now."""
    if any(pool.left_behind for pool in pools.values()):
        cleanup.leave()
    else:
        cleanup.done()


def _local_setup(
    profile: EngineProfile, label: str, workers: int, folder: Path, preload: Sequence[str]
) -> PoolSetup:
    arguments = ("--driver", str(os.getpid()), "--folder", str(folder))
    return PoolSetup(
        label=label,
        workers=workers,
        nodes=1,
        min_blocks=1,
        max_blocks=1,
        folder=folder,
        arguments=(*arguments, "--preload", ",".join((*_FIRST, *preload, *_LAST))),
        heartbeat_s=max(1, round(profile.heartbeat.to_value("s"))),
        threshold_s=60,  # a process that ends is noticed at once; this is for one that hangs
        ports=profile.ports,
    )


def _cluster_setup(
    profile: EngineProfile,
    label: str,
    folder: Path,
    preload: Sequence[str],
    link: Link,
    needs: Sequence[Resources],
) -> PoolSetup:
    pool = profile.pools[label]
    addresses = own_addresses(profile)
    links = ",".join(f"{address}:{link.port}" for address in addresses)
    return PoolSetup(
        label=label,
        workers=pool.workers_per_node,
        nodes=pool.nodes,
        min_blocks=pool.min_blocks,
        max_blocks=pool.max_blocks,
        folder=folder,
        arguments=("--link", links, "--preload", ",".join((*_FIRST, *preload, *_LAST))),
        python=profile.python,
        addresses=addresses,
        ports=profile.ports,
        heartbeat_s=max(1, round(profile.heartbeat.to_value("s"))),
        threshold_s=max(2, round(profile.heartbeat_threshold.to_value("s"))),
        drain_s=drain_s(pool, needs),
        idle_s=float(profile.idle.to_value("s")),
        wait_s=float(profile.scheduler_wait.to_value("s")),
    )


def _cluster_jobs(profile: EngineProfile, label: str, tag: str, folder: Path) -> Jobs:
    from daybreak.engine.schedulers.providers import cluster_jobs

    return cluster_jobs(profile, label, f"daybreak-{tag}-{label}", folder)


def cancel_stale(profile: EngineProfile, tag: str) -> list[str]:
    """Cancel the cluster jobs of drivers of a request that are dead; their ids.

    Parameters
    ----------
    profile
        The cluster.
    tag
        Of the request.

    Raises
    ------
    SchedulerError
        If the scheduler does not answer.
    """
    if profile.kind == "local":
        return []
    from daybreak.engine.schedulers.cancelling import cancel_named

    return cancel_named(profile, f"daybreak-{tag}-")
