"""``daybreak store``: list, copy, verify and index DL3 data stores."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from daybreak.stores.copy_progress import CopyResult
    from daybreak.stores.listing import DatasetInfo
    from daybreak.stores.verify import Finding, VerifyResult

app = typer.Typer(
    help="List, copy, verify and index DL3 data stores.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Dataset = Annotated[str | None, typer.Option(help="Only the dataset of this name.")]
Target = Annotated[
    str | None, typer.Option(help="Runs of this target: a name, a part of it, or with *.")
]
Position = Annotated[
    str | None, typer.Option(help="Runs that point near 'RA DEC', in degrees.", metavar="RA,DEC")
]
Radius = Annotated[float, typer.Option(help="How near, in degrees.", min=0.0)]
After = Annotated[str | None, typer.Option(help="Runs that start at or after this date.")]
Before = Annotated[str | None, typer.Option(help="Runs that start before this date.")]
RunList = Annotated[
    Path | None,
    typer.Option("--runs", help="Run list: one run per line, or a table with OBS_ID."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _store() -> None:
    """List, copy, verify and index DL3 data stores."""


def _import_verbs() -> None:
    """Import the verbs, and Astropy with them, without looking for garbage meanwhile.

    Nor is it looked for later among what the imports made: that takes a tenth of the time of a
    large listing.
    """
    gc.disable()
    try:
        import daybreak.stores.verbs  # noqa: F401
    finally:
        gc.enable()
    gc.freeze()


def bytes_text(size: float | None) -> str:
    """A size for people: 62.2 MB.

    Parameters
    ----------
    size
        In bytes; None: not known.
    """
    if size is None:
        return "unknown size"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000.0
    return f"{size:.1f} TB"


def _dump(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def _row(name: str, text: str) -> None:
    typer.echo(f"  {name:<15}{text}")


def _clean(text: str) -> str:
    """Text from a store without what could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _print_dataset(info: DatasetInfo) -> None:
    typer.echo(_clean(info.name))
    if not info.available:
        _row("not available", _clean(info.problem))
    else:
        whole = "" if info.counted else " (from the index, not counted)"
        _row("observations", f"{info.observations:,}{whole}")
        _row("time", f"{info.ontime_h:.2f} h, livetime {info.livetime_h:.2f} h")
        _row("events", "unknown" if info.events is None else f"{info.events:,}")
        _row("size", f"{bytes_text(info.size_bytes)} in {info.files:,} files")
        if info.first:
            scale = f" {info.time_scale}" if info.time_scale else ""
            _row("runs start", f"{info.first} to {info.last}{scale}")
        names = [f"{_clean(n) or 'unnamed'} ({c})" for n, c in info.targets.items()]
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        _row("targets", ", ".join(names[:12]) + more)
        _row("index", f"{info.obs_index}, {info.hdu_index}")
    for key, value in info.keys.items():
        text = value if isinstance(value, str) else json.dumps(value)
        _row("says", f"{_clean(key)}: {_clean(text)}")
    for text in info.differences:
        _row("but", _clean(text))
    if info.incomplete:
        some = ", ".join(info.incomplete[:8]) + (" ..." if len(info.incomplete) > 8 else "")
        _row("incomplete", f"{len(info.incomplete)} runs lack a file: {some}")


def _print_runs(info: DatasetInfo) -> None:
    head = ("run", "target", "start", "ra", "dec", "zenith", "time", "live", "events", "size")
    typer.echo("{:>10} {:<22} {:<19} {:>8} {:>8} {:>6} {:>7} {:>7} {:>9} {:>9}".format(*head))

    def number(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    for run in info.runs or ():
        cells = [f"{run.obs_id:>10}", f"{_clean(run.target)[:22]:<22}", f"{run.start:<19}"]
        cells += [f"{number(run.ra_deg, 3):>8}", f"{number(run.dec_deg, 3):>8}"]
        cells += [f"{number(run.zenith_deg, 1):>6}", f"{number(run.ontime_s, 0):>7}"]
        cells += [f"{number(run.livetime_s, 0):>7}"]
        cells += [f"{'-' if run.events is None else run.events:>9}"]
        cells += [f"{'-' if run.size_bytes is None else bytes_text(run.size_bytes):>9}"]
        typer.echo(" ".join(cells) + ("  incomplete" if run.complete is False else ""))


@app.command("list")
def list_(
    path: Annotated[
        str | None, typer.Argument(help="Folder, master file or URL; $VHEFITS by default.")
    ] = None,
    dataset: Dataset = None,
    runs: Annotated[bool, typer.Option("--runs", help="List the observations.")] = False,
    target: Target = None,
    position: Position = None,
    radius: Radius = 3.0,
    after: After = None,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """Say what datasets a store has and what is really there, counted from the files."""
    _import_verbs()
    from astropy import units as u

    from daybreak.stores.verbs import list_store, select

    near = {"position": position, "radius": radius * u.deg}
    selection = select(target=target, **near, after=after, before=before)
    found = list_store(path, dataset=dataset, runs=runs, selection=selection)
    if as_json:
        _dump(found.to_dict())
        return
    for number, info in enumerate(found.datasets):
        if number:
            typer.echo()
        _print_dataset(info)
        if info.runs is not None:
            typer.echo()
            _print_runs(info)


def _print_copy(result: CopyResult) -> None:
    from daybreak.stores.copy_progress import CHECKS

    if result.dry_run:
        size = bytes_text(result.to_copy_bytes)
        typer.echo(f"would copy {len(result.to_copy):,} files ({size})")
        for path in result.to_copy[:20]:
            typer.echo(f"  {_clean(path)}")
        if len(result.to_copy) > 20:
            typer.echo(f"  and {len(result.to_copy) - 20} more")
    else:
        rate = result.copied_bytes / max(result.seconds, 1e-3)
        speed = f" in {result.seconds:.1f} s, {bytes_text(rate)}/s" if result.copied else ""
        size = bytes_text(result.copied_bytes)
        typer.echo(f"copied {result.copied:,} files ({size}{speed})")
        for check, count in sorted(result.checks.items()):
            typer.echo(f"  {count:,} {CHECKS.get(check, check)}")
    kept = f", {result.kept:,} of them differ from the source and were kept" if result.kept else ""
    typer.echo(f"{result.present:,} files were here already{kept}")
    for part in result.datasets:
        if not result.dry_run:
            typer.echo(f"{_clean(part.name)}: {part.indexed:,} runs in the index")
        if part.dropped_runs:
            some = ", ".join(part.dropped_runs[:8])
            typer.echo(f"  taken from the index because a file is not here: {some}")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="Folder, master file or URL.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Folder.")],
    dataset: Dataset = None,
    runs: RunList = None,
    target: Target = None,
    position: Position = None,
    radius: Radius = 3.0,
    after: After = None,
    before: Before = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Transfer every file anew.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Never replace what is here and whole.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only say what would be copied.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read again what is here, and compare.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Transfers at a time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Copy a store or some of its runs; only what is missing or damaged is transferred."""
    _import_verbs()
    from astropy import units as u

    from daybreak.cli.copy_bars import copy_progress
    from daybreak.stores.verbs import copy_store, require_complete

    with copy_progress() as progress:
        result = copy_store(
            source,
            destination,
            dataset=dataset,
            runs=runs,
            target=target,
            position=position,
            radius=radius * u.deg,
            after=after,
            before=before,
            overwrite=overwrite,
            keep=keep,
            dry_run=dry_run,
            verify=verify,
            workers=workers,
            progress=progress,
        )
    if as_json:
        _dump(result.to_dict())
    else:
        _print_copy(result)
    require_complete(result)


def _shown(findings: list[Finding]) -> tuple[list[Finding], dict[str, int]]:
    """The findings to print, and of which flags or kinds there are more, and how many."""
    shown: list[Finding] = []
    others: dict[str, int] = {}
    seen: dict[str, int] = {}
    for finding in findings:
        key = finding.text.partition(":")[0] if finding.kind == "odd" else finding.kind
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= (3 if finding.kind == "odd" else 200):
            shown.append(finding)
        else:
            others[key] = others.get(key, 0) + 1
    return shown, others


def _print_verify(result: VerifyResult) -> None:
    for repaired in result.repaired:
        typer.echo(f"rebuilt the index: {repaired.runs:,} runs, {repaired.hdus:,} HDU rows")
        for path, why in repaired.skipped.items():
            typer.echo(f"  not in it: {_clean(path)}: {_clean(why)}")
    size = bytes_text(result.size_bytes)
    names = ", ".join(_clean(n) for n in result.datasets) or "no dataset"
    typer.echo(f"{names}: {result.runs:,} runs, {result.files:,} files ({size}) read")
    typer.echo(f"{result.digests:,} files compared with a recorded SHA-256")
    shown, others = _shown(result.findings)
    for finding in shown:
        typer.echo(f"{finding.severity}: {_clean(finding.where)}: {_clean(finding.text)}")
    for flag, count in others.items():
        typer.echo(f"warning: and {count} more of {flag}; --json has them all")
    if result.sums_written:
        typer.echo(f"wrote {result.sums_written}")
    if result.ok:
        typer.echo("sound" if not result.findings else "sound, but for the warnings above")


@app.command()
def verify(
    path: Annotated[str, typer.Argument(help="Folder or master file.")],
    dataset: Dataset = None,
    repair: Annotated[
        bool, typer.Option("--repair-index", help="Rebuild the index from the files first.")
    ] = False,
    sums: Annotated[
        bool, typer.Option("--write-sums", help="Write SHA256SUMS for the sound files.")
    ] = False,
    content: Annotated[
        bool, typer.Option(help="Also read each run as an analysis does, and say what it says.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Read every file of a store and compare it with checksums, structure and index."""
    from daybreak.cli.copy_bars import bytes_progress
    from daybreak.stores.verbs import require_sound, verify_store

    with bytes_progress("verifying") as on_file:
        result = verify_store(
            path,
            dataset=dataset,
            repair=repair,
            write_sums=sums,
            content=content,
            on_file=on_file,
        )
    if as_json:
        _dump(result.to_dict())
    else:
        _print_verify(result)
    require_sound(result)


@app.command()
def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of DL3 files.")],
    name: Annotated[
        str | None, typer.Option(help="Also write a master.json that names the dataset so.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace index files that are there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make index files for a folder of DL3 files, from their headers."""
    from daybreak.stores.verbs import index_store

    result = index_store(folder, name=name, overwrite=overwrite)
    if as_json:
        _dump(result.to_dict())
        return
    typer.echo(f"wrote {', '.join(result.written)} in {folder}")
    typer.echo(f"{result.runs:,} runs, {result.hdus:,} HDU rows")
    for path, why in result.skipped.items():
        typer.echo(f"  not in it: {_clean(path)}: {_clean(why)}")
