"""Counts spectrum and spectral energy distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from daybreak.report.analysis.spectral import ERG_PER_TEV, chosen_model, crab_dnde
from daybreak.report.common.rounding import plain
from daybreak.report.common.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    WIDTH_IN,
    grid,
    log_ticks,
    new_figure,
    single_axes,
)
from daybreak.report.common.tables import FloatArray, ResultTables, column, flags, number, texts

MODEL_NAMES = {
    "pl": "power law",
    "lp": "log-parabola",
    "ecpl": "power law with exponential cut-off",
}


def draw_counts(tables: ResultTables) -> Figure | None:
    """ON counts per energy bin, the background, and background plus best model.

    Parameters
    ----------
    tables
        Of the analysis; without ``spectrum_counts`` there is no figure.
    """
    table = tables.filled("spectrum_counts")
    if table is None:
        return None
    low, high = column(table, "e_min", "TeV"), column(table, "e_max", "TeV")
    n_on, background = column(table, "n_on"), column(table, "background")
    model, used = column(table, "model_total"), flags(table, "in_fit")
    edges = np.append(low, high[-1])
    figure = new_figure(4.2)
    axes = single_axes(figure)
    axes.stairs(_floor(background), edges, fill=True, color=GREY, alpha=0.35, baseline=1e-6)
    axes.stairs(_floor(background), edges, color=GREY, label="α × OFF", baseline=1e-6)
    if np.isfinite(model).any() and np.nanmax(model) > 0:
        inside = np.where(used, model, np.nan)
        axes.stairs(inside, edges, color=ORANGE, label="α × OFF + model", baseline=None)
    shown = n_on > 0
    middle = np.sqrt(low * high)
    axes.errorbar(
        middle[shown], n_on[shown], np.sqrt(n_on[shown]), fmt="o", color=BLUE, markersize=4,
        elinewidth=1.2, label="ON",
    )  # fmt: skip
    _shade_unused(axes, low, high, used)
    filled = (n_on > 0) | (background > 0)
    first = low[filled].min() if filled.any() else low[0]
    last = high[filled].max() if filled.any() else high[-1]
    top = 3 * max(np.nanmax(n_on), np.nanmax(background), 1)
    _log_axes(axes, (first / 1.1, last * 1.1), (0.3, top))
    axes.set_xlabel("reconstructed energy (TeV)")
    axes.set_ylabel("counts per bin")
    grid(axes)
    axes.legend(loc="upper right")
    return figure


def _shade_unused(axes: Any, low: FloatArray, high: FloatArray, used: np.ndarray) -> None:
    if not used.any() or used.all():
        return
    label: str | None = "not in the fit"
    for begin, end in ((low[0] / 10, low[used].min()), (high[used].max(), high[-1] * 10)):
        axes.axvspan(begin, end, facecolor=INK, alpha=0.07, linewidth=0, label=label)
        label = None


def _floor(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, 1e-6)


def _log_axes(axes: Any, x: tuple[float, float], y: tuple[float, float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    log_ticks(axes.xaxis, *x)
    log_ticks(axes.yaxis, *y)


def draw_sed(tables: ResultTables) -> Figure | None:
    """E² dN/dE with the chosen model's 1 σ band, upper limits, the Crab, and residuals.

    Parameters
    ----------
    tables
        Of the analysis; without ``flux_points`` and ``butterfly`` there is no figure.
    """
    points, band = tables.filled("flux_points"), tables.filled("butterfly")
    if points is None and band is None:
        return None
    figure = new_figure(4.4)
    left, width = 0.78 / WIDTH_IN, 0.825
    upper = figure.add_axes((left, 0.335, width, 0.55))
    lower = figure.add_axes((left, 0.115, width, 0.2))
    energies: list[float] = []
    fluxes: list[float] = []
    model_fluxes: list[float] = []
    if band is not None:
        _draw_band(tables, band, upper, energies, model_fluxes)
    if points is not None:
        _draw_points(points, upper, energies, fluxes)
        _draw_residuals(points, lower)
    x = (min(energies) / 1.15, max(energies) * 1.15) if energies else (0.1, 100.0)
    grid_energy = np.geomspace(*x, 60)
    crab = _sed(grid_energy, crab_dnde(grid_energy))
    upper.plot(grid_energy, crab, color=GREEN, linestyle=":", label="Crab (H.E.S.S. 2006)")
    positive = [value for value in fluxes or model_fluxes if value > 0] or list(crab)
    top = 6 * max(*positive, *model_fluxes, float(np.nanmedian(crab)))
    _log_axes(upper, x, (max(min(positive) / 2.5, top * 1e-7), top))
    upper.set_xticklabels([])
    upper.set_ylabel("E² dN/dE (erg cm⁻² s⁻¹)")
    upper.legend(
        loc="lower left", bbox_to_anchor=(-0.03, 0.99), ncols=2, labelspacing=0.3, columnspacing=1
    )
    _finish_residuals(lower, x)
    grid(upper)
    return figure


def _sed(energy: FloatArray, dnde: FloatArray) -> FloatArray:
    return energy**2 * dnde * ERG_PER_TEV


def _draw_band(
    tables: ResultTables, band: Table, axes: Any, energies: list[float], fluxes: list[float]
) -> None:
    entry = chosen_model(tables)
    models = np.array(texts(band, "model"))
    name = entry["model"] if entry is not None else str(models[0])
    pick = models == name
    if not pick.any():
        return
    energy, dnde, low, high = (
        column(band, key)[pick] for key in ("energy", "dnde", "dnde_low", "dnde_high")
    )
    label = MODEL_NAMES.get(name, name).replace("power law with exponential", "exponential")
    good = np.isfinite(low) & np.isfinite(high) & (low > 0)
    axes.fill_between(
        energy[good], _sed(energy, low)[good], _sed(energy, high)[good], color=ORANGE, alpha=0.3,
        linewidth=0,
    )  # fmt: skip
    axes.plot(energy, _sed(energy, dnde), color=ORANGE, label=f"{label}, 1 σ band")
    energies += [float(energy.min()), float(energy.max())]
    fluxes += [float(np.nanmin(_sed(energy, dnde))), float(np.nanmax(_sed(energy, dnde)))]
    reference = number(entry["fit"].get("reference_tev")) if entry is not None else np.nan
    lines = [f"E₀ = {plain(reference)} TeV"] if np.isfinite(reference) else []
    pivot = number(entry["fit"].get("pivot_tev")) if entry is not None else np.nan
    if not np.isfinite(pivot) and good.any():
        pivot = float(energy[good][np.argmin(high[good] / low[good])])
    if np.isfinite(pivot):
        lines.append(f"pivot {plain(pivot)} TeV")
    axes.text(
        0.975, 0.965, "\n".join(lines), transform=axes.transAxes, ha="right", va="top",
        fontsize=9.5, linespacing=1.4,
    )  # fmt: skip


def _draw_points(table: Table, axes: Any, energies: list[float], fluxes: list[float]) -> None:
    e_ref, e_min, e_max = (column(table, key, "TeV") for key in ("e_ref", "e_min", "e_max"))
    scale = e_ref**2 * ERG_PER_TEV
    value, limit = scale * column(table, "dnde"), scale * column(table, "dnde_ul")
    down, up = scale * column(table, "dnde_errn"), scale * column(table, "dnde_errp")
    is_ul = flags(table, "is_ul")
    good = ~is_ul & np.isfinite(value) & (value > 0)
    spread = np.vstack([e_ref - e_min, e_max - e_ref])
    down = np.where(np.isfinite(down), np.minimum(down, 0.9 * np.abs(value)), 0)
    axes.errorbar(
        e_ref[good], value[good], np.vstack([down, np.nan_to_num(up)])[:, good],
        spread[:, good], fmt="o", color=BLUE, markersize=4.5, elinewidth=1.3, label="flux points",
    )  # fmt: skip
    limited = is_ul & np.isfinite(limit) & (limit > 0)
    if limited.any():
        n_sigma = number(table.meta.get("n_sigma_ul"))
        step = f"ΔTS = {n_sigma**2:g}" if np.isfinite(n_sigma) else "see table"
        axes.errorbar(
            e_ref[limited], limit[limited], 0.45 * limit[limited], spread[:, limited], fmt="none",
            uplims=True, ecolor=BLUE, elinewidth=1.3, capsize=3, label=f"limits, {step}",
        )  # fmt: skip
    shown = good | limited
    energies += [float(e) for e in np.concatenate([e_min[shown], e_max[shown]])]
    fluxes += [float(f) for f in (value - down)[good]] + [float(f) for f in (value + up)[good]]
    fluxes += [float(f) for f in 0.5 * limit[limited]] + [float(f) for f in limit[limited]]


def _draw_residuals(table: Table, axes: Any) -> None:
    norm = column(table, "norm")
    below, above = column(table, "norm_errn"), column(table, "norm_errp")
    error = np.where(norm >= 1, below, above)
    error = np.where(np.isfinite(error) & (error > 0), error, column(table, "norm_err"))
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = (norm - 1) / error
    good = np.isfinite(pull) & ~flags(table, "is_ul")
    axes.errorbar(
        column(table, "e_ref", "TeV")[good], pull[good], np.ones(good.sum()), fmt="o", color=BLUE,
        markersize=4, elinewidth=1.2,
    )  # fmt: skip


def _finish_residuals(axes: Any, x: tuple[float, float]) -> None:
    axes.axhline(0, color=ORANGE, linewidth=1.3)
    axes.set_xscale("log")
    axes.set_xlim(*x)
    log_ticks(axes.xaxis, *x)
    reach = max(3.2, 1.15 * max(abs(value) for value in axes.get_ylim()))
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("residual (σ)")
    axes.set_xlabel("energy (TeV)")
    grid(axes)
