"""What to do with requests: cancel, retry, resume, run what is open, tidy up."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from daybreak.config.engine import load_engine
from daybreak.engine.collect import Removable, leftovers, old_products, remove
from daybreak.engine.progress import Progress
from daybreak.engine.run import Opener, clear_abandoned
from daybreak.engine.settle import recover
from daybreak.engine.stop import StopToken
from daybreak.errors import LedgerError, OutputError, RequestNotFoundError
from daybreak.ledger import reading
from daybreak.ledger.inbox import Inbox
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.places import ledger_path
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.step import StepState
from daybreak.ledger.views import RequestView, view_of
from daybreak.products.lock import folder_lock
from daybreak.requests.kinds import request_from
from daybreak.requests.look import step, steps
from daybreak.requests.result import Result
from daybreak.requests.run import Way

_CANCEL_WAIT_S = 30.0
_POLL_S = 0.2


def _again(name: str) -> RequestView:
    with Inbox() as inbox:
        return view_of(inbox.row(name))


def prioritise(request: RequestView, priority: int) -> RequestView:
    """Change how urgent a request is.

    Parameters
    ----------
    request, priority
        The request; higher goes first.
    """
    with Inbox() as inbox:
        inbox.prioritise(request.id, priority)
    return _again(request.id)


def cancel(request: RequestView, *, wait_s: float = _CANCEL_WAIT_S) -> RequestView:
    """Stop a request, whoever drives it; what was finished is kept.

    Parameters
    ----------
    request
        Which.
    wait_s
        Seconds to wait for its driver.

    Raises
    ------
    OutputError
        If a driver on another host does not answer.
    """
    if not request.unfinished:
        return request
    with Inbox() as inbox:
        inbox.want(request.id, "cancel")
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        now = _again(request.id)
        if not now.unfinished:
            return now
        if now.interrupted and _settle_cancelled(now):
            return _again(request.id)
        time.sleep(_POLL_S)
    _nudge(_again(request.id))
    raise OutputError(
        f"the driver of {request.id} ({request.driver}) has not answered within {wait_s:.0f} s",
        "It ends as soon as it looks; 'daybreak status' tells.",
    )


def _nudge(request: RequestView) -> None:
    """End a driver of this host that does not look."""
    host, _, pid = request.driver.rpartition(":")
    if request.driver_alive and host == socket.gethostname():
        os.kill(int(pid), signal.SIGTERM)


def _settle_cancelled(request: RequestView) -> bool:
    """Cancel a request that nobody drives: its cluster jobs, its open attempts, its state."""
    with Inbox() as inbox:
        try:
            inbox.claim(request.id)
        except OutputError:
            return False
        try:
            if ledger_path(request.out).is_file():
                _clear(request)
            if request.state == RequestState.RUNNING:
                inbox.move(request.id, RequestState.PLANNED, "its driver was gone")
            inbox.move(request.id, RequestState.CANCELLED, "cancelled; nobody was working on it")
        except OutputError:
            return False
        finally:
            inbox.release(request.id)
    return True


def _clear(request: RequestView) -> None:
    info = RequestInfo(id=request.id)
    with folder_lock(request.out), Ledger(request.out, info) as ledger:
        clear_abandoned(load_engine(request.engine), request.id, request.out)
        recover(ledger, {})
        ledger.copy_state(RequestState.CANCELLED, "cancelled; nobody was working on it")


def retry(
    request: RequestView,
    names: Sequence[str] = (),
    *,
    progress: Progress | None = None,
    stop: StopToken | None = None,
) -> Result:
    """Run failed steps again, and named ones even if they are done; then the rest of the plan.

    Parameters
    ----------
    request
        Which.
    names
        Steps to make again whatever their state; by default those that failed or were skipped.
    progress, stop
        As for :func:`daybreak.requests.run.run`.

    Raises
    ------
    RequestNotFoundError
        If there is no such step.
    """
    again = [step(request, name)[0] for name in names]
    if not names:
        again = [view for view in steps(request) if view.state in ("FAILED", "SKIPPED")]
    if again:
        info = RequestInfo(id=request.id)
        with folder_lock(request.out), Ledger(request.out, info) as ledger:
            for view in again:
                if StepState(view.state).ended:
                    ledger.again(view.name)
    return resume(request, progress=progress, stop=stop)


def resume(
    request: RequestView,
    *,
    progress: Progress | None = None,
    stop: StopToken | None = None,
    keep: bool = False,
    opener: Opener | None = None,
) -> Result:
    """Go on with a request from what is there; what was left on a cluster is cancelled first.

    Parameters
    ----------
    request
        Which.
    progress, stop, keep, opener
        As for :func:`daybreak.requests.run.run`.

    Returns
    -------
    Result
        What the command would have returned.

    Raises
    ------
    RequestNotFoundError
        If it is of a kind that can't be resumed.
    DaybreakError
        As the command itself.
    """
    with Inbox() as inbox:
        row = inbox.row(request.id)
        spec = reading.spec_of(row)
        again = request_from(row["kind"], spec, out=str(request.out))
        inbox.claim(request.id)
        way = Way(inbox, request.id, again, progress=progress, stop=stop, keep=keep, opener=opener)
        return way.run()


def work_off(
    inbox: Inbox, *, stop: StopToken | None = None, opener: Opener | None = None
) -> list[str]:
    """Run what is open and nobody works on, the most urgent first, until nothing is.

    Requests that wait for data are looked at and left waiting. A request that fails or is
    rejected holds up no other: its state says so.

    Parameters
    ----------
    inbox
        The site's.
    stop, opener
        As for :func:`daybreak.requests.run.run`.

    Returns
    -------
    list of str
        Names of the requests that were taken.
    """
    stop, taken = stop or StopToken(), []
    while not stop.look():
        name = inbox.take()
        if not name:
            break
        taken.append(name)
        _run_taken(inbox, name, stop, opener)
    return taken


def _run_taken(inbox: Inbox, name: str, stop: StopToken, opener: Opener | None) -> None:
    from daybreak.errors import DaybreakError

    row = inbox.row(name)
    try:
        request = request_from(row["kind"], reading.spec_of(row), out=row["out"])
    except (LedgerError, RequestNotFoundError) as error:
        inbox.move(name, RequestState.REJECTED, error.what)
        inbox.release(name)
        return
    try:
        Way(inbox, name, request, stop=stop, opener=opener, patient=False).run()
    except DaybreakError:
        return  # the inbox has it


def garbage(out: Path, *, older_than_s: float) -> list[Removable]:
    """What could be removed from an output folder.

    Parameters
    ----------
    out
        The folder.
    older_than_s
        Products younger than this (s) are kept.
    """
    return [*old_products(out, older_than_s), *leftovers(out)]


def collect(out: Path, *, older_than_s: float) -> list[Removable]:
    """Remove what :func:`garbage` finds; waits for nobody.

    Parameters
    ----------
    out, older_than_s
        As for that.

    Raises
    ------
    OutputError
        If somebody works in the folder.
    """
    with folder_lock(out):
        items = garbage(out, older_than_s=older_than_s)
        remove(out, items)
    return items
