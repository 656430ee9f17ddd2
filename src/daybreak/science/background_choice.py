"""Which background estimate the runs of an analysis share."""

from __future__ import annotations

from collections.abc import Sequence

from daybreak.errors import NoDataError
from daybreak.science.run import ReducedRun


def choose_method(runs: Sequence[ReducedRun], requested: str) -> tuple[str, str]:
    """Which background all runs are analysed with, and why.

    Reflected regions if they fit in every run; otherwise the FoV background for all runs, so that
    none is dropped. Without background IRFs the runs in which no region fits stay out.

    Parameters
    ----------
    runs
        The reduced runs.
    requested
        ``auto``, ``reflected`` or ``fov``.

    Returns
    -------
    method : str
        ``reflected`` or ``fov``.
    reason : str
        Why, for the report.

    Raises
    ------
    NoDataError
        If what was asked for, or any background at all, is not to be had.
    """
    reflected = [r for r in runs if "reflected" in r.backgrounds]
    fov = [r for r in runs if "fov" in r.backgrounds]
    n = len(runs)
    if requested == "reflected":
        if not reflected:
            raise NoDataError(
                "no OFF region fits in any run", "Use regions.background: fov, or a smaller ON."
            )
        return "reflected", "asked for in the configuration"
    if requested == "fov":
        if not fov:
            raise NoDataError(
                "no run has a background IRF, which the FoV background needs",
                "Use regions.background: reflected.",
            )
        return "fov", "asked for in the configuration"
    if len(reflected) == n:
        return "reflected", f"reflected regions fit in all {n} runs"
    if len(fov) >= max(len(reflected), 1):
        return "fov", (
            f"reflected regions fit in only {len(reflected)} of {n} runs, so that all runs use "
            "the FoV background"
        )
    if reflected:
        return "reflected", (
            f"OFF regions fit in {len(reflected)} of {n} runs; too few background IRFs for the "
            "FoV background, so that the other runs stay out of the spectrum"
        )
    raise NoDataError(
        "no background can be estimated: no OFF region fits in any run and no run has a "
        "background IRF",
        "Use a smaller ON radius or runs with a larger offset.",
    )
