"""Results as markdown tables in docs/benchmarks.md and as JSON in bench-out/."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
OUT = ROOT / "bench-out"


def machine() -> str:
    """Processor, cores, Python."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def versions() -> str:
    """Versions of Daybreak and of what its numbers come from."""
    from daybreak.products.provenance import versions as found

    wanted = ("daybreak", "gammapy", "astropy", "numpy", "scipy", "iminuit", "parsl")
    return ", ".join(f"{name} {found()[name]}" for name in wanted if name in found())


def stamp() -> str:
    """The line below a table: when and where it was made."""
    return f"{time.strftime('%Y-%m-%d')}, {machine()}; {versions()}."


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; all columns but the first are set to the right."""
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|---|" + "--:|" * (len(head) - 1))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def publish(name: str, text: str, numbers: Mapping[str, Any]) -> None:
    """Print a section, put it between its markers in the page, keep the numbers as JSON."""
    print(f"\n{text}\n", flush=True)
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(numbers, indent=1, default=float) + "\n")
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    page = PAGE.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        raise SystemExit(f"{PAGE} has no markers {begin} and {end}")
    head, rest = page.split(begin, 1)
    tail = rest.split(end, 1)[1]
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


def mean_and_width(values: Any) -> dict[str, float]:
    """Mean and standard deviation with their statistical errors (normal distribution)."""
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    width = float(x.std(ddof=1))
    return {
        "n": len(x),
        "mean": float(x.mean()),
        "mean_error": width / len(x) ** 0.5,
        "width": width,
        "width_error": width / (2 * (len(x) - 1)) ** 0.5,
    }


def shown(stats: Mapping[str, float], key: str) -> str:
    """``mean`` or ``width`` with its error."""
    sign = "+" if key == "mean" else ""
    return f"{stats[key]:{sign}.2f} ± {stats[f'{key}_error']:.2f}"
