"""Progress bars on standard error, only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from daybreak.stores.copy_progress import Progress


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class _CopyBar:
    """Shows a copy; its methods are called from many threads."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._files = self._done = 0

    def start(self, files: int, size: int | None) -> None:
        """See `daybreak.stores.copy_progress.Progress`."""
        if files:
            self._files, self._bar = files, _bar()
            self._task = self._bar.add_task(f"copying 0/{files}", total=size)
            self._bar.start()

    def advance(self, size: int) -> None:
        """See `daybreak.stores.copy_progress.Progress`."""
        if self._bar is not None:
            self._bar.update(self._task, advance=size)

    def done(self, path: str) -> None:
        """See `daybreak.stores.copy_progress.Progress`."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, description=f"copying {self._done}/{self._files}")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def copy_progress() -> Iterator[Progress | None]:
    """A bar for `copy_store`; None where standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _CopyBar()
    try:
        yield bar
    finally:
        bar.close()


@contextmanager
def bytes_progress(what: str) -> Iterator[Callable[[int], None] | None]:
    """A running count of bytes; None where standard error is not a terminal.

    Parameters
    ----------
    what
        Stands before the count.

    Yields
    ------
    callable or None
        Takes how many bytes came since the last call.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with _bar() as bar:
        task = bar.add_task(what, total=None)
        yield lambda size: bar.update(task, advance=size)


class PoochBar:
    """The display that pooch asks for while it downloads."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("fetching", total=None)
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes that are to come; 0: not known."""
        return self._total

    @total.setter
    def total(self, value: int) -> None:
        self._total = value
        self._bar.update(self._task, total=value or None, completed=0)

    def update(self, size: int) -> None:
        """So many bytes came.

        Parameters
        ----------
        size
            Bytes since the last call.
        """
        self._bar.update(self._task, advance=size)

    def reset(self) -> None:
        """Begin again (pooch does so to show the end)."""
        self._bar.reset(self._task, total=self._total or None)

    def close(self) -> None:
        """Nothing to do: the bar is closed with its context."""


@contextmanager
def fetch_progress() -> Iterator[PoochBar | None]:
    """A bar for `fetch_dataset`; None where standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with _bar() as bar:
        yield PoochBar(bar)
