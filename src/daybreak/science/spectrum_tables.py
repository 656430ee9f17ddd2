"""Tables of spectrum and light curves: the contract is in docs/products.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table
from scipy.special import chdtr

from daybreak.science.flux_points import FluxPoints
from daybreak.science.limits import ul_convention
from daybreak.science.spectrum import DNDE_UNIT, SpectrumFits, butterfly
from daybreak.science.stack import Response


def spectrum_counts_table(response: Response, fits: SpectrumFits, fitted: np.ndarray) -> Table:
    """Counts per energy bin against the best model.

    Parameters
    ----------
    response
        Counts and response.
    fits
        The fits.
    fitted
        Bins that took part in the fit, shape (n,).
    """
    background = response.alpha * response.n_off
    signal = response.predicted(fits.best.model)
    edges = response.energy_edges_tev
    return Table(
        {
            "e_min": edges[:-1] * u.TeV,
            "e_max": edges[1:] * u.TeV,
            "n_on": response.n_on,
            "n_off": response.n_off,
            "alpha": response.alpha,
            "background": background,
            "excess": response.n_on - background,
            "model_signal": signal,
            "model_total": background + signal,
            "in_fit": fitted,
        }
    )


def models_table(fits: SpectrumFits, total: Mapping[str, float]) -> Table:
    """Parameters of all fitted models; covariance, choice and total flux in the header.

    Parameters
    ----------
    fits
        The fits.
    total
        What :func:`~daybreak.science.flux_points.total_flux` gave.
    """
    rows = []
    header: dict[str, Any] = {}
    for fit in fits.fits:
        parameters = fit.model.parameters
        for p in parameters:
            rows.append(
                {
                    "model": fit.name,
                    "chosen": fit.name == fits.chosen,
                    "parameter": p.name,
                    "value": float(p.value),
                    "error": float(p.error),
                    "unit": p.unit.to_string("fits") if str(p.unit) else "",
                    "frozen": bool(p.frozen),
                }
            )
        pivot = _pivot(fit.model)
        header[fit.name] = {
            "title": fit.title,
            "reference_tev": float(fit.model.reference.quantity.to_value("TeV")),
            "pivot_tev": pivot,
            "stat": fit.stat,
            "dof": fit.dof,
            "success": fit.success,
            "message": fit.message,
            "parameters": [p.name for p in parameters],
            "covariance": np.nan_to_num(np.asarray(fit.model.covariance.data)).tolist(),
        }
    table = Table(rows=rows)
    table.meta.update(
        fits=header, choice=fits.choice, total=dict(total), assumed=fits.assumed is not None
    )
    return table


def _pivot(model: Any) -> float:
    """Decorrelation energy in TeV; NaN where it is not defined."""
    try:
        value = float(model.pivot_energy.to_value("TeV"))
    except (ValueError, AttributeError, RuntimeError, TypeError):
        return float("nan")
    return value if np.isfinite(value) and value > 0 else float("nan")


def butterfly_table(fits: SpectrumFits, low: u.Quantity, high: u.Quantity) -> Table:
    """All models with their 1 sigma bands.

    Parameters
    ----------
    fits
        The fits.
    low, high
        Ends of the energy range.
    """
    parts: dict[str, list[Any]] = {
        k: [] for k in ("model", "energy", "dnde", "dnde_low", "dnde_high")
    }
    for fit in fits.fits:
        energy, *band = butterfly(fit.model, low, high)
        parts["model"] += [fit.name] * len(energy)
        parts["energy"] += energy.to_value("TeV").tolist()
        for key, values in zip(("dnde", "dnde_low", "dnde_high"), band, strict=True):
            parts[key] += values.to_value(DNDE_UNIT).tolist()
    table = Table(parts)
    table["energy"].unit = u.TeV
    for name in ("dnde", "dnde_low", "dnde_high"):
        table[name].unit = DNDE_UNIT
    return table


def flux_points_table(
    points: FluxPoints, model: str, *, n_sigma_ul: float, ul_below_sigma: float
) -> Table:
    """Flux points; readable by Gammapy as ``gadf-sed`` (it uses the dnde columns).

    Parameters
    ----------
    points
        The flux points.
    model
        Name of the shape.
    n_sigma_ul
        Upper limits are at this many sigma.
    ul_below_sigma
        Limits are given below this significance.
    """
    s = points.solved
    sqrt_ts = np.sqrt(s.ts) * np.sign(np.nan_to_num(s.norm, nan=1.0))
    table = Table(
        {
            "e_ref": points.e_ref_tev * u.TeV,
            "e_min": points.e_min_tev * u.TeV,
            "e_max": points.e_max_tev * u.TeV,
        }
    )
    for name, values in (
        ("dnde", s.norm),
        ("dnde_err", s.norm_err),
        ("dnde_errn", s.norm_errn),
        ("dnde_errp", s.norm_errp),
        ("dnde_ul", s.norm_ul),
    ):
        table[name] = values * points.ref_dnde * DNDE_UNIT
    table["ref_dnde"] = points.ref_dnde * DNDE_UNIT
    for name in ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul"):
        table[name] = getattr(s, name)
    table["ts"] = s.ts
    table["sqrt_ts"] = sqrt_ts
    table["n_on"], table["n_off"] = points.n_on, points.n_off
    table["alpha"], table["excess"] = points.alpha, points.excess
    table["is_ul"] = ~(sqrt_ts >= ul_below_sigma)
    table.meta.update(
        SED_TYPE="dnde",
        n_sigma_ul=n_sigma_ul,
        UL_CONF=round(float(chdtr(1, n_sigma_ul**2)), 4),
        ul_convention=ul_convention(n_sigma_ul),
        ul_below_sigma=ul_below_sigma,
        model=model,
    )
    return table
