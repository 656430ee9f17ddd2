"""Requests and their steps: ``status``, ``show``, ``cancel``, ``retry``, ``resume``, ``gc``."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daybreak.cli.durations import duration_text, seconds_of
from daybreak.cli.running import go_on

if TYPE_CHECKING:
    from daybreak.engine.collect import Removable
    from daybreak.engine.stop import StopToken
    from daybreak.ledger.reading import StepView
    from daybreak.ledger.views import RequestView
    from daybreak.requests.result import Result

_TAIL_LINES = 20

Which = Annotated[
    str | None,
    typer.Argument(help="Name of the request, the start of it, or its output folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def status(request: Which = None, as_json: AsJson = False) -> None:
    """List the requests, or the steps of one."""
    from daybreak.requests import look

    if request is None:
        views = look.status()
        if as_json:
            typer.echo(json.dumps([_request_block(v) for v in views], indent=1))
        else:
            for line in _request_lines(views):
                typer.echo(line)
        return
    view = look.find(request)
    steps = look.steps(view)
    if as_json:
        block = _request_block(view) | {"steps": [vars(step) for step in steps]}
        typer.echo(json.dumps(block, indent=1))
        return
    typer.echo(_headline(view))
    typer.echo(f"output: {view.out}")
    for line in _step_lines(steps):
        typer.echo(line)


def _request_block(view: RequestView) -> dict[str, Any]:
    block = {key: str(v) if isinstance(v, Path) else v for key, v in vars(view).items()}
    return block | {"interrupted": view.interrupted, "steps": dict(view.steps)}


def _request_lines(views: list[RequestView]) -> list[str]:
    if not views:
        return ["no requests are known"]
    return [f"{_headline(view)}  {_age(view.updated)}  {view.out}" for view in views]


def _headline(view: RequestView) -> str:
    """One line on a request."""
    total = sum(view.steps.values())
    ended = sum(n for state, n in view.steps.items() if state in ("DONE", "SKIPPED", "FAILED"))
    parts = [f"{view.id}  {view.state}"] + ([f"{ended}/{total} steps"] if total else [])
    if view.steps.get("FAILED"):
        parts.append(f"{view.steps['FAILED']} failed")
    if view.trouble:
        parts.append(view.trouble)
    elif view.state == "WAITING_FOR_DATA":
        parts.append(f"until {_clock(view.deadline)}, looks again at {_clock(view.look_at)}")
    elif view.interrupted:
        parts.append(f"nobody works on it: daybreak resume {view.id}")
    elif view.driver:
        parts.append(f"driven by {view.driver}")
    if view.eta_s and not view.interrupted:
        parts.append(f"about {duration_text(view.eta_s)} left")
    if view.reason:
        parts.append(_short(view.reason))
    return ", ".join(parts)


def _clock(then: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(then))


def _short(text: str, width: int = 100) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= width else line[: width - 1] + "…"


def _age(then: float) -> str:
    return f"{duration_text(max(0.0, time.time() - then))} ago"


def _step_lines(steps: list[StepView]) -> list[str]:
    """A table of the steps."""
    width = max((len(step.name) for step in steps), default=4)
    lines = [f"  {'step':{width}}  {'state':9}  tries   time  where"]
    for step in steps:
        spent = duration_text(step.seconds) if step.seconds else ""
        where = step.host + (f" (job {step.job})" if step.job else "")
        tail = f"  {_short(step.reason)}" if step.reason else ""
        lines.append(
            f"  {step.name:{width}}  {step.state:9}  {step.attempts:5}  {spent:>5}  {where}{tail}"
        )
    return lines


def show(
    step: Annotated[str, typer.Argument(help="Name of the step.")],
    request: Which = None,
    log: Annotated[bool, typer.Option("--log", help="Print the whole log of the step.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a step: its attempts, products, changes of state, and the end of its log."""
    from daybreak.requests import look

    view, history = look.step(look.find(request), step)
    if as_json:
        typer.echo(json.dumps(vars(view) | history, indent=1))
        return
    text = _read_log(view.log)
    if log:
        typer.echo(text or "there is no log", nl=not text.endswith("\n"))
        return
    for line in _show_lines(view, history):
        typer.echo(line)
    if text:
        typer.echo(f"log: {view.log}")
        for line in text.splitlines()[-_TAIL_LINES:]:
            typer.echo(f"  {line}")


def _read_log(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8", errors="replace") if name else ""
    except OSError:
        return ""


def _show_lines(view: StepView, history: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [f"{view.name}: {view.state}" + (f", {view.reason}" if view.reason else "")]
    if view.hint and view.state == "FAILED":
        lines.append(f"  {view.hint}")
    for row in history["attempts"]:
        spent = ""
        if row["ended"] and row["started"]:
            spent = f" {duration_text(row['ended'] - row['started'])}"
        peak = f", {row['peak_mb']:.0f} MB" if row["peak_mb"] else ""
        job = f", job {row['job']}" if row["job"] else ""
        why = f": {row['kind']}: {row['reason']}" if row["kind"] else ""
        where = f" on {row['host']}" if row["host"] else ""
        lines.append(f"  attempt {row['number']}: {row['state']}{spent}{where}{job}{peak}{why}")
    for row in history["products"]:
        lines.append(f"  {row['path']}  {row['size']} bytes  sha256 {row['digest'][:16]}")
    for row in history["transitions"]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["time"]))
        why = f"  {_short(row['reason'])}" if row["reason"] else ""
        lines.append(f"  {when} UTC  {row['old']} -> {row['new']}{why}")
    return lines


def cancel(
    request: Annotated[str, typer.Argument(help="Name of the request, or its output folder.")],
) -> None:
    """Stop a request wherever it runs; what was finished is kept."""
    from daybreak.requests import look, manage

    view = manage.cancel(look.find(request))
    typer.echo(_headline(view))


def retry(
    request: Annotated[str, typer.Argument(help="Name of the request, or its output folder.")],
    steps: Annotated[
        list[str] | None,
        typer.Argument(help="Steps to make again; by default those that failed or were skipped."),
    ] = None,
) -> None:
    """Try failed steps again, or make named ones again, then go on with the plan."""
    from daybreak.requests import look, manage

    view = look.find(request)
    go_on(lambda progress, stop: manage.retry(view, steps or (), progress=progress, stop=stop))


def resume(
    request: Which = None,
) -> None:
    """Go on with a request whose driver is gone; without a name, with all of them."""
    from daybreak.requests import look

    views = [look.find(request)] if request is not None else look.to_resume()
    if not views:
        typer.echo("nothing to resume")
    for view in views:
        if request is None:
            typer.echo(_headline(view))
        go_on(partial(_resume, view))


def _resume(view: RequestView, progress: Any, stop: StopToken) -> Result:
    from daybreak.requests import manage

    return manage.resume(view, progress=progress, stop=stop)


def priority(
    request: Annotated[str, typer.Argument(help="Name of the request, or its output folder.")],
    value: Annotated[int, typer.Argument(help="Higher goes first; an alert has 10.")],
) -> None:
    """Change how urgent a request is."""
    from daybreak.requests import look, manage

    typer.echo(_headline(manage.prioritise(look.find(request), value)))


def gc(
    out: Annotated[Path, typer.Argument(help="Output folder.")],
    older_than: Annotated[
        str, typer.Option("--older-than", help="Age of the products that may go, e.g. 30d, 12h.")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove products that no plan makes any more, and what killed drivers left behind."""
    from daybreak.requests import look, manage

    seconds = seconds_of(older_than)
    out = look.find(out).out
    items = (manage.garbage if dry_run else manage.collect)(out, older_than_s=seconds)
    for item in items:
        typer.echo(f"{item.path.relative_to(out)}: {item.why}")
    typer.echo(_sum_line(items, dry_run))


def _sum_line(items: list[Removable], dry_run: bool) -> str:
    verb = "would be removed" if dry_run else "removed"
    return f"{len(items)} {verb}, {sum(item.size for item in items) / 1e6:.1f} MB"
