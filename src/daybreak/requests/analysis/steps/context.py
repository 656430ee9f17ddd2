"""What all tables have in common, and what could not be made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from daybreak.products.provenance import provenance
from daybreak.requests.analysis.steps.common import (
    Inputs,
    Outputs,
    Params,
    read_summary,
    settings,
)
from daybreak.science.run import ReductionSetup


def _map_notes(files: Sequence[Path], limit: float) -> list[str]:
    """Say where the background does not describe the field to its statistical precision."""
    path = next((p for p in files if p.name == "map_significance.ecsv"), None)
    if path is None:
        return []
    meta = Table.read(path, format="ascii.ecsv").meta
    return [
        f"The OFF pixels of the {method} map scatter by {meta[method]['off_width']:.2f} sigma: "
        "the background model does not describe this field to its statistical precision, and "
        "significances by this method are too large by about that factor."
        for method in ("ring", "fov")
        if method in meta and meta[method]["off_width"] > limit
    ]


def _spectrum_notes(files: Sequence[Path]) -> list[str]:
    """What the spectrum step has to say."""
    path = next((p for p in files if p.name == "spectrum_models.ecsv"), None)
    return [] if path is None else list(Table.read(path, format="ascii.ecsv").meta["notes"])


def _extension_notes(found: Mapping[str, Any] | None) -> list[str]:
    """Warn where a source that was taken for a point is none."""
    if not found or not found["extended"]:
        return []
    return [
        f"EXTENDED? Between {found['inner_deg']:.2f} and {found['outer_deg']:.2f} deg there is "
        f"{found['ratio']:.2f} ± {found['error']:.2f} of the excess inside; a point source leaves "
        f"{found['expected']:.2f} there ({found['sigma']:.1f} sigma more). The flux of a larger "
        "source is underestimated: set regions.on_radius."
    ]


def context(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """What all tables have in common, and what could not be made.

    Parameters
    ----------
    inputs
        ``summary`` of the counts step, and ``made``, the tables that there are.
    outputs
        ``context``, a JSON file.
    params
        ``setup``, ``facts`` and ``notes`` of the plan; ``upstream``, how each step ended.
    """
    summary = read_summary(inputs)
    setup = ReductionSetup.from_dict(params["setup"])
    failures = [
        {"step": name, "reason": outcome["reason"]}
        for name, outcome in params["upstream"].items()
        if outcome["state"] == "FAILED"
    ]
    notes = list(params["notes"]) + [
        outcome["reason"]
        for name, outcome in params["upstream"].items()
        if outcome["state"] == "SKIPPED"
    ]
    notes += _spectrum_notes(inputs.get("made", ()))
    notes += _extension_notes(summary.get("surroundings"))
    notes += _map_notes(inputs.get("made", ()), settings(params).quality.max_off_width)
    block = {
        **params["facts"],
        "background": {
            "requested": settings(params).regions.background,
            "used": summary["method"],
            "reason": summary["reason"],
        },
        "energy_threshold_tev": summary["threshold_tev"],
        "threshold_methods": summary["threshold_methods"],
        "detected": summary["detected"],
        "counts": summary["counts"],
        "nights": summary["nights"],
        "telescopes": summary["telescopes"],
        "on_radius_deg": setup.on.radius_deg if np.isfinite(setup.on.radius_deg) else None,
        "extended": setup.extended,
        "surroundings": summary.get("surroundings"),
        "notes": notes,
        "failures": failures,
        "versions": provenance("context", "", {})["versions"],
    }
    text = json.dumps(block, indent=1, sort_keys=True, default=str, allow_nan=True)
    outputs["context"].write_text(text, encoding="utf-8")
