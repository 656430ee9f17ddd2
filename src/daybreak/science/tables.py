"""Results as Astropy tables: the contract is in docs/products.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from daybreak.config.analysis import QualityConfig
from daybreak.science.circle import Circle
from daybreak.science.quality import run_flags
from daybreak.science.run import FloatArray, ReducedRun
from daybreak.science.stack import Counts, total_counts


def runs_table(runs: Sequence[ReducedRun], method: str, config: QualityConfig) -> Table:
    """Run table, one row per run used, in order of time.

    Parameters
    ----------
    runs
        The reduced runs.
    method
        Which background: ``reflected`` or ``fov``.
    config
        Limits of the quality flags.
    """
    rows = []
    for run in runs:
        info = run.info
        usable = method in run.backgrounds
        counts = total_counts([run], method) if usable else None
        flags = run_flags(info, config)
        if not usable:
            flags.append("NO_OFF_REGION")
        minutes = run.livetime_s / 60
        nan = float("nan")
        rows.append(
            {
                "obs_id": run.obs_id,
                "object": info["object"],
                "night": info["night"],
                "tstart": info["tstart"],
                "tstop": info["tstop"],
                "ontime": info["ontime_s"],
                "livetime": run.livetime_s,
                "livetime_header": info["livetime_header_s"],
                "zenith": info["zenith_deg"],
                "offset": info["offset_deg"],
                "threshold": info["threshold_tev"],
                "n_on": counts.n_on if counts else float(run.counts_on[run.mask_safe].sum()),
                "n_off": counts.n_off if counts else nan,
                "alpha": counts.alpha if counts else nan,
                "excess": counts.excess if counts else nan,
                "excess_error": counts.excess_error if counts else nan,
                "significance": counts.significance if counts else nan,
                "gamma_rate": counts.excess / minutes if counts else nan,
                "gamma_rate_error": counts.excess_error / minutes if counts else nan,
                "background_ratio": info["background_ratio"],
                "background_ratio_error": info["background_ratio_error"],
                "n_off_regions": info["n_off_regions"],
                "events": info["events"],
                "events_doubled": info["events_doubled"],
                "events_outside_gti": info["events_outside_gti"],
                "events_far": info["events_far"],
                "in_spectrum": usable and bool(run.mask_safe.any()),
                "in_maps": bool(info["in_maps"]),
                "flags": ";".join(flags),
            }
        )
    table = Table(rows=rows)
    units = {
        "ontime": u.s,
        "livetime": u.s,
        "livetime_header": u.s,
        "zenith": u.deg,
        "offset": u.deg,
        "threshold": u.TeV,
        "gamma_rate": 1 / u.min,
        "gamma_rate_error": 1 / u.min,
    }
    for name, unit in units.items():
        table[name].unit = unit
    return table


def oddities_table(runs: Sequence[ReducedRun]) -> Table:
    """What was odd about the files of the runs, a row for each oddity.

    Parameters
    ----------
    runs
        The reduced runs.
    """
    rows = [(run.obs_id, flag, text) for run in runs for flag, text in run.info["oddities"]]
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    names, dtypes = ("obs_id", "flag", "text"), (int, str, str)
    return Table({n: np.array(c, dtype=d) for n, c, d in zip(names, columns, dtypes, strict=True)})


def counts_header(counts: Counts) -> dict[str, float]:
    """Summed counts for a table header.

    Parameters
    ----------
    counts
        Summed counts.
    """
    return {key: float(value) for key, value in asdict(counts).items()}


def theta2_table(
    runs: Sequence[ReducedRun],
    edges_deg2: FloatArray,
    on_radius_deg: float,
    totals: Counts,
    fov_background: FloatArray | None,
) -> Table:
    """theta² histogram stacked over runs.

    Parameters
    ----------
    runs
        Runs with theta² counts.
    edges_deg2
        Bin edges.
    on_radius_deg
        NaN for RAD_MAX.
    totals
        Counts within the cut, for the header.
    fov_background
        Background per bin of the FoV method, None for OFF positions.
    """
    n = len(edges_deg2) - 1
    n_on, n_off = np.zeros(n), np.zeros(n)
    background, variance = np.zeros(n), np.zeros(n)
    missing = np.zeros(n, dtype=bool)
    for run in runs:
        if run.theta2 is None:
            continue
        item = run.theta2
        n_on += item.n_on
        share = np.divide(1.0, item.n_positions, out=np.zeros(n), where=item.n_positions > 0)
        missing |= item.n_positions == 0
        n_off += item.n_off
        background += share * item.n_off
        variance += share**2 * item.n_off
    if fov_background is not None:
        background, variance = fov_background, np.zeros(n)
        n_off = np.full(n, np.nan)
    else:
        background = np.where(missing, np.nan, background)
    table = Table(
        {
            "theta2_min": edges_deg2[:-1] * u.deg**2,
            "theta2_max": edges_deg2[1:] * u.deg**2,
            "n_on": n_on,
            "n_off": n_off,
            "background": background,
            "background_error": np.sqrt(variance),
            "excess": n_on - background,
            "excess_error": np.sqrt(n_on + variance),
        }
    )
    livetime = sum(run.livetime_s for run in runs) / 3600
    table.meta.update(counts_header(totals), cut=on_radius_deg**2, livetime_h=livetime)
    return table


def cumulative_table(runs: Sequence[ReducedRun], method: str) -> Table:
    """Counts and significance after each run.

    Parameters
    ----------
    runs
        The reduced runs.
    method
        Which background: ``reflected`` or ``fov``.
    """
    rows = []
    livetime = 0.0
    for number, run in enumerate(runs, 1):
        livetime += run.livetime_s / 3600
        counts = total_counts(runs[:number], method)
        row = {"obs_id": run.obs_id, "tstop": run.info["tstop"], "livetime": livetime}
        rows.append(row | asdict(counts))
    table = Table(rows=rows)
    table["livetime"].unit = u.h
    return table


def regions_table(runs: Sequence[ReducedRun], method: str) -> Table:
    """Pointings and ON regions of all runs, OFF regions where they are the background.

    Parameters
    ----------
    runs
        The reduced runs.
    method
        Which background: ``reflected`` or ``fov``.
    """
    rows = [
        {
            "obs_id": run.obs_id,
            "kind": kind,
            "ra": circle.ra_deg,
            "dec": circle.dec_deg,
            "radius": circle.radius_deg,
        }
        for run in runs
        for kind, circle in run.regions
        if kind != "off" or method == "reflected"
    ]
    return _degrees(Table(rows=rows))


def circles_table(circles: Sequence[Circle]) -> Table:
    """Excluded circles.

    Parameters
    ----------
    circles
        The circles.
    """
    table = Table(
        {
            "name": np.array([c.name for c in circles], dtype=str),
            "ra": np.array([c.ra_deg for c in circles], dtype=float),
            "dec": np.array([c.dec_deg for c in circles], dtype=float),
            "radius": np.array([c.radius_deg for c in circles], dtype=float),
        }
    )
    return _degrees(table)


def _degrees(table: Table) -> Table:
    for name in ("ra", "dec", "radius"):
        table[name].unit = u.deg
    return table


def left_out_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Runs and files that are not used, with reasons.

    Parameters
    ----------
    rows
        With ``obs_id``, ``file``, ``stage`` and ``reason``.
    """
    columns = ("obs_id", "file", "stage", "reason")
    data = {name: [row[name] for row in rows] for name in columns}
    dtypes = {"obs_id": int, "file": str, "stage": str, "reason": str}
    return Table({name: np.array(data[name], dtype=dtypes[name]) for name in columns})
