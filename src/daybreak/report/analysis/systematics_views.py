"""The systematic error of the background for the page and for programs."""

from __future__ import annotations

from typing import Any

from daybreak.report.analysis.spectral_views import SYMBOLS
from daybreak.report.common.rounding import decimals_of, fixed, plain, power_of_ten
from daybreak.report.common.table_view import Column, TableView
from daybreak.report.common.tables import ResultTables, number, texts

_PARTS = {"norm": "Height, all runs", "tilt": "Tilt, all runs", "per_run": "Height, run by run"}
_PART_KEYS = ("mean", "mean_error", "rms", "expected_rms", "size", "measured", "n")
_ROW_KEYS = (
    "parameter",
    "value",
    "stat",
    "syst_norm",
    "syst_tilt",
    "syst_livetime",
    "syst",
    "unit",
)
_AMPLITUDE_UNIT = "cm⁻² s⁻¹ TeV⁻¹"


def parameters(tables: ResultTables) -> list[dict[str, Any]]:
    """Rows of the table of systematic errors.

    Parameters
    ----------
    tables
        Of the analysis; without ``systematics`` the list is empty.

    Returns
    -------
    list of dict
        ``parameter``, ``unit``, ``value`` and the errors ``stat``, ``syst``, ``syst_norm``,
        ``syst_tilt``, ``syst_livetime``, in that unit.
    """
    table = tables.filled("systematics")
    if table is None:
        return []
    words = {key: texts(table, key) for key in ("parameter", "unit")}
    return [
        {k: words[k][i] if k in words else number(table[k][i]) for k in _ROW_KEYS}
        for i in range(len(table))
    ]


def _two_errors(value: float, stat: float, syst: float) -> str:
    """``(value ± stat ± syst) × 10ⁿ`` with two digits of the larger error."""
    from math import floor, log10

    size = abs(value)
    exponent = floor(log10(size)) if size > 0 else 0
    scaled = not -3 <= exponent <= 3
    scale = 10.0 ** (-exponent if scaled else 0)
    decimals = decimals_of(max(stat, syst) * scale)
    body = " ± ".join(fixed(part * scale, decimals) for part in (value, stat, syst))
    return f"({body}) × {power_of_ten(exponent)}" if scaled else body


def sentence(tables: ResultTables) -> str:
    """The parameters of the chosen model with both errors.

    Parameters
    ----------
    tables
        Of the analysis; without ``systematics`` the text is empty.
    """
    rows = parameters(tables)
    if not rows:
        return ""
    shown = []
    for row in rows:
        name = row["parameter"]
        unit = {"amplitude": f" {_AMPLITUDE_UNIT}", "lambda_": " TeV⁻¹"}.get(name, "")
        both = _two_errors(row["value"], row["stat"], row["syst"])
        shown.append(f"{SYMBOLS.get(name, name)} = {both}{unit}")
    return "; ".join(shown)


def scatter_view(tables: ResultTables) -> TableView | None:
    """What the null regions say about the background.

    Parameters
    ----------
    tables
        Of the analysis; None is returned if the scatter was not measured.
    """
    table = tables.table("systematics")
    if table is None or not isinstance(table.meta.get("norm"), dict):
        return None
    columns = [
        Column("Background", numeric=False),
        Column("Regions"),
        Column("Mean"),
        Column("Error of mean"),
        Column("Scatter"),
        Column("of which counts"),
        Column("Systematic error"),
    ]
    rows = []
    for key, label in _PARTS.items():
        part = table.meta[key]
        percent = [
            f"{fixed(100 * number(part.get(k)), 1)} %"
            for k in ("mean", "mean_error", "rms", "expected_rms", "size")
        ]
        rows.append([label, fixed(number(part.get("n")), 0), *percent])
    reference = plain(number(table.meta.get("reference_tev")))
    caption = (
        "Counts over predicted background where there is no source, less 1 (tilt: change per unit "
        f"of ln E, at {reference} TeV)"
    )
    return TableView(caption, columns, rows, "Where the error of the background comes from")


def json_block(tables: ResultTables) -> dict[str, Any] | None:
    """The systematic errors for ``results.json``.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``systematics``.
    """
    table = tables.table("systematics")
    if table is None:
        return None
    meta = table.meta
    models = texts(table, "model") if len(table) else []
    return {
        "method": meta.get("method"),
        "model": models[0] if models else None,
        "reference_tev": meta.get("reference_tev"),
        "n_independent": meta.get("n_independent"),
        **{part: {key: (meta.get(part) or {}).get(key) for key in _PART_KEYS} for part in _PARTS},
        "parameters": parameters(tables),
    }
