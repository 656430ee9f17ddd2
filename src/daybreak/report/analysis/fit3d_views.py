"""The three-dimensional fit for the page and for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from daybreak.report.analysis.spectral_views import SYMBOLS
from daybreak.report.common.rounding import (
    fixed,
    plain,
    scaled_with_error,
    significant,
    with_error,
)
from daybreak.report.common.table_view import Column, TableView
from daybreak.report.common.tables import ResultTables, flags, number, texts

NAMES = {"point": "point source", "disk": "disk", "gauss": "Gaussian"}
_SYMBOLS = SYMBOLS | {
    "lon_0": "RA",
    "lat_0": "Dec",
    "r_0": "radius",
    "sigma": "σ",
    "norm": "norm",
    "tilt": "tilt",
}
_FLUX_PARAMETERS = ("amplitude",)
_SIZES = ("r_0", "sigma")
_ORDER = ("lon_0", "lat_0", *_SIZES, "amplitude", "index", "alpha", "beta", "norm", "tilt")
_FIT_KEYS = (
    "reference_tev", "stat", "n_free", "n_source", "aic", "ts", "ts_extension", "flux", "flux_err",
    "success", "message",
)  # fmt: skip
_HEADER_KEYS = (
    "choice", "stat_null", "e_min_tev", "e_max_tev", "residual_mean", "residual_width", "n_runs",
    "stacked", "pixel_deg", "width_deg", "correlation_radius_deg",
)  # fmt: skip


def fitted_sources(tables: ResultTables) -> list[dict[str, Any]]:
    """The models with their parameters and statistics, in the order of the table.

    Parameters
    ----------
    tables
        Of the analysis; without ``fit3d_models`` the list is empty.

    Returns
    -------
    list of dict
        ``model``, ``chosen``, ``fit`` (its statistics) and ``parameters``, each with ``component``,
        ``name``, ``value``, ``error``, ``unit``, ``frozen``.
    """
    table = tables.filled("fit3d_models")
    if table is None:
        return []
    names, parameters = texts(table, "model"), texts(table, "parameter")
    components, units = texts(table, "component"), texts(table, "unit")
    chosen, frozen = flags(table, "chosen"), flags(table, "frozen")
    entries: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        fit = (table.meta.get("fits") or {}).get(name) or {}
        entry = entries.setdefault(
            name, {"model": name, "chosen": bool(chosen[i]), "fit": fit, "parameters": []}
        )
        entry["parameters"].append(
            {
                "component": components[i],
                "name": parameters[i],
                "value": number(table["value"][i]),
                "error": number(table["error"][i]),
                "unit": units[i],
                "frozen": bool(frozen[i]),
            }
        )
    return list(entries.values())


def chosen_source(tables: ResultTables) -> dict[str, float] | None:
    """Position and size (NaN for a point) of the chosen model, in degrees.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without a chosen model.

    Returns
    -------
    dict or None
        ``lon_0`` and ``lat_0`` (right ascension and declination), ``size``.
    """
    entry = next((e for e in fitted_sources(tables) if e["chosen"]), None)
    if entry is None:
        return None
    values = {p["name"]: p["value"] for p in entry["parameters"] if p["component"] == "source"}
    size = next((values[name] for name in _SIZES if name in values), float("nan"))
    return {
        "lon_0": values.get("lon_0", np.nan),
        "lat_0": values.get("lat_0", np.nan),
        "size": size,
    }


def _line(entry: dict[str, Any], reference: float) -> str:
    name, value, error = entry["name"], entry["value"], entry["error"]
    symbol = _SYMBOLS.get(name, name)
    if name in _FLUX_PARAMETERS:
        at = f"({plain(reference)} TeV)" if np.isfinite(reference) else ""
        return f"{symbol}{at} = {scaled_with_error(value, error)} cm⁻² s⁻¹ TeV⁻¹"
    return f"{symbol} = {with_error(value, error)}{'°' if entry['unit'] == 'deg' else ''}"


def models_view(tables: ResultTables) -> TableView | None:
    """The spatial models compared.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``fit3d_models``.
    """
    entries = fitted_sources(tables)
    if not entries:
        return None
    columns = [
        Column("Model", numeric=False),
        Column("Source", numeric=False),
        Column("Background", numeric=False),
        Column("TS"),
        Column("TS ext."),
        Column("AIC − best"),
        Column("Fit", numeric=False),
    ]
    best = min(number(e["fit"].get("aic")) for e in entries)
    rows = []
    for entry in entries:
        fit, name = entry["fit"], entry["model"]
        free = [p for p in entry["parameters"] if not p["frozen"]]
        free.sort(key=lambda p: _ORDER.index(p["name"]) if p["name"] in _ORDER else len(_ORDER))
        reference = number(fit.get("reference_tev"))
        own = [p for p in free if p["component"] == "source"]
        rest = [p for p in free if p["component"] != "source"]
        many = len({p["component"] for p in rest}) > 1
        background = f"{len(rest)} parameters" if many else "\n".join(_line(p, 1.0) for p in rest)
        state = "converged" if fit.get("success") else f"failed: {fit.get('message') or ''}"
        rows.append(
            [
                NAMES.get(name, name) + (" (chosen)" if entry["chosen"] else ""),
                "\n".join(_line(p, reference) for p in own),
                background,
                fixed(number(fit.get("ts")), 1),
                fixed(number(fit.get("ts_extension")), 1),
                fixed(number(fit.get("aic")) - best, 1),
                state,
            ]
        )
    return TableView("Spatial models compared", columns, rows, "", [e["chosen"] for e in entries])


def facts(tables: ResultTables) -> list[tuple[str, str]]:
    """Pairs of label and text below the table.

    Parameters
    ----------
    tables
        Of the analysis; without a chosen model the list is empty.
    """
    table = tables.filled("fit3d_models")
    entry = next((e for e in fitted_sources(tables) if e["chosen"]), None)
    if table is None or entry is None:
        return []
    meta, fit = table.meta, entry["fit"]
    low, high = number(meta.get("e_min_tev")), number(meta.get("e_max_tev"))
    flux = scaled_with_error(number(fit.get("flux")), number(fit.get("flux_err")))
    how = "stacked" if meta.get("stacked") else "each with its own background"
    return [
        (f"Flux from {plain(low)} to {plain(high)} TeV", f"{flux} cm⁻² s⁻¹, of the whole source"),
        ("Runs", f"{meta.get('n_runs')}, {how}"),
        (
            "Residuals",
            f"mean {fixed(number(meta.get('residual_mean')), 2)} σ, width "
            f"{fixed(number(meta.get('residual_width')), 2)} σ",
        ),
    ]


def choice(tables: ResultTables) -> str:
    """Why the chosen model.

    Parameters
    ----------
    tables
        Of the analysis; without ``fit3d_models`` the text is empty.
    """
    table = tables.filled("fit3d_models")
    return str(table.meta.get("choice") or "") if table is not None else ""


def caption(tables: ResultTables) -> str:
    """Caption of the residual map.

    Parameters
    ----------
    tables
        Of the analysis; the size of the chosen source is told.
    """
    source = chosen_source(tables)
    drawn = ""
    if source is not None and np.isfinite(source["size"]):
        drawn = (
            f" The circle has the size of the fitted source ({significant(source['size'], 2)}°)."
        )
    return (
        "Significance of the counts over background and source of the chosen model. Nothing of the "
        f"source should be left; dashed circles are not in the fit.{drawn}"
    )


def json_block(tables: ResultTables) -> dict[str, Any] | None:
    """The fit for ``results.json``.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``fit3d_models``.
    """
    table = tables.filled("fit3d_models")
    if table is None:
        return None
    models = []
    for entry in fitted_sources(tables):
        fit = entry["fit"]
        models.append(
            {
                "model": entry["model"],
                "chosen": entry["chosen"],
                **{key: fit.get(key) for key in _FIT_KEYS},
                "parameters": entry["parameters"],
                "covariance": {
                    "parameters": list(fit.get("parameters") or ()),
                    "matrix": fit.get("covariance") or [],
                },
            }
        )
    chosen = next((m["model"] for m in models if m["chosen"]), None)
    header = {key: table.meta.get(key) for key in _HEADER_KEYS}
    return {"chosen": chosen, **header, "models": models}
