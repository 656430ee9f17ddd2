"""``daybreak engine``: where steps run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Look at engines: where steps run.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str | None, typer.Option("--engine", help="Name or path of a profile.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", help="KEY=VALUE, e.g. pools.default.account=foa."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _engine() -> None:
    """Look at engines: where steps run."""


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the engines that are known, and where they are described."""
    from daybreak.engine.trial import engine_names, engines_folder

    names = engine_names()
    if as_json:
        typer.echo(json.dumps({n: str(p) if p else None for n, p in names.items()}, indent=2))
        return
    for name, path in names.items():
        typer.echo(f"{name}: {path or 'built in'}")
    typer.echo(f"your own: NAME.yaml in {engines_folder()}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name or path of a profile.")] = "local",
    settings: Settings = None,
    as_json: AsJson = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema: every key, type and meaning.")
    ] = False,
) -> None:
    """Print a whole engine profile; what is printed can be saved as your own."""
    from daybreak.config.engine import EngineProfile, load_engine
    from daybreak.config.load import to_yaml

    if schema:
        typer.echo(json.dumps(EngineProfile.model_json_schema(), indent=2))
        return
    profile = load_engine(name, overrides=settings or ())
    typer.echo(profile.model_dump_json(indent=2) if as_json else to_yaml(profile).rstrip())


@app.command()
def test(
    engine: Name = None,
    settings: Settings = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where output will lie, shared with the nodes. Default: here."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a worker of a pool.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Run a tiny plan on an engine and say what works (exit code 9 if something does not)."""
    from daybreak.engine.pools.driver_watch import interruptible
    from daybreak.engine.trial import test_engine
    from daybreak.errors import EngineError

    with interruptible():
        report = test_engine(engine, settings=settings or (), folder=folder, timeout_s=timeout)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        for check in report.checks:
            typer.echo(f"{'ok' if check.good else 'NO'}  {check.name}: {check.found}")
    bad = [check.name for check in report.checks if not check.good]
    if bad:
        raise EngineError(
            f"engine {report.engine!r}: not as it has to be: {', '.join(bad)}",
            f"Correct the profile: 'daybreak engine show {engine or 'local'}' prints it.",
        )
