"""``daybreak make``: products of one kind from files of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Make products from files: DL1 from camera data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _make() -> None:
    """Make products from files."""


@app.command()
def dl1(
    files: Annotated[list[Path], typer.Argument(help="What a ctapipe EventSource reads.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the DL1 files.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML file with settings.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="KEY=VALUE, e.g. cleaning.picture=6.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for the kernels.")] = 1,
) -> None:
    """From waveforms to image parameters; a file that is there already is not made again."""
    from daybreak.errors import PartialResultError, RunDataError
    from daybreak.instruments.dl1.make import make_dl1
    from daybreak.instruments.dl1.naming import dl1_names
    from daybreak.instruments.dl1.settings import resolve_dl1

    resolved = resolve_dl1(config, settings or [])
    failed = []
    for path, target in dl1_names(files, out).items():
        try:
            made = make_dl1(path, target, resolved, threads=threads)
        except RunDataError as error:
            failed.append(f"{error.what}\n  {error.hint}" if error.hint else error.what)
            continue
        what = f"{made.events} events, {made.images} images, {made.parametrised} with parameters"
        typer.echo(f"{'made' if made.made else 'there'}: {target} ({what})")
        if made.stopped:
            failed.append(f"{path.name}: the file ends early, {made.stopped}")
    if failed:
        raise PartialResultError(
            f"{len(failed)} of {len(files)} files are not whole:\n" + "\n".join(failed),
            "What could be read was made; repair or copy the files and repeat the command.",
        )
