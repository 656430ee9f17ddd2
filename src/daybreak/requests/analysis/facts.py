"""What the report says that is known before the first step: target, store, ON region, notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daybreak.config.analysis import AnalysisConfig
from daybreak.requests.analysis.request import AnalysisRequest
from daybreak.requests.analysis.setup import OnRegion, Setup
from daybreak.runs.targets import Target


def plan_notes(
    config: AnalysisConfig, radii: Sequence[float], setup: Setup, region: OnRegion
) -> list[str]:
    """Sentences for the report that the plan already knows.

    Parameters
    ----------
    config
        The resolved configuration.
    radii
        ON radius of each run in degrees; NaN where the responses bring their own.
    setup
        How runs are reduced.
    region
        ON region of full-enclosure runs.
    """
    notes = [region.why] if region.why and np.isfinite(radii).any() else []
    point_like = int(np.sum(~np.isfinite(radii)))
    if point_like == len(radii) and config.regions.on_radius is not None:
        notes.append(
            "The IRFs are point-like: the ON radius is their RAD_MAX, the configured one is unused."
        )
    elif point_like and point_like < len(radii):
        notes.append(
            f"{point_like} of {len(radii)} runs have point-like IRFs: their ON radius is RAD_MAX, "
            f"that of the others {region.radius_deg:g} deg."
        )
    if setup["extended"]:
        notes.append(
            f"ON radius {region.radius_deg:g} deg: taken as an extended source, IRFs averaged over "
            "the ON region, no correction for emission outside it."
        )
    if config.regions.exclude_known and len(setup["exclude"]) > 1:
        names = ", ".join(c["name"] for c in setup["exclude"][1:])
        notes.append(f"Known sources kept out of the background: {names}.")
    return notes


def report_facts(
    request: AnalysisRequest, instrument: str, target: Target, radius: float
) -> dict[str, Any]:
    """What the report says about the request: target, instrument, store, ON region.

    Parameters
    ----------
    request
        What is wanted.
    instrument
        Of the configuration.
    target
        The resolved target.
    radius
        ON radius in degrees; NaN for RAD_MAX.
    """
    finite = np.isfinite(target.ra_deg)
    return {
        "target": {
            "name": target.name,
            "requested": request.target.text,
            "ra_deg": target.ra_deg if finite else None,
            "dec_deg": target.dec_deg if finite else None,
            "resolved_by": target.resolved_by,
            "tag": target.tag,
            "blank_fields": target.blank_fields,
        },
        "instrument": instrument,
        "store": str(request.store),
        "on_region": f"circle of {radius:g} deg" if np.isfinite(radius) else "RAD_MAX of the IRFs",
        "attribution": _attribution(request.store),
    }


def _attribution(store: Path) -> str:
    """Terms that travel with the data: the store's README, where it has one."""
    for name in ("README.txt", "README.md", "README"):
        path = store / name
        if path.is_file() and path.stat().st_size < 20_000:
            return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""
