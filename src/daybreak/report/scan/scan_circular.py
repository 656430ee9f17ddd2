"""A draft of a GCN circular from a scan. It is a draft: a person reads, corrects and sends it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from daybreak.products.atomic import write_text
from daybreak.report.scan.scan_tables import ScanTables

_WIDTH = 78
#: labels that forbid to send the text
_FORBID = {
    "partial": "THE SCAN IS NOT COMPLETE",
    "contained": "THE EVENT IS NO TRACK; ITS DIRECTION MEANS NOTHING",
    "region": "ONLY A PART OF THE SKY WAS SCANNED",
}


def write_circular(tables: ScanTables, path: Path) -> None:
    """Write the draft, atomically.

    Parameters
    ----------
    tables
        Tables of the scan.
    path
        The text file.

    Raises
    ------
    ProductError
        If a table is missing or can't be read.
    """
    write_text(path, circular(tables))


def circular(tables: ScanTables) -> str:
    """The draft as text.

    Parameters
    ----------
    tables
        Of the scan.

    Raises
    ------
    ProductError
        If a table is missing or can't be read.
    """
    event = tables.context["event"]
    parts = [_head(tables), _opening(tables), _direction(tables)]
    parts += [_fill(text) for text in (_method(tables), _others(tables), _sources(tables)) if text]
    parts.append(
        _fill(
            f"Run {event['run']}, event {event['event']}. "
            "Made by Daybreak; check every number before this text leaves your hands."
        )
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _fill(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH)


def _head(tables: ScanTables) -> str:
    event = tables.context["event"]
    warnings = [_FORBID[x["name"]] for x in tables.context["labels"] if x["name"] in _FORBID]
    if event["simulated"]:
        warnings.insert(0, "SIMULATED EVENT")
    lines = [f"*** {text}: DO NOT SEND ***" for text in warnings] or [
        "*** DRAFT, NOT SENT: TO BE CHECKED BY A PERSON ***"
    ]
    day = str(event["start_utc"])[2:10].replace("-", "")
    name = f"IceCube-{day}A" if not event["simulated"] else "simulated event"
    lines += ["", f"SUBJECT: {name}: refined direction of a high-energy neutrino candidate"]
    return "\n".join(lines)


def _opening(tables: ScanTables) -> str:
    event = tables.context["event"]
    date, _, clock = str(event["start_utc"]).partition("T")
    stream = (
        f" in the {event['kind'].upper()} stream" if event["kind"] in ("gold", "bronze") else ""
    )
    seen = "was simulated" if event["simulated"] else "was recorded"
    return _fill(
        f"On {date} at {clock[:11]} UT a track-like event{stream} {seen}. A scan of its "
        "likelihood over the sky gives this direction:"
    )


def _direction(tables: ScanTables) -> str:
    best, wide = tables.best, tables.region(0.9)
    event = tables.context["event"]
    date, _, clock = str(event["start_utc"]).partition("T")
    ra = f"(+{wide['ra_plus_deg']:.2f} -{wide['ra_minus_deg']:.2f} deg, 90% containment) J2000"
    dec = f"(+{wide['dec_plus_deg']:.2f} -{wide['dec_minus_deg']:.2f} deg, 90% containment) J2000"
    return "\n".join(
        [
            f"Date: {date.replace('-', '/')}",
            f"Time: {clock[:11]} UT",
            f"RA: {best['ra_deg']:.2f} {ra}",
            f"Dec: {best['dec_deg']:+.2f} {dec}",
        ]
    )


def _method(tables: ScanTables) -> str:
    context = tables.context
    small, wide = tables.region(0.5), tables.region(0.9)
    return (
        f"The 50% region covers {small['area_deg2']:.2f} and the 90% region "
        f"{wide['area_deg2']:.2f} square degrees. Likelihood: {context['likelihood']['name']}; "
        f"{context['likelihood']['hit_doms']} DOMs. Containment: "
        f"{context['calibration']['title']} (2 delta llh = {context['calibration']['ts_50']:.2f} "
        f"and {context['calibration']['ts_90']:.2f})."
    )


def _others(tables: ScanTables) -> str:
    minima: Any = tables.minima
    if len(minima) < 2:
        return ""
    places = "; ".join(
        f"RA {row['ra_deg']:.2f}, Dec {row['dec_deg']:+.2f} (delta llh {row['delta_llh']:.1f})"
        for row in minima[1:6]
    )
    return f"The likelihood has further minima of nearly the same depth: {places}."


def _sources(tables: ScanTables) -> str:
    inside = [s for s in tables.context["nearby"] if s["inside_90"]]
    near = [s for s in tables.context["nearby"] if not s["inside_90"]]
    listed = ", ".join(f"{s['name']} ({s['separation_deg']:.2f} deg away)" for s in inside[:5])
    if inside:
        return f"Known TeV gamma-ray sources inside the 90% region: {listed}."
    if near:
        return (
            "No TeV gamma-ray source of the built-in table lies inside the 90% region; the nearest "
            f"is {near[0]['name']}, {near[0]['separation_deg']:.2f} deg from the best fit."
        )
    return "No TeV gamma-ray source of the built-in table lies near the best fit."
