"""``daybreak demo``: a simulated night, analysed, compared with the injected truth."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from daybreak.requests.analysis.kind import AnalysisResult
    from daybreak.requests.demo import Comparison, DemoResult, Limit

_DEFAULT_SEED = 20261121


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = _DEFAULT_SEED,
    workers: Annotated[int, typer.Option(help="Local workers; 0: one per core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Simulate a night of a virtual telescope, analyse it and compare with the truth."""
    from daybreak.cli.running import stop_on_signals
    from daybreak.cli.step_bar import request_progress
    from daybreak.requests.demo import demo as run_demo
    from daybreak.requests.demo import raise_for_failures

    start = time.monotonic()
    with stop_on_signals() as stop, request_progress() as progress:
        result = run_demo(
            out, seed=seed, workers=workers, progress=progress, strict=False, stop=stop
        )
    if as_json:
        typer.echo(json.dumps(_block(result), indent=1))
    else:
        for line in _lines(result, time.monotonic() - start, seed):
            typer.echo(line)
    raise_for_failures(result)


def _shown(path: Path) -> str:
    """Relative to where the user stands, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _lines(result: DemoResult, seconds: float, seed: int) -> list[str]:
    """The comparison as text, at most 80 columns wide unless the paths are long."""
    n_runs = len(result.source.results["runs"]) + len(result.blank.results["runs"])
    done = f"{n_runs} runs simulated" if result.simulated else f"{n_runs} runs, simulated earlier"
    found = [
        f"{done} with seed {seed} in {_shown(result.store)}",
        "",
        _headline(result.source),
        f"{'':26}{'injected':>10}  {'measured':>19}  {'off by':>11}",
        *(_row(item) for item in result.comparisons),
        "",
        _headline(result.blank),
    ]
    if result.limit is not None:
        found += _limit_lines(result.limit)
    found += [
        "",
        f"report: {_shown(result.source.report)}",
        f"report: {_shown(result.blank.report)}",
        "nothing to do: everything was there" if result.cached else f"done in {seconds:.0f} s",
    ]
    return found


def _limit_lines(limit: Limit) -> list[str]:
    name = f"flux {limit.e_min_tev:.2f} to {limit.e_max_tev:g} TeV"
    shown = f"< {limit.flux / _scale(limit.flux):.3f}"
    share = 100 * limit.flux / limit.source_flux
    return [
        f"  {name:24}{'0':>10}  {shown:>19}  {'':11}  {_power(limit.flux)} cm-2 s-1",
        f"  (upper limit at Delta TS = {limit.n_sigma**2:g}: {share:.1f} % of the source's flux)",
    ]


def _headline(analysis: AnalysisResult) -> str:
    results = analysis.results
    counts, name = results["counts"], results["target"]["name"]
    significance = counts["significance"]
    sigma = "n/a" if significance is None else f"{round(significance, 1) + 0.0:.1f}"
    verdict = "detected" if results["detected"] else "not detected"
    return f"{name}: {verdict}, {sigma} sigma in {counts['livetime_h']:.2f} h"


def _scale(value: float) -> float:
    """The power of ten that leaves one digit before the point; 1 for ordinary numbers."""
    if not math.isfinite(value) or value == 0 or 0.01 <= abs(value) < 1000:
        return 1.0
    return float(10.0 ** math.floor(math.log10(abs(value))))


def _power(value: float) -> str:
    scale = _scale(value)
    return "" if scale == 1.0 else f"x {scale:.0e}"


def _row(item: Comparison) -> str:
    scale = _scale(item.truth)
    unit = f"{_power(item.truth)} {item.unit}".strip()
    measured = f"{item.value / scale:.3f} +- {item.error / scale:.3f}"
    pull = f"{item.pull:+.1f} sigma"
    numbers = f"{item.truth / scale:>10.3f}  {measured:>19}  {pull:>11}"
    return f"  {item.name:24}{numbers}  {unit}".rstrip()


def _block(result: DemoResult) -> dict[str, object]:
    """The comparison for a program."""
    limit = result.limit
    return {
        "store": str(result.store),
        "reports": [str(result.source.report), str(result.blank.report)],
        "comparisons": [{**vars(item), "pull": item.pull} for item in result.comparisons],
        "significance": {
            "source": result.source.results["counts"]["significance"],
            "blank": result.blank.results["counts"]["significance"],
        },
        "limit": None if limit is None else vars(limit),
        "failed": [step.name for step in result.failed],
        "simulated": result.simulated,
    }
