"""``daybreak demo``: a simulated night, analysed, compared with the injected truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 20261121,
    workers: Annotated[int, typer.Option(help="Local workers; 0: one per core.")] = 0,
) -> None:
    """Simulate a night of a virtual telescope, analyse it and compare with the truth."""
    from daybreak.api.demo import demo as run_demo

    raise typer.Exit(run_demo(out, seed=seed, workers=workers))
