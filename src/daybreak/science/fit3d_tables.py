"""Tables and images of a three-dimensional fit: the contract is in docs/products.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from daybreak.products.provenance import header_cards
from daybreak.science.fit3d import SOURCE, TITLES, Fit3D, Fits3D
from daybreak.science.residuals import Residuals

_FLUX_RANGE_TEV = (1.0, 10.0)


def _rows(fit: Fit3D, chosen: bool) -> list[dict[str, Any]]:
    components = [(SOURCE, fit.model.parameters)]
    components += [(str(b.datasets_names[0]), b.parameters) for b in fit.background]
    return [
        {
            "model": fit.name,
            "chosen": chosen,
            "component": component,
            "parameter": p.name,
            "value": float(p.value),
            "error": float(p.error),
            "unit": p.unit.to_string("fits") if str(p.unit) else "",
            "frozen": bool(p.frozen),
        }
        for component, parameters in components
        for p in parameters
    ]


def _flux(fit: Fit3D) -> tuple[float, float]:
    low, high = (edge * u.TeV for edge in _FLUX_RANGE_TEV)
    if not fit.success:
        return float(fit.model.spectral_model.integral(low, high).to_value("cm-2 s-1")), np.nan
    value, error = fit.model.spectral_model.integral_error(low, high)[:2]
    return float(value.to_value("cm-2 s-1")), float(error.to_value("cm-2 s-1"))


def fit3d_table(fits: Fits3D, residuals: Residuals, facts: Mapping[str, Any]) -> Table:
    """Parameters of all spatial models; statistics, covariance and choice in the header.

    Parameters
    ----------
    fits
        What was fitted.
    residuals
        Of the chosen model.
    facts
        JSON-able facts for the header, e.g. how many runs.
    """
    table = Table(rows=[r for f in fits.fits for r in _rows(f, f.name == fits.chosen)])
    header = {}
    for fit in fits.fits:
        flux, flux_error = _flux(fit)
        reference = fit.model.spectral_model.reference.quantity.to_value("TeV")
        header[fit.name] = {
            "title": TITLES[fit.name],
            "reference_tev": float(reference),
            "stat": fit.stat,
            "n_free": fit.n_free,
            "n_source": fit.n_source,
            "aic": fit.aic,
            "ts": float(fits.ts(fit)),
            "ts_extension": float(fits.ts_extension(fit)),
            "flux": flux,
            "flux_err": flux_error,
            "success": fit.success,
            "message": fit.message,
            "parameters": list(fit.parameters),
            "covariance": np.nan_to_num(fit.covariance).tolist(),
        }
    table.meta.update(
        fits=header,
        choice=fits.choice,
        stat_null=fits.stat_null,
        e_min_tev=_FLUX_RANGE_TEV[0],
        e_max_tev=_FLUX_RANGE_TEV[1],
        residual_mean=residuals.mean,
        residual_width=residuals.width,
        **facts,
    )
    return table


def residuals_hdulist(found: Residuals, provenance: Mapping[str, Any]) -> fits.HDUList:
    """Images of counts, prediction and residual significance.

    Parameters
    ----------
    found
        The chosen fit with its residuals.
    provenance
        Goes into the primary header.
    """
    primary = fits.PrimaryHDU()
    for key, value in header_cards(dict(provenance)):
        if key == "HISTORY":
            primary.header.add_history(value)
        else:
            primary.header[key] = value
    header = found.geom.to_header()
    images = {
        "COUNTS": found.counts,
        "BACKGROUND": found.background,
        "SOURCE": found.source,
        "RESIDUAL_SIGNIFICANCE": found.significance,
    }
    hdus = [
        fits.ImageHDU(image.astype(np.float32), header=header, name=name)
        for name, image in images.items()
    ]
    return fits.HDUList([primary, *hdus])
