"""The event in the detector: DOMs with light, charge as size, time of the first pulse as colour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from daybreak.neutrino.event import Event, Pulses, Reco
from daybreak.report.common.rounding import whole
from daybreak.report.common.style import GREY, INK, RC, RED, new_figure, save

TITLE = "The event in the detector"
_WIDTH_IN, _HEIGHT_IN = 7.4, 4.3
_COLOURS = "turbo"
_SMALLEST, _LARGEST = 4.0, 170.0
_PREFERRED = ("SplineMPE", "BestFit", "MPEFit", "SPEFit2")


@dataclass(frozen=True, eq=False)
class _Doms:
    """Where there was light: one row per DOM."""

    xyz_m: NDArray[np.float64]
    charge_pe: NDArray[np.float64]
    time_ns: NDArray[np.float64]


def _doms(event: Event, pulses: Pulses) -> _Doms:
    keys, first, inverse = np.unique(pulses.keys, return_index=True, return_inverse=True)
    charge = np.bincount(inverse, pulses.charge_pe, minlength=len(keys))
    # pulses of a DOM are in order of time, so the first one of each is its earliest
    return _Doms(
        event.geometry.positions(pulses)[first],
        np.asarray(charge, dtype=np.float64),
        pulses.time_ns[first],
    )


def _line(event: Event) -> tuple[str, Reco] | None:
    """The track to draw: the truth, or the most refined reconstruction that has a vertex."""
    if event.truth is not None and np.isfinite(event.truth.xyz_m).all():
        return "true track", event.truth
    for wanted in _PREFERRED:
        for name, reco in sorted(event.recos.items(), key=lambda item: len(item[0])):
            if wanted in name and np.isfinite(reco.xyz_m).all() and "contained" not in event.labels:
                return wanted, reco
    return None


def _direction(reco: Reco) -> NDArray[np.float64]:
    """Unit vector of the travel direction (zenith and azimuth say where it comes from)."""
    sin = np.sin(reco.zenith_rad)
    return -np.array(
        [
            sin * np.cos(reco.azimuth_rad),
            sin * np.sin(reco.azimuth_rad),
            np.cos(reco.zenith_rad),
        ]
    )


def _across(event: Event, doms: _Doms, line: tuple[str, Reco] | None) -> float:
    """Horizontal direction (rad from x to y) along which the side view is drawn."""
    if line is not None:
        x, y, _ = _direction(line[1])
        if np.hypot(x, y) > 0.1:
            return float(np.arctan2(y, x) % np.pi)
    if len(doms.xyz_m) < 3:
        return 0.0
    xy = doms.xyz_m[:, :2]
    _, vectors = np.linalg.eigh(np.cov(xy.T, aweights=np.maximum(doms.charge_pe, 1e-3)))
    return float(np.arctan2(vectors[1, 1], vectors[0, 1]) % np.pi)


def draw_event(event: Event, pulses: Pulses) -> Figure:
    """Draw an event from above and from the side.

    Parameters
    ----------
    event
        The event, for its geometry, header and tracks.
    pulses
        What to draw of it.

    Raises
    ------
    EventError
        The geometry lacks a DOM that has pulses.
    """
    doms = _doms(event, pulses)
    line = _line(event)
    angle = _across(event, doms, line)
    turn = np.array([[np.cos(angle), np.sin(angle)], [0.0, 0.0]])
    with matplotlib.rc_context(RC):
        figure = new_figure(_HEIGHT_IN, _WIDTH_IN)
        above = figure.add_axes((0.085, 0.125, 0.36, 0.745))
        side = figure.add_axes((0.545, 0.125, 0.345, 0.745))
        bar = figure.add_axes((0.91, 0.125, 0.017, 0.745))
        shown = None
        for axes, project in ((above, _from_above), (side, lambda p: _from_side(p, turn[0]))):
            shown = _panel(axes, event, doms, line, project) or shown
        above.set_xlabel("x (m)")
        above.set_ylabel("y (m)")
        side.set_xlabel(f"horizontal, {np.degrees(angle):.0f}° from x (m)")
        side.set_ylabel("z (m)")
        if shown is not None:
            figure.colorbar(shown, cax=bar, label="first pulse (µs)")
        else:
            bar.set_axis_off()
        header = event.header
        figure.text(
            0.085,
            0.965,
            f"run {header.run}, event {header.event}",
            fontsize=11,
            va="top",
            color=INK,
        )
        figure.text(
            0.89,
            0.965,
            f"{whole(pulses.n_doms)} DOMs, {whole(len(pulses))} pulses, "
            f"{whole(round(pulses.qtot))} pe",
            va="top",
            ha="right",
            color=INK,
        )
    return figure


def _from_above(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    return xyz[:, :2]


def _from_side(xyz: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([xyz[:, :2] @ along, xyz[:, 2]], axis=1)


def _panel(axes: Any, event: Event, doms: _Doms, line: Any, project: Any) -> Any:
    detector = project(event.geometry.xyz_m)
    from_above = project is _from_above
    dots = np.unique(np.round(detector), axis=0) if from_above else detector
    axes.scatter(*dots.T, s=2.5 if from_above else 0.35, color=GREY, alpha=0.5, linewidths=0)
    low, high = detector.min(axis=0), detector.max(axis=0)
    middle, half = (low + high) / 2, 1.12 * np.maximum(high - low, 100.0) / 2
    box = axes.get_position()
    tall = box.height * _HEIGHT_IN / (box.width * _WIDTH_IN)
    across = max(half[0], half[1] / tall)  # equal scales that fill the axes
    axes.set_xlim(middle[0] - across, middle[0] + across)
    axes.set_ylim(middle[1] - across * tall, middle[1] + across * tall)
    axes.locator_params(nbins=6)
    if line is not None:
        name, reco = line
        ends = np.array(reco.xyz_m) + np.outer([-3000.0, 3000.0], _direction(reco))
        axes.plot(
            *project(ends).T, color=RED, linewidth=1.1, label=name, scalex=False, scaley=False
        )
        axes.legend(loc="lower left", fontsize=8.5)
    if not len(doms.time_ns):
        return None
    order = np.argsort(-doms.charge_pe)  # small ones on top
    share = np.sqrt(np.maximum(doms.charge_pe[order], 0) / max(doms.charge_pe.max(), 1e-6))
    early, late = np.percentile(doms.time_ns, [2, 98])
    start = float(doms.time_ns.min())
    return axes.scatter(
        *project(doms.xyz_m[order]).T,
        s=_SMALLEST + (_LARGEST - _SMALLEST) * share,
        c=(doms.time_ns[order] - start) / 1000,
        cmap=_COLOURS,
        vmin=(early - start) / 1000,
        vmax=max(late - start, early - start + 1.0) / 1000,
        edgecolors=INK,
        linewidths=0.3,
        alpha=0.9,
    )


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure under a name of its own; its ending says which kind (png, svg, pdf).

    Parameters
    ----------
    figure
        As of `draw_event`.
    path
        Of the file.

    Raises
    ------
    OutputError
        The file can't be written.
    """
    suffix = path.suffix.lower().lstrip(".")
    with matplotlib.rc_context(RC):
        (written,) = save(figure, path.stem, TITLE, path.parent, (suffix,))
    if written != path:
        written.replace(path)
