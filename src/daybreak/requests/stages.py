"""Plans in stages: each is made when the one before it is done, from what that has made."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daybreak.ledger.step import Plan, StepResult


@dataclass(frozen=True)
class Stage:
    """A plan with what is needed to run it.

    Attributes
    ----------
    plan
        The steps.
    engine, workers
        Profile of the engine, and how many workers at most (0: what it gives).
    preload
        Modules that the workers share.
    about
        What a caller may want to show of it before it runs, e.g. which runs were chosen.
    """

    plan: Plan
    engine: str = "local"
    workers: int = 0
    preload: tuple[str, ...] = ()
    about: Any = None


@dataclass(frozen=True)
class StageDone:
    """What a stage has made.

    Attributes
    ----------
    results
        How each step ended.
    products
        Files by name that the plan has promised to later ones.
    """

    results: Mapping[str, StepResult] = field(default_factory=dict)
    products: Mapping[str, Path | tuple[Path, ...]] = field(default_factory=dict)

    def there(self, name: str) -> tuple[Path, ...]:
        """The files of a product that are there, e.g. of the runs that did not fail.

        Parameters
        ----------
        name
            Of the product.
        """
        found = self.products[name]
        return tuple(p for p in ((found,) if isinstance(found, Path) else found) if p.exists())


#: yields one stage after the other, and is sent what each has made
Stages = Generator[Stage, StageDone, None]
