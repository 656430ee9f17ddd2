"""Pools that are opened while the plan is still being made: imports take longer than planning."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daybreak.config.engine import EngineProfile
from daybreak.errors import EngineError
from daybreak.ledger.step import Resources


class OpenedAhead:
    """The workers of this host, opened by a thread.

    :meth:`open` lends them to a run as :func:`~daybreak.engine.pools.worker_pools.open_pools` does.
    An engine of another kind is opened only when it is asked for: jobs of a cluster are not
    submitted for a request that may be rejected.

    Parameters
    ----------
    profile, workers, preload
        What the run will probably ask for.
    """

    def __init__(self, profile: EngineProfile, workers: int, preload: Sequence[str]) -> None:
        self._profile, self._workers, self._preload = profile, workers, tuple(preload)
        self._kept: Any = None
        self._thread: threading.Thread | None = None
        if profile.kind == "local":
            self._thread = threading.Thread(target=self._begin, name="engine-ahead", daemon=True)
            self._thread.start()

    def _begin(self) -> None:
        from daybreak.engine.pools.kept_pools import KeptPools

        kept = KeptPools(Path(tempfile.gettempdir()), "ahead")
        with suppress(EngineError):  # who asks for it is told why
            kept.prepare(self._profile, self._workers, self._preload, [Resources()])
        self._kept = kept

    @contextmanager
    def open(
        self,
        profile: EngineProfile,
        *,
        workers: int = 0,
        preload: Sequence[str] = (),
        **values: Any,
    ) -> Iterator[Any]:
        """Lend the pools to a run.

        Parameters
        ----------
        profile, workers, preload, **values
            As for :func:`~daybreak.engine.pools.worker_pools.open_pools`.
        """
        self._join()
        fits = (profile, workers, tuple(preload)) == (self._profile, self._workers, self._preload)
        if self._kept is not None and fits:
            opener = self._kept.open
        else:
            from daybreak.engine.pools.worker_pools import open_pools

            self.close()
            opener = open_pools
        with opener(profile, workers=workers, preload=preload, **values) as pools:
            yield pools

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Give the workers back, also those that nobody has used."""
        self._join()
        if self._kept is not None:
            self._kept.close()
            self._kept = None
