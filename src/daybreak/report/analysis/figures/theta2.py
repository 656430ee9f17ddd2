"""The theta² histogram, and how the signal grew with time."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from daybreak.report.common.rounding import plain, significant, whole, with_error
from daybreak.report.common.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    WIDTH_IN,
    grid,
    new_figure,
    signed,
    single_axes,
    text_box,
)
from daybreak.report.common.tables import ResultTables, column, number


def draw_theta2(tables: ResultTables) -> Figure | None:
    """Squared angle to the target: ON events with errors, alpha times OFF filled, the cut.

    Parameters
    ----------
    tables
        Of the analysis; without ``theta2`` there is no figure.
    """
    table = tables.filled("theta2")
    if table is None:
        return None
    low, high = column(table, "theta2_min", "deg2"), column(table, "theta2_max", "deg2")
    n_on, background = column(table, "n_on"), column(table, "background")
    edges = np.append(low, high[-1])
    figure = new_figure(4.1)
    axes = single_axes(figure)
    axes.stairs(background, edges, fill=True, color=GREY, alpha=0.35, label="α × OFF")
    axes.stairs(background, edges, color=GREY, linewidth=1.2)
    middle = (low + high) / 2
    spread = column(table, "background_error")
    axes.errorbar(middle, background, spread, fmt="none", ecolor=GREY, elinewidth=1.1)
    axes.errorbar(
        middle, n_on, np.sqrt(n_on), fmt="o", color=BLUE, markersize=4, elinewidth=1.2, label="ON"
    )
    cut = number(table.meta.get("cut"))
    if np.isfinite(cut):
        label = f"cut {plain(cut)} deg²"
        axes.axvline(cut, color=RED, linestyle="--", linewidth=1.4, label=label)
    axes.set_xlim(0, 1.0005 * edges[-1])
    highest = np.fmax(
        n_on + np.sqrt(n_on), background
    )  # without OFF positions there is no background
    under_text = highest[middle > 0.4 * edges[-1]]
    tallest = 2.4 * float(np.nanmax(under_text)) if len(under_text) else 1.0
    axes.set_ylim(0, max(1.12 * float(np.nanmax(highest)), tallest, 1.0))
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("θ² (deg²)")
    axes.set_ylabel("events per bin")
    grid(axes)
    meta = table.meta
    lines = [
        f"ON {whole(number(meta.get('n_on')))}, OFF {whole(number(meta.get('n_off')))}",
        f"α {significant(number(meta.get('alpha')))}",
        "excess " + with_error(number(meta.get("excess")), number(meta.get("excess_error"))),
        f"significance {signed(number(meta.get('significance')))} σ",
        f"live time {number(meta.get('livetime_h')):.2f} h",
    ]
    text_box(axes, lines)
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 0.66))
    return figure


def draw_cumulative(tables: ResultTables) -> Figure | None:
    """Excess against live time and significance against its square root, with lines through 0.

    Parameters
    ----------
    tables
        Of the analysis; without ``cumulative`` there is no figure.
    """
    table = tables.filled("cumulative")
    if table is None:
        return None
    hours = column(table, "livetime", "h")
    excess, error = column(table, "excess"), column(table, "excess_error")
    significance = column(table, "significance")
    figure = new_figure(4.1)
    left, width = 0.7 / WIDTH_IN, 0.82
    top = figure.add_axes((left, 0.615, width, 0.37))
    top.errorbar(hours, excess, error, fmt="o", color=BLUE, markersize=4, elinewidth=1.2)
    _line(top, hours, excess, f"{significant(_slope(hours, excess))} per hour")
    top.set_ylabel("excess events")
    top.set_xlabel("live time (h)")
    bottom = figure.add_axes((left, 0.122, width, 0.37))
    root = np.sqrt(hours)
    bottom.plot(root, significance, "o", color=ORANGE, markersize=5)
    _line(bottom, root, significance, f"{significant(_slope(root, significance))} σ per √h")
    bottom.axhline(5, color=INK, alpha=0.5, linewidth=0.8, linestyle=":")
    bottom.set_ylabel("significance (σ)")
    bottom.set_xlabel("√(live time / h)")
    for axes, x, y in ((top, hours, excess + error), (bottom, root, significance)):
        axes.set_xlim(0, 1.06 * np.nanmax(x))
        axes.set_ylim(min(0.0, 1.15 * np.nanmin(y)), 1.15 * max(np.nanmax(y), 1.0))
        grid(axes)
        axes.legend(loc="upper left")
    return figure


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    good = np.isfinite(x) & np.isfinite(y)
    weight = float(np.sum(x[good] ** 2))
    return float(np.sum(x[good] * y[good]) / weight) if weight > 0 else float("nan")


def _line(axes: object, x: np.ndarray, y: np.ndarray, label: str) -> None:
    end = 1.06 * float(np.nanmax(x))
    axes.plot(  # type: ignore[attr-defined]
        [0, end], [0, end * _slope(x, y)], color=INK, alpha=0.7, linewidth=1.1, label=label
    )
