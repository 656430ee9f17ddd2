"""Pools that outlive a run, so that a service pays for workers and their imports once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybreak.config.engine import EngineProfile
from daybreak.engine.pools.worker_pools import EnginePools, open_pools
from daybreak.engine.schedulers.jobs import JobEnd, JobInfo
from daybreak.ledger.step import Resources
from daybreak.products.digest import value_digest

#: as wide as the machine or the profile allows: what comes later may be wider than the first plan
_WIDTH = 10_000


@dataclass
class _Kept:
    context: AbstractContextManager[EnginePools]
    pools: EnginePools
    preload: frozenset[str]
    users: int = 0
    broken: bool = False


class _Lent:
    """Pools as one run sees them; notes what has not come back.

    Parameters
    ----------
    kept
        The pools.
    """

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self.profile = kept.pools.profile
        self.mine: set[Future[dict[str, Any]]] = set()

    def label_for(self, resources: Resources) -> str:
        return self._kept.pools.label_for(resources)

    def submit(
        self, function: str, payload: Mapping[str, Any], *, label: str, priority: int = 0
    ) -> Future[dict[str, Any]]:
        future = self._kept.pools.submit(function, payload, label=label, priority=priority)
        self.mine.add(future)
        future.add_done_callback(self.mine.discard)
        return future

    def capacity(self, label: str) -> int:
        return self._kept.pools.capacity(label)

    def labels(self) -> list[str]:
        return self._kept.pools.labels()

    def jobs(self) -> list[JobInfo]:
        return self._kept.pools.jobs()

    def health(self) -> Any:
        return self._kept.pools.health()

    def job_of(self, attempt_note: Mapping[str, Any]) -> JobEnd | None:
        return self._kept.pools.job_of(attempt_note)


class KeptPools:
    """Opens pools as :func:`daybreak.engine.pools.worker_pools.open_pools` does, and keeps them.

    Use :meth:`open` as the ``opener`` of runs, one after the other or in several threads, and
    :meth:`close` at the end. Pools whose steps have not all come back, because their run was asked
    to end, are given up: nobody may write into a folder whose run has ended.

    Parameters
    ----------
    scratch
        Folder for the engine's own files, shared with the nodes of a cluster.
    name
        Part of the names of a cluster's jobs.
    """

    def __init__(self, scratch: Path, name: str = "service") -> None:
        self._scratch = scratch
        self._name = f"{name}-{os.getpid()}"
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    @contextmanager
    def open(
        self,
        profile: EngineProfile,
        *,
        tag: str,
        scratch: Path,
        width: int,
        workers: int = 0,
        preload: Sequence[str] = (),
        needs: Sequence[Resources] = (),
    ) -> Iterator[_Lent]:
        """Lend pools to a run.

        Parameters
        ----------
        profile, tag, scratch, width, workers, preload, needs
            As for :func:`~daybreak.engine.pools.worker_pools.open_pools`; tag, scratch and width
            are those of this object. Pools that have not imported what is to be preloaded are
            opened anew.

        Raises
        ------
        EngineError
            If the engine does not start.
        """
        key = value_digest([profile.model_dump(mode="json"), workers])
        with self._lock:
            kept = self._find(key, profile, workers, frozenset(preload), needs)
            kept.users += 1
        lent = _Lent(kept)
        try:
            yield lent
        finally:
            with self._lock:
                kept.users -= 1
                trouble = kept.pools.health()
                kept.broken |= bool(lent.mine) or bool(trouble is not None and trouble.fatal)
                if kept.broken and not kept.users:
                    self._give_up(key, kept)

    def prepare(
        self,
        profile: EngineProfile,
        workers: int,
        preload: Sequence[str],
        needs: Sequence[Resources],
    ) -> None:
        """Open pools that somebody will soon want.

        Parameters
        ----------
        profile, workers, preload, needs
            As for :meth:`open`.

        Raises
        ------
        EngineError
            If the engine does not start.
        """
        key = value_digest([profile.model_dump(mode="json"), workers])
        with self._lock:
            self._find(key, profile, workers, frozenset(preload), needs)

    def _find(
        self,
        key: str,
        profile: EngineProfile,
        workers: int,
        preload: frozenset[str],
        needs: Sequence[Resources],
    ) -> _Kept:
        kept = self._kept.get(key)
        if kept is not None and not kept.broken and (preload <= kept.preload or kept.users):
            return kept
        if kept is not None and not kept.users:
            preload |= kept.preload
            self._give_up(key, kept)
        context = open_pools(
            profile,
            tag=self._name,
            scratch=self._scratch,
            width=_WIDTH,
            workers=workers,
            preload=sorted(preload),
            needs=needs,
        )
        new = _Kept(context, context.__enter__(), preload)
        self._kept[key] = new
        return new

    def _give_up(self, key: str, kept: _Kept) -> None:
        if self._kept.get(key) is kept:
            del self._kept[key]
        kept.context.__exit__(None, None, None)

    def close(self) -> None:
        """Give all workers back."""
        with self._lock:
            for key, kept in list(self._kept.items()):
                self._give_up(key, kept)

    def __enter__(self) -> KeptPools:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
