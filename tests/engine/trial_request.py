"""The trials as a kind of request."""

from __future__ import annotations

from typing import Literal

from trial_plan import plan

from daybreak.requests.base import Request, RequestKind
from daybreak.requests.kind import Kind
from daybreak.requests.kinds import register
from daybreak.requests.result import Result
from daybreak.requests.stages import Stage, Stages


class TrialRequest(Request):
    """A request for the plan of the trials."""

    kind: Literal[RequestKind.DAILY] = RequestKind.DAILY
    scale: float = 1.0
    hungry: str = ""


def stages(request: TrialRequest) -> Stages:
    """The one plan."""
    yield Stage(
        plan(request.out, scale=request.scale, hungry=request.hungry),
        engine=request.engine,
        workers=request.workers,
        preload=("trial_plan",),
    )


def result(request: TrialRequest, steps) -> Result:
    """What there is."""
    return Result(request.out, {}, steps)


TRIAL = Kind(TrialRequest, stages, result, Result, lambda result: [])
register(RequestKind.DAILY, TRIAL)
