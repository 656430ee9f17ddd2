"""``daybreak config``: look at the resolved configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at the configuration.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _config() -> None:
    """Look at the configuration."""


@app.command("show")
def show(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML file with settings.")
    ] = None,
    instrument: Annotated[
        str | None, typer.Option(help="Instrument profile, e.g. hess, magic, lst1.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="KEY=VALUE, e.g. maps.pixel='0.05 deg'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema: every key, type and meaning.")
    ] = False,
) -> None:
    """Print the whole resolved configuration, each value with where it came from."""
    from daybreak.config.analysis import AnalysisConfig
    from daybreak.config.load import to_yaml
    from daybreak.instruments.settings import resolve_config

    if schema:
        typer.echo(json.dumps(AnalysisConfig.model_json_schema(), indent=2))
        return
    resolved, origin = resolve_config(config=config, instrument=instrument, settings=settings or ())
    if as_json:
        typer.echo(resolved.model_dump_json(indent=2))
    else:
        typer.echo(to_yaml(resolved, origin), nl=False)
