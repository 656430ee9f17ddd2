"""A scan in the ledger, so that it can be looked at, cancelled and resumed like any request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.errors import DaybreakError, LedgerError
from daybreak.pipeline.ledger import Ledger, RequestInfo
from daybreak.pipeline.registry import driving, remember
from daybreak.pipeline.request import RequestState

if TYPE_CHECKING:
    from daybreak.api.scan import PreparedScan, ScanResult

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


def resume_request(spec: Mapping[str, Any], out: Path, *, progress: Any = None) -> ScanResult:
    """Go on with a scan as its ledger describes it.

    Parameters
    ----------
    spec
        The request as JSON-able values.
    out
        Its output folder.
    progress
        Not used: a scan has no steps.

    Raises
    ------
    LedgerError
        If this version does not understand it.
    """
    from daybreak.api.scan import prepare_scan, run_scan

    values = dict(spec)
    try:
        workers, engine = int(values.pop("workers")), str(values.pop("engine"))
        for name in ("event", "gcd", "geometry", "ice"):
            if values.get(name) is not None:
                values[name] = Path(values[name])
        if values.get("around") is not None:
            values["around"] = tuple(values["around"])
        event = values.pop("event")
        prepared = prepare_scan(event, **values)
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(
            f"the scan in {out} is not one that this Daybreak understands: {error}",
            "Run its command again.",
        ) from None
    return run_scan(prepared, out, workers=workers, engine=engine)
