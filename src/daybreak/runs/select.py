"""Choose the runs of an analysis; every run left out gets a reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

from daybreak.config.analysis import SelectionConfig
from daybreak.errors import ConfigError, NoDataError, TargetError
from daybreak.products.night import night_of
from daybreak.runs.catalogue import Catalogue, RunEntry, header_times
from daybreak.runs.targets import Target
from daybreak.stores import choose


@dataclass(frozen=True)
class LeftOut:
    """A run or file that is not used, and why."""

    obs_id: int
    file: str
    stage: str
    reason: str


@dataclass(frozen=True)
class Selection:
    """Chosen runs and the rest.

    Attributes
    ----------
    runs
        To be reduced.
    left_out
        Everything else that concerns the target, with reasons.
    """

    runs: tuple[RunEntry, ...]
    left_out: tuple[LeftOut, ...]


def read_run_list(path: Path) -> tuple[int, ...]:
    """Read a run list as ``daybreak store copy`` does: numbers, or a table with OBS_ID.

    Parameters
    ----------
    path
        Of the text file or table.

    Returns
    -------
    tuple of int
        In the file's order.

    Raises
    ------
    ConfigError
        If the file can't be read or a run is not a whole number.
    """
    runs = choose.read_run_list(path)
    for run in runs:
        if not re.fullmatch(r"-?\d{1,18}", run):
            raise ConfigError(f"{path}: the run {run[:40]!r} is not a whole number")
    return tuple(int(run) for run in runs)


def _time_window(config: SelectionConfig) -> tuple[Time | None, Time | None]:
    limits = []
    for key in ("start", "stop"):
        value = getattr(config, key)
        try:
            limits.append(Time(value, scale="utc") if value is not None else None)
        except ValueError:
            raise ConfigError(
                f"selection.{key}: {value!r} is not a time",
                "Write it as 2026-11-21 or 2026-11-21T22:00:00 (UTC).",
            ) from None
    return limits[0], limits[1]


def check_night(text: str) -> str:
    """A night as YYYY-MM-DD; ``yesterday`` is the night that began last evening.

    Parameters
    ----------
    text
        YYYY-MM-DD or ``yesterday``, by this machine's clock.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if text == "yesterday":
        return (date.today() - timedelta(days=1)).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a night", "Write the date of its evening as YYYY-MM-DD."
        ) from None


class _Judge:
    """Says why a run is left out; an empty string keeps it."""

    def __init__(self, config: SelectionConfig, longitude_deg: float) -> None:
        self.config = config
        self.longitude_deg = longitude_deg
        self.night = check_night(config.night) if config.night else None
        self.start, self.stop = _time_window(config)

    def reason(self, run: RunEntry) -> str:
        config = self.config
        if run.zenith_deg > config.max_zenith.to_value("deg"):
            limit = config.max_zenith.to_value("deg")
            return f"zenith angle {run.zenith_deg:.1f} deg above {limit:g} deg"
        if run.livetime_s < config.min_livetime.to_value("s"):
            limit = config.min_livetime.to_value("s")
            return f"livetime {run.livetime_s:.0f} s below {limit:g} s"
        if self.night or self.start or self.stop:
            return self._time_reason(run)
        return ""

    def _time_reason(self, run: RunEntry) -> str:
        start, stop = run.start, run.stop
        if start is None or stop is None:
            start, stop = header_times(run)
        if start is None or stop is None:
            return "its time is unknown (not in the index, not in the file's header)"
        if self.night and night_of(start, self.longitude_deg) != self.night:
            return f"taken in the night of {night_of(start, self.longitude_deg)}"
        if self.start is not None and stop < self.start:
            return f"ends before {self.start.isot}"
        if self.stop is not None and start > self.stop:
            return f"starts after {self.stop.isot}"
        return ""


def select_runs(
    catalogue: Catalogue, target: Target, config: SelectionConfig, longitude_deg: float
) -> Selection:
    """Choose the runs for a target.

    Runs that are merely elsewhere on the sky are not listed one by one, unless the user asked
    for them by number.

    Parameters
    ----------
    catalogue
        The store.
    target
        Position or tag.
    config
        Limits.
    longitude_deg
        Of the site, east positive: says which night a time belongs to.

    Returns
    -------
    Selection
        Runs and reasons.

    Raises
    ------
    TargetError
        If the target lies outside every run's field of view.
    NoDataError
        If nothing is left.
    """
    asked = set(config.runs)
    known = {run.obs_id for run in catalogue.runs}
    left = [LeftOut(i, "", "selection", "not in the store's index") for i in sorted(asked - known)]
    near = _near(catalogue.runs, target, config)
    judge = _Judge(config, longitude_deg)
    chosen: list[RunEntry] = []
    for run in catalogue.runs:
        if asked and run.obs_id not in asked:
            if run.obs_id in near:
                left.append(LeftOut(run.obs_id, "", "selection", "not in the run list"))
            continue
        if run.obs_id not in near:
            if asked:
                reason = _far_reason(run, target, config)
                left.append(LeftOut(run.obs_id, "", "selection", reason))
            continue
        reason = judge.reason(run)
        if reason:
            left.append(LeftOut(run.obs_id, "", "selection", reason))
            continue
        missing = _missing(run)
        if missing is not None:
            left.append(missing)
            continue
        chosen.append(run)
    left += [
        LeftOut(-1, path.name, "selection", "in the store's folder but not in its index")
        for path in catalogue.unindexed
    ]
    if not near and not asked:
        raise TargetError(
            f"{target.name} lies outside the field of view of all {len(catalogue.runs)} runs of "
            f"{catalogue.root}",
            "Check the target and the store; selection.max_offset sets the largest offset.",
        )
    if not chosen:
        reasons = "; ".join(f"run {x.obs_id}: {x.reason}" for x in left[:5])
        raise NoDataError(
            f"no run of {catalogue.root} is left for {target.name} ({reasons or 'none near it'})",
            "Widen the selection (night, times, runs, zenith, offset).",
        )
    chosen.sort(key=lambda r: (r.start.mjd if r.start is not None else 0.0, r.obs_id))
    return Selection(tuple(chosen), tuple(left))


def _near(runs: Sequence[RunEntry], target: Target, config: SelectionConfig) -> set[int]:
    if target.tag and target.blank_fields:
        return {r.obs_id for r in runs if r.tag == target.tag}
    if not runs:
        return set()
    pointing = SkyCoord([r.ra_pnt_deg for r in runs], [r.dec_pnt_deg for r in runs], unit="deg")
    close = pointing.separation(target.position) <= config.max_offset
    return {
        run.obs_id
        for run, inside in zip(runs, close, strict=True)
        if inside and (not target.tag or run.tag == target.tag)
    }


def _far_reason(run: RunEntry, target: Target, config: SelectionConfig) -> str:
    if target.tag and run.tag != target.tag:
        return f"its TARGET_TAG is {run.tag!r}, not {target.tag!r}"
    pointing = SkyCoord(run.ra_pnt_deg, run.dec_pnt_deg, unit="deg")
    offset = float(pointing.separation(target.position).deg)
    limit = float(config.max_offset.to_value("deg"))
    return f"target {offset:.2f} deg from the pointing, above {limit:g} deg"


def _missing(run: RunEntry) -> LeftOut | None:
    if not run.hdus:
        return LeftOut(run.obs_id, "", "reading", "the HDU index has no row for this run")
    gone = [path for path in run.files if not path.is_file()]
    if gone:
        return LeftOut(
            run.obs_id, gone[0].name, "reading", f"the index names {gone[0].name}, which is missing"
        )
    return None


def blank_position(run: RunEntry, offset: u.Quantity) -> SkyCoord:
    """Test position of a blank field: north of the pointing (south near the pole).

    Parameters
    ----------
    run
        Its pointing counts.
    offset
        Angle from the pointing.
    """
    sign = 1 if run.dec_pnt_deg < 89 - offset.to_value("deg") else -1
    pointing = SkyCoord(run.ra_pnt_deg, run.dec_pnt_deg, unit="deg")
    angle = 0 * u.deg if sign > 0 else 180 * u.deg
    return pointing.directional_offset_by(angle, np.abs(offset))
