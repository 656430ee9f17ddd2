"""Moments of a cleaned image (Hillas parameters) and what is made of them. Kernels for one event.

Definitions as in ctapipe (``ctapipe.image.hillas``, ``concentration``, ``leakage``,
``statistics``). The uncertainties of length and width are those of an internal note of MAGIC, as
there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daybreak.images.kernels import compiled

#: eigenvalues nearer to zero are zero (ctapipe's HILLAS_ATOL)
_ZERO = 2.220446049250313e-16
#: columns that `hillas` fills, in this order
HILLAS = (
    *("intensity", "skewness", "kurtosis", "cog_x", "cog_y", "r", "phi"),
    *("length", "length_uncertainty", "width", "width_uncertainty"),
    *("psi", "psi_uncertainty", "transverse_cog_uncertainty"),
)
#: columns of `statistics`
STATISTICS = ("max", "min", "mean", "std", "skewness", "kurtosis")


@compiled
def _covariance(x: Any, y: Any, charge: Any, n: Any, size: Any) -> Any:
    """Centre of gravity and covariance of the charge."""
    sum_x = sum_y = 0.0
    for i in range(n):
        sum_x += charge[i] * x[i]
        sum_y += charge[i] * y[i]
    cog_x, cog_y = sum_x / size, sum_y / size
    xx = yy = xy = 0.0
    for i in range(n):
        dx, dy = x[i] - cog_x, y[i] - cog_y
        xx += charge[i] * dx * dx
        yy += charge[i] * dy * dy
        xy += charge[i] * dx * dy
    return cog_x, cog_y, xx / size, yy / size, xy / size


@compiled
def _axes(xx: Any, yy: Any, xy: Any) -> Any:
    """Length, width and the direction of the long axis of a covariance."""
    middle, half = 0.5 * (xx + yy), 0.5 * (xx - yy)
    root = np.sqrt(half * half + xy * xy)
    large = middle + root
    # without the cancellation of middle - root
    small = (xx * yy - xy * xy) / large if large != 0 else 0.0
    if abs(large) <= _ZERO:
        large = 0.0
    if abs(small) <= _ZERO:
        small = 0.0
    if half >= 0:
        vx, vy = half + root, xy
    else:
        vx, vy = xy, root - half
    if vx == 0.0 and vy == 0.0:
        vx = 1.0
    psi = np.arctan(vy / vx) if vx != 0 else 0.5 * np.pi
    width = np.sqrt(small) if small >= 0 else np.nan
    return np.sqrt(large), width, psi


@compiled
def _along(
    x: Any,
    y: Any,
    charge: Any,
    area: Any,
    n: Any,
    cog_x: Any,
    cog_y: Any,
    psi: Any,
    longi: Any,
    trans: Any,
) -> Any:
    """Coordinates along and across the axis, moments along it, sums of the line fit."""
    c, s = np.cos(psi), np.sin(psi)
    m3 = m4 = 0.0
    w = wl = wll = wt = wlt = 0.0
    for i in range(n):
        dx, dy = x[i] - cog_x, y[i] - cog_y
        along, across = dx * c + dy * s, dy * c - dx * s
        longi[i], trans[i] = along, across
        cube = charge[i] * along * along * along
        m3 += cube
        m4 += cube * along
        weight = charge[i] / area[i]
        w += weight
        wl += weight * along
        wll += weight * along * along
        wt += weight * across
        wlt += weight * along * across
    return m3, m4, w, wl, wll, wt, wlt


@compiled
def hillas(
    x: Any, y: Any, charge: Any, area: Any, n: Any, longi: Any, trans: Any, out: Any
) -> None:
    """Hillas parameters of the kept pixels.

    Parameters
    ----------
    x, y, area
        Places (metres or degrees) and areas of the kept pixels; the first `n` entries count.
    charge
        Their charges, float64.
    n
        Number of pixels.
    longi, trans
        float64: filled with the coordinates along and across the long axis.
    out
        float64, filled in the order of `HILLAS`; angles in radians.
    """
    size = 0.0
    for i in range(n):
        size += charge[i]
    cog_x, cog_y, xx, yy, xy = _covariance(x, y, charge, n, size)
    length, width, psi = _axes(xx, yy, xy)
    out[0] = size
    out[3], out[4] = cog_x, cog_y
    out[5], out[6] = np.hypot(cog_x, cog_y), np.arctan2(cog_y, cog_x)
    out[7], out[9] = length, width
    if length == 0:
        out[1] = out[2] = out[8] = out[10] = out[11] = out[12] = out[13] = np.nan
        return
    m3, m4, w, wl, wll, wt, wlt = _along(x, y, charge, area, n, cog_x, cog_y, psi, longi, trans)
    out[1] = m3 / size / length**3
    out[2] = m4 / size / length**4
    out[11] = psi
    determinant = wll * w - wl * wl
    slope = (w * wlt - wl * wt) / determinant
    var_slope, var_place = w / determinant, wll / determinant
    spread = 1.0 + np.tan(width / length * 0.5 * np.pi) ** 2
    out[12] = np.sqrt(var_slope + slope * slope) * spread
    out[13] = np.sqrt(var_place * (1.0 + np.sin(slope) ** 2))
    _size_errors(x, y, charge, n, size, (cog_x, cog_y, xx, yy, xy, psi, length, width), out)


@compiled
def _size_errors(x: Any, y: Any, charge: Any, n: Any, size: Any, found: Any, out: Any) -> None:
    """Uncertainties of length and width."""
    cog_x, cog_y, xx, yy, xy, psi, length, width = found
    a, b, c = 0.5 * (1 + np.cos(2 * psi)), 0.5 * (1 - np.cos(2 * psi)), np.sin(2 * psi)
    sum_length = sum_width = 0.0
    for i in range(n):
        dx, dy = x[i] - cog_x, y[i] - cog_y
        big_a, big_b, big_c = dx * dx - xx, dy * dy - yy, dx * dy - xy
        along = a * big_a + b * big_b + c * big_c
        across = b * big_a + a * big_b - c * big_c
        sum_length += along * along * charge[i]
        sum_width += across * across * charge[i]
    out[8] = np.sqrt(sum_length) / size / (2 * length)
    out[10] = np.sqrt(sum_width) / size / (2 * width) if width > 0 else np.nan


@compiled
def concentration(
    x: Any,
    y: Any,
    charge: Any,
    pixel_width: Any,
    n: Any,
    longi: Any,
    trans: Any,
    moments: Any,
    out: Any,
) -> None:
    """Shares of the charge: near the centre of gravity, in the ellipse, in the brightest pixel.

    Parameters
    ----------
    x, y, charge, pixel_width
        Of the kept pixels; the first `n` entries count.
    n
        Number of pixels.
    longi, trans, moments
        Of `hillas`.
    out
        float64, filled: within a pixel's width of the centre, within the ellipse, brightest.
    """
    size, length, width = moments[0], moments[7], moments[9]
    near = inside = brightest = 0.0
    for i in range(n):
        dx, dy = x[i] - moments[3], y[i] - moments[4]
        if dx * dx + dy * dy < pixel_width[i] * pixel_width[i]:
            near += charge[i]
        if width > 0 and (longi[i] / length) ** 2 + (trans[i] / width) ** 2 <= 1.0:
            inside += charge[i]
        if charge[i] > brightest:
            brightest = charge[i]
    out[0], out[1], out[2] = near / size, inside / size, brightest / size


@compiled
def statistics(values: Any, n: Any, out: Any) -> None:
    """Largest, smallest, mean, standard deviation, skewness and excess kurtosis.

    Parameters
    ----------
    values
        The first `n` entries count.
    n
        Their number.
    out
        float64, filled in the order of `STATISTICS`.
    """
    high = low = values[0]
    total = 0.0
    for i in range(n):
        value = values[i]
        total += value
        high, low = max(high, value), min(low, value)
    mean = total / n
    m2 = m3 = m4 = 0.0
    for i in range(n):
        d = values[i] - mean
        m2 += d * d
        m3 += d * d * d
        m4 += d * d * d * d
    std = np.sqrt(m2 / n)
    out[0], out[1], out[2], out[3] = high, low, mean, std
    if std > 0:
        out[4], out[5] = m3 / n / std**3, m4 / n / std**4 - 3.0
    else:
        out[4] = out[5] = np.nan
