"""The answer in one sentence, and the numbers that stand beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from daybreak.report.analysis.spectral import chosen_model, crab_flux, integral_flux
from daybreak.report.common.rounding import (
    fixed,
    plain,
    scaled_with_error,
    significant,
    whole,
    with_error,
)
from daybreak.report.common.tables import FloatArray, ResultTables, column, number

MODEL_NAMES = {
    "pl": "power law",
    "lp": "log-parabola",
    "ecpl": "power law with exponential cut-off",
}
FLUX_UNIT = "cm⁻² s⁻¹"
_INDEX_NAMES = {"index": "index Γ", "alpha": "index α", "beta": "curvature β", "lambda_": "λ"}


_TOTAL_KEYS = (
    "e_min_tev", "e_max_tev", "flux", "flux_err", "flux_errn", "flux_errp", "flux_ul", "ts",
    "n_sigma_ul",
)  # fmt: skip


def total_counts(tables: ResultTables) -> dict[str, float]:
    """Counts of all runs together, from the theta² header or else the cumulative table.

    Parameters
    ----------
    tables
        Of the analysis; without both tables all numbers are NaN.

    Returns
    -------
    dict
        ``n_on``, ``n_off``, ``alpha``, ``excess``, ``excess_error``, ``significance``,
        ``livetime_h``.
    """
    theta2, cumulative = tables.table("theta2"), tables.filled("cumulative")
    keys = ("n_on", "n_off", "alpha", "excess", "excess_error", "significance", "livetime_h")
    if theta2 is not None:
        return {key: number(theta2.meta.get(key)) for key in keys}
    if cumulative is not None:
        last = cumulative[-1]
        names = {**dict(zip(keys, keys, strict=True)), "livetime_h": "livetime"}
        return {key: number(last[names[key]]) for key in keys}
    return dict.fromkeys(keys, float("nan"))


def flux_above(tables: ResultTables) -> dict[str, float] | None:
    """Integral of the chosen model above 1 TeV, or above the threshold where that is higher.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without a chosen model.

    Returns
    -------
    dict or None
        As of `integral_flux`.
    """
    entry = chosen_model(tables)
    if entry is None:
        return None
    threshold = number(tables.context.get("energy_threshold_tev"))
    low = 1.0 if not threshold > 1.0 else threshold
    return integral_flux(entry, low)


def total_flux(tables: ResultTables) -> dict[str, float] | None:
    """Flux of all data above the threshold, from the norm of the chosen shape alone.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without such a flux in ``spectrum_models``.

    Returns
    -------
    dict or None
        ``e_min_tev``, ``e_max_tev``; ``flux``, its errors and ``flux_ul`` in 1/(cm2 s); ``ts``,
        ``n_sigma_ul``.
    """
    models = tables.filled("spectrum_models")
    total = models.meta.get("total") if models is not None else None
    if not isinstance(total, dict):
        return None
    return {key: number(total.get(key)) for key in _TOTAL_KEYS}


def flux_limit(tables: ResultTables) -> dict[str, float] | None:
    """Upper limit on the flux of the whole data set, None if there is none.

    Parameters
    ----------
    tables
        Of the analysis.

    Returns
    -------
    dict or None
        ``e_min_tev``, ``e_max_tev``, ``flux_ul`` in 1/(cm2 s), ``n_sigma_ul``.
    """
    total = total_flux(tables)
    if total is None or not np.isfinite(total["flux_ul"]):
        return None
    return {key: total[key] for key in ("e_min_tev", "e_max_tev", "flux_ul", "n_sigma_ul")}


def verdict(tables: ResultTables) -> tuple[str, str]:
    """The headline and the line below it.

    Parameters
    ----------
    tables
        Of the analysis.

    Returns
    -------
    tuple of str
        Whether the source is detected, and its flux or the limit on it.
    """
    counts = total_counts(tables)
    significance, hours = counts["significance"], counts["livetime_h"]
    measured = (
        f"{fixed(significance, 1)} σ in {fixed(hours, 2)} h"
        if np.isfinite(significance)
        else "the significance could not be measured"
    )
    radius = tables.context.get("on_radius_deg")
    if tables.context.get("extended") and radius:
        measured += f", as an extended source (ON radius {radius:g}°)"
    if tables.context.get("detected"):
        return f"detected at {measured}", _detected_line(tables)
    return f"not detected: {measured}", _limit_line(tables)


def _detected_line(tables: ResultTables) -> str:
    flux, entry = flux_above(tables), chosen_model(tables)
    if flux is None or entry is None:
        return "No spectrum could be fitted to these data; see the notes."
    crab = flux["flux"] / crab_flux(flux["e_min_tev"], flux["e_max_tev"])
    shape = _shape(entry)
    model = MODEL_NAMES.get(entry["model"], entry["model"])
    return (
        f"Flux above {plain(flux['e_min_tev'])} TeV: "
        f"{scaled_with_error(flux['flux'], flux['flux_err'])} {FLUX_UNIT} "
        f"({significant(crab, 2)} Crab). {model.capitalize()}: {', '.join(shape)}."
    )


def _limit_line(tables: ResultTables) -> str:
    limit = flux_limit(tables)
    if limit is None:
        return "No upper limit on the flux could be computed; see the notes."
    low, high = limit["e_min_tev"], limit["e_max_tev"]
    crab = limit["flux_ul"] / crab_flux(low, high)
    return (
        f"Flux between {plain(low)} and {plain(high)} TeV below "
        f"{scaled_with_error(limit['flux_ul'], 0)} {FLUX_UNIT} ({significant(crab, 2)} Crab), "
        f"upper limit at ΔTS = {plain(limit['n_sigma_ul'] ** 2)} for an assumed "
        f"spectral index."
    )


def _shape(entry: dict[str, Any]) -> list[str]:
    return [
        f"{_INDEX_NAMES[p['name']]} = {with_error(p['value'], p['error'])}"
        + ("\u00a0TeV⁻¹" if p["name"] == "lambda_" else "")
        for p in entry["parameters"]
        if p["name"] in _INDEX_NAMES and not p["frozen"]
    ]


def cards(tables: ResultTables) -> list[dict[str, str]]:
    """Key facts: label, value and a small line below.

    Parameters
    ----------
    tables
        Of the analysis; facts that were not measured are left out.

    Returns
    -------
    list of dict
        ``label``, ``value`` and ``below``, as text.
    """
    counts = total_counts(tables)
    runs, left_out = tables.filled("runs"), tables.filled("runs_left_out")
    found = [
        _card("Significance", f"{fixed(counts['significance'], 1)} σ", "Li & Ma 1983, equation 17"),
        _card(
            "Excess",
            with_error(counts["excess"], counts["excess_error"]),
            f"ON {whole(counts['n_on'])}, OFF {whole(counts['n_off'])}, "
            f"α\u00a0{significant(counts['alpha'])}",
        ),
    ]
    n_runs = len(runs) if runs is not None else 0
    n_left = len(left_out) if left_out is not None else 0
    found.append(
        _card(
            "Live time",
            f"{fixed(counts['livetime_h'], 2)} h",
            f"{n_runs} {'run' if n_runs == 1 else 'runs'} used, {n_left} left out",
        )
    )
    flux = flux_above(tables)
    if flux is not None and tables.context.get("detected"):
        value = scaled_with_error(flux["flux"], flux["flux_err"])
        found.append(_card(f"Flux above {plain(flux['e_min_tev'])} TeV", value, FLUX_UNIT))
    entry = chosen_model(tables)
    if entry is not None and tables.context.get("detected") and _shape(entry):
        label, _, value = _shape(entry)[0].partition(" = ")
        name = MODEL_NAMES.get(entry["model"], entry["model"])
        found.append(_card(f"Spectral {label}", value, name))
    limit = None if tables.context.get("detected") else flux_limit(tables)
    if limit is not None:
        label = f"Flux {plain(limit['e_min_tev'])} to {plain(limit['e_max_tev'])} TeV"
        value = f"< {scaled_with_error(limit['flux_ul'], 0)}"
        found.append(_card(label, value, FLUX_UNIT))
    threshold = number(tables.context.get("energy_threshold_tev"))
    if np.isfinite(threshold):
        found.append(_card("Energy threshold", f"{plain(threshold)} TeV", "of the fits"))
    if runs is not None:
        zenith = column(runs, "zenith", "deg")
        if np.isfinite(zenith).any():
            offset = _span(column(runs, "offset", "deg"), 2)
            below = f"offset {offset}" if offset else ""
            found.append(_card("Zenith angle", _span(zenith, 0), below))
    table = tables.table("map_significance")
    stats = (table.meta.get("ring") or table.meta.get("fov") or {}) if table is not None else {}
    if np.isfinite(number(stats.get("off_width"))):
        mean, width = (number(stats.get(key)) for key in ("off_mean", "off_width"))
        below = "mean and width, expected 0 and 1"
        found.append(_card("Map OFF pixels", f"{fixed(mean, 2)}, {fixed(width, 2)}", below))
    return found


def _span(values: FloatArray, decimals: int) -> str:
    good = values[np.isfinite(values)]
    if not len(good):
        return ""
    low, high = fixed(good.min(), decimals), fixed(good.max(), decimals)
    return f"{low}°" if low == high else f"{low}° to {high}°"


def _card(label: str, value: str, below: str) -> dict[str, str]:
    return {"label": label, "value": value, "below": below}
