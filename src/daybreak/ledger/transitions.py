"""Which state may follow which, for requests and for steps."""

from __future__ import annotations

from daybreak.errors import LedgerError
from daybreak.ledger.request import RequestState as R
from daybreak.ledger.step import StepState as S

REQUEST: dict[R, frozenset[R]] = {
    R.RECEIVED: frozenset({R.REJECTED, R.WAITING_FOR_DATA, R.PLANNED, R.CANCELLED}),
    R.REJECTED: frozenset({R.RECEIVED}),
    R.WAITING_FOR_DATA: frozenset({R.PLANNED, R.REJECTED, R.FAILED, R.CANCELLED}),
    R.PLANNED: frozenset({R.RUNNING, R.REJECTED, R.WAITING_FOR_DATA, R.FAILED, R.CANCELLED}),
    R.RUNNING: frozenset({R.DONE, R.FAILED, R.CANCELLED, R.PLANNED}),
    R.DONE: frozenset({R.RECEIVED, R.PLANNED}),
    R.FAILED: frozenset({R.RECEIVED, R.PLANNED}),
    R.CANCELLED: frozenset({R.RECEIVED, R.PLANNED}),
}

STEP: dict[S, frozenset[S]] = {
    S.PENDING: frozenset({S.SUBMITTED, S.DONE, S.FAILED, S.SKIPPED}),
    S.SUBMITTED: frozenset({S.RUNNING, S.DONE, S.FAILED, S.SKIPPED, S.PENDING}),
    S.RUNNING: frozenset({S.DONE, S.FAILED, S.SKIPPED, S.PENDING}),
    S.DONE: frozenset({S.PENDING}),
    S.FAILED: frozenset({S.PENDING}),
    S.SKIPPED: frozenset({S.PENDING}),
}


def check_request(old: R, new: R) -> None:
    """Raise LedgerError unless a request may go from `old` to `new`.

    Parameters
    ----------
    old, new
        The states.
    """
    if new not in REQUEST[old]:
        raise LedgerError(f"a request can't go from {old.value} to {new.value}")


def check_step(old: S, new: S, name: str) -> None:
    """Raise LedgerError unless a step may go from `old` to `new`.

    Parameters
    ----------
    old, new
        The states.
    name
        Of the step.
    """
    if new not in STEP[old]:
        raise LedgerError(f"step {name!r} can't go from {old.value} to {new.value}")
