"""Quality flags of a run from the data themselves; the QUALITY column of stores says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from daybreak.config.analysis import QualityConfig
from daybreak.science.dl3.oddities import ODDITIES

_OUTSIDE_GTI_FRACTION = 0.005
_SIGNIFICANT = 3.0


def outside_too_often(outside: int, events: int) -> bool:
    """Whether so many events lie outside the good time that a run is flagged.

    Parameters
    ----------
    outside, events
        Their number, and that of all events.
    """
    return outside > _OUTSIDE_GTI_FRACTION * max(events, 1)


def run_flags(info: Mapping[str, Any], config: QualityConfig) -> list[str]:
    """Flags of a run; an empty list is a good run.

    Parameters
    ----------
    info
        ``ReducedRun.info``.
    config
        Limits.

    Returns
    -------
    list of str
        ``BACKGROUND_LOW``/``BACKGROUND_HIGH`` (events over the IRF's background, outside the
        limits by more than three times its error), ``LIVE_FRACTION_LOW``, ``RATE_UNSTABLE``,
        ``EVENTS_OUTSIDE_GTI``, ``EVENTS_BAD``, ``IRF_REPAIRED``, ``NO_BACKGROUND_IRF``,
        ``NO_OFF_REGION``, ``NOTHING_ABOVE_THRESHOLD``, and what was odd about the files
        (:data:`daybreak.science.dl3.oddities.ODDITIES`).
    """
    flags = []
    ratio, error = info["background_ratio"], info["background_ratio_error"]
    if np.isfinite(ratio):
        if ratio + _SIGNIFICANT * error < config.min_background_ratio:
            flags.append("BACKGROUND_LOW")
        elif ratio - _SIGNIFICANT * error > config.max_background_ratio:
            flags.append("BACKGROUND_HIGH")
    if info["livetime_s"] < config.min_live_fraction * info["ontime_s"]:
        flags.append("LIVE_FRACTION_LOW")
    if info["rate_change_sigma"] > config.max_rate_change:
        flags.append("RATE_UNSTABLE")
    if outside_too_often(info["events_outside_gti"], info["events"]):
        flags.append("EVENTS_OUTSIDE_GTI")
    if info["events_bad"]:
        flags.append("EVENTS_BAD")
    if info["events"] == 0:
        flags.append("NO_EVENTS")
    if info["repaired"]:
        flags.append("IRF_REPAIRED")
    if not info["has_background_irf"]:
        flags.append("NO_BACKGROUND_IRF")
    if not np.isfinite(info["threshold_tev"]):
        flags.append("NOTHING_ABOVE_THRESHOLD")
    found = {flag for flag, _ in info.get("oddities", ())}
    return flags + [flag for flag in ODDITIES if flag in found]
