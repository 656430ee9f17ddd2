"""Which steps of a plan can go, in the order of the plan; linear in the number of steps."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daybreak.ledger.step import Plan, Step, StepResult, StepState


class Readiness:
    """The state of one run of a plan.

    Parameters
    ----------
    plan
        What is to be run.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps = {step.name: step for step in plan.steps}
        self.waits = plan.dependencies()
        self.results: dict[str, StepResult] = {}
        self._kept: dict[str, dict[str, str]] = {}
        self._position = {step.name: n for n, step in enumerate(plan.steps)}
        self._missing = {name: len(before) for name, before in self.waits.items()}
        self._next: dict[str, list[str]] = {step.name: [] for step in plan.steps}
        for name, before in self.waits.items():
            for earlier in before:
                self._next[earlier].append(name)
        self._ready = [(n, s.name) for n, s in enumerate(plan.steps) if not self._missing[s.name]]
        heapq.heapify(self._ready)

    @property
    def finished(self) -> bool:
        """Every step has ended."""
        return len(self.results) == len(self.steps)

    @property
    def has_ready(self) -> bool:
        """A step waits for nothing but to be looked at."""
        return bool(self._ready)

    def ready(self) -> Iterator[Step]:
        """Steps whose inputs are decided, each once, the first of the plan first."""
        while self._ready:
            yield self.steps[heapq.heappop(self._ready)[1]]

    def put_back(self, step: Step) -> None:
        """A step that was taken can't go yet.

        Parameters
        ----------
        step
            One that `ready` has given out.
        """
        heapq.heappush(self._ready, (self._position[step.name], step.name))

    def end(self, result: StepResult) -> None:
        """A step has ended; what waited for it may go.

        Parameters
        ----------
        result
            How the step has ended; its name says which it is.
        """
        self.results[result.name] = result
        kept = {result.name: result.kept} if result.kept else {}
        for earlier in self.waits[result.name]:
            kept |= self._kept.get(earlier, {})
        if kept:
            self._kept[result.name] = kept
        for name in self._next[result.name]:
            self._missing[name] -= 1
            if not self._missing[name]:
                heapq.heappush(self._ready, (self._position[name], name))

    def blocked_by(self, step: Step) -> StepResult | None:
        """The step whose failure means that this one can't run; None if it can.

        Parameters
        ----------
        step
            One whose earlier steps have all ended.
        """
        if step.tolerant:
            return None
        for name in self.waits[step.name]:
            if self.results[name].state is not StepState.DONE:
                return self.results[name]
        return None

    def upstream(self, step: Step) -> dict[str, Any]:
        """For a tolerant step: how those that it depends on have ended.

        Parameters
        ----------
        step
            Which.

        Returns
        -------
        dict
            Step to ``state``, ``reason``, name of the ``error``; for a step that lists them also
            ``kept``, where it or one before it is kept from an older version: those steps with the
            version.
        """
        if not step.tolerant:
            return {}
        kept = self._kept if step.lists_kept else {}
        return outcomes(self.results, self.waits[step.name], kept)

    def left(self) -> list[Step]:
        """Steps that have not ended."""
        return [step for step in self.plan.steps if step.name not in self.results]


def outcomes(
    results: Mapping[str, StepResult],
    names: Sequence[str],
    kept: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """State, reason and error of some steps, and what below them was kept.

    Parameters
    ----------
    results
        Step to how it has ended.
    names
        The steps that are asked about; one without a result is pending.
    kept
        Step to the steps that are kept from an older version, itself or below it, with the version.

    Returns
    -------
    dict
        Step to ``state``, ``reason``, ``error`` and, where there is something, ``kept``.
    """
    found: dict[str, Any] = {}
    for name in names:
        result = results.get(name)
        found[name] = {
            "state": (StepState.PENDING if result is None else result.state).value,
            "reason": "" if result is None else result.reason,
            "error": "" if result is None else result.error,
        }
        if name in kept:
            found[name]["kept"] = dict(sorted(kept[name].items()))
    return found
