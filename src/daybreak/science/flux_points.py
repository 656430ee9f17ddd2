"""Flux points and integral fluxes of a fixed shape, by the direct solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from gammapy.modeling.models import SpectralModel

from daybreak.science.norm import NormResult, merge_sparse, solve
from daybreak.science.run import FloatArray
from daybreak.science.spectrum import DNDE_UNIT, whole_problem
from daybreak.science.stack import Response, problem


def total_flux(
    response: Response, model: SpectralModel, *, n_sigma_ul: float, min_off: float
) -> dict[str, float]:
    """Integral flux of all data above the threshold for a given shape, with its upper limit.

    Parameters
    ----------
    response
        Counts and response.
    model
        The shape.
    n_sigma_ul
        Upper limits are at this many sigma.
    min_off
        Bins are merged until each has this many OFF counts.

    Returns
    -------
    dict
        ``e_min_tev``, ``e_max_tev``, ``flux``, ``flux_err``, ``flux_errn``, ``flux_errp``,
        ``flux_ul`` (1/(cm2 s)), ``ts``, ``n_sigma_ul``.
    """
    solved = solve(whole_problem(response, model, min_off), n_sigma_ul=n_sigma_ul)
    edges, used = response.energy_edges_tev, np.flatnonzero(response.mask)
    low, high = float(edges[used[0]]), float(edges[used[-1] + 1])
    unit = float(model.integral(low * u.TeV, high * u.TeV).to_value("cm-2 s-1"))
    out = {
        "flux" + name.removeprefix("norm"): float(getattr(solved, name)[0]) * unit
        for name in ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul")
    }
    return out | {
        "e_min_tev": low,
        "e_max_tev": high,
        "ts": float(solved.ts[0]),
        "n_sigma_ul": n_sigma_ul,
    }


@dataclass(frozen=True)
class FluxPoints:
    """Flux points: energies in TeV, norms relative to ``ref_dnde`` (1/(cm2 s TeV))."""

    e_min_tev: FloatArray
    e_max_tev: FloatArray
    e_ref_tev: FloatArray
    ref_dnde: FloatArray
    n_on: FloatArray
    n_off: FloatArray
    alpha: FloatArray
    excess: FloatArray
    solved: NormResult


def point_edges(
    response: Response, points_per_decade: int, wanted: u.Quantity | None = None
) -> u.Quantity:
    """Edges of flux points: whole reconstructed bins from the threshold to the last counts.

    Parameters
    ----------
    response
        Stacked counts.
    points_per_decade
        About how many points.
    wanted
        Edges asked for, energies of shape (n,), snapped to the nearest edges of the axis instead;
        None or empty for none.

    Returns
    -------
    astropy.units.Quantity
        In TeV; empty if there are no counts above the threshold.
    """
    edges = response.energy_edges_tev
    if wanted is not None and wanted.size:
        distance = np.abs(np.log(edges[:, None] / wanted.to_value("TeV")[None, :]))
        return edges[np.unique(np.argmin(distance, axis=0))] * u.TeV
    used = np.flatnonzero(response.mask)
    filled = used[(response.n_on[used] + response.n_off[used]) > 0]
    if not used.size or not filled.size:
        return np.array([]) * u.TeV
    per_decade = 1 / np.log10(edges[1] / edges[0])
    width = max(round(float(per_decade) / points_per_decade), 1)
    first, last = used[0], filled[-1] + 1
    starts = list(range(first, last, width))
    return edges[[*starts, min(starts[-1] + width, len(edges) - 1)]] * u.TeV


def flux_points(
    response: Response,
    model: SpectralModel,
    edges: u.Quantity,
    *,
    n_sigma_ul: float,
    min_off: float = 0.0,
) -> FluxPoints:
    """Flux points of a fixed spectral shape by the direct solver.

    Parameters
    ----------
    response
        Stacked counts and response.
    model
        The shape; a norm is solved for in each bin, everything else is frozen.
    edges
        Edges of the points, energies of shape (n + 1,); must be edges of the reconstructed axis.
    n_sigma_ul
        Upper limits at Delta TS = ``n_sigma_ul`` squared.
    min_off
        Reconstructed bins are merged within a point until each has this many OFF counts.
    """
    axis, edges_tev = response.energy_edges_tev, edges.to_value("TeV")
    centres = np.sqrt(axis[:-1] * axis[1:])
    group = np.searchsorted(edges_tev, centres, side="right") - 1
    n_points = len(edges_tev) - 1
    use = response.mask & (group >= 0) & (group < n_points)
    signal = response.predicted(model)
    index = group[use]

    def total(values: FloatArray) -> FloatArray:
        summed: FloatArray = np.bincount(index, values[use], n_points).astype(np.float64)
        return summed

    flat = problem(
        response.n_on[use],
        response.n_off[use],
        response.alpha[use],
        signal[use],
        index,
        n_points,
    )
    solved = solve(merge_sparse(flat, min_off), n_sigma_ul=n_sigma_ul)
    e_ref = np.sqrt(edges_tev[:-1] * edges_tev[1:])
    background, n_off = total(response.alpha * response.n_off), total(response.n_off)
    return FluxPoints(
        e_min_tev=edges_tev[:-1],
        e_max_tev=edges_tev[1:],
        e_ref_tev=e_ref,
        ref_dnde=model(e_ref * u.TeV).to_value(DNDE_UNIT),
        n_on=total(response.n_on),
        n_off=n_off,
        alpha=np.divide(background, n_off, out=np.full(n_points, np.nan), where=n_off > 0),
        excess=total(response.n_on) - background,
        solved=solved,
    )
