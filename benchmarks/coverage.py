"""Do upper limits hold, and does a blank field stay blank?

``python -m benchmarks.coverage [--nights 100]``: blank nights, and nights with a source too weak to
be seen, of four runs of 28 min each. The limit is that of the integral flux of all data above the
energy threshold for an assumed index of 2.6 (the injected one). It lies where the fit's statistic
is n_sigma_ul^2 = 4 above its minimum: 95.45 % of a normal distribution lie within +-2 sigma, so
that such a limit is above the truth in 97.7 % of all cases.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from scipy.stats import kstest, norm

from benchmarks.nights import Night, run_nights
from benchmarks.tables import markdown, mean_and_width, publish, shown, stamp

NIGHTS = 100
FIRST_SEED = 10_001
SCALES = (0.0, 0.02, 0.05)


def coverage(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Share of nights whose limit is above the truth, and its binomial error."""
    share = float(np.mean([row["flux_ul"] > row["flux_truth"] for row in rows]))
    n = len(rows)
    expected = norm.cdf(rows[0]["n_sigma_ul"])
    return share, float(np.sqrt(expected * (1 - expected) / n))


def _row(scale: float, rows: list[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    share, error = coverage(rows)
    significance = mean_and_width([row["significance"] for row in rows])
    limits = np.array([row["flux_ul"] for row in rows])
    pulls = mean_and_width([(row["flux"] - row["flux_truth"]) / _error(row) for row in rows])
    below = int(np.sum(limits <= 0))
    name = "blank" if scale == 0 else f"{100 * scale:g} % of the Crab-like source"
    text = [
        f"{name}, {len(rows)} nights",
        f"{100 * share:.1f} ± {100 * error:.1f} %",
        f"{np.median(limits):.2e}",
        shown(significance, "mean"),
        shown(significance, "width"),
    ]
    block = {
        "scale": scale,
        "coverage": share,
        "coverage_error": error,
        "significance": significance,
        "flux_pull": pulls,
        "limits_not_above_zero": below,
        "nights": rows,
    }
    return text, block


def _error(row: dict[str, Any]) -> float:
    """The error on the side of the truth."""
    return float(row["flux_errp"] if row["flux"] < row["flux_truth"] else row["flux_errn"])


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=NIGHTS)
    nights = parser.parse_args(args).nights
    table, blocks = [], []
    for number, scale in enumerate(SCALES):
        first = FIRST_SEED + 10_000 * number
        rows = run_nights(range(first, first + nights), Night(scale), f"{scale:g} Crab")
        text, block = _row(scale, rows)
        table.append(text)
        blocks.append(block)
    blank = blocks[0]
    head = ["night", "limit above the truth", "median limit (cm-2 s-1)",
            "mean significance", "width"]  # fmt: skip
    normal = kstest([row["significance"] for row in blank["nights"]], "norm").pvalue
    low, high = (blank["nights"][0][key] for key in ("e_min_tev", "e_max_tev"))
    text = "\n".join(
        [
            markdown(head, table),
            "",
            f"Expected coverage {100 * norm.cdf(2):.1f} %. Flux {low:.2f} to {high:g} TeV."
            " Significances by Li & Ma; those of the blank nights should have mean 0 and width 1"
            f" (Kolmogorov-Smirnov against that: p = {normal:.2f}).",
            f"Blank nights whose limit is not above zero: {blank['limits_not_above_zero']};"
            f" with a detection (5 sigma): "
            f"{sum(row['significance'] >= 5 for row in blank['nights'])}.",
            f"Seeds from {FIRST_SEED}; {stamp()}",
        ]
    )
    publish("coverage", text, {"sets": blocks, "ks_p_value": float(normal)})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
