"""What all tables have in common, and what could not be made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

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

_WIDE = 1.2


def _map_notes(files: Sequence[Path]) -> list[str]:
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
        if method in meta and meta[method]["off_width"] > _WIDE
    ]


def context(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """What all tables have in common, and what could not be made."""
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
    notes += _map_notes(inputs.get("made", ()))
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
        "notes": notes,
        "failures": failures,
        "versions": provenance("context", "", {})["versions"],
    }
    text = json.dumps(block, indent=1, sort_keys=True, default=str, allow_nan=True)
    outputs["context"].write_text(text, encoding="utf-8")
