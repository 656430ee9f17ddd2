"""Progress on standard error, quiet when that is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daybreak.cli.durations import duration_text

if TYPE_CHECKING:
    from daybreak.engine.progress import Progress, ProgressEvent


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
def request_progress() -> Iterator[Progress | None]:
    """A progress bar over what a request does; None when standard error is no terminal."""
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
        task = bar.add_task("starting", total=None)

        def update(event: ProgressEvent) -> None:
            if event.detail is not None and hasattr(event.detail, "wanted"):
                now = event.detail  # a step beside the driver that counts by itself: a sky scan
                said = f"nside {now.nside}, {now}"
                bar.update(task, completed=now.done, total=now.wanted, description=said)
            else:
                total = event.total or None
                bar.update(task, completed=event.ended, total=total, description=_line(event))

        yield update
