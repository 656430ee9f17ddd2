"""``daybreak config``: look at the resolved configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

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
    scan: Annotated[
        bool, typer.Option("--scan", help="That of a sky scan in place of an analysis.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema: every key, type and meaning.")
    ] = False,
) -> None:
    """Print the whole resolved configuration, each value with where it came from."""
    from daybreak.config.analysis import AnalysisConfig
    from daybreak.config.load import to_yaml
    from daybreak.config.scan import ScanConfig
    from daybreak.instruments.settings import resolve_config, resolve_scan

    if schema:
        model = ScanConfig if scan else AnalysisConfig
        typer.echo(json.dumps(model.model_json_schema(), indent=2))
        return
    resolved: AnalysisConfig | ScanConfig
    if scan:
        resolved, origin = resolve_scan(config=config, settings=settings or ())
    else:
        resolved, origin = resolve_config(
            config=config, instrument=instrument, settings=settings or ()
        )
    if as_json:
        typer.echo(resolved.model_dump_json(indent=2))
    else:
        typer.echo(to_yaml(resolved, origin), nl=False)


@app.command("instruments")
def instruments(
    name: Annotated[
        str | None, typer.Argument(help="Print this profile, each value with where it came from.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema: every key, type and meaning.")
    ] = False,
) -> None:
    """List the instrument profiles and where each is written, or print one."""
    from daybreak.config.load import to_yaml
    from daybreak.errors import ConfigError
    from daybreak.instruments.profile import InstrumentProfile
    from daybreak.instruments.profiles import load_profile, profile_sources, profile_with_origin

    if schema:
        typer.echo(json.dumps(InstrumentProfile.model_json_schema(), indent=2))
        return
    if name is not None:
        profile, origin = profile_with_origin(name)
        if as_json:
            typer.echo(profile.model_dump_json(indent=2))
        else:
            typer.echo(to_yaml(profile, origin, defaults=False), nl=False)
        return
    rows: list[dict[str, Any]] = []
    for known, sources in profile_sources().items():
        try:
            title = load_profile(known).title
        except ConfigError as error:
            title = f"can't be read: {error.what}"
        written, *hidden = map(str, sources)
        rows.append({"name": known, "title": title, "written_in": written, "hides": hidden})
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        hides = f" (hides: {', '.join(row['hides'])})" if row["hides"] else ""
        typer.echo(f"{row['name']}: {row['title']}; {row['written_in']}{hides}")
