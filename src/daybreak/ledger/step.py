"""Steps from files to files, and the plan that orders them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from daybreak.errors import EngineError


class StepState(StrEnum):
    """State of a step; a step ends DONE, FAILED or SKIPPED."""

    PENDING = "PENDING"
    SUBMITTED = "SUBMITTED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"

    @property
    def ended(self) -> bool:
        """Nothing more will happen to the step."""
        return self in (StepState.DONE, StepState.FAILED, StepState.SKIPPED)


class StepSkipped(Exception):  # noqa: N818 - a result, not an error
    """Raised by a step's function: there is nothing to make, for the reason given."""


class StepStopped(Exception):  # noqa: N818 - an interruption, not an error
    """Raised by a step beside the driver that was asked to end: it goes on from what it keeps."""


class Place(StrEnum):
    """Where a step runs: on a worker, or beside the driver with the engine's workers at hand."""

    WORKER = "worker"
    DRIVER = "driver"


@dataclass(frozen=True)
class Resources:
    """What a step needs of a machine; a step that takes more memory or time is ended."""

    cores: int = 1
    memory_mb: int = 1500
    walltime_min: float = 30


@dataclass(frozen=True)
class Step:
    """A pure function from files to files.

    Attributes
    ----------
    name
        Unique in its plan.
    function
        ``package.module:function``; called as ``function(inputs, outputs, params)`` with
        mappings of name to path (or list of paths); it writes every output.
    inputs
        Files it reads, by name; a list where there are many of a kind.
    outputs
        Files it writes, by name.
    folders
        Names of the outputs that are folders: the function writes into an empty one.
    params
        JSON-able parameters.
    config
        The settings that it reads, by path (:func:`daybreak.config.sections.declare`); it is given
        them, and no others, as ``params['config']``.
    data
        Files or folders of the package that its code reads, e.g. ``report/common/templates``.
    provenance
        JSON-able facts for the products' provenance, as ``params['provenance']``: the step is not
        made again when they change.
    label
        For progress and logs.
    tolerant
        Runs although steps it depends on failed or were skipped; it is then given their outcomes
        as ``params['upstream']``.
    required
        Without it the plan has failed.
    resources
        What it needs.
    place
        Where it runs. Beside the driver its function is given a
        :class:`~daybreak.engine.hosted.Host`, too.
    to_the_end
        Made of what there is even if the run is asked to end.
    lists_kept
        It is told, and made again, if products before it are kept from an older version.
    """

    name: str
    function: str
    inputs: Mapping[str, Path | tuple[Path, ...]]
    outputs: Mapping[str, Path]
    params: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    folders: frozenset[str] = frozenset()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    tolerant: bool = False
    required: bool = True
    resources: Resources = Resources()
    place: Place = Place.WORKER
    to_the_end: bool = False
    lists_kept: bool = False

    def input_files(self) -> list[Path]:
        """All inputs as a flat list."""
        out: list[Path] = []
        for value in self.inputs.values():
            out.extend([value] if isinstance(value, Path) else value)
        return out


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which each comes after those that make its inputs.

    Attributes
    ----------
    steps
        The steps.
    products
        Files by name that a later plan of the same request is made from.
    texts
        Small files that are written when the plan begins, e.g. the configuration.
    """

    steps: tuple[Step, ...]
    products: Mapping[str, Path | tuple[Path, ...]] = field(default_factory=dict)
    texts: Mapping[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that names and outputs are unique and the order is right."""
        made: dict[Path, str] = {}
        names: set[str] = set()
        later = {path for step in self.steps for path in step.outputs.values()}
        for step in self.steps:
            if step.name in names:
                raise EngineError(f"two steps are named {step.name!r}")
            names.add(step.name)
            for path in step.input_files():
                if path in later and path not in made:
                    raise EngineError(f"step {step.name!r} needs {path} before it is made")
            for path in step.outputs.values():
                if path in made:
                    raise EngineError(f"{path} is made by {made[path]!r} and {step.name!r}")
                made[path] = step.name

    @property
    def makers(self) -> dict[Path, str]:
        """Which step makes which file."""
        return {path: step.name for step in self.steps for path in step.outputs.values()}

    def dependencies(self) -> dict[str, tuple[str, ...]]:
        """For each step the names of the steps it waits for."""
        makers = self.makers
        return {
            step.name: tuple(dict.fromkeys(makers[p] for p in step.input_files() if p in makers))
            for step in self.steps
        }

    def describe(self) -> list[tuple[str, str, Sequence[str], list[str]]]:
        """Rows of (step, what it does, depends on, files it makes), for ``--dry-run``."""
        waits = self.dependencies()
        return [
            (s.name, s.label or s.function, waits[s.name], [p.name for p in s.outputs.values()])
            for s in self.steps
        ]


@dataclass(frozen=True)
class StepResult:
    """How a step ended.

    Attributes
    ----------
    name
        The step.
    state
        DONE, FAILED or SKIPPED.
    reason
        Why it failed or was skipped.
    hint
        What the user can do.
    error
        Name of the error class.
    exit_code
        Of that class.
    cached
        The products of an earlier run were whole and nothing had changed.
    kept
        Version of Daybreak that made the products, if they are kept although its code differs.
    seconds
        Wall time.
    outputs
        File to SHA-256.
    kind
        What kind of failure (:class:`daybreak.engine.failures.FailureKind`); '' if none.
    host, job
        Where it ran: the node, and the scheduler's number of the job ('' without scheduler).
    peak_mb
        Largest resident memory while it ran (0: not known).
    attempts
        How often it was started (0: cached or not started).
    """

    name: str
    state: StepState
    reason: str = ""
    hint: str = ""
    error: str = ""
    exit_code: int = 0
    cached: bool = False
    kept: str = ""
    seconds: float = 0.0
    outputs: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    host: str = ""
    job: str = ""
    peak_mb: float = 0.0
    attempts: int = 0
