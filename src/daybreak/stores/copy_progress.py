"""What a copy reports: while it runs, and at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

CHECKS = {
    "sha256": "compared with the SHA-256 that the source gives",
    "gzip": "checked by FITS structure and gzip CRC",
    "fits": "checked by FITS structure (and DATASUM where there is one)",
    "none": "are not FITS; their size was checked",
}


class Progress(Protocol):
    """What a progress display has to understand."""

    def start(self, files: int, size: int | None) -> None:
        """Transfers begin: so many files, of so many bytes in all where that is known.

        Parameters
        ----------
        files
            How many.
        size
            Bytes of all of them; None if that is not known.
        """

    def advance(self, size: int) -> None:
        """So many bytes came.

        Parameters
        ----------
        size
            Bytes since the last call.
        """

    def done(self, path: str) -> None:
        """One file is here (or failed).

        Parameters
        ----------
        path
            Of the file, relative to the store.
        """


class NoProgress:
    """Shows nothing."""

    def start(self, files: int, size: int | None) -> None:
        """See `Progress`."""

    def advance(self, size: int) -> None:
        """See `Progress`."""

    def done(self, path: str) -> None:
        """See `Progress`."""


@dataclass
class DatasetCopy:
    """What was copied of one dataset.

    Attributes
    ----------
    runs
        Runs that were asked for and that the source has.
    absent_runs
        Runs that were asked for and that the source's index does not have.
    indexed
        Runs that the destination's index lists now.
    incomplete_runs
        Runs that were asked for and lack a file.
    dropped_runs
        Runs taken from the destination's index because a file of theirs is not here.
    """

    name: str
    runs: int = 0
    absent_runs: list[str] = field(default_factory=list)
    indexed: int = 0
    incomplete_runs: list[str] = field(default_factory=list)
    dropped_runs: list[str] = field(default_factory=list)


@dataclass
class CopyResult:
    """What a copy did.

    Attributes
    ----------
    files
        Files that belong to the runs that were asked for.
    copied, copied_bytes
        How many of them were transferred now.
    present
        How many were here already, whole.
    kept
        How many differ from the source and were kept because of ``keep``.
    failed
        Path to the reason why it could not be had.
    checks
        How many of the transferred files were checked against what.
    """

    source: str
    destination: str
    datasets: list[DatasetCopy] = field(default_factory=list)
    files: int = 0
    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    checks: dict[str, int] = field(default_factory=dict)
    to_copy: list[str] = field(default_factory=list)
    to_copy_bytes: int | None = 0
    documents: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dry_run: bool = False
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is here."""
        return not self.failed and not any(
            d.absent_runs or d.incomplete_runs for d in self.datasets
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "complete": self.complete}
