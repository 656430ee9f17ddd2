"""The 45 blank fields of the H.E.S.S. public data: no detection, significances of a unit normal.

``python -m benchmarks.blank_fields [--store DIR]`` runs ``daybreak analyse offdata``: in each run a
test position 0.5 deg north of the pointing, as far as a wobble target would be, everything else as
for any source. The runs are then reduced again with the position to the east, south and west, by
the same functions: four times the statistics, and a gradient across the field would show.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.stats import kstest

import daybreak
from benchmarks.tables import OUT, ROOT, markdown, mean_and_width, publish, shown, stamp
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science.dl3.files import HduLocation
from daybreak.science.observation import load_run
from daybreak.science.reduce import reduce_run
from daybreak.science.run import ReductionSetup
from daybreak.science.stack import total_counts

DIRECTIONS = {"east": 90, "south": 180, "west": 270}


def default_store() -> Path:
    """Where the tests look for it too."""
    data = os.environ.get("DAYBREAK_TEST_DATA", ROOT.parent / "shared" / "data")
    return Path(data) / "hess-dl3-dr1"


def other_positions(store: Path) -> dict[str, list[float]]:
    """Significance of each run at the same offset in the other directions."""
    request = analysis_request(
        "offdata", store=store, out=OUT / "none", options={"maps": {"enabled": False}}
    )
    plan = first_stage(request).plan
    found: dict[str, list[float]] = {name: [] for name in DIRECTIONS}
    for step in plan.steps:
        if "hdus" not in step.params:
            continue
        hdus = {
            h["kind"]: HduLocation(h["kind"], h["hdu_class"], Path(h["path"]), h["hdu"])
            for h in step.params["hdus"]
        }
        run = load_run(step.params["obs_id"], hdus)
        setup = ReductionSetup.from_dict(step.params["setup"])
        pointing = SkyCoord(run.ra_pnt_deg, run.dec_pnt_deg, unit="deg")
        offset = pointing.separation(setup.on.center)
        for name, angle in DIRECTIONS.items():
            place = pointing.directional_offset_by(angle * u.deg, offset)
            here = {"ra_deg": float(place.ra.deg), "dec_deg": float(place.dec.deg)}
            exclude = (replace(setup.exclude[0], **here), *setup.exclude[1:])
            moved = replace(setup, on=replace(setup.on, **here), exclude=exclude)
            counts = total_counts([reduce_run(run, moved)], "reflected")
            found[name].append(counts.significance)
    return found


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=default_store())
    store = parser.parse_args(args).store
    if not (store / "obs-index.fits.gz").is_file():
        print(f"blank fields: skipped, no store at {store} (set DAYBREAK_TEST_DATA)")
        return 0
    out = OUT / "blank-fields"
    shutil.rmtree(out, ignore_errors=True)
    result = daybreak.analyse("offdata", store=store, out=out)
    runs = result.table("runs")
    stats = mean_and_width(runs["significance"])
    counts = result.results["counts"]
    maps = json.loads((out / "results.json").read_text())["maps"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        others = other_positions(store)
    four = [*runs["significance"], *(x for values in others.values() for x in values)]
    rows = [
        [f"significance, {name}", shown(found, "mean"), shown(found, "width")]
        for name, found in (
            (f"{len(runs)} runs, north (daybreak analyse)", stats),
            *((f"{name}", mean_and_width(values)) for name, values in others.items()),
            (f"all four positions ({len(four)})", mean_and_width(four)),
        )
    ]
    for method in ("ring", "fov"):
        if maps and maps.get(method):
            entry = maps[method]
            rows.append(
                [f"{method} map of all runs, OFF pixels"]
                + [f"{entry[f'off_{k}']:.2f} ± {entry[f'off_{k}_error']:.2f}"
                   for k in ("mean", "width")]
            )  # fmt: skip
    p_value = kstest(np.asarray(runs["significance"], float), "norm").pvalue
    text = "\n".join(
        [
            markdown(["", "mean", "width"], rows),
            "",
            f"All runs together: ON {counts['n_on']:.0f}, OFF {counts['n_off']:.0f}, alpha "
            f"{counts['alpha']:.4f}, {counts['significance']:+.2f} sigma in "
            f"{counts['livetime_h']:.2f} h; {len(result.results['runs_left_out'])} runs left out, "
            f"{len(result.failed)} steps failed. Kolmogorov-Smirnov of the 45 significances "
            f"at the northern positions against a unit normal: p = {p_value:.2f}.",
            f"Largest: {_extremes(runs)}.",
            f"{stamp()}",
        ]
    )
    block = {
        "significance": stats,
        "others": others,
        "four": mean_and_width(four),
        "counts": counts,
        "ks_p_value": float(p_value),
    }
    publish("blank_fields", text, block | {"maps": _short(maps)})
    quiet = abs(counts["significance"]) < 5 and not result.results["detected"]
    return 0 if quiet and not result.failed else 1


def _short(maps: dict[str, object] | None) -> dict[str, object]:
    return {k: v for k, v in (maps or {}).items() if k != "histogram"}


def _extremes(runs: Table) -> str:
    """The runs farthest from zero, with what is known of them."""
    order = np.argsort(-np.abs(np.asarray(runs["significance"], float)))[:3]
    words = []
    for row in runs[order]:
        flags = f", {row['flags']}" if row["flags"] else ""
        words.append(
            f"run {row['obs_id']} ({row['object']}) {row['significance']:+.1f} sigma "
            f"(ON {row['n_on']:.0f}, alpha x OFF {row['alpha'] * row['n_off']:.1f}{flags})"
        )
    return "; ".join(words)


if __name__ == "__main__":
    raise SystemExit(main())
