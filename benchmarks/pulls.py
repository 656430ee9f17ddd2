"""Is the injected spectrum found again? Pulls of phi and Gamma over simulated nights.

``python -m benchmarks.pulls [--nights 50]``: each night is four runs of 28 min on the Crab-like
source, analysed with the default settings. phi is quoted at 1 TeV: the pivot of these fits, where
phi and Gamma are independent, lies there within a few per cent (the table shows both). At another
energy phi would inherit Gamma's error and the two pulls would not be two tests.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.nights import Night, run_nights
from benchmarks.tables import markdown, mean_and_width, publish, shown, stamp
from daybreak.simulate import crab_like

NIGHTS = 50
FIRST_SEED = 1
MEAN_BELOW, WIDTH_FROM, WIDTH_TO = 0.2, 0.85, 1.15


def pulls(rows: list[dict[str, Any]], parameter: str, truth: float) -> np.ndarray:
    """(value - truth) / error of each night."""
    return np.array([(row[parameter] - truth) / row[f"{parameter}_error"] for row in rows])


def meets(stats: dict[str, float]) -> bool:
    """The requirement on the first 50 nights."""
    return abs(stats["mean"]) < MEAN_BELOW and WIDTH_FROM < stats["width"] < WIDTH_TO


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=NIGHTS)
    nights = parser.parse_args(args).nights
    spectrum = crab_like().spectrum
    truths = {
        "phi": ("amplitude", float(spectrum.amplitude.to_value("cm-2 s-1 TeV-1"))),
        "Gamma": ("index", spectrum.index),
    }
    rows = run_nights(range(FIRST_SEED, FIRST_SEED + nights), Night(), "pulls")
    table, numbers, good = [], {}, True
    for count in dict.fromkeys((min(NIGHTS, nights), nights)):
        for name, (parameter, truth) in truths.items():
            stats = mean_and_width(pulls(rows[:count], parameter, truth))
            error = np.median([row[f"{parameter}_error"] for row in rows[:count]]) / truth
            table.append(
                [f"{name}, {count} nights", shown(stats, "mean"), shown(stats, "width"),
                 f"{100 * error:.1f} %"]
            )  # fmt: skip
            numbers[f"{name}_{count}"] = stats
            good &= count != NIGHTS or meets(stats)
    pivot = np.array([row["pivot_tev"] for row in rows])
    correlation = np.corrcoef(*(pulls(rows, *truth) for truth in truths.values()))[0, 1]
    others = [row["chosen"] for row in rows if row["chosen"] != "pl"]
    text = "\n".join(
        [
            markdown(["pull of", "mean", "width", "median error"], table),
            "",
            f"Required of {NIGHTS} nights: |mean| < {MEAN_BELOW}, width {WIDTH_FROM} to {WIDTH_TO}."
            f" A perfect program scatters by {NIGHTS**-0.5:.2f} in the mean and"
            f" {(2 * NIGHTS - 2) ** -0.5:.2f} in the width of {NIGHTS} nights.",
            f"Pivot energy of the fits {np.median(pivot):.2f} TeV (median);"
            f" correlation of the two pulls {correlation:+.2f};"
            f" a curved model chosen in {len(others)} of {nights} nights (the truth is a power"
            " law, the choice asks for 3 sigma).",
            f"Seeds {FIRST_SEED} to {FIRST_SEED + nights - 1}; {stamp()}",
        ]
    )
    publish("pulls", text, numbers | {"nights": rows})
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
