"""A scan in the ledger, so that it can be looked at, cancelled and resumed like any request."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.config.engine import load_engine
from daybreak.engine.payload import log_path
from daybreak.engine.pools.driver_watch import undisturbed
from daybreak.engine.pools.worker_pools import cancel_stale
from daybreak.engine.settle import recover
from daybreak.errors import DaybreakError, RequestCancelled
from daybreak.ledger.failure import FailureKind, kind_of
from daybreak.ledger.inbox import driving, remember
from daybreak.ledger.keys import StepKey
from daybreak.ledger.ledger import Ledger, ledger_path
from daybreak.ledger.reading import requests
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.step import Plan, Step, StepResult, StepState
from daybreak.products.atomic import ensure_folder
from daybreak.products.digest import value_digest

if TYPE_CHECKING:
    from daybreak.neutrino.scan.driver import Report, ScanProgress
    from daybreak.requests.scan.prepare import PreparedScan

#: an alert's scan goes before analyses and nightly runs
PRIORITY = 10
#: engines that need no profile
HERE = ("local", "threads", "processes")
PIXELS, PRODUCTS = "pixels", "products"
_LOOK_S = 1.0
_LOG_S = 10.0


def table_path(prepared: PreparedScan, folder: Path) -> Path:
    """Where the pixels of a scan are appended as they arrive."""
    return folder / ".daybreak" / "scan" / f"pixels-{prepared.fit_key()[:16]}.bin"


def _plan(prepared: PreparedScan, folder: Path) -> Plan:
    table = table_path(prepared, folder)
    pixels = Step(
        PIXELS, "daybreak.neutrino.scan.work:scan_block", {}, {"pixels": table},
        label="fit the pixels",
    )  # fmt: skip
    products = Step(
        PRODUCTS, "daybreak.requests.scan.products:write_products", {"pixels": table},
        {"results": folder / "results.json", "report": folder / "report.html"},
        label="contours, maps, report",
    )  # fmt: skip
    return Plan((pixels, products))


def asked_again(prepared: PreparedScan, folder: Path) -> set[str]:
    """Steps of this scan that ``daybreak retry`` has marked to be made again."""
    if not ledger_path(folder).is_file():
        return set()
    with Ledger(folder, RequestInfo(id=prepared.name)) as ledger:
        return {name for name in (PIXELS, PRODUCTS) if ledger.key_of(name) == ""}


def settled(prepared: PreparedScan, folder: Path) -> bool:
    """Whether the ledger says that this scan is done."""
    if not ledger_path(folder).is_file():
        return False
    return any(v.id == prepared.name and v.state == "DONE" for v in requests(folder))


@dataclass
class Record:
    """What is written down while a scan runs.

    Parameters
    ----------
    ledger, plan, key
        Where, for which steps, and what they depend on.
    pool
        Name of the engine.
    report
        Told what the ledger is told, and oftener.

    Attributes
    ----------
    complete
        It went to its end.
    cancelled
        Somebody has asked for its end with ``daybreak cancel``.
    """

    ledger: Ledger
    plan: Plan
    key: str
    pool: str
    report: Report | None = None
    complete: bool = False
    cancelled: bool = False
    _number: int = 0
    _since: float = 0.0
    _looked: float = 0.0
    _logged: float = 0.0
    _nside: int = 0
    _log: dict[str, Path] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One of the two steps of a scan; `complete` tells whether it came to its end."""
        step = next(s for s in self.plan.steps if s.name == name)
        note = {"host": socket.gethostname(), "pid": os.getpid(), "started": time.time()}
        log = self._log[name] = log_path(step, self.ledger.root)
        ensure_folder(log.parent)
        self._number = self.ledger.submitted(step, StepKey(self.key, ""), self.pool, 0, log)
        self.ledger.started(name, self._number, note)
        self._since = time.monotonic()
        self._say(name, f"{step.label}: begun on {note['host']}, engine {self.pool}")
        try:
            yield
        except DaybreakError as error:
            self._end(step, StepState.FAILED, error, note)
            raise
        except BaseException as error:
            self._stopped(name, str(error) or type(error).__name__, note)
            raise
        if self.complete:
            self._end(step, StepState.DONE, None, note)
        else:
            self._stopped(name, "stopped before its end", note)

    def _end(
        self, step: Step, state: StepState, error: DaybreakError | None, note: dict[str, Any]
    ) -> None:
        ledger, done = self.ledger, state is StepState.DONE
        digests = {str(p): ledger.digests.of(p) for p in step.outputs.values()} if done else {}
        result = StepResult(
            name=step.name, state=state,
            reason=error.what if error else "", hint=error.hint if error else "",
            error=type(error).__name__ if error else "", exit_code=error.exit_code if error else 0,
            kind=kind_of(error).value if error else "",
            seconds=time.monotonic() - self._since, outputs=digests, host=str(note["host"]),
        )  # fmt: skip
        ledger.ended(step, StepKey(self.key, ""), result, self._number, note)
        self._say(step.name, f"{state.value} after {result.seconds:.1f} s. {result.reason}".strip())

    def _stopped(self, name: str, why: str, note: dict[str, Any]) -> None:
        with undisturbed():
            self.ledger.attempt_failed(name, self._number, FailureKind.DRIVER, why, note)
            self._say(name, why)

    def _say(self, name: str, text: str) -> None:
        """Add a line to a step's log; a log that can't be written stops nothing."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC  {text}\n"
        try:
            with self._log[name].open("a", encoding="utf-8") as stream:
                stream.write(line)
        except OSError:
            return

    def look(self, now: ScanProgress) -> None:
        """Pass progress on, write it down every second, and see whether somebody cancels.

        Raises
        ------
        KeyboardInterrupt
            If the request was cancelled: the scan ends as on Ctrl-C.
        """
        if self.report is not None:
            self.report(now)
        time_s, text = time.monotonic(), progress_text(now)
        if now.nside != self._nside or time_s - self._logged > _LOG_S:
            self._nside, self._logged = now.nside, time_s
            self._say(PIXELS, text)
        if time_s - self._looked < _LOOK_S:
            return
        self._looked = time_s
        self.ledger.remark(PIXELS, text)
        if self.ledger.wanted() == "cancel":
            self.cancelled = True
            raise KeyboardInterrupt


def progress_text(now: ScanProgress) -> str:
    """How far a scan is, in a line."""
    return f"nside {now.nside}: {now.done} of {now.wanted} pixels, {now}"


@contextmanager
def recorded(
    prepared: PreparedScan, folder: Path, workers: int, engine: str, report: Report | None = None
) -> Iterator[Record]:
    """Write down that a scan runs, and how it ends.

    Parameters
    ----------
    prepared
        What is scanned.
    folder
        Its output folder.
    workers, engine
        As for :func:`daybreak.requests.scan.scan.run_scan`.
    report
        Told how far the scan is.

    Raises
    ------
    RequestCancelled
        If the scan ended because somebody has cancelled it.
    """
    profile = "local" if engine in HERE else engine
    info = RequestInfo(
        id=prepared.name,
        key=prepared.key(),
        kind="scan",
        target=Path(prepared.event.source).name,
        origin="cli",
        spec={**prepared.spec, "workers": workers, "engine": engine},
        engine=profile,
        priority=PRIORITY,
    )
    plan = _plan(prepared, folder)
    with Ledger(folder, info) as ledger:
        remember(info, folder)
        if ledger.receive() is RequestState.RUNNING:
            cancel_stale(load_engine(profile), info.id)
            ledger.move(RequestState.PLANNED, "its driver was gone")
        ledger.enter_plan(plan, value_digest([str(row) for row in plan.describe()]))
        recover(ledger, {})
        ledger.move(RequestState.PLANNED, f"{engine} engine")
        ledger.move(RequestState.RUNNING)
        record = Record(ledger, plan, info.key, engine, report)
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
        elif record.cancelled:
            ledger.move(RequestState.CANCELLED, "cancelled")
            page = folder / "report.html"
            so_far = f"; {page} shows the map so far" if page.is_file() else ""
            raise RequestCancelled(
                f"the scan was cancelled{so_far}", "'daybreak resume' takes it up."
            )
        else:
            ledger.move(RequestState.PLANNED, "stopped by the user")
