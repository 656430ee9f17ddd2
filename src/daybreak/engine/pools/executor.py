"""Parsl's executor: what it is made of, and how it is stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
#: seconds that an interchange has to take a step; one that lives takes it at once
TAKES_S = 2.0


@dataclass(frozen=True)
class PoolSetup:
    """What a pool is made of.

    Attributes
    ----------
    label
        Of the pool.
    workers
        Per node.
    nodes
        Per block.
    min_blocks, max_blocks
        Blocks to keep, and blocks at most.
    folder
        For Parsl's files; seen by the nodes.
    arguments
        Of :mod:`daybreak.engine.pools.workers`.
    python
        Interpreter on the nodes.
    addresses
        IP addresses of this host for the nodes; empty: only this host.
    ports
        For the nodes to connect to.
    heartbeat_s, threshold_s
        How often nodes are heard of, and after which silence they are lost.
    drain_s
        Seconds after which a block takes no new step; 0: never.
    idle_s
        Seconds without work after which a block is given back.
    wait_s
        Seconds to wait for a scheduler that does not answer.
    """

    label: str
    workers: int
    nodes: int
    min_blocks: int
    max_blocks: int
    folder: Path
    arguments: tuple[str, ...]
    python: str = sys.executable
    addresses: tuple[str, ...] = ()
    ports: tuple[int, int] = (54000, 55000)
    heartbeat_s: int = 5
    threshold_s: int = 25
    drain_s: int = 0
    idle_s: float = 120
    wait_s: float = 21600

    @property
    def slots(self) -> int:
        """Workers of a block."""
        return self.workers * self.nodes


def shut(executor: Any) -> None:
    """Stop an executor at once.

    Parameters
    ----------
    executor
        As of `make_executor`; one that did not start is fine.
    """
    process = executor.interchange_proc
    if process is not None and process.poll() is None:
        process.kill()
    try:
        executor.shutdown(timeout=2)
    except Exception as error:
        _log.debug("engine: %s", error)
    with contextlib.suppress(Exception):
        process.wait(timeout=2)


def never_block(executor: Any) -> None:
    """Let an executor that has started give up a step that its interchange does not take.

    ZeroMQ waits for ever with a message that nobody is there to take: an interchange that was
    killed a moment ago would stop whoever gives it a step, and whoever closes the connection.

    Parameters
    ----------
    executor
        As of `make_executor`, started, and not used yet. After `TAKES_S` seconds its `submit`
        raises an error that `taken_by_nobody` knows.
    """
    import zmq

    socket = executor.outgoing_q.zmq_socket
    socket.setsockopt(zmq.SNDTIMEO, int(1000 * TAKES_S))
    socket.setsockopt(zmq.LINGER, 0)


def taken_by_nobody(error: BaseException) -> bool:
    """Whether an error of `submit` says that the interchange did not take the step.

    Parameters
    ----------
    error
        What was raised.
    """
    import zmq

    return isinstance(error, zmq.Again)


def worker_command(setup: PoolSetup) -> list[str]:
    """The command of a node's workers, without the arguments of Parsl's pool.

    Parameters
    ----------
    setup
        The pool that the workers belong to.
    """
    return [setup.python, "-m", "daybreak.engine.pools.workers", *setup.arguments, "--"]


def make_executor(setup: PoolSetup) -> Any:
    """An executor that has not started; its blocks are asked for elsewhere.

    Parameters
    ----------
    setup
        What the pool is made of.

    Returns
    -------
    HighThroughputExecutor
        Of Parsl.
    """
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
    from parsl.providers import LocalProvider

    parsl_arguments = DEFAULT_LAUNCH_CMD.split(" ", 1)[1]
    command = shlex.join(worker_command(setup))
    executor = HighThroughputExecutor(
        label=setup.label,
        address="127.0.0.1",
        loopback_address="127.0.0.1",
        worker_port_range=setup.ports,
        max_workers_per_node=setup.workers,
        cores_per_worker=1e-6,
        encrypted=True,
        poll_period=5,
        heartbeat_period=setup.heartbeat_s,
        heartbeat_threshold=setup.threshold_s,
        drain_period=setup.drain_s or None,
        launch_cmd=f"{command} {parsl_arguments}",
        interchange_launch_cmd=[
            sys.executable, "-m", "daybreak.engine.pools.interchange", str(os.getpid()),
        ],
        # the blocks are asked for by this module; Parsl wants to have a provider nevertheless
        provider=LocalProvider(init_blocks=0, min_blocks=0, max_blocks=0),
        block_error_handler=False,
    )  # fmt: skip
    if setup.addresses:
        executor.address, executor.all_addresses = None, set(setup.addresses)
    return executor
