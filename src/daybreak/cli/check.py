"""``daybreak check``: what files are, whether they are whole, and what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from daybreak.instruments.check.report import FileReport


def check(
    files: Annotated[list[Path], typer.Argument(help="Camera data, DL1 or DL3 files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what files are, whether they are whole, and what is in them (exit code 12 if not)."""
    from daybreak.errors import StoreIntegrityError
    from daybreak.instruments.check.report import check_files
    from daybreak.products.jsonvalues import plain_json

    reports = check_files(files)
    if as_json:
        document = [plain_json(report.to_dict()) for report in reports]
        typer.echo(json.dumps(document, indent=2))
    else:
        for report in reports:
            _print(report)
    bad = [report for report in reports if not report.whole]
    if bad:
        raise StoreIntegrityError(
            f"{len(bad)} of {len(reports)} files are not whole",
            "Copy them again from their source, or have them made again.",
        )


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _print(report: FileReport) -> None:
    typer.echo(f"{_clean(report.path)}: {report.kind}, {report.size_bytes:,} bytes")
    typer.echo(f"  {'events':<12}{report.events:,}")
    for title, counts in (("by type", report.types), ("images of", report.telescopes)):
        if counts:
            shown = ", ".join(f"{_clean(k)} {n:,}" for k, n in list(counts.items())[:20])
            typer.echo(f"  {title:<12}{shown}")
    if report.duration_s == report.duration_s:
        typer.echo(f"  {'rate':<12}{report.rate_hz:.4g} Hz over {report.duration_s:.4g} s")
    for name, (low, middle, high) in report.distributions.items():
        typer.echo(f"  {name:<28}{middle:.4g} (5 to 95 %: {low:.4g} to {high:.4g})")
    for key, value in report.facts.items():
        typer.echo(f"  {_clean(key):<20}{_clean(value)}")
    for text in report.problems:
        typer.echo(f"  not whole: {_clean(text)}")
