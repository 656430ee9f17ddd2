"""Spectral models of the fits as plain functions, their integral, and the Crab for reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from daybreak.report.common.tables import FloatArray, ResultTables, flags, number, texts

ERG_PER_TEV = 1.602176634
CRAB_SOURCE = "Crab Nebula, H.E.S.S., Aharonian et al. 2006, A&A 457, 899"
CRAB = {"amplitude": 3.76e-11, "index": 2.39, "lambda_": 1 / 14.3, "reference": 1.0}
INTEGRAL_MAX_TEV = 100.0


def dnde(model: str, energy: FloatArray, values: Mapping[str, float]) -> FloatArray:
    """Differential flux in 1/(cm2 s TeV).

    With x = E / E0: ``pl`` φ x^-Γ; ``lp`` φ x^-(α + β ln x); ``ecpl`` φ x^-Γ exp(-λ E).

    Parameters
    ----------
    model
        ``pl``, ``lp`` or ``ecpl``.
    energy
        Energies in TeV.
    values
        Parameters by name: ``amplitude``, ``reference`` and those of the model.
    """
    x = np.asarray(energy, float) / values["reference"]
    if model == "lp":
        exponent = values["alpha"] + values["beta"] * np.log(x)
        return np.asarray(values["amplitude"] * x**-exponent)
    flux = values["amplitude"] * x ** -values["index"]
    if model == "ecpl":
        flux = flux * np.exp(-values["lambda_"] * np.asarray(energy, float))
    return np.asarray(flux)


def integral(model: str, values: Mapping[str, float], low: float, high: float) -> float:
    """Integral flux of a model in 1/(cm2 s); trapezium in log energy, 1e-4 exact.

    Parameters
    ----------
    model, values
        As for `dnde`.
    low, high
        Energies in TeV.
    """
    energy = np.geomspace(low, high, 400)
    return float(np.trapezoid(dnde(model, energy, values) * energy, np.log(energy)))


def crab_dnde(energy: FloatArray) -> FloatArray:
    """Reference spectrum of the Crab Nebula, 1/(cm2 s TeV).

    Parameters
    ----------
    energy
        Energies in TeV, of any shape.
    """
    return dnde("ecpl", energy, CRAB)


def crab_flux(low: float, high: float) -> float:
    """Integral flux of the Crab Nebula, 1/(cm2 s).

    Parameters
    ----------
    low, high
        Energies in TeV.
    """
    return integral("ecpl", CRAB, low, high)


def fitted_models(tables: ResultTables) -> list[dict[str, Any]]:
    """The fits of ``spectrum_models.ecsv``, one entry per model, the chosen one marked.

    Parameters
    ----------
    tables
        Of the analysis; without ``spectrum_models`` the list is empty.

    Returns
    -------
    list of dict
        ``model``, ``chosen``, ``fit`` (statistics and the covariance of the free parameters) and
        ``parameters``, each with ``name``, ``value``, ``error``, ``unit``, ``frozen``.
    """
    table = tables.filled("spectrum_models")
    if table is None:
        return []
    chosen, frozen = flags(table, "chosen"), flags(table, "frozen")
    models = texts(table, "model")
    units = texts(table, "unit")
    fits = table.meta.get("fits") or {}
    found = []
    for model in dict.fromkeys(models):
        rows = [i for i, name in enumerate(models) if name == model]
        free = [i for i in rows if not frozen[i]]
        found.append(
            {
                "model": model,
                "chosen": bool(chosen[rows[0]]),
                "fit": _free_only(
                    dict(fits.get(model) or {}), {str(table["parameter"][i]) for i in free}
                ),
                "parameters": [
                    {
                        "name": str(table["parameter"][i]),
                        "value": number(table["value"][i]),
                        "error": number(table["error"][i]),
                        "unit": units[i],
                        "frozen": bool(frozen[i]),
                    }
                    for i in rows
                ],
            }
        )
    return found


def _free_only(fit: dict[str, Any], free: set[str]) -> dict[str, Any]:
    """The fit with the covariance of its free parameters only."""
    names = [str(name) for name in fit.get("parameters") or ()]
    matrix = np.asarray(fit.get("covariance") or [], float)
    if matrix.shape == (len(names), len(names)):
        keep = [i for i, name in enumerate(names) if name in free]
        fit["parameters"] = [names[i] for i in keep]
        fit["covariance"] = matrix[np.ix_(keep, keep)].tolist()
    return fit


def chosen_model(tables: ResultTables) -> dict[str, Any] | None:
    """The chosen fit, if there is one.

    Parameters
    ----------
    tables
        Of the analysis.

    Returns
    -------
    dict or None
        As of `fitted_models`.
    """
    return next((entry for entry in fitted_models(tables) if entry["chosen"]), None)


def integral_flux(entry: Mapping[str, Any], low: float) -> dict[str, float] | None:
    """Integral of a fitted model with its error from the covariance.

    The error is the linear propagation g C g with numerical derivatives g.

    Parameters
    ----------
    entry
        As of `fitted_models`.
    low
        From which energy in TeV; up to 100 TeV, or 10 times `low` where that is more.

    Returns
    -------
    dict or None
        ``e_min_tev``, ``e_max_tev``, ``flux`` and ``flux_err`` in 1/(cm2 s); None where the fit
        lacks what is needed.
    """
    fit = entry["fit"]
    values = {p["name"]: p["value"] for p in entry["parameters"]}
    values.setdefault("reference", number(fit.get("reference_tev")))
    names = [str(name) for name in fit.get("parameters") or ()]
    covariance = np.asarray(fit.get("covariance") or [], float)
    errors = {p["name"]: p["error"] for p in entry["parameters"]}
    high = max(INTEGRAL_MAX_TEV, 10 * low)
    try:
        flux = integral(entry["model"], values, low, high)
        gradient = np.array(
            [_slope(entry["model"], values, n, errors[n], low, high) for n in names]
        )
    except (KeyError, ZeroDivisionError):
        return None
    if not np.isfinite(flux):
        return None
    error = float("nan")
    if covariance.shape == (len(names), len(names)) and names:
        pick = [i for i, name in enumerate(names) if errors[name] > 0]
        block = covariance[np.ix_(pick, pick)]
        error = float(np.sqrt(max(gradient[pick] @ block @ gradient[pick], 0)))
    return {"e_min_tev": low, "e_max_tev": high, "flux": flux, "flux_err": error}


def _slope(
    model: str, values: Mapping[str, float], name: str, error: float, low: float, high: float
) -> float:
    if not error > 0:
        return 0.0
    step = 0.05 * error
    up = integral(model, {**values, name: values[name] + step}, low, high)
    down = integral(model, {**values, name: values[name] - step}, low, high)
    return (up - down) / (2 * step)
