"""The keys of steps: they change when a step's result can, and only then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daybreak.ledger.digests import Digests
from daybreak.ledger.step import Step
from daybreak.products.code import function_digest
from daybreak.products.digest import value_digest

_FORMAT = 3


@dataclass(frozen=True)
class StepKey:
    """What a step's products depend on.

    Attributes
    ----------
    key
        Over everything.
    made_from
        The same without the code: parameters, settings and inputs.
    """

    key: str
    made_from: str


def step_key(step: Step, digests: Digests, upstream: Mapping[str, Any] | None = None) -> StepKey:
    """Digests over the code, the parameters, the settings and the inputs of a step.

    Parameters
    ----------
    step
        Which.
    digests
        Of the files.
    upstream
        For a tolerant step, how those before it have ended.
    """
    made_from = value_digest(
        {
            "format": _FORMAT,
            "function": step.function,
            "params": dict(step.params),
            "config": dict(step.config),
            "upstream": dict(upstream or {}),
            "inputs": [digests.of(path) for path in step.input_files()],
            "outputs": sorted(p.name for p in step.outputs.values()),
        }
    )
    return StepKey(value_digest([made_from, function_digest(step.function, step.data)]), made_from)
