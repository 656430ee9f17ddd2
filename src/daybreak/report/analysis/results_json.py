"""``results.json``: everything of an analysis for programs, with a versioned schema.

The keys are described in ``docs/results-json.md`` and in ``schema/results.schema.json``.
Numbers that were not measured are null; there is no NaN and no infinity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from daybreak.products.atomic import write_text
from daybreak.products.jsonvalues import plain_json
from daybreak.report.analysis import fit3d_views, systematics_views
from daybreak.report.analysis.headline import flux_above, flux_limit, total_counts, total_flux
from daybreak.report.analysis.spectral import CRAB_SOURCE, fitted_models
from daybreak.report.common.tables import ResultTables, flags, number, texts

SCHEMA_VERSION = "2.2"
_LEFT_OUT_COLUMNS = ("obs_id", "file", "stage", "reason")
_BINNINGS = ("run", "night", "minutes")
_CURVE_META = (
    "e_min_tev", "e_max_tev", "index", "constant", "constant_error", "chi2", "dof", "p_value",
    "fvar", "fvar_error", "bayesian_p0", "n_sigma_ul",
)  # fmt: skip
_POINT_COLUMNS = (
    "e_ref", "e_min", "e_max", "dnde", "dnde_err", "dnde_errn", "dnde_errp", "dnde_ul", "norm",
    "norm_err", "norm_errn", "norm_errp", "norm_ul", "ref_dnde", "ts", "sqrt_ts", "n_on", "n_off",
    "alpha", "excess", "is_ul",
)  # fmt: skip
_CURVE_COLUMNS = (
    "time_min", "time_max", "label", "livetime", "n_on", "n_off", "alpha", "excess", "flux",
    "flux_err", "flux_errn", "flux_errp", "flux_ul", "norm", "ts", "sqrt_ts", "is_ul",
)  # fmt: skip
_RUN_COLUMNS = (
    "obs_id", "object", "tstart", "tstop", "ontime", "livetime", "livetime_header", "zenith",
    "offset", "threshold",
    "n_on", "n_off", "alpha", "excess", "excess_error", "significance", "gamma_rate",
    "gamma_rate_error", "background_ratio", "background_ratio_error", "n_off_regions", "events",
    "events_doubled", "events_outside_gti", "events_far", "in_spectrum", "in_maps",
)  # fmt: skip


def write_results(results: Path, path: Path, facts: Mapping[str, Any] | None = None) -> None:
    """Write ``results.json`` for the tables of `results`, atomically.

    Parameters
    ----------
    results
        Folder of the tables.
    path
        The JSON file.
    facts
        Beat those of ``context.json``, e.g. ``config_digest``.

    Raises
    ------
    ProductError
        If a table can't be read.
    """
    text = json.dumps(build_results(results, facts), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def build_results(results: Path, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The content of ``results.json``.

    Parameters
    ----------
    results
        Folder of the tables.
    facts
        Beat those of ``context.json``.

    Returns
    -------
    dict
        Plain values only; see the schema.
    """
    tables = ResultTables(results, facts)
    context = tables.context
    keys = ("instrument", "telescopes", "store", "nights", "on_radius_deg", "on_region", "extended")
    built = {
        "schema_version": SCHEMA_VERSION,
        "target": _pick(context.get("target"), _TARGET_KEYS),
        **{key: context.get(key) for key in keys},
        "background": _pick(context.get("background"), ("requested", "used", "reason")),
        "energy_threshold_tev": context.get("energy_threshold_tev"),
        "detected": bool(context.get("detected")),
        "counts": total_counts(tables) | {"theta2_cut_deg2": _theta2_cut(tables)},
        "runs": _runs(tables),
        "runs_left_out": _records(tables.table("runs_left_out"), _LEFT_OUT_COLUMNS),
        "theta2": _records(tables.table("theta2")),
        "cumulative": _records(tables.table("cumulative")),
        "spectrum": _spectrum(tables),
        "systematics": systematics_views.json_block(tables),
        "fit3d": fit3d_views.json_block(tables),
        "light_curves": {binning: _light_curve(tables, binning) for binning in _BINNINGS},
        "flux_upper_limit": None if context.get("detected") else flux_limit(tables),
        "maps": _maps(tables),
        "regions": _records(tables.table("regions")),
        "exclusion": _records(tables.table("exclusion")),
        "quality_flags": _quality(tables),
        "oddities": _records(tables.table("oddities"), ("obs_id", "flag", "text")),
        "notes": [str(note) for note in context.get("notes") or []],
        "failures": [_pick(entry, ("step", "reason")) for entry in context.get("failures") or []],
        "crab_reference": {"source": CRAB_SOURCE, "analysis": context.get("crab_flux")},
        "attribution": context.get("attribution"),
        "config_digest": context.get("config_digest"),
        "versions": {str(k): str(v) for k, v in (context.get("versions") or {}).items()},
    }
    plain: dict[str, Any] = plain_json(built)
    return plain


_TARGET_KEYS = ("name", "ra_deg", "dec_deg", "resolved_by", "tag", "blank_fields")


@lru_cache(maxsize=1)
def schema_text() -> str:
    """The JSON schema (draft 2020-12) that ``results.json`` follows."""
    return (
        resources.files(__package__)
        .joinpath("schema/results.schema.json")
        .read_text(encoding="utf-8")
    )


def schema() -> dict[str, Any]:
    """The JSON schema as a dictionary."""
    loaded: dict[str, Any] = json.loads(schema_text())
    return loaded


def _pick(block: Mapping[str, Any] | None, keys: Sequence[str]) -> dict[str, Any]:
    return {key: (block or {}).get(key) for key in keys}


def _records(table: Table | None, keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows as dictionaries; columns that are absent become null."""
    if table is None:
        return []
    names = list(keys or table.colnames)
    columns: list[list[Any]] = []
    for name in names:
        if name not in table.colnames:
            columns.append([None] * len(table))
        elif name.startswith(("is_", "in_")):
            columns.append(flags(table, name).tolist())
        elif table[name].dtype.kind in "US":
            columns.append(texts(table, name))
        else:
            columns.append(np.ma.asarray(table[name].data).tolist())
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _theta2_cut(tables: ResultTables) -> float:
    table = tables.table("theta2")
    return number(table.meta.get("cut")) if table is not None else float("nan")


def _runs(tables: ResultTables) -> list[dict[str, Any]]:
    table = tables.table("runs")
    used = _records(table, _RUN_COLUMNS)
    if table is not None:
        for run, text in zip(used, texts(table, "flags"), strict=True):
            run["flags"] = _split(text)
    return used


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _quality(tables: ResultTables) -> list[dict[str, Any]]:
    table = tables.table("runs")
    if table is None:
        return []
    pairs = zip(table["obs_id"].tolist(), texts(table, "flags"), strict=True)
    return [{"obs_id": obs, "flag": flag} for obs, text in pairs for flag in _split(text)]


def _spectrum(tables: ResultTables) -> dict[str, Any] | None:
    entries = fitted_models(tables)
    points, counts = tables.table("flux_points"), tables.table("spectrum_counts")
    if not entries and points is None and counts is None:
        return None
    models = tables.table("spectrum_models")
    meta = points.meta if points is not None else {}
    return {
        "chosen": next((entry["model"] for entry in entries if entry["chosen"]), None),
        "choice": str(models.meta.get("choice") or "") if models is not None else None,
        "models": [_model(entry) for entry in entries],
        "assumed": bool(models.meta.get("assumed")) if models is not None else False,
        "integral_flux": flux_above(tables),
        "total_flux": total_flux(tables),
        "flux_points": {
            "model": meta.get("model"),
            "n_sigma_ul": meta.get("n_sigma_ul"),
            "ul_convention": meta.get("ul_convention"),
            "points": _records(points, _POINT_COLUMNS),
        },
        "counts": _records(counts),
        "butterfly": _records(tables.table("butterfly")),
    }


def _model(entry: Mapping[str, Any]) -> dict[str, Any]:
    fit = entry["fit"]
    return {
        "model": entry["model"],
        "chosen": entry["chosen"],
        "reference_tev": fit.get("reference_tev"),
        "pivot_tev": fit.get("pivot_tev"),
        "stat": fit.get("stat"),
        "dof": fit.get("dof"),
        "success": fit.get("success"),
        "message": fit.get("message"),
        "parameters": entry["parameters"],
        "covariance": {
            "parameters": list(fit.get("parameters") or ()),
            "matrix": fit.get("covariance") or [],
        },
    }


def _light_curve(tables: ResultTables, binning: str) -> dict[str, Any] | None:
    table = tables.table(f"lightcurve_{binning}")
    if table is None:
        return None
    curve = _pick(table.meta, _CURVE_META)
    keys = ("start", "stop", "flux", "flux_err")
    curve["blocks"] = [_pick(block, keys) for block in table.meta.get("blocks") or []]
    curve["bins"] = _records(table, _CURVE_COLUMNS)
    return curve


_MAP_KEYS = (
    "off_mean", "off_mean_error", "off_width", "off_width_error", "n_off_pixels", "n_independent",
    "max", "max_ra", "max_dec", "correlation_radius_deg",
)  # fmt: skip


def _maps(tables: ResultTables) -> dict[str, Any] | None:
    table = tables.table("map_significance")
    if table is None:
        return None
    found: dict[str, Any] = {
        method: _pick(table.meta[method], _MAP_KEYS) if table.meta.get(method) else None
        for method in ("ring", "fov")
    }
    keys = ("low", "high", "ring_all", "ring_off", "fov_all", "fov_off")
    found["histogram"] = _records(table, keys)
    return found
