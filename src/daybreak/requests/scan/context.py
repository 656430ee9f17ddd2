"""What a scan's report needs beside its tables: the event, the settings, what is near."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daybreak.neutrino.cleaning import clean
from daybreak.products.jsonvalues import plain_json

if TYPE_CHECKING:
    from daybreak.neutrino.event import Event, Reco
    from daybreak.neutrino.result import ScanOutcome
    from daybreak.neutrino.scan.driver import ScanRun
    from daybreak.neutrino.scan.tree import Tree
    from daybreak.requests.scan.prepare import PreparedScan

_NEARBY_DEG = 3.0
_MOST_NEARBY = 20
#: two directions that differ by less are one that was rounded
_SAME_DEG = 0.001
TIME_CONVENTION = (
    "ICRS at the event's start time; site at latitude -89.9944 deg, longitude -62.6081 deg; "
    "UT1 - UTC taken as 0, no refraction (as IceCube's own conversion)"
)


def fits_from(prepared: PreparedScan) -> Any:
    """Fits at directions, from one vertex.

    Parameters
    ----------
    prepared
        The scan's event and likelihood.

    Returns
    -------
    callable
        Of zenith and azimuth (rad, shape (n,)) and a vertex (x, y, z in m, t in ns); gives -log L,
        shape (n,), and the fitted vertices, shape (n, 4).
    """

    def evaluate(zenith: Any, azimuth: Any, vertex: Any) -> tuple[Any, Any]:
        seeds = np.asarray(vertex, float).reshape(1, 1, 4)
        found = prepared.prepared.fit_many(
            np.asarray(zenith, float),
            np.asarray(azimuth, float),
            np.repeat(seeds, len(zenith), axis=0),
        )
        return found["llh"].astype(float), np.stack(
            [found[n].astype(float) for n in ("x_m", "y_m", "z_m", "t_ns")], axis=1
        )

    return evaluate


def scan_context(
    prepared: PreparedScan, tree: Tree, run: ScanRun, pool: dict[str, Any], result: ScanOutcome
) -> dict[str, Any]:
    """What the report needs and no table holds.

    Parameters
    ----------
    prepared
        Event, likelihood and settings.
    tree, run
        The pixels that were fitted, and how that went.
    pool
        ``engine``, ``workers`` and ``resumed_pixels``.
    result
        Minima, contours and their levels.

    Returns
    -------
    dict
        What JSON can hold.
    """
    from daybreak.neutrino.labels import labels

    event, best = prepared.event, result.best
    region = prepared.settings.around
    cpu_s = sum(float(tree.rows(level)["seconds"].sum()) for level in range(len(tree.nsides)))
    found = labels(
        event, prepared.prepared.n_doms, result, forced=prepared.forced, region=region is not None
    )
    return {
        "event": _event_block(event),
        "counts": _counts(prepared),
        "message": {k: v for k, v in event.message.items() if isinstance(v, (int, float, str))},
        "likelihood": {
            "name": prepared.likelihood,
            "hit_doms": int(prepared.prepared.n_doms),
            "info": plain_json(dict(prepared.prepared.info)),
        },
        "settings": prepared.settings.as_dict(),
        "time_convention": TIME_CONVENTION,
        "calibration": dict(vars(result.calibration)) | {"scale": result.probability_scale},
        "labels": [{"name": name, "text": text} for name, text in found],
        "complete": run.complete,
        "capped_nsides": list(result.capped),
        "work": {
            "pixels": result.pixels,
            "pixels_guessed": result.guessed,
            "pixels_fitted_now": run.fitted,
            "evaluations": int(sum(rows["evaluations"].sum() for _, rows in result.levels)),
            "cpu_s": cpu_s,
            "wall_s": run.wall_s,
            **pool,
        },
        "recos": _recos(event, best.zenith_deg, best.azimuth_deg, result),
        "truth": _truth(prepared, result),
        "nearby": _nearby(result),
    }


def _event_block(event: Event) -> dict[str, Any]:
    header, start = event.header, event.header.start
    return {
        "run": int(header.run),
        "event": int(header.event),
        "subrun": int(header.subrun),
        "sub_event": int(header.sub_event),
        "stream": str(header.stream),
        "kind": event.kind,
        "source": Path(event.source).name,
        "start_utc": None if start is None else start.utc.isot,
        "mjd": None if start is None else float(start.utc.mjd),
        "detector": event.geometry.name,
        "simulated": event.truth is not None or "simulation" in event.kind,
    }


def _counts(prepared: PreparedScan) -> dict[str, Any]:
    pulses = clean(prepared.event)
    return {"nch": pulses.n_doms, "npulses": len(pulses), "qtot": pulses.qtot}


def _separation_deg(zenith: float, azimuth: float, zenith_2: float, azimuth_2: float) -> float:
    from daybreak.neutrino.scan.pixels import separation_rad

    values = np.radians([azimuth, 90 - zenith, azimuth_2, 90 - zenith_2])
    away = separation_rad(values[0], values[1], values[2:3], values[3:4])
    return float(np.degrees(away[0]))


def _direction(event: Event, reco: Reco) -> dict[str, Any]:
    from daybreak.neutrino.coordinates import to_icrs

    ra, dec = to_icrs(np.array([reco.zenith_rad]), np.array([reco.azimuth_rad]), event.header.start)
    return {
        "name": reco.name,
        "zenith_deg": float(np.degrees(reco.zenith_rad)),
        "azimuth_deg": float(np.degrees(reco.azimuth_rad)),
        "ra_deg": float(np.degrees(np.ravel(ra)[0])) % 360.0,
        "dec_deg": float(np.degrees(np.ravel(dec)[0])),
        "logl": reco.logl,
    }


def _recos(
    event: Event, zenith_deg: float, azimuth_deg: float, result: ScanOutcome
) -> list[dict[str, Any]]:
    """Reconstructions that the file carries, and how far they are from the best fit."""
    found = []
    for reco in event.recos.values():
        if not np.isfinite([reco.zenith_rad, reco.azimuth_rad]).all():
            continue
        block = _direction(event, reco)
        block["logl"] = None if reco.logl is None or not np.isfinite(reco.logl) else reco.logl
        block["separation_deg"] = _separation_deg(
            zenith_deg, azimuth_deg, block["zenith_deg"], block["azimuth_deg"]
        )
        found.append(block)
    return sorted(_each_once(found), key=lambda b: (b["separation_deg"], b["name"]))


def _each_once(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what a message repeats from its frames under a shorter name, e.g. ``splinempe``."""
    kept: list[dict[str, Any]] = []
    for block in sorted(blocks, key=lambda b: (-len(b["name"]), b["name"])):
        ending = block["name"].lower()
        place = block["zenith_deg"], block["azimuth_deg"]
        if not any(
            other["name"].lower().endswith(ending)
            and _separation_deg(*place, other["zenith_deg"], other["azimuth_deg"]) < _SAME_DEG
            for other in kept
        ):
            kept.append(block)
    return kept


def _truth(prepared: PreparedScan, result: ScanOutcome) -> dict[str, Any] | None:
    """The simulated direction: how far it is, and which contours hold it."""
    from daybreak.neutrino.contours import contains

    event, best = prepared.event, result.best
    if event.truth is None:
        return None
    block = _direction(event, event.truth)
    vertex = np.array([best.x_m, best.y_m, best.z_m, best.t_ns])
    place = np.array([event.truth.zenith_rad]), np.array([event.truth.azimuth_rad])
    llh, _ = fits_from(prepared)(*place, vertex)
    block.pop("logl")
    return block | {
        "separation_deg": _separation_deg(
            best.zenith_deg, best.azimuth_deg, block["zenith_deg"], block["azimuth_deg"]
        ),
        "ts": 2 * (float(llh[0]) - best.llh),
        "inside_50": contains(result.contours[0], block["ra_deg"], block["dec_deg"]),
        "inside_90": contains(result.contours[1], block["ra_deg"], block["dec_deg"]),
    }


def _nearby(result: ScanOutcome) -> list[dict[str, Any]]:
    """Known TeV sources near the best fit or inside the 90 % contour."""
    from daybreak.neutrino.contours import contains
    from daybreak.neutrino.scan.pixels import separation_rad
    from daybreak.runs.targets import known_sources

    best, wide = result.best, result.contours[1]
    found: list[dict[str, Any]] = []
    for source in known_sources():
        away = separation_rad(
            np.radians(best.ra_deg), np.radians(best.dec_deg),
            np.radians(np.array([source.ra_deg])), np.radians(np.array([source.dec_deg])),
        )  # fmt: skip
        distance = float(np.degrees(away[0]))
        inside = [contains(c, source.ra_deg, source.dec_deg) for c in (result.contours[0], wide)]
        if distance <= _NEARBY_DEG or inside[1]:
            found.append(
                {
                    "name": source.name,
                    "ra_deg": source.ra_deg,
                    "dec_deg": source.dec_deg,
                    "separation_deg": distance,
                    "inside_50": inside[0],
                    "inside_90": inside[1],
                }
            )
    return sorted(found, key=lambda s: float(s["separation_deg"]))[:_MOST_NEARBY]
