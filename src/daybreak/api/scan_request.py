"""A scan in the ledger, so that it can be looked at, cancelled and resumed like any request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daybreak.errors import DaybreakError
from daybreak.pipeline.ledger import Ledger, RequestInfo
from daybreak.pipeline.registry import driving, remember
from daybreak.pipeline.request import RequestState

if TYPE_CHECKING:
    from daybreak.api.scan_prepare import PreparedScan

#: an alert's scan goes before analyses and nightly runs
PRIORITY = 10


@dataclass
class Record:
    """What becomes of a scan.

    Attributes
    ----------
    complete
        It went to its end.
    """

    complete: bool = False


@contextmanager
def recorded(prepared: PreparedScan, folder: Path, workers: int, engine: str) -> Iterator[Record]:
    """Write down that a scan runs, and how it ends.

    Parameters
    ----------
    prepared
        What is scanned.
    folder
        Its output folder.
    workers, engine
        As for :func:`daybreak.api.scan.run_scan`.
    """
    info = RequestInfo(
        id=prepared.name,
        key=prepared.key(),
        kind="scan",
        target=Path(prepared.event.source).name,
        origin="cli",
        spec={**prepared.spec, "workers": workers, "engine": engine},
        engine="local" if engine in ("threads", "processes") else engine,
        priority=PRIORITY,
    )
    with Ledger(folder, info) as ledger:
        remember(info, folder)
        if ledger.receive() is RequestState.RUNNING:
            ledger.move(RequestState.PLANNED, "its driver was gone")
        ledger.move(RequestState.PLANNED, f"{engine} engine")
        ledger.move(RequestState.RUNNING)
        record = Record()
        try:
            with driving(info, folder):
                yield record
        except KeyboardInterrupt:
            ledger.move(RequestState.PLANNED, "stopped by the user")
            raise
        except DaybreakError as error:
            ledger.move(RequestState.FAILED, error.what)
            raise
        if record.complete:
            ledger.move(RequestState.DONE)
        else:
            ledger.move(RequestState.PLANNED, "stopped by the user; the map so far is there")
