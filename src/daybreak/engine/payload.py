"""What a worker is told about a step: plain data, so that any transport can carry it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daybreak.engine.attempt import note_path
from daybreak.engine.execute import fingerprint
from daybreak.ledger.step import Resources, Step

_SECONDS_PER_MINUTE = 60


def log_path(step: Step, root: Path) -> Path:
    """The log of a step: beside its first product.

    Parameters
    ----------
    step
        Whose log it is.
    root
        The output folder, for a step without products.
    """
    first = next(iter(step.outputs.values()), None)
    folder = first.parent if first is not None else root / ".daybreak"
    return folder / f"{step.name}.log"


def payload(
    step: Step,
    upstream: Mapping[str, Any],
    root: Path,
    *,
    key: str,
    number: int,
    resources: Resources,
) -> dict[str, Any]:
    """The argument of :func:`daybreak.engine.execute.execute`.

    Parameters
    ----------
    step
        What to run.
    upstream
        Outcomes for a tolerant step.
    root
        The output folder.
    key
        The step's key.
    number
        Of the attempt.
    resources
        What this attempt may take.
    """
    params = {**step.params, "config": dict(step.config), "provenance": dict(step.provenance)}
    if step.tolerant:
        params["upstream"] = dict(upstream)
    inputs: dict[str, Any] = {}
    for name, value in step.inputs.items():
        if isinstance(value, Path):
            if value.exists() or not step.tolerant:
                inputs[name] = str(value)
        else:
            inputs[name] = [str(p) for p in value if p.exists() or not step.tolerant]
    expected = {str(p): mark for p in step.input_files() if (mark := fingerprint(p)) is not None}
    return {
        "name": step.name,
        "function": step.function,
        "inputs": inputs,
        "outputs": {name: str(path) for name, path in step.outputs.items()},
        "folders": sorted(step.folders),
        "params": params,
        "log": str(log_path(step, root)),
        "note": str(note_path(root, step.name, number)),
        "key": key,
        "memory_mb": resources.memory_mb,
        "walltime_s": resources.walltime_min * _SECONDS_PER_MINUTE,
        "expected": expected,
    }
