"""The page of an analysis: one self-contained HTML file from its tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from daybreak.products.atomic import write_text
from daybreak.report.analysis import fit3d_views, systematics_views, views
from daybreak.report.analysis.captions import captions, ul_convention, variability
from daybreak.report.analysis.figures import figure_specs
from daybreak.report.analysis.headline import cards, verdict
from daybreak.report.analysis.spectral import CRAB_SOURCE
from daybreak.report.analysis.spectral_views import covariance_views, models_view
from daybreak.report.common.page import inline_figures, render_template
from daybreak.report.common.rounding import fixed, significant
from daybreak.report.common.table_view import TableView
from daybreak.report.common.tables import ResultTables, number, texts

_BINNINGS = {"run": "Per run", "night": "Per night", "minutes": "Short bins"}


def write_report(
    results: Path, figures: Path, path: Path, facts: Mapping[str, Any] | None = None
) -> None:
    """Write the page of an analysis, atomically.

    Parameters
    ----------
    results
        Folder of the tables.
    figures
        Folder of the figures; those that are missing are left out.
    path
        The HTML file.
    facts
        Beat those of ``context.json``, e.g. ``config_digest``.

    Raises
    ------
    ProductError
        If a table can't be read, or a figure holds what a figure must not hold.
    """
    write_text(path, render(ResultTables(results, facts), figures))


def render(tables: ResultTables, figures: Path) -> str:
    """The page as text.

    Parameters
    ----------
    tables
        Of the analysis.
    figures
        Folder of the figures; those that are missing are left out.

    Raises
    ------
    ProductError
        If a table can't be read, or a figure holds what a figure must not hold.
    """
    return render_template(__package__, "report.html", _page(tables, figures))


def _page(tables: ResultTables, figures: Path) -> dict[str, Any]:
    context = tables.context
    title, line = verdict(tables)
    return {
        "name": tables.target_name,
        "context": context,
        "verdict": title,
        "verdict_line": line,
        "cards": cards(tables),
        "facts": _facts(tables),
        "warnings": _warnings(tables),
        "figures": _figures(tables, figures),
        "runs": views.runs_views(tables),
        "left_out": views.left_out_view(tables),
        "signal_tables": _present(views.theta2_view(tables), views.cumulative_view(tables)),
        "maps_table": views.maps_view(tables),
        "counts_table": views.counts_view(tables),
        "models": models_view(tables),
        "choice": _choice(tables),
        "covariances": covariance_views(tables),
        "flux_points": views.flux_points_view(tables),
        "ul_convention": _limits(tables),
        "systematics": systematics_views.sentence(tables),
        "scatter": systematics_views.scatter_view(tables),
        "fit3d": fit3d_views.models_view(tables),
        "fit3d_choice": fit3d_views.choice(tables),
        "fit3d_facts": fit3d_views.facts(tables),
        "lightcurves": list(_lightcurves(tables)),
        "crab_source": CRAB_SOURCE,
        "versions": dict(context.get("versions") or {}),
        "provenance": _inputs(tables),
    }


def _present(*found: TableView | None) -> list[TableView]:
    return [view for view in found if view is not None]


def _choice(tables: ResultTables) -> str:
    table = tables.table("spectrum_models")
    return str(table.meta.get("choice") or "") if table is not None else ""


def _limits(tables: ResultTables) -> str:
    table = tables.filled("flux_points")
    return ul_convention(table.meta) if table is not None else ""


def _lightcurves(tables: ResultTables) -> Iterator[dict[str, Any]]:
    for binning, title in _BINNINGS.items():
        table = views.lightcurve_view(tables, binning, title.lower())
        if table is not None:
            yield {
                "title": title,
                "figure": f"lightcurve_{binning}",
                "table": table,
                "facts": variability(tables, binning),
                "blocks": views.blocks_view(tables, binning),
            }


def _facts(tables: ResultTables) -> list[tuple[str, str]]:
    """Pairs of label and text for the header."""
    context = tables.context
    target = context.get("target") or {}
    background = context.get("background") or {}
    found = []
    if tables.target_position is not None:
        ra, dec = tables.target_position
        by = f" ({target['resolved_by']})" if target.get("resolved_by") else ""
        found.append(("Position", f"RA {fixed(ra, 4)}°, Dec {fixed(dec, 4)}° ICRS{by}"))
    if target.get("tag"):
        found.append(("Runs tagged", str(target["tag"])))
    if target.get("blank_fields"):
        found.append(("Blank fields", "a test position in each field, without a known source"))
    telescopes = context.get("telescopes")
    found.append(("Instrument", _joined(context.get("instrument"))))
    if telescopes:
        found.append(("Telescopes", _joined(telescopes)))
    found.append(("Nights", _joined(context.get("nights")) or "not known"))
    extended = ", extended source" if context.get("extended") else ""
    found.append(("ON region", f"{context.get('on_region') or 'not known'}{extended}"))
    if background.get("used"):
        reason = f" ({background['reason']})" if background.get("reason") else ""
        found.append(("Background", f"{background['used']}{reason}"))
    threshold = number(context.get("energy_threshold_tev"))
    if threshold == threshold:
        found.append(("Energy threshold", f"{significant(threshold)} TeV"))
    found.append(("Store", str(context.get("store") or "not known")))
    return [(label, text) for label, text in found if text]


def _joined(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        items = [str(item) for item in value]
        if len(items) > 6:
            return f"{items[0]} to {items[-1]} ({len(items)})"
        return ", ".join(items)
    return str(value)


def _warnings(tables: ResultTables) -> list[tuple[str, list[str]]]:
    """What a reader must know before the numbers: failures, runs left out, flags, notes."""
    found = []
    failures = tables.context.get("failures") or []
    if failures:
        lines = [f"{entry.get('step')}: {entry.get('reason')}" for entry in failures]
        found.append(("Not done", lines))
    kept = tables.context.get("kept") or {}
    if kept:
        made = ", ".join(f"{step} ({version})" for step, version in kept.items())
        found.append(("Kept from an older version of Daybreak", [made]))
    left_out = tables.filled("runs_left_out")
    if left_out is not None:
        names = [
            f"run {obs}" if obs[:1].isdigit() else file
            for obs, file in zip(views.run_names(left_out), texts(left_out, "file"), strict=True)
        ]
        pairs = list(zip(names, texts(left_out, "reason"), strict=True))
        lines = [f"{name}: {reason}" for name, reason in pairs[:5]]
        if len(pairs) > 5:
            lines.append(f"and {len(pairs) - 5} more, listed in the section on runs")
        found.append((f"{len(pairs)} {'run' if len(pairs) == 1 else 'runs'} left out", lines))
    runs = tables.filled("runs")
    if runs is not None:
        flagged = [
            f"run {obs}: {text.replace(';', '; ')}"
            for obs, text in zip(texts(runs, "obs_id"), texts(runs, "flags"), strict=True)
            if text
        ]
        if flagged:
            shown = flagged[:8]
            if len(flagged) > 8:
                shown.append(f"and {len(flagged) - 8} more, listed in the section on runs")
            found.append(("Quality flags (these runs are used)", shown))
    odd = _oddities(tables)
    if odd:
        found.append(("Odd files (what was done about them)", odd))
    notes = [str(note) for note in tables.context.get("notes") or []]
    if notes:
        found.append(("Notes", notes))
    return found


def _oddities(tables: ResultTables) -> list[str]:
    """Each kind of oddity as it is in one run, and how many other runs have it."""
    table = tables.filled("oddities")
    if table is None:
        return []
    kinds: dict[str, list[tuple[str, str]]] = {}
    for obs, flag, text in zip(
        texts(table, "obs_id"), texts(table, "flag"), texts(table, "text"), strict=True
    ):
        kinds.setdefault(flag, []).append((obs, text))
    lines = []
    for flag, rows in kinds.items():
        first, others = rows[0][0], len({obs for obs, _ in rows}) - 1
        more = f" ({others} more {'run' if others == 1 else 'runs'})" if others else ""
        lines += [f"{flag}, run {first}: {text}{more}" for obs, text in rows if obs == first]
    return lines


def _figures(tables: ResultTables, folder: Path) -> dict[str, dict[str, Any]]:
    """Figures that are there, by name: content, title and caption."""
    titles = {spec.name: spec.title for spec in figure_specs()}
    return inline_figures(titles, captions(tables), folder)


def _inputs(tables: ResultTables) -> list[tuple[str, str]]:
    """Input files and their digests, from the header of the run table."""
    table = tables.table("runs")
    block = (table.meta.get("provenance") or {}) if table is not None else {}
    return [(str(name), str(digest)) for name, digest in (block.get("inputs") or {}).items()]
