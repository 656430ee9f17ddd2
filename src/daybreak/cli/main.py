"""The ``daybreak`` command: registers the commands and turns errors into messages."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from daybreak._version import __version__
from daybreak.cli import (
    analyse,
    check,
    config,
    data,
    demo,
    doctor,
    engine,
    event,
    figures,
    make,
    requests,
    scan,
    simulate,
    store,
)
from daybreak.errors import DaybreakError, InterruptedByUser

INTERNAL_ERROR = 70

app = typer.Typer(
    name="daybreak",
    help="Fast offline analysis of gamma-ray and neutrino telescopes: from alert to answer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"daybreak {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Fast offline analysis of gamma-ray and neutrino telescopes: from alert to answer."""


app.command("analyse")(analyse.analyse)
app.command("figures")(figures.figures)
app.command("demo")(demo.demo)
app.command("scan")(scan.scan)
app.command("doctor")(doctor.doctor)
app.command("check")(check.check)
app.add_typer(event.app, name="event")
app.add_typer(simulate.app, name="simulate")
for _command in ("status", "show", "cancel", "retry", "resume", "priority", "gc"):
    app.command(_command)(getattr(requests, _command))
app.add_typer(make.app, name="make")
app.add_typer(store.app, name="store")
app.add_typer(data.app, name="data")
app.add_typer(config.app, name="config")
app.add_typer(engine.app, name="engine")


def _crash_log(error: BaseException) -> Path | None:
    import tempfile
    import traceback

    name = f"daybreak-crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    path = Path(tempfile.gettempdir()) / name
    try:
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return None
    return path


def _say(message: str) -> None:
    sys.stderr.write(f"daybreak: {message}\n")


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with a documented code; never show a traceback.

    Parameters
    ----------
    args
        Words after ``daybreak``; None: those of this process.

    Raises
    ------
    SystemExit
        Always, with the code.
    """
    try:
        app(args=args, standalone_mode=True)
    except InterruptedByUser as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except DaybreakError as error:
        _say(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("stopped; what was finished is kept, the same command goes on from there")
        sys.exit(InterruptedByUser.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        log = _crash_log(error)
        where = f" The details are in {log}; please report it with that file." if log else ""
        _say(f"internal error: {type(error).__name__}: {error}.{where}")
        sys.exit(INTERNAL_ERROR)
