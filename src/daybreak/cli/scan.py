"""``daybreak scan``: the likelihood of a track event over the sky."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from daybreak.neutrino.scan.driver import ScanProgress


def scan(
    event: Annotated[Path, typer.Argument(help="i3 file or alert message.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")] = Path("scan"),
    gcd: Annotated[Path | None, typer.Option(help="GCD file with the detector.")] = None,
    geometry: Annotated[
        Path | None, typer.Option(help="Table of DOM positions [$DAYBREAK_GEOMETRY].")
    ] = None,
    ice: Annotated[Path | None, typer.Option(help="Table of ice layers.")] = None,
    nsides: Annotated[
        str, typer.Option(help="HEALPix resolutions, from coarse to fine.")
    ] = "1,8,64,512",
    likelihood: Annotated[str, typer.Option(help="Name of the likelihood.")] = "pandel-mpe",
    around: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="RA DEC RADIUS", help="Scan only this circle (deg)."),
    ] = None,
    number: Annotated[
        int | None, typer.Option("--event", help="Which event of the file, from 0.")
    ] = None,
    contours: Annotated[
        str, typer.Option(help="Calibration: auto, resimulation, wilks or millipede.")
    ] = "auto",
    workers: Annotated[int, typer.Option(help="Workers; 0: one per core.")] = 0,
    engine: Annotated[
        str,
        typer.Option(help="Where fits run: local, threads, processes, or an engine profile."),
    ] = "local",
    force: Annotated[
        bool, typer.Option("--force", help="Scan even events that are no tracks.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json.")] = False,
) -> None:
    """Scan the likelihood of a track event over the sky: best fit, contours, maps, one report."""
    from daybreak.cli.results import print_scan
    from daybreak.requests.scan.scan import prepare_scan, run_scan

    if "/" in engine:
        engine = str(Path(engine).resolve())
    prepared = prepare_scan(
        event, gcd=gcd, geometry=geometry, ice=ice, nsides=_nsides(nsides),
        likelihood=likelihood, around=around, number=number, contours=contours, force=force,
    )  # fmt: skip
    with scan_progress() as progress:
        result = run_scan(prepared, out, workers=workers, engine=engine, progress=progress)
    if as_json:
        sys.stdout.write((result.folder / "results.json").read_text(encoding="utf-8"))
        return
    print_scan(result)


def _nsides(text: str) -> list[int]:
    from daybreak.errors import ConfigError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"--nsides {text!r} is no list of numbers", "Write for example --nsides 1,8,64,512."
        ) from None


@contextmanager
def scan_progress() -> Iterator[Callable[[ScanProgress], None] | None]:
    """Progress with the best fit so far; None when standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, said="")

        def update(now: ScanProgress) -> None:
            bar.update(
                task,
                description=f"nside {now.nside} {now.done}/{now.wanted}",
                completed=now.done,
                total=now.wanted,
                said=str(now),
            )

        yield update
