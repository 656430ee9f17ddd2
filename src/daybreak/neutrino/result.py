"""From the pixels of a scan to its result, and to tables on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from daybreak.errors import NoDataError
from daybreak.neutrino import maps, skyreader
from daybreak.neutrino.contours import Calibration, Contour, contours
from daybreak.neutrino.event import Event
from daybreak.neutrino.maps import TS_90_WILKS, Tiling, tile
from daybreak.neutrino.minima import Evaluate, Minimum, find_minima
from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.driver import ScanRun, ToLocal
from daybreak.neutrino.scan.journal import PIXEL_DTYPE, Rows
from daybreak.neutrino.scan.tree import Tree
from daybreak.products.atomic import atomic_path, write_text

MINIMA_DELTA_LLH = 2.0


@dataclass(frozen=True, eq=False)
class ScanOutcome:
    """The result of a scan.

    Attributes
    ----------
    levels
        nside and rows that belong to the result, from coarse to fine.
    guessed
        Pixels that were fitted ahead and turned out not to be wanted.
    tiling
        The levels as one tiling of the sky.
    minima
        The best fit, and what is by at most 2 delta llh above it.
    contours
        50 % and 90 %.
    calibration
        What the contours' levels are from.
    complete
        False if the scan was stopped before its end.
    capped
        nsides on which the scan did not go on outwards because of `max_pixels`.
    """

    levels: tuple[tuple[int, Rows], ...]
    guessed: int
    tiling: Tiling
    minima: tuple[Minimum, ...]
    contours: tuple[Contour, ...]
    calibration: Calibration
    complete: bool
    capped: tuple[int, ...]

    @property
    def best(self) -> Minimum:
        """The best fit."""
        return self.minima[0]

    @property
    def probability_scale(self) -> float:
        """How much wider than its values say the likelihood is; see `Tiling.probability`."""
        return self.calibration.ts_90 / TS_90_WILKS

    @property
    def pixels(self) -> int:
        """Pixels that belong to the result."""
        return sum(len(rows) for _, rows in self.levels)


def outcome(
    tree: Tree, run: ScanRun, to_local: ToLocal, evaluate: Evaluate, scale: Calibration
) -> ScanOutcome:
    """Work out the result of a scan, complete or not.

    Parameters
    ----------
    tree, run
        The scan.
    to_local, evaluate
        See :func:`daybreak.neutrino.minima.find_minima`.
    scale
        Levels of the contours.

    Raises
    ------
    NoDataError
        If no pixel was fitted yet.
    """
    levels: list[tuple[int, Rows]] = []
    for level, nside in enumerate(tree.nsides):
        settled = run.state.settled[level] if level < len(run.state.settled) else None
        if run.complete and settled is not None:
            levels.append((nside, tree.rows(level, settled)))
        else:
            levels.append((nside, tree.rows(level)))
    if not any(np.isfinite(rows["llh"]).any() for _, rows in levels):
        raise NoDataError(
            "the scan was stopped before the first pixel was fitted",
            "Run the same command again.",
        )
    tiling = tile(levels)
    minima, samples = find_minima(levels, tiling, to_local, evaluate, MINIMA_DELTA_LLH)
    best = minima[0]
    between = (samples.ra_rad, samples.dec_rad, samples.llh)
    kept = sum(len(rows) for _, rows in levels)
    return ScanOutcome(
        tuple(levels),
        len(tree) - kept,
        tiling,
        minima,
        contours(tiling, between, best.ra_deg, best.dec_deg, best.llh, scale),
        scale,
        run.complete,
        run.state.capped,
    )


def write_tables(folder: Path, result: ScanOutcome, context: Mapping[str, Any]) -> None:
    """Write the tables of a scan: pixels.fits, minima, levels, contours, regions, context.json.

    Parameters
    ----------
    folder
        The ``results/`` folder.
    result
        The scan.
    context
        What is no table; plain values. Its ``provenance`` goes into each table's header.
    """
    meta = {"provenance": context["provenance"]}
    _write(folder / "minima.ecsv", _minima(result), meta)
    _write(folder / "levels.ecsv", _levels(result), meta)
    _write(folder / "contours.ecsv", _contour_points(result), meta)
    _write(folder / "regions.ecsv", _regions(result), meta)
    pixels = Table(np.concatenate([rows for _, rows in result.levels]).astype(PIXEL_DTYPE))
    for name, unit in {"x_m": "m", "y_m": "m", "z_m": "m", "t_ns": "ns", "seconds": "s"}.items():
        pixels[name].unit = unit
    parts = [sky.centres(nside, rows["pixel"]) for nside, rows in result.levels if len(rows)]
    for index, name in enumerate(("ra", "dec")):
        pixels[name] = np.degrees(np.concatenate([part[index] for part in parts]))
        pixels[name].unit = "deg"
    with atomic_path(folder / "pixels.fits") as partial:
        pixels.write(partial, format="fits", overwrite=True)
    write_text(folder / "context.json", json.dumps(dict(context), indent=1, allow_nan=False))


def _write(path: Path, table: Table, meta: Mapping[str, Any]) -> None:
    table.meta.update(meta)
    with atomic_path(path) as partial:
        table.write(partial, format="ascii.ecsv", overwrite=True)


_UNITS = {"deg": "deg", "m": "m", "ns": "ns", "s": "s", "deg2": "deg2"}


def _with_units(table: Table) -> Table:
    for name in table.colnames:
        unit = _UNITS.get(name.rpartition("_")[2])
        if unit and "_" in name:
            table[name].unit = unit
    return table


def _minima(result: ScanOutcome) -> Table:
    return _with_units(Table(rows=[asdict(m) for m in result.minima]))


def _levels(result: ScanOutcome) -> Table:
    rows = [
        {
            "nside": nside,
            "pixels": len(found),
            "evaluations": int(found["evaluations"].sum()),
            "cpu_s": float(found["seconds"].sum()),
            "best_llh": float(np.nanmin(found["llh"])) if len(found) else float("nan"),
            "failed": int((~np.isfinite(found["llh"])).sum()),
        }
        for nside, found in result.levels
    ]
    return _with_units(Table(rows=rows))


def _contour_points(result: ScanOutcome) -> Table:
    rows = [
        (contour.probability, number, float(ra), float(dec))
        for contour in result.contours
        for number, line in enumerate(contour.polygons)
        for ra, dec in line
    ]
    names = ("probability", "line", "ra_deg", "dec_deg")
    kinds = [(name, int if name == "line" else float) for name in names]
    return _with_units(Table(np.array(rows, kinds)))


def _regions(result: ScanOutcome) -> Table:
    keys = ("probability", "ts", "area_deg2", "ra_minus_deg", "ra_plus_deg", "dec_minus_deg",
            "dec_plus_deg", "closed")  # fmt: skip
    return _with_units(Table(rows=[{k: getattr(c, k) for k in keys} for c in result.contours]))


def write_maps(
    folder: Path, event: Event, result: ScanOutcome, provenance: Mapping[str, Any]
) -> list[Path]:
    """Write the sky maps and the files for skyreader.

    Parameters
    ----------
    folder
        Output folder of the scan.
    event, result
        The event and its scan.
    provenance
        See :mod:`daybreak.products.provenance`.

    Returns
    -------
    list of pathlib.Path
        What was written.
    """
    best, start = result.best, event.header.start
    header = {
        "RUNID": event.header.run, "EVENTID": event.header.event, "SENDER": "daybreak",
        "DATE-OBS": None if start is None else start.utc.isot,
        "MJD-OBS": None if start is None else float(start.utc.mjd),
        "RA": best.ra_deg, "DEC": best.dec_deg, "MINLLH": best.llh,
        "CALIB": result.calibration.name, "TS50": result.calibration.ts_50,
        "TS90": result.calibration.ts_90, "PROBSCAL": result.probability_scale,
        "COMPLETE": result.complete,
    }  # fmt: skip
    paths = [folder / "skymap.fits.gz", folder / "skymap.multiorder.fits"]
    maps.write_flat(paths[0], result.tiling, result.probability_scale, header, provenance)
    maps.write_multiorder(paths[1], result.tiling, result.probability_scale, header, provenance)
    levels = {nside: rows for nside, rows in result.levels if len(rows)}
    stem = skyreader.file_stem(event, list(levels))
    paths += [folder / "skyreader" / f"{stem}.json", folder / "skyreader" / f"{stem}.npz"]
    skyreader.write_json(paths[2], event, levels)
    skyreader.write_npz(paths[3], event, levels)
    return paths
