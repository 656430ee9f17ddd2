"""Progress on standard error, quiet when that is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daybreak.engine.progress import Progress, ProgressEvent


def duration_text(seconds: float) -> str:
    """A duration as people say it: ``45 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _line(event: ProgressEvent) -> str:
    """What is done, in a few words."""
    parts = []
    if event.message:
        parts.append(event.message)
    elif event.running:
        more = f" +{len(event.running) - 1}" if len(event.running) > 1 else ""
        parts.append(f"{event.running[0]}{more}")
    elif event.result is not None:
        mark = "" if event.result.state == "DONE" else f" {event.result.state.lower()}"
        parts.append(f"{event.result.name}{mark}")
    if event.eta_s:
        parts.append(f"{duration_text(event.eta_s)} left")
    return ", ".join(parts)


@contextmanager
def step_progress(total: int) -> Iterator[Progress | None]:
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
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=total)

        def update(event: ProgressEvent) -> None:
            bar.update(task, completed=event.ended, total=event.total, description=_line(event))

        yield update
