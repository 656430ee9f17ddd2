"""theta² histograms: ON against OFF positions at the same offset.

In each theta² bin only those OFF positions count whose circle out to that bin is clear of the
ON position, of the excluded sources and of the other OFF circles, so that the OFF events of a bin
are independent and alpha is one over their number.
"""

from __future__ import annotations

import numpy as np

from daybreak.science.circle import Circle
from daybreak.science.observation import LoadedRun
from daybreak.science.regions import Places
from daybreak.science.run import BoolArray, FloatArray, ReductionSetup, Theta2Counts
from daybreak.science.sphere import separation_deg


def valid_positions(
    ra_deg: FloatArray, dec_deg: FloatArray, edges_deg2: FloatArray, exclude: tuple[Circle, ...]
) -> BoolArray:
    """Which OFF positions may be used in which theta² bin.

    Parameters
    ----------
    ra_deg, dec_deg
        OFF positions, shape (n,).
    edges_deg2
        Bin edges, shape (m + 1,).
    exclude
        Circles to stay clear of.

    Returns
    -------
    numpy.ndarray
        Boolean, shape (m, n).
    """
    theta = np.sqrt(edges_deg2[1:])
    clear = np.full(len(ra_deg), np.inf)
    for circle in exclude:
        gap = separation_deg(ra_deg, dec_deg, circle.ra_deg, circle.dec_deg) - circle.radius_deg
        clear = np.minimum(clear, gap)
    apart = separation_deg(ra_deg[:, None], dec_deg[:, None], ra_deg[None, :], dec_deg[None, :])
    valid = np.zeros((len(theta), len(ra_deg)), dtype=bool)
    for row, radius in enumerate(theta):
        chosen: list[int] = []
        for index in np.flatnonzero(clear >= radius):
            if all(apart[index, other] >= 2 * radius for other in chosen):
                chosen.append(int(index))
        valid[row, chosen] = True
    return valid


def run_theta2(
    run: LoadedRun, setup: ReductionSetup, off: Places | None, safe: BoolArray
) -> Theta2Counts | None:
    """theta² histogram of a run above its threshold; OFF stays empty where no position fits.

    Parameters
    ----------
    run, setup
        The run and how it is reduced.
    off
        OFF positions, None if none fits: then only ON is filled.
    safe
        Energy bins above the threshold.
    """
    events = run.events
    edges = np.array(setup.theta2_edges_deg2)
    energy_edges = np.array(setup.energy_edges_tev)
    index = np.searchsorted(energy_edges, events.energy_tev, side="right") - 1
    keep = (index >= 0) & (index < safe.size)
    keep[keep] = safe[index[keep]]
    kept = events.where(keep)
    distance = kept.away_deg(setup.on.ra_deg, setup.on.dec_deg)
    n_on = np.histogram(distance**2, edges)[0].astype(float)
    n_off, n_positions = np.zeros_like(n_on), np.zeros_like(n_on)
    if off is not None:
        ra_off, dec_off = (x[: setup.theta2_max_off] for x in off)
        clear_of = setup.exclude or (Circle(setup.on.ra_deg, setup.on.dec_deg, 0.0),)
        valid = valid_positions(ra_off, dec_off, edges, clear_of)
        n_positions = valid.sum(axis=1).astype(float)
        for column, (ra0, dec0) in enumerate(zip(ra_off, dec_off, strict=True)):
            counts = np.histogram(kept.away_deg(ra0, dec0) ** 2, edges)[0]
            n_off += counts * valid[:, column]
    return Theta2Counts(n_on, n_off, n_positions)
