"""Figures of a sky scan, drawn from the tables of its ``results/`` alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from daybreak.neutrino.event import Event, Pulses, Reco
from daybreak.neutrino.maps import Tiling
from daybreak.neutrino.scan import pixels as sky
from daybreak.report.common.skygrid import SkyAxes
from daybreak.report.common.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    SEQUENTIAL,
    grid,
    log_ticks,
    new_figure,
    single_axes,
)
from daybreak.report.common.tables import FloatArray
from daybreak.report.scan.scan_tables import ScanTables, lines

TITLES = {
    "scan_zoom": "The region around the best fit",
    "scan_sky": "The whole sky",
    "scan_profile": "Every pixel of the scan",
    "event_view": "The event in the detector",
}
_COLOURS = SEQUENTIAL + "_r"
_ZOOM_PIXELS = 420


def draw_scan_figures(
    tables: ScanTables, figures: Path, formats: Sequence[str] = ("svg",)
) -> list[Path]:
    """Draw the figures of a scan.

    Parameters
    ----------
    tables
        Tables of the scan.
    figures
        Folder to write to.
    formats
        Any of ``svg``, ``png``, ``pdf``.

    Returns
    -------
    list of pathlib.Path
        What was written.
    """
    from matplotlib import rc_context

    from daybreak.report.common.style import RC, save

    drawers: dict[str, Callable[[ScanTables], Figure | None]] = {
        "scan_zoom": draw_zoom,
        "scan_sky": draw_sky,
        "scan_profile": draw_profile,
    }
    written: list[Path] = []
    with rc_context(RC):
        for name, draw in drawers.items():
            figure = draw(tables)
            if figure is not None:
                written += save(figure, name, TITLES[name], figures, tuple(formats))
    return written


def draw_event_view(
    event: Event, pulses: Pulses, best: Reco, figures: Path, formats: Sequence[str] = ("svg",)
) -> list[Path]:
    """Draw the event with the track of the best fit (of the truth, where it is simulated).

    Parameters
    ----------
    event, pulses
        The event, and which pulses to draw.
    best
        The best fit.
    figures
        Folder to write to.
    formats
        Any of ``svg``, ``png``, ``pdf``.
    """
    from matplotlib import rc_context

    from daybreak.report.common.style import RC, save
    from daybreak.report.scan.event_view import draw_event

    with rc_context(RC):
        figure = draw_event(replace(event, recos={best.name: best}), pulses)
        return save(figure, "event_view", TITLES["event_view"], figures, tuple(formats))


def lookup(tiling: Tiling, values: FloatArray, ra: FloatArray, dec: FloatArray) -> FloatArray:
    """Value of the tile in which each direction lies; NaN where nothing was scanned.

    Parameters
    ----------
    tiling
        The tiles.
    values
        One for each tile, shape (n_tiles,).
    ra, dec
        Directions in rad, of any shape.

    Returns
    -------
    numpy.ndarray
        Of the shape of `ra`.
    """
    out = np.full(ra.shape, np.nan)
    for nside in np.unique(tiling.nside):
        here = np.flatnonzero(tiling.nside == nside)
        here = here[np.argsort(tiling.pixel[here])]
        numbers = tiling.pixel[here]
        wanted = sky.pixel_at(int(nside), ra.ravel(), dec.ravel())
        at = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
        hit = (numbers[at] == wanted).reshape(ra.shape)
        out[hit] = values[here][at].reshape(ra.shape)[hit]
    return out


def draw_zoom(tables: ScanTables) -> Figure | None:
    """2 delta llh around the best fit, with contours, known sources and other directions.

    Parameters
    ----------
    tables
        Of the scan.
    """
    best = tables.best
    half = _half_width(tables)
    step = 2 * half / _ZOOM_PIXELS
    header = fits.Header(
        {
            "NAXIS": 2, "NAXIS1": _ZOOM_PIXELS, "NAXIS2": _ZOOM_PIXELS,
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": best["ra_deg"],
            "CRVAL2": best["dec_deg"], "CRPIX1": (_ZOOM_PIXELS + 1) / 2,
            "CRPIX2": (_ZOOM_PIXELS + 1) / 2, "CDELT1": -step, "CDELT2": step,
            "CUNIT1": "deg", "CUNIT2": "deg",
        }
    )  # fmt: skip
    from astropy.wcs import WCS

    x, y = np.meshgrid(np.arange(_ZOOM_PIXELS), np.arange(_ZOOM_PIXELS))
    ra, dec = WCS(header).wcs_pix2world(x, y, 0)
    ts = 2 * (tables.tiling.llh - best["llh"])
    image = lookup(tables.tiling, ts, np.radians(ra), np.radians(dec))
    top = 3 * float(tables.context["calibration"]["ts_90"])
    axes = SkyAxes(image, header, "2 Δllh", 0.0, top)
    axes.axes.images[0].set_cmap(_COLOURS)
    axes.figure.axes[-1].images[0].set_cmap(_COLOURS)
    for probability, colour in ((0.9, "white"), (0.5, "#ff8a5c")):
        _outline(axes, lines(tables, probability), colour)
    _marks(axes, tables, half)
    axes.note([_zoom_note(tables)])
    return axes.figure


def _half_width(tables: ScanTables) -> float:
    """Half of the side of the zoomed map in degrees."""
    row = tables.region(0.9)
    cosine = max(np.cos(np.radians(tables.best["dec_deg"])), 0.02)
    sides = [
        float(row["ra_minus_deg"]) * cosine, float(row["ra_plus_deg"]) * cosine,
        float(row["dec_minus_deg"]), float(row["dec_plus_deg"]),
    ]  # fmt: skip
    good = [side for side in sides if np.isfinite(side)]
    return float(min(max(1.35 * max(good, default=1.0), 0.6), 30.0))


def _outline(axes: SkyAxes, found: list[FloatArray], colour: str) -> None:
    paths = [np.column_stack(axes.wcs.wcs_world2pix(line[:, 0], line[:, 1], 0)) for line in found]
    for tone, width, alpha in (("black", 3.0, 0.6), (colour, 1.6, 1.0)):
        axes.axes.add_collection(
            LineCollection(paths, colors=tone, linewidths=width, alpha=alpha), autolim=False
        )


def _marks(axes: SkyAxes, tables: ScanTables, half: float) -> None:
    """Best fit, other minima, reconstructions of the file, the truth, known sources."""
    minima = tables.minima
    axes.marks(minima["ra_deg"][:1], minima["dec_deg"][:1], "+", 11)
    if len(minima) > 1:
        axes.marks(minima["ra_deg"][1:], minima["dec_deg"][1:], "x", 7)
    blocks = [(entry, "D") for entry in tables.context["recos"]]
    if tables.context["truth"]:
        blocks.append((tables.context["truth"] | {"name": "truth"}, "*"))
    blocks += [(entry, "o") for entry in tables.context["nearby"]]
    used: list[tuple[float, float]] = []
    marked: list[tuple[float, float]] = []
    for entry, marker in blocks:
        x, y = (float(v) for v in axes.wcs.wcs_world2pix(entry["ra_deg"], entry["dec_deg"], 0))
        if not (0 < x < _ZOOM_PIXELS and 0 < y < _ZOOM_PIXELS) or len(used) >= 12:
            continue
        if any(np.hypot(x - x2, y - y2) < 4 for x2, y2 in marked):
            continue  # the same fit under another name
        marked.append((x, y))
        axes.marks(np.array([entry["ra_deg"]]), np.array([entry["dec_deg"]]), marker, 6)
        _name(axes, str(entry["name"]), x, y, used)


def _name(axes: SkyAxes, text: str, x: float, y: float, used: list[tuple[float, float]]) -> None:
    """A name beside a mark, moved up or down where another name is near."""
    from matplotlib.patheffects import withStroke

    right = x < 0.6 * _ZOOM_PIXELS
    at = y
    for _ in range(8):
        if all(abs(at - other) > 17 or abs(x - x2) > 170 for x2, other in used):
            break
        at += 18 if at >= y else -18
        at = 2 * y - at if at > _ZOOM_PIXELS - 10 else at
    used.append((x, at))
    axes.axes.annotate(
        text[:28], (x, y), (x + (9 if right else -9), at), fontsize=8.5, color="white",
        ha="left" if right else "right", va="center", annotation_clip=True,
        path_effects=[withStroke(linewidth=2.4, foreground="#00000099")],
    )  # fmt: skip


def _zoom_note(tables: ScanTables) -> str:
    warnings = tables.warning_names
    said = f"  {', '.join(warnings)}" if warnings else ""
    return f"50 % (orange) and 90 % (white){said}"


def draw_sky(tables: ScanTables) -> Figure | None:
    """Delta llh over the whole sky, Mollweide, right ascension to the left, 12 h in the middle.

    Parameters
    ----------
    tables
        Of the scan.
    """
    width, height = 900, 450
    x = np.linspace(-2, 2, width) * np.sqrt(2)
    y = np.linspace(-1, 1, height) * np.sqrt(2)
    grid_x, grid_y = np.meshgrid(x, y)
    angle = np.arcsin(np.clip(grid_y / np.sqrt(2), -1, 1))
    dec = np.arcsin(np.clip((2 * angle + np.sin(2 * angle)) / np.pi, -1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        lon = np.pi * grid_x / (2 * np.sqrt(2) * np.cos(angle))
    inside = np.abs(lon) <= np.pi
    ra = np.mod(np.pi - np.where(inside, lon, 0.0), 2 * np.pi)
    delta = tables.tiling.llh - tables.best["llh"]
    image = lookup(tables.tiling, _stretched(np.maximum(delta, 0)), ra, dec)
    image[~inside] = np.nan
    top = float(np.nanmax(image))
    figure = new_figure(3.1, 6.4)
    axes: Any = figure.add_axes((0.02, 0.13, 0.96, 0.84))
    axes.imshow(
        image, origin="lower", cmap=_COLOURS, vmin=0, vmax=max(top, 0.1), interpolation="none",
        extent=(x[0], x[-1], y[0], y[-1]), aspect="equal",
    )  # fmt: skip
    axes.set_axis_off()
    _sky_grid(axes)
    for probability, colour in ((0.9, "white"), (0.5, "#ff8a5c")):
        _sky_outline(axes, lines(tables, probability), colour)
    here = _mollweide(np.array([tables.best["ra_deg"]]), np.array([tables.best["dec_deg"]]))
    for tone, thick in (("black", 2.8), ("white", 1.3)):
        axes.plot(*here, "+", color=tone, markersize=13, markeredgewidth=thick)
    _delta_bar(figure, max(top, 0.1))
    return figure


def _stretched(delta: Any) -> Any:
    """Colour of a delta llh on the whole sky: a logarithm that leaves contrast at large values."""
    return np.log10(1 + np.asarray(delta, float)) ** 3


def _mollweide(ra_deg: FloatArray, dec_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Plane coordinates (Snyder 1987, equations 31-1 to 31-3), 12 h in the middle, east left."""
    dec = np.radians(np.asarray(dec_deg, float))
    angle = dec.copy()
    for _ in range(60):
        slope = np.maximum(2 + 2 * np.cos(2 * angle), 1e-9)
        angle = angle - (2 * angle + np.sin(2 * angle) - np.pi * np.sin(dec)) / slope
        angle = np.clip(angle, -np.pi / 2, np.pi / 2)
    lon = np.radians(180.0 - np.mod(np.asarray(ra_deg, float), 360.0))
    return 2 * np.sqrt(2) / np.pi * lon * np.cos(angle), np.sqrt(2) * np.sin(angle)


def _sky_grid(axes: Any) -> None:
    along = np.linspace(-90, 90, 91)
    meridians = [np.column_stack(_mollweide(np.full(91, ra), along)) for ra in range(30, 360, 30)]
    across = np.linspace(0.0, 359.999, 181)
    meridians += [
        np.column_stack(_mollweide(across, np.full(181, dec))) for dec in range(-60, 61, 30)
    ]
    axes.add_collection(LineCollection(meridians, colors="white", linewidths=0.5, alpha=0.4))
    edges = [np.column_stack(_mollweide(np.full(91, ra), along)) for ra in (0.0, 359.9999)]
    axes.add_collection(LineCollection(edges, colors=INK, linewidths=0.8))
    galactic = _galactic_plane()
    axes.plot(*galactic, ".", color="white", markersize=1.6, alpha=0.75)
    for hours in (20, 16, 12, 8, 4):
        x, y = _mollweide(np.array([hours * 15.0]), np.array([0.0]))
        axes.text(x[0], y[0], f"{hours}h", color="white", fontsize=8, ha="center", va="bottom")
    for dec in (-60, -30, 30, 60):
        x, y = _mollweide(np.array([0.0]), np.array([float(dec)]))
        axes.text(
            x[0] + 0.06, y[0], f"{dec:+d}°".replace("-", "\u2212"), fontsize=8, color=INK,
            ha="left", va="center",
        )  # fmt: skip


def _galactic_plane() -> tuple[FloatArray, FloatArray]:
    """Points of the Galactic equator; pole and node as the IAU defined them, for J2000."""
    pole_ra, pole_dec, node = np.radians([192.85948, 27.12825, 32.93192])
    turn = np.radians(np.arange(0.0, 360.0, 2.5)) - node
    dec = np.arcsin(np.cos(pole_dec) * np.sin(turn))
    ra = pole_ra + np.arctan2(np.cos(turn), -np.sin(turn) * np.sin(pole_dec))
    return _mollweide(np.degrees(ra), np.degrees(dec))


def _sky_outline(axes: Any, found: list[FloatArray], colour: str) -> None:
    paths = []
    for line in found:
        x, y = _mollweide(line[:, 0], line[:, 1])
        breaks = np.flatnonzero(np.abs(np.diff(x)) > 2) + 1
        points = np.column_stack([x, y])
        paths += [part for part in np.split(points, breaks) if len(part) > 1]
    axes.add_collection(LineCollection(paths, colors=colour, linewidths=1.0))


def _delta_bar(figure: Figure, top: float) -> None:
    box: Any = figure.add_axes((0.3, 0.085, 0.4, 0.03))
    box.imshow(
        np.linspace(0, 1, 128)[None], cmap=_COLOURS, aspect="auto", extent=(0, top, 0, 1),
        interpolation="none",
    )  # fmt: skip
    values = [v for v in (0, 10, 30, 100, 300, 1000, 3000, 10_000) if _stretched(v) <= top]
    box.set_xticks(
        [_stretched(v) for v in values], [f"{v:,}".replace(",", "\u202f") for v in values]
    )
    box.set_yticks([])
    box.tick_params(direction="out", length=2.5, labelsize=8, pad=1)
    figure.text(0.71, 0.1, "Δllh", ha="left", va="center", fontsize=9)


def draw_profile(tables: ScanTables) -> Figure | None:
    """Delta llh of every pixel against its distance from the best fit.

    Parameters
    ----------
    tables
        Of the scan.
    """
    best, pixels = tables.best, tables.pixels
    away = sky.separation_rad(
        np.radians(best["ra_deg"]), np.radians(best["dec_deg"]),
        np.radians(np.asarray(pixels["ra"], float)), np.radians(np.asarray(pixels["dec"], float)),
    )  # fmt: skip
    distance = np.maximum(np.degrees(away), 1e-2)
    delta = np.maximum(np.asarray(pixels["llh"], float) - best["llh"], 1e-2)
    nsides: NDArray[Any] = np.unique(np.asarray(pixels["nside"]))
    figure = new_figure(3.6)
    axes = single_axes(figure)
    tones = (GREY, BLUE, ORANGE, RED)
    for index, nside in enumerate(nsides):
        here = np.asarray(pixels["nside"]) == nside
        axes.plot(
            distance[here], delta[here], ".", color=tones[index % 4], markersize=3.5, alpha=0.6,
            label=f"nside {nside}", markeredgewidth=0, rasterized=True,
        )  # fmt: skip
    low, high = float(distance.min()), float(distance.max()) * 1.3
    bottom, top = 1e-2, float(np.nanmax(delta[np.isfinite(delta)])) * 2
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low / 1.3, high)
    axes.set_ylim(bottom, top)
    log_ticks(axes.xaxis, low / 1.3, high)
    log_ticks(axes.yaxis, bottom, top)
    for key, text in (("ts_50", "50 %"), ("ts_90", "90 %")):
        level = float(tables.context["calibration"][key]) / 2
        axes.axhline(level, color=INK, linewidth=0.9, linestyle="--")
        axes.text(low / 1.2, level * 1.08, text, fontsize=8.5, va="bottom")
    axes.set_xlabel("distance from the best fit (deg)")
    axes.set_ylabel("Δllh")
    grid(axes)
    axes.legend(loc="upper left", markerscale=2.2)
    return figure
