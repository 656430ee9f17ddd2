"""What the caller of a run is asked and told while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from daybreak.engine.progress import Progress
from daybreak.engine.stop import StopToken


def _nobody() -> str:
    return ""


def _nothing() -> None:
    return None


def _unheard(steps: Mapping[str, int], message: str, eta_s: float | None) -> None:
    return None


@dataclass
class Control:
    """The caller's side of a run.

    Attributes
    ----------
    stop
        Says when to end early.
    begin
        Called before the first step that has to be run.
    urgent
        Name of a more urgent request on the same cores, to which this one gives way; '' for none.
    note
        Told twice a minute or oftener: state to number of steps, what is done, seconds to go.
    progress
        Told of each step and of what happens between.
    durations
        Function to the mean duration of its steps in s, for the time to go.
    seen
        Function to the durations in s that this run has seen.
    keep
        Products that other code made from the same are good enough.
    """

    stop: StopToken = field(default_factory=StopToken)
    begin: Callable[[], None] = _nothing
    urgent: Callable[[], str] = _nobody
    note: Callable[[Mapping[str, int], str, float | None], None] = _unheard
    progress: Progress | None = None
    durations: Mapping[str, float] = field(default_factory=dict)
    seen: dict[str, list[float]] = field(default_factory=dict)
    keep: bool = False
