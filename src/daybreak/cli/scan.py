"""``daybreak scan``: the likelihood of a track event over the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daybreak.cli.running import run_request, user_name


def scan(
    event: Annotated[Path, typer.Argument(help="i3 file or alert message.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")] = Path("scan"),
    gcd: Annotated[Path | None, typer.Option(help="GCD file with the detector.")] = None,
    geometry: Annotated[
        Path | None, typer.Option(help="Table of DOM positions [$DAYBREAK_GEOMETRY].")
    ] = None,
    ice: Annotated[Path | None, typer.Option(help="Table of ice layers.")] = None,
    nsides: Annotated[
        str | None, typer.Option(help="HEALPix resolutions, from coarse to fine: 1,8,64,512.")
    ] = None,
    likelihood: Annotated[
        str | None, typer.Option(help="Name of the likelihood; default pandel-mpe.")
    ] = None,
    around: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="RA DEC RADIUS", help="Scan only this circle (deg)."),
    ] = None,
    number: Annotated[
        int | None, typer.Option("--event", help="Which event of the file, from 0.")
    ] = None,
    contours: Annotated[
        str | None, typer.Option(help="Calibration: auto, resimulation, wilks or millipede.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML file with settings.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="KEY=VALUE, e.g. scan.n_best=20.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Workers; 0: one per core.")] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Where fits run: local, threads, processes, or an engine profile."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Scan even events that are no tracks.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json.")] = False,
) -> None:
    """Scan the likelihood of a track event over the sky: best fit, contours, maps, one report."""
    from daybreak.requests.scan.request import scan_options, scan_request

    if engine is not None and "/" in engine:
        engine = str(Path(engine).resolve())
    levels = None if nsides is None else _nsides(nsides)
    request = scan_request(
        event, out=out, gcd=gcd, geometry=geometry, ice=ice, number=number, force=force,
        config=config, settings=settings or (),
        options=scan_options(levels, likelihood, None, around, contours, engine, workers),
        origin="cli", requester=user_name(),
    )  # fmt: skip
    run_request(request, as_json=as_json)


def _nsides(text: str) -> list[int]:
    from daybreak.errors import ConfigError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"--nsides {text!r} is no list of numbers", "Write for example --nsides 1,8,64,512."
        ) from None
