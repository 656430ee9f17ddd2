"""How a node's workers are forked, so that the loss of one of them never blocks the others."""

from __future__ import annotations

import fcntl
import itertools
import os
import select
import tempfile
import threading
from collections.abc import Sequence
from multiprocessing import forkserver, queues
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from daybreak.engine.pools.driver_watch import end_group
from daybreak.engine.pools.lean_parsl import import_lean

_numbers = itertools.count()
_IMPORTS = "daybreak.engine.pools.worker_imports"


class FileLock:
    """A lock that the kernel opens when its holder dies; a semaphore would stay shut for ever.

    Between processes only: each process uses it from one thread. A timeout is not kept, as every
    holder lets go after its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd, self._pid = -1, 0

    def __getstate__(self) -> Path:
        return self._path

    def __setstate__(self, path: Path) -> None:
        self._path, self._fd, self._pid = path, -1, 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock.

        Parameters
        ----------
        block
            Wait until it is free.
        timeout
            Not kept.

        Returns
        -------
        bool
            False if another process has it and `block` is not set.
        """
        if self._pid != os.getpid():
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._pid = os.getpid()
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX if block else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Queue(queues.Queue):  # type: ignore[type-arg]
    """A queue between processes whose locks outlive no process that holds them."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        super().__init__(maxsize, ctx=ctx)
        folder = Path(tempfile.gettempdir())
        number = next(_numbers)
        self._rlock = FileLock(folder / f"queue-{number}.read")
        self._wlock = FileLock(folder / f"queue-{number}.write")


class Context(ForkServerContext):
    """Forks from a server process; ends the whole group if a helper process is lost."""

    def Queue(self, maxsize: int = 0) -> Any:  # noqa: N802 - the base's name
        """Make a queue that survives the loss of a process that reads or writes it.

        Parameters
        ----------
        maxsize
            Items that it holds before a writer has to wait; 0: any number.
        """
        return Queue(maxsize, ctx=self.get_context())

    def Manager(self) -> Any:  # noqa: N802 - the base's name
        """Make a manager whose loss is noticed."""
        manager = super().Manager()
        end_group_after([manager._process.pid])  # type: ignore[attr-defined]
        return manager


#: removed when this process ends its group; '' for nothing
folder = ""


def end_group_after(pids: Sequence[int | None]) -> None:
    """Kill this process's whole group once one of its child processes is gone.

    Parameters
    ----------
    pids
        Of the child processes; None and 0 are passed over.
    """
    handles = [os.pidfd_open(pid) for pid in pids if pid]

    def watch() -> None:
        select.select(handles, [], [])
        end_group(folder)

    threading.Thread(target=watch, name="helpers", daemon=True).start()


def start(preload: str) -> None:
    """Start the server with modules imported, and let Parsl's worker pool use it.

    Parameters
    ----------
    preload
        Names of modules with commas.
    """
    context = Context()
    names = [m for m in preload.split(",") if m]
    context.set_forkserver_preload([_IMPORTS, *names])
    forkserver.ensure_running()
    server = getattr(forkserver, "_forkserver", None)
    end_group_after([getattr(server, "_forkserver_pid", None)])
    import_lean("parsl.multiprocessing")
    import parsl.multiprocessing

    parsl.multiprocessing.SpawnContext = context
