"""How results are printed, whichever command made them."""

from __future__ import annotations

from typing import Any

import typer


def print_result(result: Any) -> None:
    """Print the summary of an analysis.

    Raises
    ------
    PartialResultError
        If something had to be left out because of an error.
    """
    from daybreak.api.analyse import partial_error
    from daybreak.report.summary import summary_lines

    for line in summary_lines(result.results):
        typer.echo(line)
    if result.cached:
        typer.echo("nothing to do: everything was there")
    typer.echo(f"report: {result.report}")
    if result.missing:
        raise partial_error(result)
