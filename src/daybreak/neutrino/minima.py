"""The minima of a scan, to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from daybreak.neutrino.contours import project, unproject
from daybreak.neutrino.maps import Tiling
from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.driver import ToLocal
from daybreak.neutrino.scan.journal import Rows
from daybreak.neutrino.scan.pixels import Floats
from daybreak.neutrino.scan.select import local_minima

#: minima nearer than this to a better one (in pixels) are ripples of the same
_APART = 3.0
_FIT_RADIUS = 2.3
_MOST = 8
#: what a search between the pixels may gain, at most, for a pixel to be looked at; where hundreds
#: of DOMs are hit the whole minimum can be as narrow as a pixel
_GAIN = 10.0
#: most grids of the closest spacing, and the gain of one that makes another worth while
_GRIDS, _WORTH = 5, 0.05
_VERTEX = ("x_m", "y_m", "z_m", "t_ns")


@dataclass(frozen=True)
class Minimum:
    """A minimum of the negative log-likelihood.

    Attributes
    ----------
    ra_deg, dec_deg
        ICRS.
    zenith_deg, azimuth_deg
        Where the particle comes from, in the detector.
    llh, delta_llh
        Negative log-likelihood there, and how much that is above the best.
    x_m, y_m, z_m, t_ns
        A point of the track and the time at it.
    nside, pixel
        The pixel in which it was found (RING).
    interpolated
        The direction lies between the pixels, where a further fit was better; else it is the
        pixel's centre.
    """

    ra_deg: float
    dec_deg: float
    zenith_deg: float
    azimuth_deg: float
    llh: float
    delta_llh: float
    x_m: float
    y_m: float
    z_m: float
    t_ns: float
    nside: int
    pixel: int
    interpolated: bool


#: fits at directions (zenith, azimuth in rad) from a vertex (4,); returns llh (n,), vertices (n, 4)
Evaluate = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, eq=False)
class Samples:
    """Directions (rad) between the pixels that were fitted too, with their llh."""

    ra_rad: Floats
    dec_rad: Floats
    llh: Floats


def find_minima(
    levels: list[tuple[int, Rows]],
    tiling: Tiling,
    to_local: ToLocal,
    evaluate: Evaluate,
    delta_llh: float = 2.0,
) -> tuple[tuple[Minimum, ...], Samples]:
    """All minima that are by at most `delta_llh` above the best one.

    Parameters
    ----------
    levels
        nside and rows, from coarse to fine.
    tiling
        The same as tiles.
    to_local
        From ICRS to the detector (rad).
    evaluate
        Fits at directions.
    delta_llh
        Natural logarithm.

    Returns
    -------
    minima : tuple of Minimum
        The best first.
    samples : Samples
        What was fitted between the pixels on the way.
    """
    search = _Search(dict(levels), to_local, evaluate)
    found = [
        search.refined(nside, row)
        for nside, rows in _candidates(levels, tiling, delta_llh)
        for row in rows
    ]
    found.sort(key=lambda m: (m.llh, m.pixel))
    best = found[0].llh
    kept = [m for m in found if m.llh <= best + delta_llh]
    minima = [replace(m, delta_llh=m.llh - best) for m in _distinct(kept)]
    return tuple(minima), search.samples()


def _candidates(
    levels: list[tuple[int, Rows]], tiling: Tiling, delta_llh: float
) -> list[tuple[int, Rows]]:
    """Rows of local minima among the tiles, per nside; a margin for what the fit still gains."""
    # a tile that inherits a coarser pixel's value was not fitted itself, and can't be the best
    best = float(np.nanmin(tiling.llh[tiling.own]))
    found = []
    for nside, rows in levels:
        if not len(rows):
            continue
        lowest = local_minima(nside, rows["pixel"], rows["llh"])
        leaf = np.isin(rows["pixel"], tiling.pixel[(tiling.nside == nside) & tiling.own])
        # the best one counts even beside a better pixel whose children are all worse than it
        pick = leaf & (lowest | (rows["llh"] == best)) & (rows["llh"] <= best + delta_llh + _GAIN)
        found.append((nside, rows[pick][np.argsort(rows["llh"][pick], kind="stable")][:_MOST]))
    return found


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a search stands."""

    ra: float
    dec: float
    llh: float
    vertex: Floats
    moved: bool

    def better(self, ra: Floats, dec: Floats, llh: Floats, vertices: Floats) -> _Place:
        """The best of several directions, if it is better than this one."""
        values = np.where(np.isfinite(llh), llh, np.inf)
        i = int(np.argmin(values))
        if values[i] >= self.llh:
            return self
        return _Place(float(ra[i]), float(dec[i]), float(llh[i]), vertices[i], True)


def _distinct(minima: list[Minimum]) -> list[Minimum]:
    kept: list[Minimum] = []
    for one in minima:
        apart = [
            sky.separation_rad(
                np.radians(other.ra_deg), np.radians(other.dec_deg),
                np.radians(np.array([one.ra_deg])), np.radians(np.array([one.dec_deg])),
            )[0]
            > np.radians(_APART * sky.size_deg(max(one.nside, other.nside)))
            for other in kept
        ]  # fmt: skip
        if all(apart):
            kept.append(one)
    return kept


class _Search:
    """Looks between the pixels."""

    def __init__(self, levels: dict[int, Rows], to_local: ToLocal, evaluate: Evaluate) -> None:
        self.levels, self.to_local, self.evaluate = levels, to_local, evaluate
        self.found: list[tuple[Floats, Floats, Floats]] = []

    def samples(self) -> Samples:
        """Everything that was fitted."""
        empty = np.empty(0)
        columns = [np.concatenate([part[i] for part in self.found] or [empty]) for i in range(3)]
        return Samples(*columns)

    def _fit(self, ra: Floats, dec: Floats, vertex: Floats) -> tuple[Floats, Floats]:
        llh, vertices = self.evaluate(*self.to_local(ra, dec), vertex)
        self.found.append((ra, dec, llh))
        return llh, vertices

    def refined(self, nside: int, row: Rows) -> Minimum:
        """The minimum near one pixel, from paraboloids through ever closer directions."""
        size = float(np.radians(sky.size_deg(nside)))
        ra, dec = (float(v[0]) for v in sky.centres(nside, np.array([row["pixel"]])))
        here = _Place(ra, dec, float(row["llh"]), np.array([row[n] for n in _VERTEX], float), False)
        around = self.levels[nside]
        ra_all, dec_all = sky.centres(nside, around["pixel"])
        here = self._step(here, ra_all, dec_all, around["llh"], size)
        here = self._grid(here, 0.4 * size)
        for _ in range(_GRIDS):
            before = here.llh
            here = self._grid(here, 0.15 * size)
            pixel = sky.pixel_at(nside, np.array([here.ra]), np.array([here.dec]))
            outside = not np.isin(pixel, around["pixel"]).all()  # down a slope at a scan's edge
            if before - here.llh < _WORTH or outside:
                break
        zenith, azimuth = self.to_local(np.array([here.ra]), np.array([here.dec]))
        x_m, y_m, z_m, t_ns = (float(v) for v in here.vertex)
        return Minimum(
            ra_deg=float(np.degrees(here.ra)) % 360.0, dec_deg=float(np.degrees(here.dec)),
            zenith_deg=float(np.degrees(zenith[0])),
            azimuth_deg=float(np.degrees(azimuth[0])) % 360.0,
            llh=here.llh, delta_llh=0.0, x_m=x_m, y_m=y_m, z_m=z_m, t_ns=t_ns,
            nside=int(nside), pixel=int(row["pixel"]), interpolated=here.moved,
        )  # fmt: skip

    def _grid(self, here: _Place, spacing: float) -> _Place:
        """The best of 25 directions around a place, and of the paraboloid through them."""
        grid = spacing * np.arange(-2, 3)
        x, y = (v.ravel() for v in np.meshgrid(grid, grid))
        ra, dec = unproject(here.ra, here.dec, x, y)
        llh, vertices = self._fit(ra, dec, here.vertex)
        return self._step(here.better(ra, dec, llh, vertices), ra, dec, llh, spacing)

    def _step(self, here: _Place, ra: Floats, dec: Floats, llh: Floats, size: float) -> _Place:
        """Go to the minimum of the paraboloid if the fit there is indeed better."""
        offset = _paraboloid(ra, dec, llh, here.ra, here.dec, size)
        if offset is None:
            return here
        ra_new, dec_new = unproject(here.ra, here.dec, *(np.array([v]) for v in offset))
        return here.better(ra_new, dec_new, *self._fit(ra_new, dec_new, here.vertex))


def _paraboloid(
    ra: Floats, dec: Floats, llh: Floats, ra0: float, dec0: float, size: float
) -> tuple[float, float] | None:
    """Minimum of a paraboloid through directions near (ra0, dec0), on a plane; None without one."""
    near = sky.separation_rad(ra0, dec0, ra, dec) < _FIT_RADIUS * size
    near &= np.isfinite(llh)
    if near.sum() < 9:
        return None
    x, y = (v / size for v in project(ra0, dec0, ra[near], dec[near]))
    terms = np.column_stack([np.ones(len(x)), x, y, x * x, x * y, y * y])
    weight = np.exp(-0.5 * (x * x + y * y))
    found = np.linalg.lstsq(terms * weight[:, None], llh[near] * weight, rcond=None)[0]
    hessian = np.array([[2 * found[3], found[4]], [found[4], 2 * found[5]]])
    if np.linalg.eigvalsh(hessian)[0] <= 0:
        return None
    step = -np.linalg.solve(hessian, found[1:3])
    if np.hypot(*step) > 1.5:
        return None
    return float(step[0] * size), float(step[1] * size)
