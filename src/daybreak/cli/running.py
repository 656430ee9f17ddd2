"""Running requests from the command line: signals, the bar, what is printed at the end."""

from __future__ import annotations

import getpass
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from daybreak.engine.stop import StopToken
    from daybreak.requests.base import Request
    from daybreak.requests.result import Result


def user_name() -> str:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


@contextmanager
def stop_on_signals() -> Iterator[StopToken]:
    """A token that Ctrl-C, SIGTERM and SIGHUP ask to stop; a second Ctrl-C ends at once."""
    from daybreak.engine.stop import StopReason, StopToken

    token = StopToken()
    if threading.current_thread() is not threading.main_thread():
        yield token
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if token.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        token.request(StopReason.USER)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield token
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def run_request(request: Request, *, as_json: bool = False, keep: bool = False) -> None:
    """Run a request with a bar, and print what it has left.

    Parameters
    ----------
    request
        What is wanted.
    as_json
        Print ``results.json`` in place of the summary.
    keep
        As for :func:`daybreak.requests.run.run`.

    Raises
    ------
    DaybreakError
        As that does; :class:`~daybreak.errors.PartialResultError` if something was left out.
    """
    from daybreak.requests.run import run

    go_on(
        lambda progress, stop: run(request, progress=progress, stop=stop, keep=keep),
        as_json=as_json,
    )


def go_on(call: Callable[[Any, StopToken], Result], *, as_json: bool = False) -> None:
    """Run something that gives a result, with a bar, and print it.

    Parameters
    ----------
    call
        Given who is told of progress, and the token that asks for an early end.
    as_json
        Print ``results.json`` in place of the summary.
    """
    from daybreak.cli.step_bar import request_progress

    with stop_on_signals() as stop, request_progress() as progress:
        result = call(progress, stop)
    if as_json:
        sys.stdout.write((result.folder / "results.json").read_text(encoding="utf-8"))
        if result.missing:
            raise result.partial_error()
        return
    print_result(result)


def print_result(result: Result) -> None:
    """Print the summary of whatever kind of result.

    Parameters
    ----------
    result
        Of a request.

    Raises
    ------
    PartialResultError
        If something had to be left out because of an error.
    """
    from daybreak.requests.kinds import kind_of_result

    for line in kind_of_result(result).summary(result):
        typer.echo(line)
    for text in kept_lines(result):
        typer.echo(text)
    if result.cached:
        typer.echo("nothing to do: everything was there")
    typer.echo(f"report: {result.report}")
    if result.missing:
        raise result.partial_error()


def kept_lines(result: Result) -> list[str]:
    """What was kept from older versions, in a line.

    Parameters
    ----------
    result
        Of a request.
    """
    if not result.kept:
        return []
    versions = ", ".join(sorted(set(result.kept.values())))
    return [f"kept from an older Daybreak ({versions}): {', '.join(sorted(result.kept))}"]
