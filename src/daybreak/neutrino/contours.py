"""Contours of a scan and what their levels are calibrated with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import ConfigError
from daybreak.neutrino.maps import Tiling
from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.pixels import Floats

_GRID = 360
_SR_TO_DEG2 = (180.0 / np.pi) ** 2
#: values far above the contours are cut off, so that they don't shape the interpolation near them
_CUT = 3.0
#: stands for the value of tiles that were not fitted: a region ends there, and is not closed
_UNKNOWN = 1e9


@dataclass(frozen=True)
class Calibration:
    """What 2 (llh - min llh) on the 50 % and the 90 % contour is, and why.

    Attributes
    ----------
    name
        ``resimulation``, ``wilks`` or ``millipede``.
    title
        A few words for captions.
    source
        Where the numbers are from.
    ts_50, ts_90
        The levels.
    """

    name: str
    title: str
    source: str
    ts_50: float
    ts_90: float

    @property
    def levels(self) -> tuple[tuple[float, float], ...]:
        """Probability and level of each contour."""
        return ((0.5, self.ts_50), (0.9, self.ts_90))


WILKS = Calibration(
    "wilks",
    "Wilks, not calibrated",
    "chi² of two parameters (Wilks 1938); too small for real tracks, whose likelihood is not exact",
    2 * np.log(2),
    2 * np.log(10),
)
MILLIPEDE = Calibration(
    "millipede",
    "IceCube's levels for Millipede maps",
    "2 delta llh of 22.2 and 64.2, which IceCube found by resimulation of IC160427A for its "
    "Millipede scans; this likelihood is another one",
    22.2,
    64.2,
)


@lru_cache(maxsize=1)
def _own() -> dict[str, Any]:
    path = resources.files("daybreak.neutrino").joinpath("data/calibration.json")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def calibration(name: str = "auto", likelihood: str = "") -> Calibration:
    """Find a calibration.

    Parameters
    ----------
    name
        ``resimulation``, ``wilks``, ``millipede``, or ``auto``: resimulation where the likelihood
        has one, else Wilks.
    likelihood
        Name of the likelihood.

    Raises
    ------
    ConfigError
        If the name is unknown, or there is no resimulation of this likelihood.
    """
    fixed = {"wilks": WILKS, "millipede": MILLIPEDE}
    if name in fixed:
        return fixed[name]
    if name not in ("auto", "resimulation"):
        raise ConfigError(
            f"there is no calibration {name!r}", "Choose resimulation, wilks or millipede."
        )
    entry = (_own().get("likelihoods") or {}).get(likelihood)
    if entry is not None:
        return Calibration(
            "resimulation",
            "calibrated on own resimulation",
            str(entry["source"]),
            float(entry["ts_50"]),
            float(entry["ts_90"]),
        )
    if name == "auto":
        return WILKS
    raise ConfigError(
        f"the likelihood {likelihood!r} has no calibration from resimulation",
        "Choose wilks or millipede with --contours.",
    )


@dataclass(frozen=True, eq=False)
class Contour:
    """The region of one probability.

    Attributes
    ----------
    probability, ts
        0.5 or 0.9, and the level in 2 delta llh.
    area_deg2
        Solid angle.
    polygons
        Closed lines, (n, 2) of right ascension and declination in degrees; holes are lines too.
    ra_minus_deg, ra_plus_deg, dec_minus_deg, dec_plus_deg
        Extent around the best fit, each positive (rectangular bounds).
    closed
        False where the region reaches pixels that were not looked at with the finest nside, or
        the border of what was looked at.
    """

    probability: float
    ts: float
    area_deg2: float
    polygons: tuple[Floats, ...]
    ra_minus_deg: float
    ra_plus_deg: float
    dec_minus_deg: float
    dec_plus_deg: float
    closed: bool


def project(ra0: float, dec0: float, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """Lambert's azimuthal equal-area projection around (ra0, dec0), all in radians; x to the east.

    Snyder 1987 (USGS PP 1395), equations 24-2 to 24-4. Plane areas are solid angles.

    Parameters
    ----------
    ra0, dec0
        Centre of the plane, radians.
    ra, dec
        Places, radians.
    """
    cosine = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    k = np.sqrt(2.0 / np.maximum(1.0 + cosine, 1e-12))
    x = k * np.cos(dec) * np.sin(ra - ra0)
    y = k * (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0))
    return x, y


def unproject(ra0: float, dec0: float, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Inverse of :func:`project`, equations 20-14, 20-15, 24-16; ra between 0 and 2 pi.

    Parameters
    ----------
    ra0, dec0
        Centre of the plane, radians.
    x, y
        Coordinates on the plane.
    """
    rho = np.hypot(x, y)
    c = 2 * np.arcsin(np.clip(rho / 2, 0, 1))
    safe = np.where(rho > 0, rho, 1.0)
    sine = np.cos(c) * np.sin(dec0) + np.where(rho > 0, y * np.sin(c) * np.cos(dec0) / safe, 0.0)
    dec = np.arcsin(np.clip(sine, -1, 1))
    ra = ra0 + np.arctan2(
        x * np.sin(c), safe * np.cos(dec0) * np.cos(c) - y * np.sin(dec0) * np.sin(c)
    )
    return np.mod(ra, 2 * np.pi), dec


def contours(
    tiling: Tiling,
    samples: tuple[Floats, Floats, Floats],
    ra_deg: float,
    dec_deg: float,
    llh: float,
    scale: Calibration,
) -> tuple[Contour, ...]:
    """Contours around the best fit.

    Parameters
    ----------
    tiling
        The scanned sky.
    samples
        Right ascension, declination (rad) and llh of directions between the pixels.
    ra_deg, dec_deg, llh
        The best fit.
    scale
        The levels.

    Returns
    -------
    tuple of Contour
        50 % and 90 %.
    """
    ra0, dec0 = np.radians(ra_deg), np.radians(dec_deg)
    points = _points(tiling, samples, llh)
    values = [level for _, level in scale.levels]
    parts = [_lines(points, group, values) for group in _groups(points, scale.ts_90)]
    found = []
    for i, (probability, level) in enumerate(scale.levels):
        lines = [line for part in parts for line in part[i]]
        closed = _is_closed(tiling, llh, level)
        found.append(_contour(probability, level, lines, ra0, dec0, closed))
    return tuple(found)


def _is_closed(tiling: Tiling, llh: float, level: float) -> bool:
    """Whether all of a region, and what lies around it, was looked at with the finest nside."""
    finest = int(tiling.nside.max())
    inside = tiling.own & (2 * (tiling.llh - llh) < level)
    if (tiling.nside[inside] < finest).any():
        return False
    around = sky.neighbours(finest, tiling.pixel[inside])
    fitted = tiling.pixel[tiling.own & (tiling.nside == finest)]
    return bool(np.isin(around[around >= 0], fitted).all())


@dataclass(frozen=True, eq=False)
class _Points:
    """Directions (rad) with their 2 delta llh, and the size of the pixels there (rad)."""

    ra: Floats
    dec: Floats
    ts: Floats
    size: Floats


def _points(tiling: Tiling, samples: tuple[Floats, Floats, Floats], llh: float) -> _Points:
    """Tiles and samples; what was fitted at nearly the same direction twice counts once."""
    ra, dec = tiling.centres()
    finest = int(tiling.nside.max())
    size = np.sqrt(tiling.area_sr())
    fine = np.full(len(samples[0]), np.sqrt(4 * np.pi / (12.0 * finest**2)))
    all_ra, all_dec = np.append(samples[0], ra), np.append(samples[1], dec)
    known = np.where(tiling.own, tiling.llh, _UNKNOWN)
    ts = np.append(2 * (samples[2] - llh), 2 * (known - llh))
    order = np.lexsort((np.arange(len(ts)), ts))
    xyz = _vectors(all_ra[order], all_dec[order])
    close = np.round(xyz / (0.02 * fine[0] if len(fine) else 1e-6)).astype(np.int64)
    keep = np.sort(order[np.unique(close, axis=0, return_index=True)[1]])
    sizes = np.append(fine, size)
    good = keep[np.isfinite(ts[keep])]
    return _Points(all_ra[good], all_dec[good], ts[good], sizes[good])


def _vectors(ra: Floats, dec: Floats) -> Floats:
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def _groups(points: _Points, level: float) -> Iterator[NDArray[np.bool_]]:
    """Points below `level`, in groups that hang together; the best one always counts."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    below = np.flatnonzero((points.ts < level) | (points.ts == points.ts.min()))
    xyz, size = _vectors(points.ra[below], points.dec[below]), points.size[below]
    pairs = cKDTree(xyz).query_pairs(min(2.2 * float(size.max()), 1.9), output_type="ndarray")
    near = np.linalg.norm(xyz[pairs[:, 0]] - xyz[pairs[:, 1]], axis=1)
    pairs = pairs[near < 1.1 * (size[pairs[:, 0]] + size[pairs[:, 1]])]
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(below), len(below)))
    count, label = connected_components(graph, directed=False)
    for number in range(count):
        mask = np.zeros(len(points.ts), bool)
        mask[below[label == number]] = True
        yield mask


def _lines(points: _Points, group: NDArray[np.bool_], levels: list[float]) -> list[list[Floats]]:
    """Lines of each level around one group: (n, 2) of ra, dec in radians."""
    from contourpy import contour_generator
    from scipy.interpolate import CloughTocher2DInterpolator

    lowest = int(np.flatnonzero(group)[np.argmin(points.ts[group])])
    centre = float(points.ra[lowest]), float(points.dec[lowest])
    x, y = project(*centre, points.ra, points.dec)
    margin = 2 * float(points.size[group].max())
    box = [min(2.0, float(np.abs(v[group]).max()) + margin) for v in (x, y)]
    reach = 3 * margin
    near = (np.abs(x) < box[0] + reach) & (np.abs(y) < box[1] + reach)
    top = _CUT * max(levels)
    value = np.where(group | (points.ts > max(levels)), np.minimum(points.ts, top), top)
    surface = CloughTocher2DInterpolator(
        np.column_stack([x[near], y[near]]), value[near], fill_value=top
    )
    gx, gy = (np.linspace(-b, b, _GRID) for b in box)
    z = surface(*np.meshgrid(gx, gy))
    z[[0, -1]], z[:, [0, -1]] = top, top
    z = np.where(np.isfinite(z), z, top)
    traced = contour_generator(gx, gy, z, line_type="Separate")
    found: list[list[Floats]] = []
    for level in levels:
        lines: list[Any] = [line for line in traced.lines(level) if line is not None]
        found.append(
            [
                np.column_stack(unproject(*centre, line[:, 0], line[:, 1]))
                for line in lines
                if len(line) > 3
            ]
        )
    return found


def _contour(
    probability: float,
    level: float,
    lines: list[Floats],
    ra0: float,
    dec0: float,
    closed: bool,
) -> Contour:
    area = 0.0
    for line in lines:
        x, y = project(ra0, dec0, line[:, 0], line[:, 1])
        area += 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    bounds = _bounds(lines, ra0, dec0)
    polygons = tuple(np.degrees(line) for line in lines)
    return Contour(probability, level, abs(area) * _SR_TO_DEG2, polygons, *bounds, closed)


def _bounds(lines: list[Floats], ra0: float, dec0: float) -> tuple[float, float, float, float]:
    """Extent around the best fit in degrees: ra minus, ra plus, dec minus, dec plus."""
    if not lines:
        nothing = float("nan")
        return nothing, nothing, nothing, nothing
    points = np.concatenate(lines)
    low, high = points[:, 1].min(), points[:, 1].max()
    away = np.mod(points[:, 0] - ra0 + np.pi, 2 * np.pi) - np.pi
    left, right = away.min(), away.max()
    poles = [_inside(lines, 0.0, dec) for dec in (-90.0, 90.0)]
    if any(poles):
        left, right = -np.pi, np.pi
        low, high = -np.pi / 2 if poles[0] else low, np.pi / 2 if poles[1] else high
    extent = np.degrees(
        [max(-left, 0.0), max(right, 0.0), max(dec0 - low, 0.0), max(high - dec0, 0.0)]
    )
    return tuple(float(v) for v in extent)  # type: ignore[return-value]


def contains(contour: Contour, ra_deg: float, dec_deg: float) -> bool:
    """Whether a direction lies inside a contour.

    The first line on the way east decides, by the side it turns to us: lines run with the region
    on their right, seen with east to the right. Counting lines would not do on a sphere, where a
    line around a direction is one around its antipode too.

    Parameters
    ----------
    contour
        The contour.
    ra_deg
        Right ascension, degrees.
    dec_deg
        Declination, degrees.
    """
    return _inside([np.radians(line) for line in contour.polygons], ra_deg, dec_deg)


def _inside(lines: Sequence[Floats], ra_deg: float, dec_deg: float) -> bool:
    ra0, dec0 = np.radians(ra_deg), np.radians(dec_deg)
    nearest, inside = np.inf, False
    for line in lines:
        x, y = project(ra0, dec0, line[:, 0], line[:, 1])
        x_next, y_next = np.roll(x, -1), np.roll(y, -1)
        over = (y > 0) != (y_next > 0)
        step = np.where(over, y_next - y, 1.0)
        at = x - y * (x_next - x) / step
        at = np.where(over & (at > 0), at, np.inf)
        first = int(np.argmin(at))
        if at[first] < nearest:
            nearest, inside = float(at[first]), bool(y_next[first] < y[first])
    return inside
