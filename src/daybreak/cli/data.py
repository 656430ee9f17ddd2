"""``daybreak data``: public data sets by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Fetch public data sets by name.", no_args_is_help=True, rich_markup_mode=None
)

Registry = Annotated[
    Path | None, typer.Option(help="YAML file with other data sets than the known ones.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _data() -> None:
    """Fetch public data sets by name."""


@app.command("list")
def list_(registry: Registry = None, as_json: AsJson = False) -> None:
    """List the public data sets that are known, with size, terms and official address."""
    from daybreak.cli.store import bytes_text
    from daybreak.stores.datasets import known_datasets

    known = known_datasets(registry)
    if as_json:
        typer.echo(json.dumps([d.to_dict() for d in known.values()], indent=2))
        return
    for number, each in enumerate(known.values()):
        if number:
            typer.echo()
        typer.echo(f"{each.name}: {each.title}")
        typer.echo(f"  {each.description}")
        for file in each.files:
            digest = f"sha256 {file.sha256}" if file.sha256 else "SHA-256 not known"
            typer.echo(f"  {file.name}: {bytes_text(file.size)}, {digest}")
            for url in file.urls:
                typer.echo(f"    {url}")
        typer.echo(f"  page: {each.page}")
        typer.echo(f"  terms: {each.terms}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name, as `daybreak data list` gives it.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder; the name by default.")
    ] = None,
    accept_unverified: Annotated[
        bool,
        typer.Option("--accept-unverified", help="Also fetch files whose SHA-256 is not known."),
    ] = False,
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a data set from its official address and check it."""
    from daybreak.cli.copy_bars import fetch_progress
    from daybreak.stores.datasets import fetch_dataset

    with fetch_progress() as progress:
        result = fetch_dataset(
            name, out, accept_unverified=accept_unverified, registry=registry, progress=progress
        )
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=2))
        return
    for file, digest in result.files.items():
        how = "was here already" if file in result.present else "fetched"
        checked = "not verified" if file in result.unverified else "verified"
        typer.echo(f"{file}: {how}, {checked}, sha256 {digest}")
    if result.unpacked:
        typer.echo(f"unpacked {result.unpacked:,} files")
    if result.store:
        typer.echo(f"look at it with: daybreak store list {result.store}")
    typer.echo(f"terms: {result.terms}")
