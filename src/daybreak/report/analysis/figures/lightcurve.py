"""Light curves: fluxes and upper limits, constant fit, Bayesian blocks, Crab units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.time import Time
from matplotlib.figure import Figure

from daybreak.report.analysis.spectral import crab_flux
from daybreak.report.common.rounding import common_exponent, fixed, plain, power_of_ten, with_error
from daybreak.report.common.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    WIDTH_IN,
    new_figure,
)
from daybreak.report.common.tables import FloatArray, ResultTables, column, flags, number

BINNINGS = {"run": "per run", "night": "per night", "minutes": "short bins"}


@dataclass(frozen=True)
class TimeAxis:
    """A time axis from which long stretches without data are cut out.

    Attributes
    ----------
    starts, stops
        Edges (MJD) of the stretches with data.
    offsets
        Where each stretch starts on the drawn axis, in days.
    """

    starts: FloatArray
    stops: FloatArray
    offsets: FloatArray

    @classmethod
    def of(cls, low: FloatArray, high: FloatArray) -> TimeAxis:
        """Axis for time bins; gaps longer than 6 % of all the data together are cut to that.

        Parameters
        ----------
        low, high
            Edges of the bins (MJD, shape (n,)), in any order.
        """
        order = np.argsort(low)
        low, high = low[order], np.maximum.accumulate(high[order])
        gap = 0.06 * max(float(np.sum(high - low)), 1e-6)
        cuts = np.flatnonzero(low[1:] - high[:-1] > gap)
        starts = low[np.append(0, cuts + 1)]
        stops = high[np.append(cuts, len(high) - 1)]
        lengths = stops - starts
        offsets = np.append(0, np.cumsum(lengths + gap)[:-1])
        return cls(starts, stops, offsets)

    def place(self, mjd: FloatArray) -> FloatArray:
        """Position of times on the drawn axis; those in a cut gap go to its nearest edge.

        Parameters
        ----------
        mjd
            Times, of any shape.

        Returns
        -------
        numpy.ndarray
            In days from the start of the axis, of the same shape.
        """
        mjd = np.asarray(mjd, float)
        index = np.clip(np.searchsorted(self.starts, mjd, side="right") - 1, 0, None)
        inside = np.minimum(mjd, self.stops[index]) - self.starts[index]
        return np.asarray(self.offsets[index] + np.maximum(inside, 0.0))

    @property
    def end(self) -> float:
        """Where the drawn axis ends."""
        return float(self.offsets[-1] + self.stops[-1] - self.starts[-1])


def draw_lightcurve(tables: ResultTables, binning: str) -> Figure | None:
    """Flux against time.

    Parameters
    ----------
    tables
        Of the analysis; without this light curve, or a number in it, there is no figure.
    binning
        ``run``, ``night`` or ``minutes``.
    """
    table = tables.filled(f"lightcurve_{binning}")
    if table is None:
        return None
    flux, limit = column(table, "flux"), column(table, "flux_ul")
    if not (np.isfinite(flux).any() or np.isfinite(limit).any()):
        return None
    low, high = column(table, "time_min"), column(table, "time_max")
    axis = TimeAxis.of(low, high)
    sizes = np.where(flags(table, "is_ul"), limit, flux)
    scale = 10.0 ** common_exponent([float(value) for value in sizes])
    figure = new_figure(3.6)
    axes = figure.add_axes((0.6 / WIDTH_IN, 0.19, 0.755, 0.675))
    top = _draw_points(axes, table, axis, scale)
    _draw_constant(axes, table, axis, scale)
    _draw_blocks(axes, table, axis, scale)
    _time_ticks(axes, axis)
    exponent = round(np.log10(scale))
    axes.set_ylabel(f"flux ({power_of_ten(exponent)} cm⁻² s⁻¹)")
    low_y = min(0.0, float(np.nanmin(np.where(flags(table, "is_ul"), 0, flux))) / scale * 1.3)
    axes.set_ylim(low_y, 1.3 * top)
    axes.grid(True, axis="y", color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    _crab_axis(axes, table, scale)
    _note(figure, axes, table)
    return figure


def _draw_points(axes: Any, table: Table, axis: TimeAxis, scale: float) -> float:
    """Draw fluxes and limits; return the height of the highest."""
    low, high = axis.place(column(table, "time_min")), axis.place(column(table, "time_max"))
    middle = (low + high) / 2
    spread = (high - low) / 2
    flux, limit = column(table, "flux") / scale, column(table, "flux_ul") / scale
    down, up = column(table, "flux_errn") / scale, column(table, "flux_errp") / scale
    is_ul = flags(table, "is_ul")
    good, limited = ~is_ul & np.isfinite(flux), is_ul & np.isfinite(limit)
    top = 0.0
    small = len(table) > 40
    if good.any():
        errors = np.nan_to_num(np.vstack([down, up])[:, good])
        axes.errorbar(
            middle[good], flux[good], errors, spread[good], fmt="o", color=BLUE,
            markersize=2.6 if small else 4.2, elinewidth=0.9 if small else 1.3, label="flux",
        )  # fmt: skip
        top = float(np.max(flux[good] + errors[1]))
    if limited.any():
        highest = float(np.max(limit[limited]))
        top = max(top, highest)
        axes.errorbar(
            middle[limited], limit[limited], 0.06 * top, spread[limited], fmt="none",
            uplims=True, ecolor=BLUE, elinewidth=0.9 if small else 1.2, capsize=2.2, alpha=0.75,
            label="upper limit",
        )  # fmt: skip
    return top if top > 0 else 1.0


def _draw_constant(axes: Any, table: Table, axis: TimeAxis, scale: float) -> None:
    constant = number(table.meta.get("constant")) / scale
    error = number(table.meta.get("constant_error")) / scale
    if not np.isfinite(constant):
        return
    axes.plot([0, axis.end], [constant] * 2, color=ORANGE, linewidth=1.3, label="constant fit")
    if np.isfinite(error):
        axes.fill_between(
            [0, axis.end], constant - error, constant + error, color=ORANGE, alpha=0.25, linewidth=0
        )


def _draw_blocks(axes: Any, table: Table, axis: TimeAxis, scale: float) -> None:
    blocks = table.meta.get("blocks") or []
    if len(blocks) < 2:
        return
    x: list[float] = []
    y: list[float] = []
    for block in blocks:
        begin, end = axis.place(np.array([number(block["start"]), number(block["stop"])]))
        level = number(block["flux"]) / scale
        if x:  # the step stands in the middle of a gap
            x[-1] = begin = (x[-1] + float(begin)) / 2
        x += [float(begin), float(end)]
        y += [level, level]
    axes.plot(x, y, color=GREEN, linewidth=1.8, label="Bayesian blocks")


def _time_ticks(axes: Any, axis: TimeAxis) -> None:
    """Label the start of each stretch with date and time; fewer labels where they are close."""
    pad = 0.03 * axis.end
    axes.set_xlim(-pad, axis.end + pad)
    shown, last = [], -np.inf
    for i, offset in enumerate(axis.offsets):
        if offset - last >= 0.21 * axis.end:
            shown.append(i)
            last = offset
    starts = Time(axis.starts[shown], format="mjd", scale="tt").utc.strftime("%Y-%m-%d\n%H:%M")
    axes.set_xticks(axis.offsets[shown], list(starts), fontsize=9)
    if axis.offsets[shown[-1]] > 0.9 * axis.end:
        axes.get_xticklabels()[-1].set_ha("right")
    for stop, offset in zip(axis.offsets[:-1] + (axis.stops - axis.starts)[:-1], axis.offsets[1:],
                            strict=True):  # fmt: skip
        axes.axvspan(stop, offset, facecolor=INK, alpha=0.06, linewidth=0)
    label = "UTC at the start of each stretch; gaps cut" if len(axis.starts) > 1 else "UTC"
    axes.set_xlabel(label, fontsize=9.5, labelpad=2)


def _crab_axis(axes: Any, table: Table, scale: float) -> None:
    low, high = number(table.meta.get("e_min_tev")), number(table.meta.get("e_max_tev"))
    if not (np.isfinite([low, high]).all() and 0 < low < high):
        return
    crab = crab_flux(low, high) / scale
    right = axes.twinx()
    bottom, top = axes.get_ylim()
    right.set_ylim(bottom / crab, top / crab)
    right.set_ylabel("Crab units")


def _note(figure: Figure, axes: Any, table: Table) -> None:
    meta = table.meta
    low, high = number(meta.get("e_min_tev")), number(meta.get("e_max_tev"))
    first = f"{plain(low)} to {plain(high)} TeV"
    dof = number(meta.get("dof"))
    if dof > 0:
        first += f";  χ² = {fixed(number(meta.get('chi2')), 1)} for {dof:.0f} dof"
    fvar = number(meta.get("fvar"))
    if np.isfinite(fvar):
        first += f";  Fvar = {with_error(fvar, number(meta.get('fvar_error')))}"
    figure.text(0.6 / WIDTH_IN, 0.985, first, fontsize=9.5, va="top")
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 0.985), ncols=4, columnspacing=0.9,
        handletextpad=0.4, borderaxespad=0.2, fontsize=9,
    )  # fmt: skip
