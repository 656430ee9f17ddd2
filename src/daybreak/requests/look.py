"""What became of requests: the list, one of them, its steps. Imports nothing that runs them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daybreak.errors import RequestNotFoundError
from daybreak.ledger import reading
from daybreak.ledger.inbox import Inbox
from daybreak.ledger.places import ledger_path
from daybreak.ledger.reading import StepView
from daybreak.ledger.views import RequestView, view_of


def status() -> list[RequestView]:
    """All requests of this site, the newest first."""
    with Inbox() as inbox:
        return [view_of(row, _trouble(row)) for row in inbox.rows()]


def _trouble(row: Any) -> str:
    """What is wrong with the folder of a request that has one."""
    if row["steps"] == "{}":
        return ""
    return reading.looks_damaged(Path(row["out"]))


def find(name: str | Path | None = None) -> RequestView:
    """A request by its name, the start of it, or its output folder (then its newest request).

    A folder that was moved here, or that somebody else made, is entered into the inbox.

    Parameters
    ----------
    name
        Which; None: that of the present folder.

    Raises
    ------
    RequestNotFoundError
        If there is none, or more than one.
    """
    folder = (Path(name) if name is not None else Path()).resolve()
    with Inbox() as inbox:
        views = [view_of(row) for row in inbox.rows()]
        here = [view for view in views if view.out == folder]
        if here and not ledger_path(folder).is_file():
            return here[0]
        if name is None or ledger_path(folder).is_file():
            return _of_folder(inbox, folder, here)
    text = str(name).lower()
    hits = [v for v in views if v.id == text] or [v for v in views if v.id.startswith(text)]
    if len(hits) == 1:
        return hits[0]
    if not hits:
        raise RequestNotFoundError(
            f"no request {text!r}", "'daybreak status' lists them; an output folder will do, too."
        )
    which = "\n  ".join(f"{v.id} in {v.out}" for v in hits)
    raise RequestNotFoundError(f"{text!r} can be any of\n  {which}", "Give the output folder.")


def _of_folder(inbox: Inbox, folder: Path, known: Sequence[RequestView]) -> RequestView:
    """The newest request of a folder; those that only the folder knows are entered."""
    ours = {view.id for view in known}
    found = [r for r in reading.requests_of(folder) if r.info.kind != "plan"]
    for request in found:
        if request.info.id not in ours:
            inbox.adopt(request.info, request.state, request.created)
    views = [view_of(row) for row in inbox.rows() if Path(row["out"]) == folder]
    if not views:
        raise RequestNotFoundError(
            f"{folder} holds no requests", "'daybreak status' lists those that are known."
        )
    return views[0]


def steps(request: RequestView) -> list[StepView]:
    """The steps of a request, in the order of its plans.

    Parameters
    ----------
    request
        Which.
    """
    if not ledger_path(request.out).is_file():
        return []
    return reading.steps(request.out, request.id)


def step(request: RequestView, name: str) -> tuple[StepView, dict[str, list[dict[str, Any]]]]:
    """A step of a request, with its attempts, products and transitions.

    Parameters
    ----------
    request, name
        The request, and the name of the step.

    Raises
    ------
    RequestNotFoundError
        If the request has no such step.
    """
    views = steps(request)
    for view in views:
        if view.name == name:
            return view, reading.history(request.out, request.id, name)
    near = difflib.get_close_matches(name, [v.name for v in views], n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"'daybreak status {request.id}' lists them."
    raise RequestNotFoundError(f"request {request.id} has no step {name!r}", hint)


def history(request: RequestView) -> list[dict[str, Any]]:
    """Changes of state of a request, the oldest first.

    Parameters
    ----------
    request
        Which.
    """
    with Inbox() as inbox:
        return inbox.history(request.id)


def to_resume() -> list[RequestView]:
    """Requests that are not done and that nobody works on."""
    return [view for view in status() if view.interrupted]
