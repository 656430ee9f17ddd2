"""Where the fits run: threads or processes of this machine, or workers reached by a function."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from daybreak.neutrino.event import Event
from daybreak.neutrino.scan.journal import PIXEL_DTYPE, Rows
from daybreak.neutrino.scan.work import Fits, PixelBlock, encode_event, fit_block

#: the function that workers elsewhere have to call
REMOTE_FUNCTION = "daybreak.neutrino.scan.work:scan_block"


@dataclass(frozen=True)
class FitWorkers:
    """Somewhere to send blocks to.

    Attributes
    ----------
    submit
        Takes a block, returns the future of its rows.
    workers
        How many blocks are fitted at the same time.
    name
        For records: ``threads``, ``processes`` or the engine's name.
    """

    submit: Callable[[PixelBlock], Future[Rows]]
    workers: int
    name: str


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def threads(prepared: Fits, workers: int) -> Iterator[FitWorkers]:
    """Threads of this process, for likelihoods that release the interpreter's lock.

    Parameters
    ----------
    prepared
        An event prepared by a likelihood.
    workers
        How many at a time.
    """
    executor = ThreadPoolExecutor(workers, thread_name_prefix="scan")
    try:
        yield FitWorkers(
            lambda block: executor.submit(fit_block, prepared, block), workers, "threads"
        )
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


_here: Fits | None = None


def _start(prepared: Fits) -> None:
    global _here  # noqa: PLW0603 - a worker serves one event
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here = prepared
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _fit_here(block: PixelBlock) -> Rows:
    if _here is None:
        raise RuntimeError("the worker was not started with an event")
    return fit_block(_here, block)


@contextmanager
def processes(prepared: Fits, workers: int) -> Iterator[FitWorkers]:
    """Processes of this machine, each with a copy of the prepared likelihood.

    Parameters
    ----------
    prepared
        An event prepared by a likelihood.
    workers
        How many at a time.
    """
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, context, _start, (prepared,))
    try:
        yield FitWorkers(lambda block: executor.submit(_fit_here, block), workers, "processes")
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in list((executor._processes or {}).values()):
            process.terminate()


Submit = Callable[[dict[str, Any]], "Future[dict[str, Any]]"]


def remote(
    submit: Submit,
    event: Event,
    likelihood: str,
    options: Mapping[str, Any],
    workers: int,
    name: str,
) -> FitWorkers:
    """Workers that are reached by sending them a payload, e.g. pilot jobs of a cluster.

    Parameters
    ----------
    submit
        Sends a payload to :data:`REMOTE_FUNCTION` on some worker.
    event, likelihood, options
        Each worker prepares the likelihood itself, once.
    workers, name
        How many there are, and what to call them.
    """
    common = {
        "event": encode_event(event),
        "likelihood": likelihood,
        "options": json.dumps(dict(options), sort_keys=True),
    }

    def send(block: PixelBlock) -> Future[Rows]:
        answer: Future[Rows] = Future()

        def arrived(done: Future[dict[str, Any]]) -> None:
            try:
                answer.set_result(np.frombuffer(done.result()["rows"], PIXEL_DTYPE))
            except BaseException as error:
                answer.set_exception(error)

        payload = common | {
            "nside": block.nside,
            "pixels": block.pixels.tolist(),
            "zenith_rad": block.zenith_rad.tolist(),
            "azimuth_rad": block.azimuth_rad.tolist(),
            "seeds": block.seeds.tolist(),
        }
        submit(payload).add_done_callback(arrived)
        return answer

    return FitWorkers(send, workers, name)
