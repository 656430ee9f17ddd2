"""Sky maps of excess and significance, the counts map with its regions, and their histogram."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from daybreak.report.common.rounding import fixed, plain, whole, with_error
from daybreak.report.common.skygrid import SkyAxes
from daybreak.report.common.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    grid,
    log_ticks,
    new_figure,
    single_axes,
)
from daybreak.report.common.tables import ResultTables, column, number, texts

METHOD_NAMES = {"ring": "ring background", "fov": "field-of-view background"}
_SHORT_NAMES = {"ring": "ring", "fov": "FoV"}
_TAIL_SIGMA = 8.0


def draw_map(tables: ResultTables, method: str, kind: str) -> Figure | None:
    """Map of the sky around the target.

    Parameters
    ----------
    tables
        Of the analysis; without this image there is no figure.
    method
        Of the background: ``ring`` or ``fov``.
    kind
        ``excess`` or ``significance``.
    """
    found = tables.images.get(f"{method}_{kind}".upper())
    if found is None or not np.isfinite(found[0]).any():
        return None
    data, header = found
    if kind == "significance":
        vmin, vmax, label = -5.0, max(5.0, float(np.nanmax(data))), "σ"
    else:
        vmin, vmax = (float(value) for value in np.nanpercentile(data, (0.5, 99.99)))
        vmax, label = max(vmax, vmin + 1), "events"
    sky = SkyAxes(data, header, label, vmin, vmax)
    name = {"excess": "Excess", "significance": "Significance"}[kind]
    stats = _statistics(tables, method)
    radius = number(stats.get("correlation_radius_deg"))
    around = f", {plain(radius)}° circles" if np.isfinite(radius) else ""
    sky.note([f"{name}, {_SHORT_NAMES[method]} background{around}"])
    mark_exclusions(tables, sky)
    if tables.target_position is not None:
        ra, dec = tables.target_position
        sky.marks(np.array([ra]), np.array([dec]), marker="+")
    return sky.figure


def _statistics(tables: ResultTables, method: str) -> dict[str, object]:
    table = tables.table("map_significance")
    return dict(table.meta.get(method) or {}) if table is not None else {}


def mark_exclusions(tables: ResultTables, sky: SkyAxes, first: int = 0) -> None:
    """Draw the circles that are kept out of the background.

    Parameters
    ----------
    tables
        Of the analysis; without ``exclusion`` nothing is drawn.
    sky
        What to draw on.
    first
        The first circle to draw; 0 is the target's.
    """
    table = tables.filled("exclusion")
    if table is None or len(table) <= first:
        return
    centre = (column(table, "ra", "deg")[first:], column(table, "dec", "deg")[first:])
    sky.circles(*centre, column(table, "radius", "deg")[first:], linestyle="--")


def draw_regions(tables: ResultTables) -> Figure | None:
    """Counts map with ON and OFF regions and the pointings of the runs.

    Parameters
    ----------
    tables
        Of the analysis; without ``regions`` and the counts map there is no figure.
    """
    table, found = tables.filled("regions"), tables.images.get("COUNTS")
    if table is None or found is None or not np.isfinite(found[0]).any():
        return None
    data, header = found
    top = max(2.0, float(np.nanpercentile(data, 99.95)))
    sky = SkyAxes(data, header, "counts", 0.0, top)
    kind = np.array(texts(table, "kind"))
    ra, dec = column(table, "ra", "deg"), column(table, "dec", "deg")
    radius = column(table, "radius", "deg")
    has_size = np.isfinite(radius) & (radius > 0)
    off = (kind == "off") & has_size
    sky.circles(ra[off], dec[off], radius[off], linewidth=0.8)
    on = np.flatnonzero((kind == "on") & has_size)
    if len(on):
        places = np.column_stack([ra, dec, radius])[on].round(6)
        on = on[np.unique(places, axis=0, return_index=True)[1]]
        sky.circles(ra[on], dec[on], radius[on], colour="#ff8a5c", linewidth=1.8)
    for name, marker in (("pointing", "x"), ("on", "+"), ("off", ".")):
        pick = (kind == name) & (~has_size | (name == "pointing"))
        if pick.any():
            sky.marks(ra[pick], dec[pick], marker, 6)
    sky.note(["Counts, ON (orange), OFF (white), pointings (×)"])
    return sky.figure


def draw_significances(tables: ResultTables, method: str) -> Figure | None:
    """Histogram of map significances: all pixels, OFF pixels, their Gaussian and N(0, 1).

    Parameters
    ----------
    tables
        Of the analysis; without ``map_significance`` of this method there is no figure.
    method
        Of the background: ``ring`` or ``fov``.
    """
    table = tables.filled("map_significance")
    if table is None or f"{method}_all" not in table.colnames:
        return None
    everything, off = column(table, f"{method}_all"), column(table, f"{method}_off")
    if not np.nansum(everything) > 0:
        return None
    low, high = column(table, "low"), column(table, "high")
    edges = np.append(low, high[-1])
    stats = _statistics(tables, method)
    figure = new_figure(4.1)
    axes = single_axes(figure)
    axes.stairs(everything, edges, fill=True, color=GREY, alpha=0.3)
    axes.stairs(everything, edges, color=GREY, linewidth=1.2, label="all pixels")
    axes.stairs(off, edges, color=BLUE, linewidth=1.8, label="OFF pixels")
    x = np.linspace(-6, 6, 121)
    scale = np.nansum(off) * float(np.median(high - low))
    mean, width = number(stats.get("off_mean")), number(stats.get("off_width"))
    if np.isfinite([mean, width]).all() and width > 0:
        text = _fit_label(stats)
        axes.plot(x, scale * _gauss(x, mean, width), color=ORANGE, label=text)
    axes.plot(x, scale * _gauss(x, 0.0, 1.0), color=RED, linestyle="--", label="N(0, 1)")
    top = 30 * max(np.nanmax(everything), 3)
    axes.set_yscale("log")
    axes.set_ylim(0.5, top)
    log_ticks(axes.yaxis, 0.5, top)
    beyond = float(np.nansum(everything[high > _TAIL_SIGMA]))
    axes.set_xlim(-6, _TAIL_SIGMA)
    if beyond > 0:
        axes.text(
            0.975, 0.5, f"{whole(beyond)} pixels\nabove {_TAIL_SIGMA:g} σ →", ha="right",
            transform=axes.transAxes, fontsize=9.5,
        )  # fmt: skip
    axes.set_xlabel("significance (σ)")
    axes.set_ylabel("pixels per bin")
    grid(axes)
    axes.legend(loc="upper left", ncols=2, columnspacing=1.2)
    return figure


def _fit_label(stats: dict[str, object]) -> str:
    mean, width = number(stats.get("off_mean")), number(stats.get("off_width"))
    errors = number(stats.get("off_mean_error")), number(stats.get("off_width_error"))
    if np.isfinite(errors).all() and min(errors) > 0:
        return f"fit: mean {with_error(mean, errors[0])},\nwidth {with_error(width, errors[1])}"
    return f"fit: mean {fixed(mean, 2)},\nwidth {fixed(width, 2)}"


def _gauss(x: np.ndarray, mean: float, width: float) -> np.ndarray:
    pull = (x - mean) / width
    return np.asarray(np.exp(-0.5 * pull * pull) / (np.sqrt(2 * np.pi) * width))
