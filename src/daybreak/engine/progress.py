"""What a driver tells while it runs, and when it will be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daybreak.ledger.step import Step, StepResult


@dataclass(frozen=True)
class ProgressEvent:
    """Where a run of a plan stands.

    Attributes
    ----------
    ended, total
        Number of steps.
    result
        The step that has just ended; None if something else is told.
    running
        Names of steps that run now.
    eta_s
        Seconds until the end, from how long the same steps took before; None if not known.
    message
        What holds the run up, e.g. that the scheduler can't be reached.
    detail
        What a step beside the driver tells of itself.
    """

    ended: int
    total: int
    result: StepResult | None = None
    running: tuple[str, ...] = ()
    eta_s: float | None = None
    message: str = ""
    detail: Any = None


Progress = Callable[[ProgressEvent], None]


def eta_s(
    left: Sequence[Step], durations: Mapping[str, float], capacity: int, running_s: float = 0.0
) -> float | None:
    """Seconds that the steps that are left will take.

    Parameters
    ----------
    left
        Steps that have not ended.
    durations
        Function to its mean duration in s.
    capacity
        Steps that run at a time.
    running_s
        Seconds already spent on those that run.

    Returns
    -------
    float or None
        None if no duration is known for any of them; unknown ones count as the mean of the known.
    """
    known = [durations[step.function] for step in left if step.function in durations]
    if not left:
        return 0.0
    if not known:
        return None
    mean = sum(known) / len(known)
    work = sum(known) + mean * (len(left) - len(known))
    longest = max(known)
    return max(longest if len(left) == 1 else 0.0, (work - running_s) / max(1, capacity), 0.0)
