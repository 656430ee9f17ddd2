"""Energy bins below the threshold that hold a significant excess, and the fit with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy import units as u

from daybreak.science.run import ReducedRun
from daybreak.science.stack import Counts, total_counts

#: significance of the bins below the threshold from which it is told
SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Discarded:
    """What the energy threshold has left out.

    Attributes
    ----------
    counts
        Of the bins below it.
    low
        Lower edge of the lowest of these bins with an excess.
    runs
        The runs with these bins in.
    """

    counts: Counts
    low: u.Quantity
    runs: tuple[ReducedRun, ...]


def discarded_bins(runs: Sequence[ReducedRun], method: str) -> Discarded | None:
    """Bins that the threshold by a fraction of the peak area leaves out, if they matter.

    Only bins with exposure count, from the lowest one on from which the sum up to the threshold is
    significant.

    Parameters
    ----------
    runs
        The runs of the spectrum.
    method
        Of the background.

    Returns
    -------
    Discarded or None
        None if nothing significant is left out, or the threshold is of another kind.
    """
    by_area = [run for run in runs if run.info.get("threshold_method") == "aeff"]
    if not by_area:
        return None
    edges = by_area[0].energy_edges_tev
    below = [_below(run) for run in by_area]
    masked = [replace(run, mask_safe=mask) for run, mask in zip(by_area, below, strict=True)]
    best: tuple[float, int] | None = None
    for first in range(len(edges) - 1):
        select = np.arange(len(edges) - 1) >= first
        found = total_counts(masked, method, select)
        if found.n_on > 0 and (best is None or found.significance > best[0]):
            best = (found.significance, first)
    if best is None or not best[0] >= SIGNIFICANT:
        return None
    select = np.arange(len(edges) - 1) >= best[1]
    with_them = [
        replace(run, mask_safe=run.mask_safe | (_below(run) & select)) if run in by_area else run
        for run in runs
    ]
    counts = total_counts(masked, method, select)
    return Discarded(counts, edges[best[1]] * u.TeV, tuple(with_them))


def _below(run: ReducedRun) -> np.ndarray:
    """Bins below the run's threshold into which true energies with exposure are reconstructed."""
    reached = (run.exposure_cm2_s[:, None] * run.edisp).sum(axis=0) > 0
    first = int(np.argmax(run.mask_safe)) if run.mask_safe.any() else run.mask_safe.size
    lower = np.arange(run.mask_safe.size) < first
    found: np.ndarray = lower & reached & ~run.mask_safe
    return found
