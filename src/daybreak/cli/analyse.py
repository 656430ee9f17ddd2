"""``daybreak analyse``: from a DL3 store to a report."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daybreak.cli.durations import seconds_of
from daybreak.cli.running import run_request, user_name

if TYPE_CHECKING:
    from daybreak.requests.stages import Stage


def analyse(
    target: Annotated[
        str, typer.Argument(help="Name, coordinates ('83.63 22.01') or a TARGET_TAG of the store.")
    ],
    store: Annotated[
        Path | None, typer.Option("--store", help="DL3 store: folder with index files [$VHEFITS].")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")] = Path("analysis"),
    instrument: Annotated[
        str | None, typer.Option(help="Instrument profile; by default found from the data.")
    ] = None,
    night: Annotated[
        str | None, typer.Option(help="Night: date of its evening, YYYY-MM-DD, or 'yesterday'.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="First time (UTC).")] = None,
    stop: Annotated[str | None, typer.Option("--to", help="Last time (UTC).")] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Run list: first token of each line is the run.")
    ] = None,
    on_radius: Annotated[
        str | None, typer.Option(help="ON radius, e.g. '0.3 deg' for an extended source.")
    ] = None,
    fit_3d: Annotated[
        bool, typer.Option("--fit-3d", help="Also fit position, extension and spectrum at once.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML file with settings.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="KEY=VALUE, e.g. maps.pixel='0.05 deg'.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="Engine profile: a name or a file; default local.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Workers at most; 0: what the engine gives.")
    ] = None,
    wait: Annotated[
        str, typer.Option(help="Wait so long for data that are not there yet, e.g. 6h.")
    ] = "",
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep what an older Daybreak made of the same data."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json.")] = False,
) -> None:
    """Analyse the data of a target: signal, maps, spectrum, light curve, one report."""
    from daybreak.requests.analysis.request import analysis_request
    from daybreak.requests.run import first_stage

    if engine is not None and "/" in engine:
        engine = str(Path(engine).resolve())
    options = _options(night, start, stop, on_radius, {"profile": engine, "workers": workers})
    if fit_3d:
        options["fit3d"] = {"enabled": True}
    request = analysis_request(
        target,
        store=_store(store),
        out=out,
        config=config,
        instrument=instrument,
        settings=settings or (),
        options=options,
        runs=runs,
        origin="cli",
        requester=user_name(),
        wait_until=time.time() + seconds_of(wait) if wait else 0.0,
    )
    if dry_run:
        _print_plan(first_stage(request), as_json)
        return
    run_request(request, as_json=as_json, keep=keep)


def _store(store: Path | None) -> Path:
    from daybreak.errors import StoreError

    if store is not None:
        return store
    if os.environ.get("VHEFITS"):
        return Path(os.environ["VHEFITS"])
    raise StoreError("no store given", "Use --store DIR, or set $VHEFITS.")


def _options(
    night: str | None,
    start: str | None,
    stop: str | None,
    on_radius: str | None,
    engine: dict[str, Any],
) -> dict[str, Any]:
    selection = {"night": night, "start": start, "stop": stop}
    out: dict[str, Any] = {
        "selection": {k: v for k, v in selection.items() if v is not None},
        "regions": {"on_radius": on_radius} if on_radius is not None else {},
        "engine": {k: v for k, v in engine.items() if v is not None},
    }
    return {key: value for key, value in out.items() if value}


def _print_plan(stage: Stage, as_json: bool) -> None:
    rows, selection = stage.plan.describe(), stage.about
    if as_json:
        keys = ("step", "what", "after", "makes")
        block = {
            "steps": [dict(zip(keys, row, strict=True)) for row in rows],
            "runs": [r.obs_id for r in selection.runs],
            "left_out": [vars(item) for item in selection.left_out],
        }
        typer.echo(json.dumps(block, indent=2, default=str))
        return
    for name, label, after, makes in rows:
        wait = f" (after {len(after)} steps)" if len(after) > 3 else ""
        wait = f" (after {', '.join(after)})" if 0 < len(after) <= 3 else wait
        typer.echo(f"{name}: {label}{wait} -> {', '.join(makes)}")
    for item in selection.left_out:
        typer.echo(f"left out: {item.obs_id if item.obs_id >= 0 else item.file}: {item.reason}")
