"""``daybreak figures``: draw the figures of an analysis again from its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def figures(
    folder: Annotated[Path, typer.Argument(help="Output folder of an analysis.")],
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", help="svg, png or pdf; may be repeated.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Where to draw; by default its figures/.")] = None,
) -> None:
    """Draw the figures of an analysis again from its tables."""
    from daybreak.report.analysis.redraw import figures as draw

    for path in draw(folder, formats=tuple(formats or ("svg",)), to=to):
        typer.echo(str(path))
