"""``daybreak event``: look at events of neutrino telescopes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Look at events of neutrino telescopes.", no_args_is_help=True, rich_markup_mode=None
)

File = Annotated[
    Path, typer.Argument(help=".i3 file (also .gz, .bz2, .zst), or alert message (JSON, pickled).")
]


@app.callback()
def _event() -> None:
    """Look at events of neutrino telescopes."""


def _print_frame(frame: dict[str, Any]) -> None:
    objects = frame["objects"]
    typer.echo(f"frame {frame['index']} ({frame['stream']}): {len(objects)} objects")
    width = max((len(each["key"]) for each in objects), default=0)
    kind = max((len(each["type"]) for each in objects), default=0)
    for each in objects:
        text = f"can't be read: {each['error']}" if "error" in each else each["holds"]
        line = f"  {each['key']:<{width}}  {each['type']:<{kind}}  {each['bytes']:>8}  {text}"
        typer.echo(line.rstrip())


@app.command()
def show(
    file: File,
    streams: Annotated[
        str, typer.Option(help="Letters of the streams to show, such as QP; all by default.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one frame a line.")] = False,
) -> None:
    """Print what is in a file, frame by frame; every checksum is verified."""
    from daybreak.neutrino.event_io import is_own_event
    from daybreak.neutrino.i3.summary import event_summary, summary
    from daybreak.neutrino.read import read_events, read_frames_of

    if is_own_event(file):  # made by Daybreak: no frames
        for event in read_events(file):
            found = event_summary(event)
            lines = [f"{name}: {value}" for name, value in found.items()]
            typer.echo(json.dumps(found) if as_json else "\n".join(lines))
        return
    frames, numbers, topic = read_frames_of(file)
    n = 0
    for frame in frames:
        n += 1
        if streams and frame.stream not in streams:
            continue
        found = summary(frame)
        if as_json:
            typer.echo(json.dumps(found))
        else:
            _print_frame(found)
    if as_json:
        return
    if topic:
        typer.echo(f"message: {topic}")
    for name in ("run_id", "event_id", "eventtime", "nch", "npulses", "qtot"):
        if isinstance(numbers.get(name), int | float | str):
            text = "".join(c if c.isprintable() else "?" for c in str(numbers[name])[:60])
            typer.echo(f"  {name}: {text}")
    typer.echo(f"{n} frames, all checksums good")


@app.command()
def view(
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write: png, svg or pdf.")],
    number: Annotated[int, typer.Option("--event", help="Which event of the file, from 0.")] = 0,
    gcd: Annotated[Path | None, typer.Option(help="GCD file with the detector.")] = None,
    geometry: Annotated[
        Path | None, typer.Option(help="Table of DOM positions [$DAYBREAK_GEOMETRY].")
    ] = None,
    uncleaned: Annotated[
        bool, typer.Option("--uncleaned", help="Draw all pulses, not only those of the scan.")
    ] = False,
) -> None:
    """Draw an event: DOMs with light, charge as size, time as colour."""
    from daybreak.errors import EventError, OutputError
    from daybreak.neutrino.cleaning import clean
    from daybreak.neutrino.read import read_events
    from daybreak.report.scan.event_view import draw_event, write_figure

    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise OutputError(
            f"{out} is no picture that can be written", "Give a name that ends in .png, .svg, .pdf."
        )
    events = read_events(file, gcd=gcd or geometry)
    if not 0 <= number < len(events):
        raise EventError(
            f"{file} has no event {number}", f"Choose --event 0 to --event {len(events) - 1}."
        )
    event = events[number]
    pulses = event.pulses if uncleaned else clean(event)
    write_figure(draw_event(event, pulses), out)
    typer.echo(
        f"{out}: run {event.header.run}, event {event.header.event}, {len(pulses)} pulses in "
        f"{pulses.n_doms} DOMs, {pulses.qtot:.1f} pe"
        + (f" ({', '.join(event.labels)})" if event.labels else "")
    )
