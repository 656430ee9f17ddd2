"""Look of the figures, and their way to disk.

Text and axes are drawn in the colour :data:`INK`, which becomes ``currentColor`` in an SVG: the
figure then takes the text colour of the page, in light and in dark. The other colours have a
contrast of at least 3 to 1 on white and on near-black, and are told apart by colour-blind readers.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from daybreak.products.atomic import write_bytes
from daybreak.report.common.rounding import MINUS, power_of_ten

INK = "#1b2126"
BLUE = "#2f7fd0"
ORANGE = "#d07a0a"
RED = "#d6502b"
GREEN = "#0f9a76"
PURPLE = "#a564c9"
GREY = "#7d8590"
SEQUENTIAL = "viridis"

WIDTH_IN = 4.8
RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "daybreak",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.labelsize": 10.5,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.pad": 5.0,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.5,
    "path.simplify": True,
}
_STYLE = (
    "<style>#{0}{{color:{1}}}@media (prefers-color-scheme:dark){{#{0}{{color:#e3e7ea}}}}</style>"
)
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'url\(#([^)]+)\)|xlink:href="#([^"]+)"')
_DROP = (
    re.compile(r"<metadata>.*?</metadata>\s*", re.S),
    re.compile(r'<style type="text/css">.*?</style>\s*', re.S),
    re.compile(r"<!DOCTYPE.*?>\s*", re.S),
    re.compile(r"<!--.*?-->\s*", re.S),
)
_FONT = re.compile(r"font(-family)?: ?([^;\"]*?)'[^;\"]*(sans-serif)")


def new_figure(height: float = 3.6, width: float = WIDTH_IN) -> Figure:
    """Empty figure.

    Parameters
    ----------
    height, width
        In inches; the common width if none is given.
    """
    return Figure(figsize=(width, height))


def single_axes(figure: Figure, right: float = 0.96, top: float = 0.965) -> Any:
    """One pair of axes with room for its labels.

    Parameters
    ----------
    figure
        Of the common width.
    right, top
        Where the axes end, as parts of the figure's width and height.

    Returns
    -------
    matplotlib.axes.Axes
        Its left and bottom edges lie at a fixed distance in inches.
    """
    height = figure.get_figheight()
    bottom, left = 0.52 / height, 0.7 / WIDTH_IN
    return figure.add_axes((left, bottom, right - left, top - bottom))


def grid(axes: Any) -> None:
    """Faint grid behind the data.

    Parameters
    ----------
    axes
        Of Matplotlib.
    """
    axes.grid(True, color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)


def text_box(axes: Any, lines: list[str], x: float = 0.97, y: float = 0.955) -> None:
    """Lines of text in a corner of the axes.

    Parameters
    ----------
    axes
        Of Matplotlib.
    lines
        One below the other.
    x, y
        Where, as parts of the axes' width and height; right-aligned in the right half, hanging down
        from `y` in the upper half.
    """
    axes.text(
        x,
        y,
        "\n".join(lines),
        transform=axes.transAxes,
        va="top" if y > 0.5 else "bottom",
        ha="right" if x > 0.5 else "left",
        fontsize=9.5,
        linespacing=1.45,
    )


def log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks for a logarithmic axis, written as plain numbers or powers of ten.

    Two decades or less are labelled at 1, 2 and 5, more of them at the decades.

    Parameters
    ----------
    axis
        Of Matplotlib.
    low, high
        Its limits; both positive.
    """
    first, last = np.floor(np.log10(low)), np.ceil(np.log10(high))
    decades = np.arange(first, last + 1)
    dense = np.log10(high / low) <= 2.2
    steps = (1, 2, 5) if dense else (1,)
    values = np.array([step * 10.0**decade for decade in decades for step in steps])
    values = values[(values >= low * 0.999) & (values <= high * 1.001)]
    if len(values) > 8:
        values = values[:: int(np.ceil(len(values) / 8))]
    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_major_formatter(FixedFormatter([_tick_label(value) for value in values]))
    minor = np.array([step * 10.0**decade for decade in decades for step in range(2, 10)])
    if dense or len(decades) <= 4:
        axis.set_minor_locator(FixedLocator(list(minor[(minor >= low) & (minor <= high)])))
    else:
        axis.set_minor_locator(NullLocator())


def _tick_label(value: float) -> str:
    exponent = int(np.floor(np.log10(value) + 1e-9))
    if -3 <= exponent < 4:
        return f"{value:g}"
    mantissa = round(value / 10.0**exponent)
    return power_of_ten(exponent) if mantissa == 1 else f"{mantissa}·{power_of_ten(exponent)}"


def signed(value: float, decimals: int = 1) -> str:
    """Number with a real minus sign.

    Parameters
    ----------
    value
        Any number.
    decimals
        Digits after the point.
    """
    return f"{value:.{decimals}f}".replace("-", MINUS)


def save(
    figure: Figure, name: str, title: str, folder: Path, formats: tuple[str, ...]
) -> list[Path]:
    """Write the figure once per format, atomically; return the paths.

    Parameters
    ----------
    figure
        What to write.
    name
        Of the files, without suffix; also of the ids in an SVG.
    title
        What an SVG says to those who can't see it.
    folder
        Where the files go.
    formats
        Any of ``svg``, ``png``, ``pdf``.

    Raises
    ------
    OutputError
        If a file can't be written.
    """
    written = []
    for suffix in formats:
        path = folder / f"{name}.{suffix}"
        if suffix == "svg":
            write_bytes(path, svg_text(figure, name, title).encode())
        else:
            stream = io.BytesIO()
            if suffix == "png":
                FigureCanvasAgg(figure)
            figure.savefig(stream, format=suffix, dpi=200, facecolor="white")
            write_bytes(path, stream.getvalue())
        written.append(path)
    return written


def svg_text(figure: Figure, name: str, title: str) -> str:
    """The figure as SVG that stands alone or inside a page, with ids of its own.

    Parameters
    ----------
    figure
        What to draw.
    name
        What its ids begin with; no two figures of a page may share it.
    title
        What the figure says to those who can't see it.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True)
    text = stream.getvalue()
    for pattern in _DROP:
        text = pattern.sub("", text)
    prefix = f"fig-{name.replace('_', '-')}"
    used = {a or b for a, b in _REFERENCE.findall(text)}
    text = _ID.sub(lambda m: f'id="{prefix}-{m[1]}"' if m[1] in used else "", text)
    text = _REFERENCE.sub(
        lambda m: f"url(#{prefix}-{m[1]})" if m[1] else f'xlink:href="#{prefix}-{m[2]}"', text
    )
    text = text.replace(INK, "currentColor")
    text = _FONT.sub(r"font\1: \2system-ui, \3", text)
    head = (
        f'<svg id="{prefix}" role="img" aria-labelledby="{prefix}-title" '
        'stroke-linejoin="round" stroke-linecap="butt"'
    )
    text = text.replace("<svg", head, 1)
    inner = f'<title id="{prefix}-title">{_escape(title)}</title>{_STYLE.format(prefix, INK)}'
    end = text.index(">", text.index("<svg")) + 1
    return f"{text[:end]}{inner}{text[end:]}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
