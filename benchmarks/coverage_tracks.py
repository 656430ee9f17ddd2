"""Coverage of the sky scan's contours, on tracks of our own with injected truth.

    python -m benchmarks.coverage_tracks run OUT.jsonl --events 1000 [--only even] [--part 0/2]
    python -m benchmarks.coverage_tracks calibrate OUT.jsonl
    python -m benchmarks.coverage_tracks report OUT.jsonl

Each event is written to a file and scanned as `daybreak scan` does, from nside 1 to 512, without
knowledge of the truth. Events with even seeds give the levels of the contours, those with odd seeds
test them. Running again goes on where the file ends; several parts can run at the same time.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np

LIKELIHOOD = "pandel-mpe"
MIN_DOMS = 30
CALIBRATION = Path("src/daybreak/neutrino/data/calibration.json")


def _scan(prepared, folder):
    """A whole scan on this thread; its tree and its outcome."""
    from daybreak.requests.scan.products import fits_from

    from daybreak.neutrino.result import outcome
    from daybreak.neutrino.scan import pools
    from daybreak.neutrino.scan.driver import Scan
    from daybreak.neutrino.scan.journal import Journal
    from daybreak.neutrino.scan.tree import Tree
    from daybreak.requests.scan.prepare import to_local

    tree, place = Tree(prepared.settings), to_local(prepared)
    seeds = np.array([tuple(s) for s in prepared.prepared.seeds()], float).reshape(-1, 4)
    with (
        Journal(folder / "pixels.bin", prepared.fit_key()) as journal,
        pools.threads(prepared.prepared, 1) as pool,
    ):
        run = Scan(tree, journal, pool, place, seeds).run()
    return outcome(tree, run, place, fits_from(prepared), prepared.calibration)


def one(seed, nsides):
    from daybreak.neutrino.contours import contains
    from daybreak.neutrino.coordinates import to_icrs
    from daybreak.neutrino.event_io import write_event
    from daybreak.requests.scan.prepare import prepare_scan
    from daybreak.simulate.tracks import simulate_useful_track

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "event.json"
        write_event(simulate_useful_track(seed, min_doms=MIN_DOMS), path)
        prepared = prepare_scan(
            path, nsides=nsides, likelihood=LIKELIHOOD, options={"ice": "built-in"}, force=True
        )
        start = time.process_time()
        found = _scan(prepared, Path(name))
        spent = time.process_time() - start
    truth, best = prepared.event.truth, found.best
    zenith, azimuth = np.array([truth.zenith_rad]), np.array([truth.azimuth_rad])
    starts = [tuple(s) for s in prepared.prepared.seeds()]
    starts += [(best.x_m, best.y_m, best.z_m, best.t_ns), (*truth.xyz_m, truth.time_ns)]
    at_truth = prepared.prepared.fit_many(zenith, azimuth, np.array([starts]))[0]
    ra, dec = (
        float(np.degrees(v[0])) for v in to_icrs(zenith, azimuth, prepared.event.header.start)
    )
    return {
        "seed": seed, "energy_gev": truth.energy_gev, "zenith_rad": truth.zenith_rad,
        "n_doms": int(prepared.prepared.n_doms), "refused": bool(prepared.forced),
        "llh": best.llh, "ts_truth": 2 * (float(at_truth["llh"]) - best.llh),
        "levels": [prepared.calibration.ts_50, prepared.calibration.ts_90],
        "inside": [bool(contains(c, ra, dec)) for c in found.contours],
        "area_90_deg2": float(found.contours[1].area_deg2),
        "error_deg": _separation_deg(best.ra_deg, best.dec_deg, ra, dec),
        "nsides": nsides, "pixels": found.pixels, "cpu_s": spent,
    }  # fmt: skip


def _separation_deg(ra1, dec1, ra2, dec2):
    from astropy.coordinates import angular_separation

    return float(np.degrees(angular_separation(*np.radians([ra1, dec1, ra2, dec2]))))


def run(path, seeds, nsides):
    done = {row["seed"] for row in read(path)}
    for seed in seeds:
        if seed not in done:
            line = json.dumps(one(seed, nsides)) + "\n"
            with path.open("a", encoding="utf-8") as file:
                file.write(line)


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
    parser.add_argument("--only", choices=("even", "odd"))
    parser.add_argument("--part", default="0/1", help="i/n: every n-th of the events, from i")
    parser.add_argument("--nsides", default="1,8,64,512")
    args = parser.parse_args()
    if args.what == "run":
        seeds = range(args.first, args.first + args.events)
        wanted = [s for s in seeds if args.only is None or s % 2 == (args.only == "odd")]
        part, parts = map(int, args.part.split("/"))
        run(args.file, wanted[part::parts], [int(n) for n in args.nsides.split(",")])
    elif args.what == "calibrate":
        print(json.dumps(calibrate(args.file, CALIBRATION), indent=2))
    else:
        print(report(args.file, CALIBRATION))


if __name__ == "__main__":
    main()
