"""Where the fits of a scan run: threads or processes of this machine, or an engine's workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from daybreak.engine.hosted import Host
from daybreak.errors import SchedulerError, WorkerLostError
from daybreak.ledger.step import Resources
from daybreak.requests.scan.request import HERE

if TYPE_CHECKING:
    from daybreak.engine.pools.worker_pools import EnginePools
    from daybreak.neutrino.scan.pools import FitWorkers
    from daybreak.requests.scan.prepare import PreparedScan

#: imported once by the fork server of a node's workers
_PRELOAD = ("daybreak.neutrino.scan.work", "daybreak.neutrino.likelihood", "numba")
#: what a block of pixels may take
BLOCK = Resources(cores=1, memory_mb=1500, walltime_min=10)
_LOOK_EVERY_S = 1.0


class Sender:
    """Sends blocks to a pool; those whose worker was lost are sent again.

    Parameters
    ----------
    pools
        Of the engine.
    label
        The pool that takes the blocks.
    retries
        Times a block is sent again.
    """

    def __init__(self, pools: EnginePools, label: str, retries: int) -> None:
        self.pools = pools
        self.label = label
        self.retries = retries
        self._waiting: set[Future[dict[str, Any]]] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="scan-engine", daemon=True)
        self._thread.start()

    def submit(self, payload: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Send a block of pixels.

        Parameters
        ----------
        payload
            As :func:`daybreak.neutrino.scan.work.scan_block` takes it.

        Returns
        -------
        Future
            The fits of the block; fails with an error of :mod:`daybreak.errors`.
        """
        answer: Future[dict[str, Any]] = Future()
        with self._lock:
            self._waiting.add(answer)
        self._send(payload, answer, self.retries)
        return answer

    def _send(self, payload: Mapping[str, Any], answer: Future[dict[str, Any]], left: int) -> None:
        def arrived(done: Future[dict[str, Any]]) -> None:
            error = done.exception()
            if isinstance(error, WorkerLostError) and left and not self._stop.is_set():
                self._send(payload, answer, left - 1)
                return
            with self._lock:
                self._waiting.discard(answer)
            with suppress(InvalidStateError):
                if error is None:
                    answer.set_result(done.result())
                else:
                    answer.set_exception(error)

        from daybreak.neutrino.scan.pools import REMOTE_FUNCTION

        inner = self.pools.submit(REMOTE_FUNCTION, payload, label=self.label, priority=10)
        inner.add_done_callback(arrived)

    def _watch(self) -> None:
        """A scheduler that gives no jobs must not let the scan wait for ever."""
        while not self._stop.wait(_LOOK_EVERY_S):
            trouble = self.pools.health()
            if trouble is None or not trouble.fatal:
                continue
            error = SchedulerError(str(trouble), "Check the profile with 'daybreak engine test'.")
            with self._lock:
                waiting, self._waiting = self._waiting, set()
            for answer in waiting:
                with suppress(InvalidStateError):
                    answer.set_exception(error)

    def close(self) -> None:
        """Send nothing again."""
        self._stop.set()
        self._thread.join(timeout=5)


@contextmanager
def fit_workers(prepared: PreparedScan, where: str, count: int, host: Host) -> Iterator[FitWorkers]:
    """The workers of a scan.

    Parameters
    ----------
    prepared
        What is scanned.
    where
        ``local`` (threads, or processes where the likelihood holds the interpreter's lock),
        ``threads``, ``processes``; anything else: the engine of the host.
    count
        At most; 0: one per core, or what the engine gives.
    host
        What the step is given.

    Raises
    ------
    EngineError
        If no pool of the engine takes blocks of pixels, or it does not start.
    """
    from daybreak.neutrino.scan import pools

    if where not in HERE:
        with _engine_workers(prepared, count, host) as pool:
            yield pool
        return
    in_threads = where == "threads" or (where == "local" and prepared.threads)
    kind = pools.threads if in_threads else pools.processes
    with kind(prepared.prepared, count or pools.available_cores()) as pool:
        yield pool


@contextmanager
def _engine_workers(prepared: PreparedScan, workers: int, host: Host) -> Iterator[FitWorkers]:
    """The workers of an engine profile; each prepares the likelihood itself, once."""
    from daybreak.neutrino.scan.pools import remote

    profile = host.profile
    most = sum(p.max_blocks * p.nodes * max(p.workers_per_node, 1) for p in profile.pools.values())
    width = workers or (most if profile.kind != "local" else 10_000)
    with host.pools(width=width, workers=workers, preload=_PRELOAD, needs=[BLOCK]) as pools:
        label = pools.label_for(BLOCK)
        count = max(1, min(pools.capacity(label), workers or pools.capacity(label)))
        sender = Sender(pools, label, profile.retries)
        try:
            yield remote(
                sender.submit,
                prepared.event,
                prepared.likelihood,
                prepared.options,
                count,
                profile.name,
            )
        finally:
            sender.close()
