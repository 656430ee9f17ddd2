"""Coverage of the sky scan's contours, on tracks of our own with injected truth.

    python -m benchmarks.coverage_tracks run OUT.jsonl --events 1000
    python -m benchmarks.coverage_tracks calibrate OUT.jsonl
    python -m benchmarks.coverage_tracks report OUT.jsonl

Events with even seeds give the levels of the contours, those with odd seeds test them. The best
direction is searched as in the scan, but quicker: finer pixels around the best ones, ended by a
simplex in direction instead of the finest pixels, and one more simplex that starts at the truth, so
that the true minimum is never missed. Running again goes on where the file ends.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

LIKELIHOOD = "pandel-mpe"
LEVELS = ((4, 8), (16, 3))
MIN_DOMS = 30
NEAR_DEG, WORTH_LLH = 5.0, 100.0
CALIBRATION = Path("src/daybreak/neutrino/data/calibration.json")


def separation_deg(zenith1, azimuth1, zenith2, azimuth2):
    a = np.stack([np.sin(zenith1) * np.cos(azimuth1), np.sin(zenith1) * np.sin(azimuth1),
                  np.cos(zenith1)])  # fmt: skip
    b = np.stack([np.sin(zenith2) * np.cos(azimuth2), np.sin(zenith2) * np.sin(azimuth2),
                  np.cos(zenith2)])  # fmt: skip
    chord = np.linalg.norm((a.T - b.T).T, axis=0)
    return np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1)))


def _centres(nside, pixels):
    from astropy_healpix import healpy

    theta, phi = healpy.pix2ang(nside, np.asarray(pixels), nest=True)
    return theta, phi


def _polish(prepared, zenith, azimuth, vertex):
    """Best direction near a start, by a simplex in the tangent plane."""
    from scipy.optimize import minimize

    axis = np.array([math.sin(zenith) * math.cos(azimuth), math.sin(zenith) * math.sin(azimuth),
                     math.cos(zenith)])  # fmt: skip
    east = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    north = np.cross(axis, east)
    last = [np.asarray(vertex)]

    def direction(x):
        at = axis + x[0] * east + x[1] * north
        at /= np.linalg.norm(at)
        return math.acos(at[2]), math.atan2(at[1], at[0])

    def value(x):
        z, a = direction(x)
        seeds = np.array([[last[0]]])
        row = prepared.fit_many(np.array([z]), np.array([a]), seeds)[0]
        return float(row["llh"])

    size = math.radians(0.5)
    found = minimize(
        value, [0.0, 0.0], method="Nelder-Mead",
        options={"initial_simplex": [[0, 0], [size, 0], [0, size]], "xatol": math.radians(0.01),
                 "fatol": 0.02, "maxfev": 70},
    )  # fmt: skip
    return float(found.fun), *direction(found.x)


def search(prepared, truth):
    """Best value and direction over the whole sky."""
    pixels = np.arange(12 * LEVELS[0][0] ** 2)
    seeds = np.empty((len(pixels), 0, 4))  # the fit starts from the centre of charge by itself
    for level, (nside, keep) in enumerate(LEVELS):
        zenith, azimuth = _centres(nside, pixels)
        rows = prepared.fit_many(zenith, azimuth, seeds)
        order = np.argsort(rows["llh"])[:keep]
        vertex = np.stack([rows[n] for n in ("x_m", "y_m", "z_m", "t_ns")], axis=1)
        if level + 1 < len(LEVELS):
            ratio = (LEVELS[level + 1][0] // nside) ** 2
            pixels = (pixels[order][:, None] * ratio + np.arange(ratio)).ravel()
            seeds = np.repeat(vertex[order], ratio, axis=0)[:, None]
    best = _polish(
        prepared, truth.zenith_rad, truth.azimuth_rad, [*truth.xyz_m, truth.time_ns]
    )  # fmt: skip
    away = separation_deg(zenith, azimuth, best[1], best[2])
    for i in order:
        # a pixel near it has the same minimum; one that is much worse none that is better
        if away[i] > NEAR_DEG and rows["llh"][i] < best[0] + WORTH_LLH:
            best = min(best, _polish(prepared, zenith[i], azimuth[i], vertex[i]))
    return best


def one(seed):
    from daybreak.neutrino.cleaning import clean
    from daybreak.neutrino.likelihood import get_likelihood
    from daybreak.simulate.tracks import simulate_useful_track

    event = simulate_useful_track(seed, min_doms=MIN_DOMS)
    pulses, truth = clean(event), event.truth
    prepared = get_likelihood(LIKELIHOOD, ice="built-in").prepare(event)
    start = time.process_time()
    best, zenith, azimuth = search(prepared, truth)
    spent = time.process_time() - start
    seeds = np.array([[tuple(s) for s in prepared.seeds()] + [(*truth.xyz_m, truth.time_ns)]])
    at_truth = prepared.fit_many(
        np.array([truth.zenith_rad]), np.array([truth.azimuth_rad]), seeds
    )[0]  # fmt: skip
    return {
        "seed": seed, "energy_gev": truth.energy_gev, "zenith_rad": truth.zenith_rad,
        "n_doms": prepared.n_doms, "qtot": pulses.qtot, "llh": best,
        "ts_truth": 2 * max(float(at_truth["llh"]) - best, 0.0),
        "error_deg": float(
            separation_deg(zenith, azimuth, truth.zenith_rad, truth.azimuth_rad)
        ),
        "cpu_s": spent,
    }  # fmt: skip


def run(path, events, first):
    done = {row["seed"] for row in read(path)}
    for seed in range(first, first + events):
        if seed not in done:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(one(seed)) + "\n")


def read(path):
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _column(rows, name):
    return np.array([row[name] for row in rows], float)


def calibrate(path, target):
    rows = [row for row in read(path) if row["seed"] % 2 == 0]
    ts = np.maximum(_column(rows, "ts_truth"), 0.0)
    levels = {q: float(np.quantile(ts, q / 100)) for q in (50, 90)}
    rng = np.random.default_rng(1)
    spread = {
        q: float(np.std([np.quantile(rng.choice(ts, len(ts)), q / 100) for _ in range(400)]))
        for q in (50, 90)
    }
    energy = _column(rows, "energy_gev")
    entry = {
        "ts_50": round(levels[50], 2),
        "ts_90": round(levels[90], 2),
        "ts_50_error": round(spread[50], 2),
        "ts_90_error": round(spread[90], 2),
        "events": len(rows),
        "conditions": (
            f"own simulated muons of {energy.min():.2g} to {energy.max():.2g} GeV (log-uniform), "
            f"isotropic, at least {MIN_DOMS} DOMs after cleaning, built-in 78-string detector, "
            "built-in ice whose scattering and absorption each differ by 7 % (log-normal), time "
            "resolution 3 ns"
        ),
        "source": (
            f"own resimulation of {len(rows)} muon tracks with injected truth "
            "(benchmarks/coverage_tracks.py)"
        ),
    }
    old = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    new = {"schema": 1, "likelihoods": (old.get("likelihoods") or {}) | {LIKELIHOOD: entry}}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")
    return entry


def report(path, target):
    entry = json.loads(target.read_text(encoding="utf-8"))["likelihoods"][LIKELIHOOD]
    rows = [row for row in read(path) if row["seed"] % 2 == 1]
    groups = {
        "all": rows,
        "60 DOMs and more": [r for r in rows if r["n_doms"] >= 60],
        "fewer than 60 DOMs": [r for r in rows if r["n_doms"] < 60],
    }
    lines = ["| tracks | events | median error (deg) | 90 % below (deg) | in 50 % contour "
             "| in 90 % contour | Wilks 50 % | Wilks 90 % | CPU s per event |",
             "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, part in groups.items():
        if not part:
            continue
        error, ts = _column(part, "error_deg"), _column(part, "ts_truth")
        inside = [np.mean(ts <= level) for level in
                  (entry["ts_50"], entry["ts_90"], 2 * math.log(2), 2 * math.log(10))]  # fmt: skip
        shown = [
            f"{100 * p:.1f} ± {100 * math.sqrt(p * (1 - p) / len(part)):.1f} %" for p in inside
        ]
        lines.append(
            f"| {name} | {len(part)} | {np.median(error):.2f} | {np.quantile(error, 0.9):.2f} | "
            f"{' | '.join(shown)} | {_column(part, 'cpu_s').mean():.2f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "calibrate", "report"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--first", type=int, default=10_000)
    args = parser.parse_args()
    if args.what == "run":
        run(args.file, args.events, args.first)
    elif args.what == "calibrate":
        print(json.dumps(calibrate(args.file, CALIBRATION), indent=2))
    else:
        print(report(args.file, CALIBRATION))


if __name__ == "__main__":
    main()
