"""From the tables of a scan to figures, ``results.json``, the circular draft and the page."""

from __future__ import annotations

from pathlib import Path


def write_scan_report(results: Path, folder: Path) -> list[Path]:
    """Write everything that is made from the tables.

    Parameters
    ----------
    results
        Folder of the tables.
    folder
        Output folder of the scan.

    Returns
    -------
    list of pathlib.Path
        Figures, ``results.json``, ``circular.txt``, ``report.html``.

    Raises
    ------
    ProductError
        If a table is missing or can't be read.
    """
    from daybreak.report.scan.scan_circular import write_circular
    from daybreak.report.scan.scan_figures import draw_scan_figures
    from daybreak.report.scan.scan_page import write_scan_page
    from daybreak.report.scan.scan_results import write_scan_results
    from daybreak.report.scan.scan_tables import ScanTables

    tables = ScanTables(results)
    figures = folder / "figures"
    written = draw_scan_figures(tables, figures)
    paths = [folder / name for name in ("results.json", "circular.txt", "report.html")]
    write_scan_results(tables, paths[0])
    write_circular(tables, paths[1])
    write_scan_page(tables, figures, paths[2])
    return written + paths
