"""What has to be known of a kind of request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daybreak.ledger.step import StepResult
from daybreak.requests.base import Request
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
    preload
        Modules that the workers of its first plan share, to be imported while that is made.
    stopped
        What there is after it was asked to end; '' if there is nothing to be said.
    """

    model: type[Request]
    stages: Callable[[Any], Stages]
    result: Callable[[Any, Mapping[str, StepResult]], Result]
    result_class: type[Result]
    summary: Callable[[Any], list[str]]
    preload: tuple[str, ...] = ()
    stopped: Callable[[Any], str] = lambda request: ""
