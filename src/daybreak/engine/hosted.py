"""Steps that run beside the driver, in a thread of its process, and may use its workers.

They are for work that gives out work itself, as a sky scan does. Such a step is a function of
``(inputs, outputs, params, host)``. It looks at ``host.stop`` and, if it has to end before it is
done, raises :class:`~daybreak.ledger.step.StepStopped`; what it wants to find again it keeps in
``host.work(name)``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.config.engine import EngineProfile
from daybreak.engine.execute import execute
from daybreak.engine.stop import StopToken
from daybreak.ledger.step import Resources
from daybreak.products.atomic import ensure_folder

if TYPE_CHECKING:
    from daybreak.engine.pools.worker_pools import EnginePools

#: name of the pool in the ledger
HOST = "driver"


def nothing(*_: Any) -> None:
    """Hear it and do nothing.

    Parameters
    ----------
    *_
        Whatever there is to hear.
    """


@dataclass(frozen=True)
class Host:
    """What a step that runs beside the driver is given.

    Attributes
    ----------
    root
        The output folder.
    request
        Name of the request.
    profile
        The engine.
    stop
        Says when to end early.
    say
        Takes a sentence on how far the step is, for the ledger.
    report
        Takes an object on how far it is, for who asked to be told.
    opener
        Opens pools of workers, as :func:`daybreak.engine.pools.worker_pools.open_pools`.
    again
        Somebody wants the step to be made again from nothing.
    """

    root: Path
    request: str
    profile: EngineProfile
    stop: StopToken
    say: Callable[[str], None] = nothing
    report: Callable[[Any], None] = nothing
    opener: Callable[..., Any] | None = None
    again: bool = False

    def work(self, step: str) -> Path:
        """A folder of a step that outlives its attempts; it goes when the step is done.

        Parameters
        ----------
        step
            Its name.
        """
        return ensure_folder(work_folder(self.root, step))

    @contextmanager
    def pools(
        self, *, width: int, workers: int, preload: Sequence[str], needs: Sequence[Resources]
    ) -> Iterator[EnginePools]:
        """The workers of the engine.

        Parameters
        ----------
        width, workers, preload, needs
            As for :func:`daybreak.engine.pools.worker_pools.open_pools`.
        """
        from daybreak.engine.pools.worker_pools import open_pools

        with (self.opener or open_pools)(
            self.profile,
            tag=self.request,
            scratch=self.root / ".daybreak" / "engine",
            width=width,
            workers=workers,
            preload=preload,
            needs=needs,
        ) as pools:
            yield pools


def work_folder(root: Path, step: str) -> Path:
    """Where a step keeps what it wants to find again.

    Parameters
    ----------
    root
        The output folder.
    step
        Name of the step.
    """
    return root / ".daybreak" / "work" / step


def remove_work(root: Path, step: str) -> None:
    """Forget what a step has kept, now that it is done.

    Parameters
    ----------
    root
        The output folder.
    step
        Name of the step.
    """
    shutil.rmtree(work_folder(root, step), ignore_errors=True)


class HostThread:
    """Runs steps one after the other in a thread of this process."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="hosted")

    def submit(self, payload: dict[str, Any], host: Host) -> Future[dict[str, Any]]:
        """Run a step; the future has the answer of :func:`daybreak.engine.execute.execute`.

        Parameters
        ----------
        payload
            What a worker would be told.
        host
            What the step is given beside.
        """
        return self._executor.submit(execute, payload, host)

    def close(self) -> None:
        """Begin nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
