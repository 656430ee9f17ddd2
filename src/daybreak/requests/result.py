"""What a request leaves in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.errors import PartialResultError
from daybreak.ledger.step import StepResult, StepState

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True)
class Result:
    """What a request left in its folder.

    Attributes
    ----------
    folder
        Output folder.
    results
        Content of ``results.json``.
    steps
        How each step ended.
    """

    folder: Path
    results: Mapping[str, Any]
    steps: Mapping[str, StepResult] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def failed(self) -> list[StepResult]:
        """Steps that failed: data that could not be used, results that could not be made."""
        return [r for r in self.steps.values() if r.state is StepState.FAILED]

    @property
    def missing(self) -> list[str]:
        """What had to be left out because of an error, a line each."""
        return [f"{r.name}: {r.reason}" for r in self.failed]

    @property
    def cached(self) -> bool:
        """Nothing had to be done."""
        return all(r.cached for r in self.steps.values())

    @property
    def kept(self) -> dict[str, str]:
        """Steps whose products were kept from another version of Daybreak, with that version."""
        return {name: r.kept for name, r in self.steps.items() if r.kept}

    def table(self, name: str) -> Table:
        """Read one of the tables in ``results/``, e.g. ``flux_points``.

        Parameters
        ----------
        name
            Of the file, without ``.ecsv``.
        """
        from astropy.table import Table

        return Table.read(self.folder / "results" / f"{name}.ecsv", format="ascii.ecsv")

    def partial_error(self) -> PartialResultError:
        """The error that says what had to be left out."""
        return PartialResultError(
            "the work is done, but without:\n  " + "\n  ".join(self.missing),
            f"The report {self.report} lists them with their reasons.",
        )
