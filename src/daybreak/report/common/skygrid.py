"""Axes on the sky: right ascension to the left, a grid of coordinates, circles.

A plain pair of axes in pixels with its own grid: drawing one takes a fifth of the time of
Astropy's WCSAxes. The projection itself is Astropy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from daybreak.report.common.style import SEQUENTIAL, new_figure
from daybreak.report.common.tables import FloatArray

_RA_STEPS_MIN = (0.5, 1, 2, 4, 5, 10, 20, 30, 60, 120, 240)
_DEC_STEPS_DEG = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


class SkyAxes:
    """An image of the sky in a figure of its own, with a colour bar.

    Parameters
    ----------
    data, header
        Image and its FITS header with a celestial WCS in right ascension and declination.
    label
        Label of the colour bar.
    vmin, vmax
        Ends of the colour scale.
    """

    def __init__(
        self, data: FloatArray, header: fits.Header, label: str, vmin: float, vmax: float
    ) -> None:
        self.wcs = WCS(header, naxis=2)
        self.shape = data.shape
        self.figure: Figure = new_figure(4.2)
        axes: Any = self.figure.add_axes((0.158, 0.12, 0.72, 0.8229))
        self.axes = axes
        height, width = data.shape
        axes.imshow(
            data,
            origin="lower",
            cmap=SEQUENTIAL,
            vmin=vmin,
            vmax=vmax,
            interpolation="none",
            aspect="equal",
        )
        flipped = self.wcs.wcs.cdelt[0] > 0
        axes.set_xlim(*((width - 0.5, -0.5) if flipped else (-0.5, width - 0.5)))
        axes.set_ylim(-0.5, height - 0.5)
        self._graticule()
        self._colour_bar(label, vmin, vmax)

    def _edges(self) -> tuple[FloatArray, FloatArray]:
        """RA along the bottom edge (continuous) and declination along the left edge."""
        height, width = self.shape
        left = self.axes.get_xlim()[0]
        x = np.linspace(-0.5, width - 0.5, 60)
        ra = self.wcs.wcs_pix2world(x, np.full(60, -0.5), 0)[0]
        y = np.linspace(-0.5, height - 0.5, 60)
        dec = self.wcs.wcs_pix2world(np.full(60, left), y, 0)[1]
        return np.unwrap(ra, period=360.0), np.asarray(dec)

    def _graticule(self) -> None:
        height, width = self.shape
        ra, dec = self._edges()
        ra_values = _nice(ra.min(), ra.max(), np.array(_RA_STEPS_MIN) / 4)
        dec_values = 0.0 + _nice(dec.min(), dec.max(), np.array(_DEC_STEPS_DEG))
        order = np.argsort(ra)
        ra_x = np.interp(ra_values, ra[order], np.linspace(-0.5, width - 0.5, 60)[order])
        dec_y = np.interp(dec_values, dec, np.linspace(-0.5, height - 0.5, 60))
        margin_ra, margin_dec = np.ptp(ra), np.ptp(dec)
        along_dec = np.clip(
            np.linspace(dec.min() - margin_dec / 4, dec.max() + margin_dec / 4, 40), -90, 90
        )
        along_ra = np.linspace(ra.min() - margin_ra / 4, ra.max() + margin_ra / 4, 40)
        lines = [self._pixels(np.full(40, value), along_dec) for value in ra_values]
        lines += [self._pixels(along_ra, np.full(40, value)) for value in dec_values]
        self.axes.add_collection(
            LineCollection(lines, colors="white", linewidths=0.5, alpha=0.35), autolim=False
        )
        self.axes.set_xticks(ra_x, [_hours(value) for value in ra_values])
        self.axes.set_yticks(dec_y, [_degrees(value, dec_values) for value in dec_values])
        self.axes.set_xlabel("right ascension (ICRS)")
        self.axes.set_ylabel("declination (ICRS)", labelpad=2)
        self.axes.tick_params(direction="out", length=3)

    def _colour_bar(self, label: str, vmin: float, vmax: float) -> None:
        box = self.figure.add_axes((0.895, 0.12, 0.024, 0.8229))
        gradient = np.linspace(0, 1, 128)[:, None]
        box.imshow(
            gradient,
            origin="lower",
            aspect="auto",
            cmap=SEQUENTIAL,
            extent=(0, 1, vmin, vmax),
            interpolation="none",
        )
        box.set_xticks([])
        box.yaxis.tick_right()
        box.tick_params(direction="out", length=2.5, labelsize=9, pad=2)
        self.figure.text(0.895, 0.957, label, ha="center", va="bottom", fontsize=9.5)

    def _pixels(self, ra: FloatArray, dec: FloatArray) -> FloatArray:
        return np.column_stack(self.wcs.wcs_world2pix(ra, dec, 0))

    def circles(
        self,
        ra: FloatArray,
        dec: FloatArray,
        radius: FloatArray,
        colour: str = "white",
        linestyle: str = "-",
        linewidth: float = 1.1,
    ) -> None:
        """Circles on the sky, light on a dark rim so that they show on any colour.

        Parameters
        ----------
        ra, dec, radius
            Centres and radii in degrees, each of shape (n,).
        colour, linestyle, linewidth
            Of the line, as Matplotlib has them; the width in points.
        """
        lines = [self._pixels(*circle(*values)) for values in zip(ra, dec, radius, strict=True)]
        for tone, width, alpha in (("black", linewidth + 1.2, 0.45), (colour, linewidth, 1.0)):
            self.axes.add_collection(
                LineCollection(
                    lines, colors=tone, linewidths=width, alpha=alpha, linestyles=linestyle
                ),
                autolim=False,
            )

    def marks(self, ra: FloatArray, dec: FloatArray, marker: str, size: float = 9) -> None:
        """Markers, light on a dark rim.

        Parameters
        ----------
        ra, dec
            In degrees, each of shape (n,).
        marker
            As Matplotlib has it, such as ``+``.
        size
            In points.
        """
        x, y = self._pixels(np.atleast_1d(ra), np.atleast_1d(dec)).T
        for tone, width in (("black", 2.8), ("white", 1.3)):
            self.axes.plot(
                x, y, marker, color=tone, markersize=size, markeredgewidth=width, linestyle="none"
            )

    def note(self, lines: list[str]) -> None:
        """What is drawn, above the map.

        Parameters
        ----------
        lines
            One below the other.
        """
        self.figure.text(0.158, 0.957, "\n".join(lines), ha="left", va="bottom", fontsize=9.5)


def circle(ra: float, dec: float, radius: float, n: int = 49) -> tuple[FloatArray, FloatArray]:
    """Points of a circle on the sphere, all in degrees.

    Parameters
    ----------
    ra, dec, radius
        Centre and radius in degrees.
    n
        How many points; the last is the first again.

    Returns
    -------
    ra, dec : numpy.ndarray
        In degrees, each of shape (n,); the right ascension is not wrapped.
    """
    angle = np.linspace(0, 2 * np.pi, n)
    rho, delta = np.radians(radius), np.radians(dec)
    sine = np.sin(delta) * np.cos(rho) + np.cos(delta) * np.sin(rho) * np.cos(angle)
    across = np.sin(angle) * np.sin(rho) * np.cos(delta)
    along = np.cos(rho) - np.sin(delta) * sine
    return ra + np.degrees(np.arctan2(across, along)), np.degrees(np.arcsin(sine))


def _nice(low: float, high: float, steps: FloatArray, most: int = 6) -> FloatArray:
    fitting = steps[(high - low) / steps <= most]
    step = float(fitting[0]) if len(fitting) else float(steps[-1])
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def _hours(degrees: float) -> str:
    seconds = round((degrees % 360) * 240) % 86400
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}h{minutes:02d}m" + (f"{seconds:02d}s" if seconds else "")


def _degrees(value: float, all_values: FloatArray) -> str:
    whole = np.allclose(all_values, np.round(all_values))
    text = f"{value:+.{0 if whole else 1}f}"
    return f"{text if float(text) else text[1:]}°".replace("-", "\u2212")
