"""Captions that say what each figure of a scan shows."""

from __future__ import annotations

from daybreak.report.common.rounding import fixed
from daybreak.report.scan.scan_tables import ScanTables


def captions(tables: ScanTables) -> dict[str, str]:
    """Caption by figure name.

    Parameters
    ----------
    tables
        Of the scan; the levels of its contours are told.

    Returns
    -------
    dict
        Figure to caption.
    """
    scale = tables.context["calibration"]
    levels = (
        f"Contours at 2 Δllh = {fixed(float(scale['ts_50']), 2)} (50 %) and "
        f"{fixed(float(scale['ts_90']), 2)} (90 %): {scale['title']}."
    )
    marks = "Plus: best fit; crosses: other minima within 2 Δllh; circles: known TeV sources"
    if tables.context["recos"]:
        marks += "; diamonds: directions that the event file carries"
    if tables.context["truth"]:
        marks += "; star: the simulated direction"
    track = "the simulated track" if tables.context["truth"] else "track of the best fit"
    return {
        "scan_zoom": f"Twice the difference of the log-likelihood to the best fit, one tile per "
        f"pixel. {levels} {marks}. Right ascension increases to the left.",
        "scan_sky": "Difference of the log-likelihood to the best fit on a logarithmic scale, each "
        "part of the sky as fine as it was scanned. Plus: best fit; dotted: Galactic plane. "
        "Mollweide projection, right ascension increases to the left.",
        "event_view": "Charge as size, time of the first pulse as colour, from above and from the "
        f"side, after the alert's cleaning. Line: {track}.",
        "scan_profile": "Difference of the log-likelihood to the best fit against the distance "
        "from it. A second minimum shows as a dip at a distance. Dashed: levels of the contours; "
        "values below 0.01 are drawn at 0.01.",
    }
