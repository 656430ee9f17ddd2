"""The table of the kinds of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from daybreak.errors import LedgerError, RequestNotFoundError
from daybreak.requests.base import Request, RequestKind
from daybreak.requests.kind import Kind
from daybreak.requests.result import Result

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
    return next(kind for kind in _kinds.values() if type(result) is kind.result_class)


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
