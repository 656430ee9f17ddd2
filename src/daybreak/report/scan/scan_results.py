"""``results.json`` of a scan, with its versioned schema ``schema/scan.schema.json``."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from daybreak.products.atomic import write_text
from daybreak.products.jsonvalues import plain_json
from daybreak.report.scan.scan_tables import ScanTables, lines

SCHEMA_VERSION = "1.0"
_VERTEX = ("x_m", "y_m", "z_m", "t_ns")


def write_scan_results(tables: ScanTables, path: Path) -> None:
    """Write ``results.json`` of a scan, atomically.

    Parameters
    ----------
    tables
        Tables of the scan.
    path
        The JSON file.

    Raises
    ------
    ProductError
        If a table is missing or can't be read.
    """
    text = json.dumps(build_scan_results(tables), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def build_scan_results(tables: ScanTables) -> dict[str, Any]:
    """The content of ``results.json``: plain values, null where nothing was measured.

    Parameters
    ----------
    tables
        Of the scan.

    Raises
    ------
    ProductError
        If a table is missing or can't be read.
    """
    context = tables.context
    minima = [_minimum(row) for row in _rows(tables.minima)]
    work = context["work"]
    built = {
        "schema_version": SCHEMA_VERSION,
        "kind": "scan",
        "event": context["event"],
        **{key: context["counts"][key] for key in ("nch", "npulses", "qtot")},
        "message": context["message"],
        "likelihood": context["likelihood"],
        "settings": context["settings"],
        "time_convention": context["time_convention"],
        "complete": context["complete"],
        "labels": context["labels"],
        "best_fit": minima[0],
        "minima": minima,
        "calibration": context["calibration"],
        "contours": [_contour(tables, row) for row in _rows(tables.needed("regions"))],
        "nsides": _rows(tables.needed("levels")),
        "pixels": work["pixels"],
        "evaluations": work["evaluations"],
        "cpu_s": work["cpu_s"],
        "wall_s": work["wall_s"],
        "work": {k: v for k, v in work.items() if k not in _TOP},
        "recos": context["recos"],
        "truth": context["truth"],
        "nearby_sources": context["nearby"],
        "config_digest": context["provenance"]["config_digest"],
        "inputs": context["provenance"]["inputs"],
        "versions": context["provenance"]["versions"],
    }
    plain: dict[str, Any] = plain_json(built)
    return plain


_TOP = ("pixels", "evaluations", "cpu_s", "wall_s")


def _rows(table: Table) -> list[dict[str, Any]]:
    return [{name: row[name].item() for name in table.colnames} for row in table]


def _minimum(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("ra_deg", "dec_deg", "zenith_deg", "azimuth_deg", "llh", "delta_llh", "nside", "pixel",
            "interpolated")  # fmt: skip
    return {key: row[key] for key in keys} | {"vertex": {key: row[key] for key in _VERTEX}}


def _contour(tables: ScanTables, row: dict[str, Any]) -> dict[str, Any]:
    shape = [np.round(line, 5).tolist() for line in lines(tables, float(row["probability"]))]
    return row | {"lines": shape}


@lru_cache(maxsize=1)
def scan_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) that a scan's ``results.json`` follows."""
    path = resources.files(__package__).joinpath("schema/scan.schema.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def scan_summary(results: dict[str, Any]) -> list[str]:
    """The main results in a few lines of text.

    Parameters
    ----------
    results
        Content of ``results.json``.
    """
    event, best = results["event"], results["best_fit"]
    kind = f", {event['kind']}" if event["kind"] else ""
    found = [
        f"run {event['run']}, event {event['event']}{kind}: {results['nch']} DOMs, "
        f"{results['npulses']} pulses, {results['qtot']:.1f} pe",
        f"best fit: RA {best['ra_deg']:.3f} deg, Dec {best['dec_deg']:+.3f} deg (ICRS); zenith "
        f"{best['zenith_deg']:.3f} deg, azimuth {best['azimuth_deg']:.3f} deg; "
        f"-log L {best['llh']:.2f}",
    ]
    for region in results["contours"]:
        area = region["area_deg2"]
        found.append(
            f"{100 * region['probability']:.0f} %: {area:.3g} deg2, "
            f"RA +{_shown(region['ra_plus_deg'])} -{_shown(region['ra_minus_deg'])}, "
            f"Dec +{_shown(region['dec_plus_deg'])} -{_shown(region['dec_minus_deg'])} deg "
            f"({results['calibration']['title']})"
        )
    if len(results["minima"]) > 1:
        found.append(f"{len(results['minima']) - 1} more minima within 2 delta llh, see the report")
    if results["truth"]:
        truth = results["truth"]
        where = "inside" if truth["inside_90"] else "outside"
        distance = truth["separation_deg"]
        found.append(f"simulated direction: {distance:.3f} deg away, {where} the 90 % contour")
    found += [f"note ({label['name']}): {label['text']}" for label in results["labels"]]
    work, count = results["work"], results["pixels"]
    found.append(
        f"{count} pixels, {results['evaluations']} evaluations, "
        f"{results['cpu_s']:.1f} s CPU, {results['wall_s']:.1f} s with {work['workers']} workers"
    )
    return found


def _shown(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
