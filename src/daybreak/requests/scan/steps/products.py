"""What is made from the pixels of a scan: tables, maps, figures, ``results.json``, report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from daybreak.engine.hosted import Host, work_folder
from daybreak.ledger.step import StepSkipped
from daybreak.neutrino import coordinates
from daybreak.neutrino.cleaning import clean
from daybreak.neutrino.event import Reco
from daybreak.neutrino.result import ScanOutcome, outcome, write_maps, write_tables
from daybreak.neutrino.scan.driver import ScanRun
from daybreak.neutrino.scan.journal import read_rows
from daybreak.neutrino.scan.tree import Tree
from daybreak.products.provenance import provenance
from daybreak.report.scan.scan_figures import draw_event_view
from daybreak.report.scan.write import write_scan_report
from daybreak.requests.scan.context import fits_from, scan_context
from daybreak.requests.scan.prepare import PreparedScan, prepare_scan
from daybreak.requests.scan.steps.pixels import JOURNAL, RUN
from daybreak.requests.scan.steps.pixels import STEP as PIXELS

STEP = "products"
#: outputs that the writers know by these names
FILES = {
    "skymap": "skymap.fits.gz",
    "multiorder": "skymap.multiorder.fits",
    "results_json": "results.json",
    "circular": "circular.txt",
    "report": "report.html",
}
FOLDERS = ("results", "figures", "skyreader")


def products(
    inputs: Mapping[str, Any], outputs: Mapping[str, Path], params: Mapping[str, Any], host: Host
) -> None:
    """Write everything that is made from the pixels, or from those that there are so far.

    Parameters
    ----------
    inputs
        Those of the step before, and its ``pixels`` and ``run`` if it was completed.
    outputs
        Those of `FILES`, and the folders `FOLDERS`.
    params
        As for `prepare_scan`.
    host
        Has the folder in which an incomplete scan lies.

    Raises
    ------
    StepSkipped
        If no pixel was fitted yet.
    """
    files = {name: path for name, path in inputs.items() if name not in ("pixels", "run")}
    prepared = prepare_scan(files, params)
    kept = work_folder(host.root, PIXELS)
    rows = inputs.get("pixels", kept / JOURNAL)
    about = inputs.get("run", kept / RUN)
    if not rows.is_file() or not about.is_file():
        raise StepSkipped("no pixel was fitted yet")
    tree = Tree(prepared.settings)
    tree.add(read_rows(rows, prepared.fit_key()))
    if not len(tree):
        raise StepSkipped("no pixel was fitted yet")
    said = json.loads(about.read_text(encoding="utf-8"))
    state = tree.decide()
    run = ScanRun(state, not len(state.missing), int(said["fitted"]), float(said["wall_s"]))
    _write(prepared, tree, run, said, host.work(STEP), str(params["provenance"]["config_digest"]))
    for name in FOLDERS:
        for path in (host.work(STEP) / name).iterdir():
            path.replace(outputs[name] / path.name)
    for name, file in FILES.items():
        (host.work(STEP) / file).replace(outputs[name])


def _write(
    prepared: PreparedScan,
    tree: Tree,
    run: ScanRun,
    said: Mapping[str, Any],
    folder: Path,
    digest: str,
) -> None:
    """Write all files into a folder of the step's own."""
    start = prepared.event.header.start
    result = outcome(
        tree,
        run,
        lambda ra, dec: coordinates.to_local(ra, dec, start),
        fits_from(prepared),
        prepared.calibration,
    )
    block = provenance("scan", digest, dict(prepared.inputs))
    pool = {key: said[key] for key in ("engine", "workers", "resumed_pixels")}
    context = scan_context(prepared, tree, run, pool, result) | {"provenance": block}
    for name in FOLDERS:
        for old in (folder / name).glob("*"):
            old.unlink()
        (folder / name).mkdir(exist_ok=True)
    write_tables(folder / "results", result, context)
    write_maps(folder, prepared.event, result, block)
    _event_view(prepared, folder / "figures", result)
    write_scan_report(folder / "results", folder)


def _event_view(prepared: PreparedScan, figures: Path, result: ScanOutcome) -> None:
    """The event with the best fit's track."""
    best = result.best
    reco = Reco(
        name="BestFit",
        zenith_rad=float(np.radians(best.zenith_deg)),
        azimuth_rad=float(np.radians(best.azimuth_deg)),
        xyz_m=(best.x_m, best.y_m, best.z_m),
        time_ns=best.t_ns,
        logl=best.llh,
    )
    draw_event_view(prepared.event, clean(prepared.event), reco, figures)
