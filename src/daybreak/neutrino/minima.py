"""The minima of a scan, to a fraction of a pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
_MOST = 20


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
        The direction is that of a paraboloid through the pixels around, fitted again there;
        else it is the pixel's centre.
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


#: fits at one direction (zenith, azimuth in rad) from a vertex (4,); returns llh and vertex
Evaluate = Callable[[float, float, Floats], tuple[float, Floats]]


def find_minima(
    levels: list[tuple[int, Rows]],
    tiling: Tiling,
    to_local: ToLocal,
    evaluate: Evaluate,
    delta_llh: float = 2.0,
) -> tuple[Minimum, ...]:
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
        Fits at a direction.
    delta_llh
        Natural logarithm.

    Returns
    -------
    tuple of Minimum
        The best first.
    """
    found: list[Minimum] = []
    for nside, rows in _candidates(levels, tiling, delta_llh):
        for row in rows:
            minimum = _refined(levels, nside, row, to_local, evaluate)
            found.append(minimum)
    found.sort(key=lambda m: (m.llh, m.pixel))
    best = found[0].llh
    kept = [m for m in found if m.llh <= best + delta_llh]
    return tuple(Minimum(**{**vars(m), "delta_llh": m.llh - best}) for m in _distinct(kept)[:_MOST])


def _candidates(
    levels: list[tuple[int, Rows]], tiling: Tiling, delta_llh: float
) -> list[tuple[int, Rows]]:
    """Rows of local minima among the tiles, per nside; a margin for what the fit still gains."""
    best = float(np.nanmin(tiling.llh))
    found = []
    for nside, rows in levels:
        if not len(rows):
            continue
        lowest = local_minima(nside, rows["pixel"], rows["llh"])
        leaf = np.isin(rows["pixel"], tiling.pixel[(tiling.nside == nside) & tiling.own])
        pick = lowest & leaf & (rows["llh"] <= best + delta_llh + 2.0)
        found.append((nside, rows[pick][np.argsort(rows["llh"][pick], kind="stable")][:_MOST]))
    return found


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


def _refined(
    levels: list[tuple[int, Rows]], nside: int, row: Rows, to_local: ToLocal, evaluate: Evaluate
) -> Minimum:
    """The minimum near one pixel: of the paraboloid, if the fit there is indeed better."""
    ra, dec = (float(v[0]) for v in sky.centres(nside, np.array([row["pixel"]])))
    vertex = np.array([row["x_m"], row["y_m"], row["z_m"], row["t_ns"]], float)
    llh, interpolated = float(row["llh"]), False
    offset = _paraboloid(dict(levels)[nside], nside, ra, dec)
    if offset is not None:
        ra_new, dec_new = unproject(ra, dec, *(np.array([v]) for v in offset))
        zenith, azimuth = to_local(ra_new, dec_new)
        better, moved = evaluate(float(zenith[0]), float(azimuth[0]), vertex)
        if better < llh:
            ra, dec, llh, vertex = float(ra_new[0]), float(dec_new[0]), better, moved
            interpolated = True
    zenith, azimuth = to_local(np.array([ra]), np.array([dec]))
    x_m, y_m, z_m, t_ns = (float(v) for v in vertex)
    return Minimum(
        ra_deg=float(np.degrees(ra)) % 360.0, dec_deg=float(np.degrees(dec)),
        zenith_deg=float(np.degrees(zenith[0])), azimuth_deg=float(np.degrees(azimuth[0])) % 360.0,
        llh=llh, delta_llh=0.0, x_m=x_m, y_m=y_m, z_m=z_m, t_ns=t_ns,
        nside=int(nside), pixel=int(row["pixel"]), interpolated=interpolated,
    )  # fmt: skip


def _paraboloid(rows: Rows, nside: int, ra: float, dec: float) -> tuple[float, float] | None:
    """Minimum of a paraboloid through the pixels around, on a plane; None if it has none."""
    size = np.radians(sky.size_deg(nside))
    ra_all, dec_all = sky.centres(nside, rows["pixel"])
    near = sky.separation_rad(ra, dec, ra_all, dec_all) < _FIT_RADIUS * size
    near &= np.isfinite(rows["llh"])
    if near.sum() < 9:
        return None
    x, y = (v / size for v in project(ra, dec, ra_all[near], dec_all[near]))
    terms = np.column_stack([np.ones(len(x)), x, y, x * x, x * y, y * y])
    weight = np.exp(-0.5 * (x * x + y * y))
    found = np.linalg.lstsq(terms * weight[:, None], rows["llh"][near] * weight, rcond=None)[0]
    hessian = np.array([[2 * found[3], found[4]], [found[4], 2 * found[5]]])
    if np.linalg.eigvalsh(hessian)[0] <= 0:
        return None
    step = -np.linalg.solve(hessian, found[1:3])
    if np.hypot(*step) > 1.5:
        return None
    return float(step[0] * size), float(step[1] * size)
