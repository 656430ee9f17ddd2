"""Progress on standard error, quiet when that is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def step_progress(total: int) -> Iterator[Callable[[Any, int, int], None] | None]:
    """A progress bar over the steps of a plan; None when standard error is no terminal.

    Parameters
    ----------
    total
        Number of steps.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=total)

        def update(result: Any, ended: int, of: int) -> None:
            mark = "" if result.state == "DONE" else f" {result.state.lower()}"
            bar.update(task, completed=ended, total=of, description=f"{result.name}{mark}")

        yield update
