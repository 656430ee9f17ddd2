"""The kinds of requests: for each its model, its plans, its result and its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from daybreak.errors import LedgerError, RequestNotFoundError
from daybreak.ledger.step import StepResult
from daybreak.requests.base import Request, RequestKind
from daybreak.requests.result import Result
from daybreak.requests.stages import Stages


@dataclass(frozen=True)
class Kind:
    """What has to be known of a kind of request.

    Attributes
    ----------
    model
        Its class.
    stages
        Its plans, one after the other; the first is made from the request alone.
    result
        What it has left, from the request and how its steps ended.
    result_class
        The class of what it leaves.
    summary
        The main results in a few lines.
    stopped
        What there is after it was asked to end; '' if there is nothing to be said.
    """

    model: type[Request]
    stages: Callable[[Any], Stages]
    result: Callable[[Any, Mapping[str, StepResult]], Result]
    result_class: type[Result]
    summary: Callable[[Any], list[str]]
    stopped: Callable[[Any], str] = lambda request: ""


_kinds: dict[str, Kind] = {}


def kind_of(name: str) -> Kind:
    """The kind of a name; its modules are imported when it is asked for.

    Parameters
    ----------
    name
        A :class:`~daybreak.requests.base.RequestKind`.

    Raises
    ------
    RequestNotFoundError
        If requests of that kind can't be run.
    """
    if name in _kinds:
        return _kinds[name]
    if name == RequestKind.ANALYSIS:
        from daybreak.requests.analysis.kind import ANALYSIS

        return register(name, ANALYSIS)
    if name == RequestKind.SCAN:
        from daybreak.requests.scan.kind import SCAN

        return register(name, SCAN)
    raise RequestNotFoundError(
        f"a request of kind {name!r} can't be resumed",
        "Run its command again: it does only what is missing.",
    )


def register(name: str, kind: Kind) -> Kind:
    """Make a kind of request known.

    Parameters
    ----------
    name, kind
        The kind.
    """
    _kinds[name] = kind
    return kind


def kind_of_result(result: Result) -> Kind:
    """The kind that a result is of.

    Parameters
    ----------
    result
        Of a request that has been run.
    """
    return next(kind for kind in _kinds.values() if isinstance(result, kind.result_class))


def request_from(kind: str, spec: Mapping[str, Any], **changes: Any) -> Request:
    """Make a request again from what is written down of it.

    Parameters
    ----------
    kind, spec
        Its kind and its description.
    **changes
        Values that beat those of the description, e.g. a folder that was moved.

    Raises
    ------
    LedgerError
        If this version of Daybreak does not understand it.
    """
    model = kind_of(kind).model
    try:
        return model.model_validate({**spec, **changes})
    except ValidationError as error:
        raise LedgerError(
            f"the request in {changes.get('out', spec.get('out', '?'))} is not one that this "
            f"Daybreak understands: {error}",
            "Run its command again.",
        ) from None
