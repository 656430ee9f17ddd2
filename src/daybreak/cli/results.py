"""How results are printed, whichever command made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from daybreak.requests.scan.scan import ScanResult


def print_result(result: Any) -> None:
    """Print the summary of an analysis or a scan.

    Raises
    ------
    PartialResultError
        If something had to be left out because of an error.
    """
    from daybreak.requests.scan.scan import ScanResult

    if isinstance(result, ScanResult):
        print_scan(result)
        return
    from daybreak.report.analysis.summary import summary_lines
    from daybreak.requests.analysis.analyse import partial_error

    for line in summary_lines(result.results):
        typer.echo(line)
    if result.cached:
        typer.echo("nothing to do: everything was there")
    typer.echo(f"report: {result.report}")
    if result.missing:
        raise partial_error(result)


def print_scan(result: ScanResult) -> None:
    """Print the summary of a sky scan."""
    from daybreak.report.scan.scan_results import scan_summary

    for line in scan_summary(dict(result.results)):
        typer.echo(line)
    if not result.fitted:
        typer.echo("nothing to fit: every pixel was there")
    typer.echo(f"report: {result.report}")
