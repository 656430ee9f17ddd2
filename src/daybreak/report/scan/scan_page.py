"""The page of a scan: one self-contained HTML file written from its tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daybreak.products.atomic import write_text
from daybreak.report.common.page import inline_figures, render_template
from daybreak.report.common.rounding import MISSING, fixed, plain, significant, whole
from daybreak.report.common.table_view import Column, TableView
from daybreak.report.common.tables import number
from daybreak.report.scan.scan_captions import captions
from daybreak.report.scan.scan_figures import TITLES
from daybreak.report.scan.scan_tables import ScanTables


def write_scan_page(tables: ScanTables, figures: Path, path: Path) -> None:
    """Write the page of a scan, atomically.

    Parameters
    ----------
    tables
        Tables of the scan.
    figures
        Folder of the figures; those that are missing are left out.
    path
        The HTML file.

    Raises
    ------
    ProductError
        If a table can't be read, or a figure holds what a figure must not hold.
    """
    write_text(path, render_template(__package__, "scan.html", _page(tables, figures)))


def _page(tables: ScanTables, figures: Path) -> dict[str, Any]:
    context, best = tables.context, tables.best
    return {
        "name": tables.event_name,
        "simulated": context["event"]["simulated"],
        "context": context,
        "verdict": f"RA {fixed(best['ra_deg'], 3)}°, Dec {fixed(best['dec_deg'], 3)}°",
        "verdict_line": _line(tables),
        "complete": context["complete"],
        "cards": _cards(tables),
        "facts": _facts(tables),
        "labels": context["labels"],
        "figures": inline_figures(TITLES, captions(tables), figures),
        "minima": _minima(tables),
        "regions": _regions(tables),
        "nearby": _nearby(tables),
        "recos": _recos(tables),
        "levels": _levels(tables),
        "work": _work(tables),
        "versions": context["provenance"]["versions"],
        "inputs": sorted(context["provenance"]["inputs"].items()),
        "digest": context["provenance"]["config_digest"],
    }


def _line(tables: ScanTables) -> str:
    wide, scale = tables.region(0.9), tables.context["calibration"]
    return (
        f"ICRS. 90 % region: {significant(number(wide['area_deg2']))} deg², right ascension "
        f"{_range(wide, 'ra')}, declination {_range(wide, 'dec')} ({scale['title']})."
    )


def _range(row: Any, axis: str) -> str:
    up, down = number(row[f"{axis}_plus_deg"]), number(row[f"{axis}_minus_deg"])
    return f"+{fixed(up, 2)}° −{fixed(down, 2)}°"


def _card(label: str, value: str, below: str) -> dict[str, str]:
    return {"label": label, "value": value, "below": below}


def _cards(tables: ScanTables) -> list[dict[str, str]]:
    best, context = tables.best, tables.context
    small, wide = tables.region(0.5), tables.region(0.9)
    counts, work = context["counts"], context["work"]
    zenith, azimuth = fixed(best["zenith_deg"], 2), fixed(best["azimuth_deg"], 2)
    found = [
        _card("Zenith, azimuth", f"{zenith}°, {azimuth}°", "where the particle comes from"),
        _card("90 % region", f"{significant(number(wide['area_deg2']))} deg²",
              f"50 %: {significant(number(small['area_deg2']))} deg²"),
        _card("−log likelihood", fixed(best["llh"], 2), context["likelihood"]["name"]),
        _card("Minima", str(len(tables.minima)), "within 2 Δllh of the best"),
        _card("DOMs, pulses", f"{counts['nch']}, {counts['npulses']}",
              f"{fixed(counts['qtot'], 1)} pe after the alert's cleaning"),
        _card("Scan", f"{fixed(work['cpu_s'], 1)} s CPU",
              f"{whole(work['pixels'])} pixels, {fixed(work['wall_s'], 1)} s with "
              f"{work['workers']} workers"),
    ]  # fmt: skip
    if context["truth"]:
        truth = context["truth"]
        inside = "inside" if truth["inside_90"] else "outside"
        found.insert(
            1,
            _card("Simulated direction", f"{significant(truth['separation_deg'], 2)}° away",
                  f"{inside} the 90 % contour"),
        )  # fmt: skip
    return found


def _facts(tables: ScanTables) -> list[tuple[str, str]]:
    context, best = tables.context, tables.best
    event, info = context["event"], context["likelihood"]["info"]
    found = [
        ("Event", f"run {event['run']}, event {event['event']}, sub-event {event['sub_event']}"),
        ("Time", f"{event['start_utc']} UTC (MJD {event['mjd']:.6f})"),
        ("Stream", " ".join(x for x in (event["stream"], event["kind"]) if x)),
        ("File", event["source"]),
        ("Detector", event["detector"]),
        ("DOMs in the likelihood", str(context["likelihood"]["hit_doms"])),
        ("Vertex", f"{fixed(best['x_m'], 1)}, {fixed(best['y_m'], 1)}, {fixed(best['z_m'], 1)} m "
         f"at {fixed(best['t_ns'], 0)} ns"),
        ("Best pixel", f"nside {best['nside']}, {best['pixel']} (RING)"),
        ("Direction", "between pixels, fitted again" if best["interpolated"] else "pixel's centre"),
    ]  # fmt: skip
    found += [(f"Model: {k}", str(v)) for k, v in info.items() if not isinstance(v, (dict, list))]
    region = context["settings"]["around"]
    if region:
        place = f"RA {plain(region['ra_deg'], 5)}°, Dec {plain(region['dec_deg'], 5)}°"
        found.append(("Scanned", f"{plain(region['radius_deg'])}° around {place}"))
    for key, value in sorted(context["message"].items()):
        found.append((f"Message: {key}", str(value)[:60]))
    return [(label, text) for label, text in found if text]


def _view(caption: str, columns: list[Column], rows: list[list[str]], folded: str = "") -> Any:
    return TableView(caption, columns, rows, folded) if rows else None


def _minima(tables: ScanTables) -> Any:
    columns = [
        Column("RA", "deg"), Column("Dec", "deg"), Column("Zenith", "deg"),
        Column("Azimuth", "deg"), Column("Δllh"), Column("x", "m"), Column("y", "m"),
        Column("z", "m"), Column("t", "ns"),
    ]  # fmt: skip
    names = ("ra_deg", "dec_deg", "zenith_deg", "azimuth_deg", "delta_llh", "x_m", "y_m", "z_m",
             "t_ns")  # fmt: skip
    digits = (3, 3, 3, 3, 2, 1, 1, 1, 0)
    rows = [
        [fixed(float(row[n]), d) for n, d in zip(names, digits, strict=True)]
        for row in tables.minima
    ]
    return _view("Best fit, and minima within 2 Δllh of it", columns, rows)


def _regions(tables: ScanTables) -> Any:
    columns = [
        Column("Region"), Column("2 Δllh"), Column("Area", "deg²"), Column("RA +", "deg"),
        Column("RA −", "deg"), Column("Dec +", "deg"), Column("Dec −", "deg"),
        Column("Scanned", numeric=False),
    ]  # fmt: skip
    keys = ("ra_plus_deg", "ra_minus_deg", "dec_plus_deg", "dec_minus_deg")
    rows = []
    for row in tables.needed("regions"):
        finely = "with the finest nside" if bool(row["closed"]) else "partly with a coarser nside"
        rows.append(
            [f"{100 * row['probability']:.0f} %", fixed(float(row["ts"]), 2),
             significant(float(row["area_deg2"])), *(fixed(float(row[k]), 2) for k in keys), finely]
        )  # fmt: skip
    return _view("Contours with their rectangular bounds", columns, rows)


def _nearby(tables: ScanTables) -> Any:
    columns = [
        Column("Source", numeric=False), Column("RA", "deg"), Column("Dec", "deg"),
        Column("Distance", "deg"), Column("Inside", numeric=False),
    ]  # fmt: skip
    rows = []
    for s in tables.context["nearby"]:
        inside = "50 %" if s["inside_50"] else "90 %" if s["inside_90"] else "no"
        rows.append([s["name"], fixed(s["ra_deg"], 3), fixed(s["dec_deg"], 3),
                     fixed(s["separation_deg"], 2), inside])  # fmt: skip
    return _view("Known TeV sources near the best fit", columns, rows)


def _recos(tables: ScanTables) -> Any:
    columns = [
        Column("Fit", numeric=False), Column("RA", "deg"), Column("Dec", "deg"),
        Column("Zenith", "deg"), Column("Azimuth", "deg"), Column("−log L"),
        Column("From the best fit", "deg"),
    ]  # fmt: skip
    found = list(tables.context["recos"])
    if tables.context["truth"]:
        found.insert(0, tables.context["truth"] | {"name": "simulated truth", "logl": None})
    rows = [
        [r["name"], *(fixed(r[k], 3) for k in ("ra_deg", "dec_deg", "zenith_deg", "azimuth_deg")),
         MISSING if r["logl"] is None else fixed(r["logl"], 2), fixed(r["separation_deg"], 3)]
        for r in found
    ]  # fmt: skip
    return _view("Directions that the event file carries", columns, rows)


def _work(tables: ScanTables) -> list[tuple[str, str]]:
    work = tables.context["work"]
    return [
        ("Pixels of the result", whole(work["pixels"])),
        ("Fitted ahead, not wanted", whole(work["pixels_guessed"])),
        ("Fitted in the last run", whole(work["pixels_fitted_now"])),
        ("Taken over from earlier runs", whole(work["resumed_pixels"])),
        ("Evaluations", whole(work["evaluations"])),
        ("CPU time of all pixels", f"{fixed(work['cpu_s'], 2)} s"),
        ("Duration of the last run", f"{fixed(work['wall_s'], 2)} s"),
        ("Workers", f"{work['workers']} ({work['engine']})"),
    ]


def _levels(tables: ScanTables) -> Any:
    columns = [
        Column("nside"), Column("Pixels"), Column("Evaluations"), Column("CPU time", "s"),
        Column("Per pixel", "ms"), Column("Best −log L"),
    ]  # fmt: skip
    rows = []
    for row in tables.needed("levels"):
        count, cpu = int(row["pixels"]), float(row["cpu_s"])
        each = 1000 * cpu / count if count else float("nan")
        rows.append([str(row["nside"]), whole(count), whole(float(row["evaluations"])),
                     fixed(cpu, 2), fixed(each, 2), fixed(float(row["best_llh"]), 2)])  # fmt: skip
    return _view("Pixels of each resolution", columns, rows)
