"""Speed and memory of ``daybreak analyse`` against a straightforward Gammapy script.

``python -m benchmarks.speed [crab] [pks2155]`` runs both as whole processes, one after the other in
turn, checks that they found the same numbers, and prints the ratios. The script is
``benchmarks/peer/gammapy_tutorial.py``; Daybreak is given the script's axes, regions, edges and
bins by the settings below. The script is run once with all optional results of Gammapy's estimators
(``selection_optional="all"``, what the tutorials write), once without the sensitivity, which
Daybreak does not compute either.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from benchmarks.blank_fields import default_store
from benchmarks.gammapy_reference import reference
from benchmarks.measure import Cost, measure
from benchmarks.tables import OUT, ROOT, markdown, publish, stamp

PEER = ROOT / "benchmarks" / "peer" / "gammapy_tutorial.py"
FIT_TOLERANCE = 0.02  # of the error of phi and Gamma
POINT_TOLERANCE = 0.05  # of the error of a flux
QUIET_LOAD, LONGEST_WAIT_S = 0.7, 1200  # all waiting of one call together
POINT_EDGES = np.geomspace(0.1, 40, 28)[9:26:2]

#: the script's constants as settings of Daybreak
SETTINGS = (
    "regions.on_radius=0.11 deg",
    "regions.exclusion_radius=0.3 deg",
    "regions.exclude_known=false",
    "spectrum.energy_min=0.1 TeV",
    "spectrum.energy_max=40 TeV",
    "spectrum.bins_per_decade=10",
    "spectrum.true_min=0.05 TeV",
    "spectrum.true_max=100 TeV",
    "spectrum.true_bins_per_decade=20",
    "spectrum.reference=1 TeV",
    "spectrum.min_off_counts=0",
    f"spectrum.point_edges=[{', '.join(f'{edge:.6f} TeV' for edge in POINT_EDGES)}]",
    "lightcurve.energy_min=1 TeV",
    "lightcurve.energy_max=20 TeV",
    "lightcurve.minutes=5 min",
)


@dataclass(frozen=True)
class Case:
    """A source and what is required of it.

    Attributes
    ----------
    title, ra, dec, tags
        The source; the tags are the script's way to choose runs.
    rounds
        How often each program is run, by the script's selection; Daybreak as often as the most.
    required
        Least ratio of CPU time, by the script's selection.
    """

    title: str
    ra: float
    dec: float
    tags: tuple[str, ...]
    rounds: Mapping[str, int]
    required: Mapping[str, float]


CASES = {
    "crab": Case(
        "Crab, 4 runs",
        83.63308,
        22.01449,
        ("crab",),
        {"all": 2, "no-sensitivity": 3},
        {"all": 8, "no-sensitivity": 4},
    ),
    "pks2155": Case(
        "PKS 2155-304, 21 runs",
        329.71694,
        -30.22559,
        ("pks2155_flare", "pks2155_steady"),
        {"all": 1, "no-sensitivity": 2},
        {"all": 25, "no-sensitivity": 10},
    ),
}


def without_late_events(store: Path, copy: Path) -> Path:
    """A copy of the store whose runs hold no event outside their good time.

    The public files have up to a few such events after the end of a run. Gammapy keeps them,
    Daybreak drops them: without them both programs must count the same.
    """
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    tags = {tag for case in CASES.values() for tag in case.tags}
    index = Table.read(store / "obs-index.fits.gz")
    wanted = {int(row["OBS_ID"]) for row in index if str(row["TARGET_TAG"]).strip() in tags}
    files = Table.read(store / "hdu-index.fits.gz")
    for name in ("obs-index.fits.gz", "hdu-index.fits.gz"):
        shutil.copy2(store / name, copy / name)
    for row in files[np.char.strip(np.asarray(files["HDU_TYPE"], str)) == "events"]:
        relative = Path(str(row["FILE_DIR"]).strip()) / str(row["FILE_NAME"]).strip()
        (copy / relative).parent.mkdir(parents=True, exist_ok=True)
        if int(row["OBS_ID"]) not in wanted:
            (copy / relative).symlink_to(store / relative)
            continue
        with fits.open(store / relative) as hdulist:
            events, gti = hdulist["EVENTS"], hdulist["GTI"].data
            time = events.data["TIME"]
            inside = np.zeros(len(time), dtype=bool)
            for start, stop in zip(gti["START"], gti["STOP"], strict=True):
                inside |= (time >= start) & (time <= stop)
            events.data = events.data[inside]
            hdulist.writeto(copy / relative)
    return copy


def peer_command(case: Case, store: Path, out: Path, selection: str) -> list[str]:
    """The script's command line."""
    place = [f"--ra={case.ra}", f"--dec={case.dec}"]
    words = [sys.executable, str(PEER), str(store), str(out), *place, "--minutes", "5"]
    return [*words, "--selection", selection, "--tag", *case.tags]


def daybreak_command(case: Case, store: Path, out: Path) -> list[str]:
    """Daybreak's command line."""
    program = str(Path(sys.executable).parent / "daybreak")
    words = [program, "analyse", f"{case.ra} {case.dec}", "--store", str(store), "-o", str(out)]
    return [*words, *(word for text in SETTINGS for word in ("--set", text))]


class Patience:
    """Waits until the machine is quiet, in all not longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def wait(self) -> float:
        """Wait; the load then."""
        start = time.monotonic()
        while os.getloadavg()[0] > QUIET_LOAD and time.monotonic() - start < self.left:
            time.sleep(5)
        self.left -= time.monotonic() - start
        return os.getloadavg()[0]


def run_once(command: Sequence[str], out: Path, patience: Patience) -> tuple[Cost, float]:
    """Run one program into an empty folder; what it cost, and the load before."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    load = patience.wait()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    cost = measure(command, env=environment)
    print(f"{Path(command[1]).name if 'python' in command[0] else 'daybreak':22s} "
          f"{cost.cpu_s:7.1f} CPU s {cost.wall_s:7.1f} s {cost.peak_pss_mb:6.0f} MB "
          f"load before {load:.2f}", flush=True)  # fmt: skip
    if cost.exit_code != 0:
        raise SystemExit(f"{' '.join(command)} ended with {cost.exit_code}")
    return cost, load


def run_case(name: str, store: Path, patience: Patience) -> dict[str, Any]:
    """Run both programs in turn and compare what they found."""
    case, folder = CASES[name], OUT / "speed" / name
    costs: dict[str, list[dict[str, float]]] = {"daybreak": [], **{k: [] for k in case.rounds}}
    for number in range(max(case.rounds.values())):
        todo = {
            key: peer_command(case, store, folder / key, key)
            for key, rounds in case.rounds.items()
            if number < rounds
        }
        todo["daybreak"] = daybreak_command(case, store, folder / "daybreak")
        for key, command in todo.items():
            cost, load = run_once(command, folder / key, patience)
            costs[key].append({**asdict(cost), "load_before": load})
    return {"costs": costs, "checks": checks_of(name, store), "stamp": stamp()}


def checks_of(name: str, store: Path) -> dict[str, dict[str, float]]:
    """The comparison of Daybreak's numbers with each selection of the script."""
    case, folder = CASES[name], OUT / "speed" / name
    ours = Table.read(folder / "daybreak" / "results" / "lightcurve_run.ecsv", format="ascii.ecsv")
    low, high = ours.meta["e_min_tev"], ours.meta["e_max_tev"]
    exact = reference(case, store, corrected=True, curve_range_tev=(low, high))
    plain = reference(case, store, corrected=False)
    checks = {}
    for key in case.rounds:
        checks[key] = compare(folder / "daybreak", folder / key, exact)
        peer = json.loads((folder / key / "peer.json").read_text())["power_law"]
        for parameter in ("phi_1tev", "gamma"):
            difference = plain["power_law"][parameter] - peer[parameter]
            checks[key][f"reproduced_{parameter}"] = difference / peer[f"{parameter}_err"]
    return checks


def compare(ours: Path, theirs: Path, exact: Mapping[str, Any]) -> dict[str, float]:
    """Largest differences between both programs' numbers, each in units that mean something.

    Parameters
    ----------
    ours, theirs
        Output folders.
    exact
        The :func:`~benchmarks.gammapy_reference.reference` to agree with.
    """
    peer = json.loads((theirs / "peer.json").read_text())
    results = json.loads((ours / "results.json").read_text())
    runs = {run["obs_id"] for run in results["runs"]}
    if runs != set(peer["runs"]):
        raise SystemExit(f"not the same runs: {sorted(runs ^ set(peer['runs']))}")
    counts = results["counts"]
    chosen = {results["spectrum"]["chosen"], peer["model_of_points_and_curves"], exact["chosen"]}
    found = {
        "on": counts["n_on"] - peer["n_on"],
        "off": counts["n_off"] - peer["n_off"],
        "alpha_relative": counts["alpha"] / peer["alpha"] - 1,
        "same_model": float(len(chosen) == 1),
    }
    model = next(m for m in results["spectrum"]["models"] if m["model"] == "pl")
    values = {p["name"]: p["value"] for p in model["parameters"]}
    points = results["spectrum"]["flux_points"]["points"]
    for prefix, other in (("", exact), ("script_", peer)):
        line = other["power_law"]
        phi, gamma = values["amplitude"] - line["phi_1tev"], values["index"] - line["gamma"]
        found[f"{prefix}phi_sigma"] = phi / line["phi_1tev_err"]
        found[f"{prefix}gamma_sigma"] = gamma / line["gamma_err"]
        block = _points(points, other["flux_points"])
        found |= {f"{prefix}{key}": value for key, value in block.items()}
    for kind in ("run", "night", "minutes"):
        curve = Table.read(ours / "results" / f"lightcurve_{kind}.ecsv", format="ascii.ecsv")
        low = float(curve.meta["e_min_tev"])
        same = np.isclose(low, peer["light_curves"][kind]["e_min"], rtol=1e-3)
        found |= _curve(kind, curve, (peer if same else exact)["light_curves"][kind])
        found[f"{kind}_e_min_tev"], found[f"{kind}_script_range"] = low, float(same)
    found |= _maps(results["maps"], peer["maps"])
    return {key: float(value) for key, value in found.items()}


def _worst(a: Any, b: Any, error: Any, use: Any) -> float:
    with np.errstate(all="ignore"):
        distance = np.abs(np.asarray(a, float) - np.asarray(b, float)) / np.asarray(error, float)
    distance = distance[np.asarray(use) & np.isfinite(distance)]
    return float(distance.max()) if len(distance) else 0.0


def _points(points: Sequence[Mapping[str, Any]], peer: Mapping[str, Any]) -> dict[str, float]:
    """Flux points in units of the script's errors; those without an ON event have no error."""
    ours = {key: np.array([_float(p[key]) for p in points]) for key in points[0]}
    if len(points) != len(peer["dnde"]) or not np.allclose(ours["e_min"], peer["e_min"]):
        raise SystemExit(f"not the same flux points: {ours['e_min']} and {peer['e_min']}")
    use = ours["n_on"] > 0
    error = peer["dnde_err"]
    return {
        "points": len(points),
        "points_sigma": _worst(ours["dnde"], peer["dnde"], error, use),
        "points_ul_sigma": _worst(ours["dnde_ul"], peer["dnde_ul"], error, use),
    }


def _curve(kind: str, ours: Table, peer: Mapping[str, Any]) -> dict[str, float]:
    """Light-curve fluxes in units of the script's errors."""
    same = np.isclose([ours.meta["e_min_tev"], ours.meta["e_max_tev"]],
                      [peer["e_min"], peer["e_max"]], rtol=1e-3).all()  # fmt: skip
    if len(ours) != len(peer["flux"]) or not same:
        raise SystemExit(
            f"not the same light curve per {kind}: {len(ours)} and {len(peer['flux'])} bins, "
            f"{ours.meta['e_min_tev']} and {peer['e_min']} TeV"
        )
    start = Time(peer["tmin_mjd_utc"], format="mjd", scale="utc").tt.mjd
    shift = np.max(np.abs(np.asarray(ours["time_min"], float) - start)) * u.day.to("s")
    use = np.asarray(ours["n_on"], float) > 0
    return {
        f"{kind}_bins": len(ours),
        f"{kind}_shift_s": shift,
        f"{kind}_sigma": _worst(ours["flux"], peer["flux"], peer["flux_err"], use),
    }


def _maps(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{method}_off_{key}_difference": ours[method][f"off_{key}"] - peer[method][f"off_{other}"]
        for method in ("ring", "fov")
        for key, other in (("mean", "mean"), ("width", "std"))
    }


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def same_numbers(check: Mapping[str, float]) -> bool:
    """What is required of the comparison."""
    exact = check["on"] == check["off"] == 0 and abs(check["alpha_relative"]) < 1e-3
    fits = max(abs(check["phi_sigma"]), abs(check["gamma_sigma"])) < FIT_TOLERANCE
    names = ("points", "run", "night", "minutes")
    fluxes = max(check[f"{name}_sigma"] for name in names) < POINT_TOLERANCE
    script = max(abs(check["reproduced_phi_1tev"]), abs(check["reproduced_gamma"])) < FIT_TOLERANCE
    return exact and fits and fluxes and script and check["same_model"] == 1


def _median(costs: Sequence[Mapping[str, float]], key: str) -> float:
    return float(np.median([cost[key] for cost in costs]))


def rows_of(name: str, block: Mapping[str, Any]) -> list[list[str]]:
    """Rows of the table for one source."""
    case, costs = CASES[name], block["costs"]
    ours = costs["daybreak"]
    rows = []
    for key, title in (("all", "script, all"), ("no-sensitivity", "script, no sensitivity")):
        theirs = costs.get(key)
        if not theirs:
            continue
        ratio = _median(theirs, "cpu_s") / _median(ours, "cpu_s")
        memory = _median(ours, "peak_pss_mb") / _median(theirs, "peak_pss_mb")
        ratios = [f"{ratio:.1f} (required {case.required[key]:g})", f"{memory:.2f}"]
        rows.append([*_cells(f"{case.title}: {title}", theirs), *ratios])
    return [*rows, [*_cells(f"{case.title}: daybreak", ours), "", ""]]


def _cells(title: str, costs: Sequence[Mapping[str, float]]) -> list[str]:
    cpu = [cost["cpu_s"] for cost in costs]
    spread = f" ({min(cpu):.1f} to {max(cpu):.1f}, {len(cpu)} times)" if len(cpu) > 1 else ""
    wall, memory = _median(costs, "wall_s"), _median(costs, "peak_pss_mb")
    return [title, f"{np.median(cpu):.1f}{spread}", f"{wall:.1f}", f"{memory:.0f}"]


def sentence(name: str, block: Mapping[str, Any]) -> str:
    """What the comparison of the numbers says."""
    words = []
    for key, check in block["checks"].items():
        words.append(
            f"{CASES[name].title}, script with {key}: "
            f"{'the same numbers' if same_numbers(check) else 'NOT the same numbers'}: "
            f"ON {check['on']:+.0f}, OFF {check['off']:+.0f}, "
            f"alpha {100 * check['alpha_relative']:+.3f} %, phi {check['phi_sigma']:+.4f} and "
            f"Gamma {check['gamma_sigma']:+.4f} of their errors (against the script's own stack, "
            f"whose weights are off, {check['script_phi_sigma']:+.2f} and "
            f"{check['script_gamma_sigma']:+.2f}); largest difference of "
            f"{check['points']:.0f} flux points {check['points_sigma']:.3f}, of light curves "
            + ", ".join(
                f"per {kind} ({check[f'{kind}_bins']:.0f}) {check[f'{kind}_sigma']:.3f}"
                for kind in ("run", "night", "minutes")
            )
            + " of their errors."
        )
    loads = [cost["load_before"] for costs in block["costs"].values() for cost in costs]
    words.append(f"Load before the runs {min(loads):.2f} to {max(loads):.2f}. {block['stamp']}")
    return "\n".join(f"- {word}" for word in words)


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="{crab,pks2155}", default=list(CASES))
    parser.add_argument("--store", type=Path, default=default_store())
    parser.add_argument(
        "--wait", type=float, default=LONGEST_WAIT_S, help="seconds to wait for a quiet machine"
    )
    parser.add_argument("--again", action="store_true", help="only write the table again")
    options = parser.parse_args(args)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CASES)}")
    if not (options.store / "obs-index.fits.gz").is_file():
        print(f"speed: skipped, no store at {options.store} (set DAYBREAK_TEST_DATA)")
        return 0
    kept = OUT / "speed.json"
    blocks: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    store = OUT / "speed" / "store"
    if not options.again:
        without_late_events(options.store.resolve(), store)
    patience = Patience(options.wait)
    for name in options.cases:
        if options.again:
            blocks[name]["checks"] = checks_of(name, store)
        else:
            blocks[name] = run_case(name, store, patience)
    done = [name for name in CASES if name in blocks]
    head = ["", "CPU time (s)", "wall time (s)", "peak memory (MB)", "CPU ratio", "memory ratio"]
    table = markdown(head, [row for name in done for row in rows_of(name, blocks[name])])
    text = "\n".join([table, "", *(sentence(name, blocks[name]) for name in done)])
    publish("speed", text, blocks)
    same = all(same_numbers(c) for name in done for c in blocks[name]["checks"].values())
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
