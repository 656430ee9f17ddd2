"""Light curves as tables."""

from __future__ import annotations

import numpy as np
from astropy import units as u
from astropy.table import Table

from daybreak.science.lightcurve import LightCurve
from daybreak.science.limits import ul_convention

FLUX_UNIT = u.Unit("cm-2 s-1")


def light_curve_table(
    curve: LightCurve, index: float, *, n_sigma_ul: float, ul_below_sigma: float, p0: float
) -> Table:
    """One light curve with what it says about variability in the header.

    Parameters
    ----------
    curve
        The light curve.
    index
        Spectral index that was assumed, for the header.
    n_sigma_ul
        Upper limits are at this many sigma.
    ul_below_sigma
        Limits are given below this significance.
    p0
        False-alarm probability of the Bayesian blocks.
    """
    s, ref = curve.solved, curve.reference_flux
    sqrt_ts = np.sqrt(s.ts) * np.sign(np.nan_to_num(s.norm, nan=1.0))
    table = Table(
        {
            "time_min": np.array([i.start_mjd for i in curve.intervals]) * u.day,
            "time_max": np.array([i.stop_mjd for i in curve.intervals]) * u.day,
            "label": [i.label for i in curve.intervals],
            "livetime": curve.livetime_s * u.s,
            "n_on": curve.n_on,
            "n_off": curve.n_off,
            "alpha": curve.alpha,
            "excess": curve.excess,
        }
    )
    for name, values in (
        ("flux", s.norm),
        ("flux_err", s.norm_err),
        ("flux_errn", s.norm_errn),
        ("flux_errp", s.norm_errp),
        ("flux_ul", s.norm_ul),
    ):
        table[name] = values * ref * FLUX_UNIT
    table["norm"], table["ts"], table["sqrt_ts"] = s.norm, s.ts, sqrt_ts
    table["is_ul"] = ~(sqrt_ts >= ul_below_sigma)
    v = curve.variability
    table.meta.update(
        time_format="mjd",
        time_scale="tt",
        e_min_tev=curve.e_min_tev,
        e_max_tev=curve.e_max_tev,
        index=index,
        constant=v.constant,
        constant_error=v.constant_error,
        chi2=v.chi2,
        chi2_method="likelihood ratio of a constant against a free flux in each bin",
        dof=v.dof,
        p_value=v.p_value,
        fvar=v.fvar,
        fvar_error=v.fvar_error,
        blocks=[
            {"start": b.start_mjd, "stop": b.stop_mjd, "flux": b.flux, "flux_err": b.flux_err}
            for b in v.blocks
        ],
        bayesian_p0=p0,
        n_sigma_ul=n_sigma_ul,
        ul_convention=ul_convention(n_sigma_ul),
        ul_below_sigma=ul_below_sigma,
    )
    return table
