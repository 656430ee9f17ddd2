"""The spectral fits for the page: parameters side by side, covariance matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from daybreak.report.analysis.headline import MODEL_NAMES
from daybreak.report.analysis.spectral import fitted_models
from daybreak.report.common.rounding import (
    MISSING,
    common_exponent,
    fixed,
    scaled_with_error,
    significant,
    with_error,
)
from daybreak.report.common.table_view import Column, TableView
from daybreak.report.common.tables import ResultTables, number

SYMBOLS = {
    "amplitude": "φ₀",
    "index": "Γ",
    "alpha": "α",
    "beta": "β",
    "lambda_": "λ",
    "reference": "E₀",
}
FORMULAS = {
    "pl": Markup("φ₀ (E/E₀)<sup>−Γ</sup>"),
    "lp": Markup("φ₀ (E/E₀)<sup>−(α + β ln(E/E₀))</sup>"),
    "ecpl": Markup("φ₀ (E/E₀)<sup>−Γ</sup> exp(−λE)"),
}
_AMPLITUDE_UNIT = "cm⁻² s⁻¹ TeV⁻¹"


def _shown(entry: dict[str, Any]) -> bool:
    """Frozen parameters other than E0 are part of the formula, e.g. the cut-off's power of 1."""
    return not entry["frozen"] or entry["name"] == "reference"


def _parameter(entry: dict[str, Any]) -> str:
    name, value, error = entry["name"], entry["value"], entry["error"]
    symbol = SYMBOLS.get(name, name)
    if name == "amplitude":
        return f"{symbol} = {scaled_with_error(value, error)} {_AMPLITUDE_UNIT}"
    text = significant(value) if entry["frozen"] else with_error(value, error)
    unit = {"1 / TeV": "TeV⁻¹", "TeV-1": "TeV⁻¹"}.get(entry["unit"], entry["unit"])
    return f"{symbol} = {text} {unit}".rstrip() + (" (fixed)" if entry["frozen"] else "")


def models_view(tables: ResultTables) -> TableView | None:
    """The models that were fitted, compared.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``spectrum_models``.
    """
    entries = fitted_models(tables)
    if not entries:
        return None
    columns = [
        Column("Model", numeric=False),
        Column("dN/dE", numeric=False),
        Column("Parameters", numeric=False),
        Column("Fit statistic"),
        Column("dof"),
        Column("Fit", numeric=False),
    ]
    rows = []
    for entry in entries:
        fit, name = entry["fit"], entry["model"]
        state = (
            "converged" if fit.get("success") else f"failed: {fit.get('message') or 'no reason'}"
        )
        rows.append(
            [
                MODEL_NAMES.get(name, name) + (" (chosen)" if entry["chosen"] else ""),
                FORMULAS.get(name, MISSING),
                "\n".join(_parameter(p) for p in entry["parameters"] if _shown(p)),
                fixed(number(fit.get("stat")), 2),
                fixed(number(fit.get("dof")), 0),
                state,
            ]
        )
    marked = [entry["chosen"] for entry in entries]
    return TableView("Spectral models compared", columns, rows, "", marked)


def covariance_views(tables: ResultTables) -> list[TableView]:
    """Covariance matrix of each model, in the units of its parameters.

    Parameters
    ----------
    tables
        Of the analysis; models without a covariance are left out.
    """
    views = []
    for entry in fitted_models(tables):
        names = [str(name) for name in entry["fit"].get("parameters") or ()]
        matrix = np.asarray(entry["fit"].get("covariance") or [], float)
        if not names or matrix.shape != (len(names), len(names)):
            continue
        name = MODEL_NAMES.get(entry["model"], entry["model"])
        symbols = [SYMBOLS.get(text, text) for text in names]
        rows = [
            [symbol, *(_cell(value) for value in matrix[i])] for i, symbol in enumerate(symbols)
        ]
        columns = [Column("", numeric=False), *(Column(symbol) for symbol in symbols)]
        units = f"φ₀ in {_AMPLITUDE_UNIT}, λ in TeV⁻¹"
        views.append(TableView(f"Covariance of the {name} ({units})", columns, rows, "covariance"))
    return views


def _cell(value: float) -> str:
    if value != 0 and np.isfinite(value) and common_exponent([value]) < -4:
        return scaled_with_error(value, 0)
    return significant(value)
