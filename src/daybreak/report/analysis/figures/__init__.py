"""Figures, each drawn from the tables of ``results/`` alone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from daybreak.errors import ConfigError
from daybreak.report.common.tables import ResultTables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawer = Callable[[ResultTables], "Figure | None"]


@dataclass(frozen=True)
class FigureSpec:
    """One figure: its file name, its title, and the function that draws it."""

    name: str
    title: str
    draw: Drawer


def figure_specs() -> tuple[FigureSpec, ...]:
    """All figures in the order of the page."""
    from daybreak.report.analysis.figures import fit3d, lightcurve, maps, spectrum, theta2

    return (
        FigureSpec("theta2", "Squared angular distance to the target", theta2.draw_theta2),
        FigureSpec("cumulative", "Cumulative excess and significance", theta2.draw_cumulative),
        *(
            FigureSpec(
                f"{method}_{kind}",
                f"Map of {kind}, {maps.METHOD_NAMES[method]}",
                partial(maps.draw_map, method=method, kind=kind),
            )
            for method in ("ring", "fov")
            for kind in ("excess", "significance")
        ),
        *(
            FigureSpec(
                f"{method}_histogram",
                f"Distribution of map significances, {maps.METHOD_NAMES[method]}",
                partial(maps.draw_significances, method=method),
            )
            for method in ("ring", "fov")
        ),
        FigureSpec("fit3d_residuals", "Residuals of the 3D fit", fit3d.draw_residuals),
        FigureSpec("regions", "Counts map with ON and OFF regions", maps.draw_regions),
        FigureSpec("counts", "Counts spectrum", spectrum.draw_counts),
        FigureSpec("sed", "Spectral energy distribution", spectrum.draw_sed),
        *(
            FigureSpec(
                f"lightcurve_{binning}",
                f"Light curve, {text}",
                partial(lightcurve.draw_lightcurve, binning=binning),
            )
            for binning, text in lightcurve.BINNINGS.items()
        ),
    )


def draw_figures(
    results: Path,
    figures: Path,
    formats: Sequence[str] = ("svg",),
    only: Sequence[str] | None = None,
) -> list[Path]:
    """Draw every figure that the present tables allow; skip those whose table is absent.

    Parameters
    ----------
    results
        Folder of the tables.
    figures
        Folder to write to. Figures of an earlier analysis that can't be drawn now are removed.
    formats
        Any of ``svg``, ``png``, ``pdf``.
    only
        Names of the figures to draw; none: all.

    Returns
    -------
    list of pathlib.Path
        What was written.

    Raises
    ------
    ConfigError
        If a figure of `only` doesn't exist.
    ProductError
        If a table is there but can't be read.
    """
    from matplotlib import rc_context

    from daybreak.report.common.style import RC, save

    specs = figure_specs()
    names = [spec.name for spec in specs]
    for name in only or ():
        if name not in names:
            raise ConfigError(f"there is no figure {name!r}", f"Figures: {', '.join(names)}.")
    tables = ResultTables(results)
    written: list[Path] = []
    with rc_context(RC), _no_collection():
        for spec in specs:
            if only and spec.name not in only:
                continue
            figure = spec.draw(tables)
            if figure is not None:
                written += save(figure, spec.name, spec.title, figures, tuple(formats))
            else:
                _remove(figures, spec.name, formats)
    return written


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold the garbage collector: one pass over a loaded Gammapy costs as much as five figures."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _remove(folder: Path, name: str, formats: Sequence[str]) -> None:
    for suffix in formats:
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)
