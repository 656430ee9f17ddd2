"""What became of requests, and what to do with them: status, cancel, retry, resume, tidy up."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from daybreak.config.engine import load_engine
from daybreak.engine.collect import Removable, leftovers, old_products, remove
from daybreak.engine.pools.worker_pools import cancel_stale
from daybreak.engine.progress import Progress
from daybreak.engine.settle import recover
from daybreak.errors import DaybreakError, OutputError, RequestNotFoundError
from daybreak.ledger import reading as ledger_view
from daybreak.ledger.inbox import known_requests
from daybreak.ledger.ledger import Ledger, ledger_path
from daybreak.ledger.reading import RequestView, StepView
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.step import StepState
from daybreak.products.lock import folder_lock

#: kind of request to the function that goes on with it: ``function(spec, out, progress)``
_RESUMERS = {
    "analysis": "daybreak.requests.analysis.analyse:resume_request",
    "scan": "daybreak.requests.scan.scan:resume_request",
}
_CANCEL_WAIT_S = 30.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Lost:
    """A request that is known, but whose folder can't be read.

    Attributes
    ----------
    id, out
        Of the request.
    reason
        Why it can't be read.
    """

    id: str
    out: Path
    reason: str


def status() -> list[RequestView | Lost]:
    """All requests that this user's Daybreak knows of, the newest first."""
    found: list[RequestView | Lost] = []
    seen: set[Path] = set()
    for name, out in known_requests():
        if out in seen:
            continue
        seen.add(out)
        try:
            found += ledger_view.requests(out)
        except DaybreakError as error:
            found.append(Lost(name, out, error.what))
    when = {id(item): item.updated if isinstance(item, RequestView) else 0.0 for item in found}
    return sorted(found, key=lambda item: -when[id(item)])


def find(name: str | Path | None = None) -> RequestView:
    """A request by its name, the start of it, or its output folder (then its newest request).

    Raises
    ------
    RequestNotFoundError
        If there is none, or more than one.
    """
    folder = Path(name) if name is not None else Path()
    if name is None or ledger_path(folder).is_file():
        views = ledger_view.requests(folder.resolve())
        if views:
            return views[0]
    text = str(name or "").lower()
    views = [v for v in status() if isinstance(v, RequestView) and v.kind != "plan"]
    hits = [v for v in views if v.id == text] or [v for v in views if v.id.startswith(text)]
    if len(hits) == 1:
        return hits[0]
    if not hits:
        raise RequestNotFoundError(
            f"no request {text!r}", "'daybreak status' lists them; an output folder will do, too."
        )
    which = "\n  ".join(f"{v.id} in {v.out}" for v in hits)
    raise RequestNotFoundError(f"{text!r} can be any of\n  {which}", "Give the output folder.")


def steps(request: RequestView) -> list[StepView]:
    """The steps of a request, in the order of its plan."""
    return ledger_view.steps(request.out, request.id)


def step(request: RequestView, name: str) -> tuple[StepView, dict[str, list[dict[str, Any]]]]:
    """A step of a request, with its attempts, products and transitions.

    Raises
    ------
    RequestNotFoundError
        If the request has no such step.
    """
    views = steps(request)
    for view in views:
        if view.name == name:
            return view, ledger_view.history(request.out, request.id, name)
    import difflib

    near = difflib.get_close_matches(name, [v.name for v in views], n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"'daybreak status {request.id}' lists them."
    raise RequestNotFoundError(f"request {request.id} has no step {name!r}", hint)


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
    info = RequestInfo(id=request.id)
    if not request.unfinished:
        return request
    with Ledger(request.out, info) as ledger:
        ledger.want("cancel")
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        now = _again(request)
        if not now.unfinished:
            return now
        if now.interrupted and _settle_cancelled(now):
            return _again(request)
        time.sleep(_POLL_S)
    _nudge(_again(request))
    raise OutputError(
        f"the driver of {request.id} ({request.driver}) has not answered within {wait_s:.0f} s",
        "It ends as soon as it looks; 'daybreak status' tells.",
    )


def _again(request: RequestView) -> RequestView:
    return next(v for v in ledger_view.requests(request.out) if v.id == request.id)


def _nudge(request: RequestView) -> None:
    """End a driver of this host that does not look."""
    host, _, pid = request.driver.rpartition(":")
    if request.driver_alive and host == socket.gethostname():
        os.kill(int(pid), signal.SIGTERM)


def _settle_cancelled(request: RequestView) -> bool:
    """Cancel a request that nobody drives: its cluster jobs, its open attempts, its state."""
    try:
        with folder_lock(request.out), Ledger(request.out, RequestInfo(id=request.id)) as ledger:
            cancel_stale(load_engine(request.engine), request.id)
            recover(ledger, {})
            ledger.want("")
            ledger.move(RequestState.CANCELLED, "cancelled; nobody was working on it")
    except OutputError:
        return False
    return True


def retry(
    request: RequestView, names: Sequence[str] = (), *, progress: Progress | None = None
) -> Any:
    """Run failed steps again, and named ones even if they are done; then the rest of the plan.

    Parameters
    ----------
    request
        Which.
    names
        Steps to make again whatever their state; by default those that failed or were skipped.
    progress
        Told how it goes.

    Raises
    ------
    RequestNotFoundError
        If there is no such step.
    """
    again = [step(request, name)[0] for name in names]
    if not names:
        again = [view for view in steps(request) if view.state in ("FAILED", "SKIPPED")]
    with folder_lock(request.out), Ledger(request.out, RequestInfo(id=request.id)) as ledger:
        for view in again:
            if StepState(view.state).ended:
                ledger.again(view.name)
    return resume(_again(request), progress=progress)


def resume(request: RequestView, *, progress: Progress | None = None) -> Any:
    """Go on with a request from what is there; what was left on a cluster is cancelled first.

    Returns
    -------
    object
        What the command would have returned, e.g. an
        :class:`~daybreak.requests.analysis.analyse.AnalysisResult`.

    Raises
    ------
    RequestNotFoundError
        If it is of a kind that can't be resumed.
    DaybreakError
        As the command itself.
    """
    where = _RESUMERS.get(request.kind)
    if where is None:
        raise RequestNotFoundError(
            f"{request.id}: a request of kind {request.kind!r} can't be resumed",
            "Run its command again: it does only what is missing.",
        )
    module, _, name = where.partition(":")
    resumer = getattr(import_module(module), name)
    return resumer(ledger_view.spec(request.out, request.id), request.out, progress=progress)


def to_resume() -> list[RequestView]:
    """Requests that are not done and that nobody works on."""
    return [
        view
        for view in status()
        if isinstance(view, RequestView) and view.interrupted and view.kind in _RESUMERS
    ]


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

    Raises
    ------
    OutputError
        If somebody works in the folder.
    """
    with folder_lock(out):
        items = garbage(out, older_than_s=older_than_s)
        remove(out, items)
    return items
