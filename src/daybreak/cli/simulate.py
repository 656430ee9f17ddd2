"""``daybreak simulate``: events with injected truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Simulate events with injected truth.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _simulate() -> None:
    """Simulate events with injected truth."""


@app.command()
def event(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (JSON).")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same event.")] = 1,
    zenith: Annotated[
        float | None, typer.Option(min=0, max=180, help="Where it comes from (deg).")
    ] = None,
    azimuth: Annotated[float | None, typer.Option(help="Where it comes from (deg).")] = None,
    energy: Annotated[
        float | None, typer.Option(min=1e3, max=1e9, help="Energy of the muon (GeV).")
    ] = None,
) -> None:
    """Make a muon track in Daybreak's own detector, which `daybreak scan` can scan."""
    from daybreak.simulate.event_file import simulate_event

    made = simulate_event(
        out,
        seed=seed,
        zenith_rad=None if zenith is None else math.radians(zenith),
        azimuth_rad=None if azimuth is None else math.radians(azimuth),
        energy_gev=energy,
    )
    truth, pulses = made.truth, made.pulses
    if truth is not None:
        typer.echo(
            f"muon from zenith {math.degrees(truth.zenith_rad):.3f} deg, azimuth "
            f"{math.degrees(truth.azimuth_rad):.3f} deg, {truth.energy_gev:.3g} GeV"
        )
    typer.echo(f"{len(pulses)} pulses in {pulses.n_doms} DOMs, {pulses.qtot:.1f} pe")
    typer.echo(f"event: {out}")
