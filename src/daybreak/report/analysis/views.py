"""Result tables as rows of text for the page, rounded to what their errors allow."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from astropy.table import Table
from astropy.time import Time
from markupsafe import Markup

from daybreak.report.common.rounding import (
    MISSING,
    common_exponent,
    decimals_of,
    fixed,
    power_of_ten,
    significant,
    whole,
    with_error,
)
from daybreak.report.common.table_view import Column, TableView
from daybreak.report.common.tables import FloatArray, ResultTables, column, flags, number, texts

N_ON, N_OFF = Markup("N<sub>on</sub>"), Markup("N<sub>off</sub>")
E_REF = Markup("E<sub>ref</sub>")


class _Builder:
    """Collects columns, then turns them into rows."""

    def __init__(self, caption: str, folded: str = "") -> None:
        self.caption, self.folded = caption, folded
        self.columns: list[Column] = []
        self.cells: list[list[str]] = []

    def add(
        self,
        label: str,
        cells: Iterable[str],
        unit: str = "",
        numeric: bool = True,
        style: str = "",
    ) -> None:
        self.columns.append(Column(label, unit, numeric, style))
        self.cells.append(list(cells))

    def view(self, marked: Iterable[bool] = ()) -> TableView:
        rows = [list(row) for row in zip(*self.cells, strict=True)]
        return TableView(self.caption, self.columns, rows, self.folded, [bool(m) for m in marked])


def _fixed(values: FloatArray, decimals: int) -> list[str]:
    return [fixed(value, decimals) for value in values]


def _sig(values: FloatArray, digits: int = 3) -> list[str]:
    return [significant(value, digits) for value in values]


def _whole(values: FloatArray) -> list[str]:
    return [whole(value) for value in values]


def _pairs(values: FloatArray, errors: FloatArray) -> list[str]:
    return [with_error(v, e) for v, e in zip(values, errors, strict=True)]


def _utc(text: str) -> str:
    return text.replace("T", " ")[:16]


def runs_views(tables: ResultTables) -> list[TableView]:
    """The run table, and a folded one with what was counted for the quality flags.

    Parameters
    ----------
    tables
        Of the analysis; without ``runs`` the list is empty.
    """
    table = tables.filled("runs")
    if table is None:
        return []
    main = _Builder("Runs used, by time")
    obs = texts(table, "obs_id")
    main.add("Run", obs)
    main.add("Start", map(_utc, texts(table, "tstart")), "UTC", numeric=False)
    main.add("On time", _fixed(column(table, "ontime", "s") / 60, 1), "min")
    main.add("Live time", _fixed(column(table, "livetime", "s") / 60, 1), "min")
    main.add("Zenith", _fixed(column(table, "zenith", "deg"), 1), "deg")
    main.add("Offset", _fixed(column(table, "offset", "deg"), 2), "deg")
    main.add("Threshold", _fixed(column(table, "threshold", "TeV"), 2), "TeV")
    main.add(N_ON, _whole(column(table, "n_on")))
    main.add(N_OFF, _whole(column(table, "n_off")))
    main.add("α", _sig(column(table, "alpha")))
    main.add("Excess", _pairs(column(table, "excess"), column(table, "excess_error")))
    main.add("Signif.", _fixed(column(table, "significance"), 1), "σ")
    rate = _pairs(column(table, "gamma_rate"), column(table, "gamma_rate_error"))
    main.add("γ rate", rate, "1/min")
    ratio = column(table, "background_ratio")
    main.add("Bkg / IRF", _pairs(ratio, column(table, "background_ratio_error")))
    marks = texts(table, "flags")
    cells = [Markup("_<wbr>").join(text.replace(";", "; ").split("_")) for text in marks]
    main.add("Flags", [cell or "none" for cell in cells], numeric=False, style="flags")
    more = _Builder("Runs used: events and where they were used", "More about each run")
    more.add("Run", obs)
    more.add("Object", texts(table, "object"), "file header", numeric=False)
    more.add("Stop", map(_utc, texts(table, "tstop")), "UTC", numeric=False)
    by_header = column(table, "livetime_header", "s") / 60
    more.add("Live time by header", _fixed(by_header, 1), "min")
    more.add("OFF regions", _whole(column(table, "n_off_regions")))
    more.add("Events", _whole(column(table, "events")))
    more.add("Doubled", _whole(column(table, "events_doubled")))
    more.add("Outside GTI", _whole(column(table, "events_outside_gti")))
    more.add("Far from pointing", _whole(column(table, "events_far")))
    for label, key in (("In spectrum", "in_spectrum"), ("In maps", "in_maps")):
        more.add(label, ["yes" if use else "no" for use in flags(table, key)], numeric=False)
    return [main.view(bool(text) for text in marks), more.view()]


def run_names(table: Table) -> list[str]:
    """Observation ids as text; a dash for files that don't tell theirs (id below 0).

    Parameters
    ----------
    table
        With a column ``obs_id``.
    """
    return [MISSING if text.startswith("-") else text for text in texts(table, "obs_id")]


def left_out_view(tables: ResultTables) -> TableView | None:
    """Runs that were not used, with the reason.

    Parameters
    ----------
    tables
        Of the analysis; None is returned if no run was left out.
    """
    table = tables.filled("runs_left_out")
    if table is None:
        return None
    view = _Builder("Runs left out")
    view.add("Run", run_names(table))
    view.add("Stage", texts(table, "stage"), numeric=False)
    view.add("Reason", texts(table, "reason"), numeric=False)
    view.add("File", texts(table, "file"), numeric=False)
    return view.view()


def theta2_view(tables: ResultTables) -> TableView | None:
    """Bins of the theta² histogram.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``theta2``.
    """
    table = tables.filled("theta2")
    if table is None:
        return None
    view = _Builder("Bins of the θ² histogram", "Bins of the θ² histogram")
    view.add("θ² from", _fixed(column(table, "theta2_min", "deg2"), 4), "deg²")
    view.add("to", _fixed(column(table, "theta2_max", "deg2"), 4), "deg²")
    view.add("ON", _whole(column(table, "n_on")))
    view.add("OFF", _whole(column(table, "n_off")))
    background = _pairs(column(table, "background"), column(table, "background_error"))
    view.add("α × OFF", background)
    view.add("Excess", _pairs(column(table, "excess"), column(table, "excess_error")))
    return view.view()


def cumulative_view(tables: ResultTables) -> TableView | None:
    """How the signal grew, run by run.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``cumulative``.
    """
    table = tables.filled("cumulative")
    if table is None:
        return None
    view = _Builder("Growth of the signal, run by run", "Growth of the signal, run by run")
    view.add("Up to run", texts(table, "obs_id"))
    view.add("Live time", _fixed(column(table, "livetime", "h"), 2), "h")
    view.add(N_ON, _whole(column(table, "n_on")))
    view.add(N_OFF, _whole(column(table, "n_off")))
    view.add("α", _sig(column(table, "alpha")))
    view.add("Excess", _pairs(column(table, "excess"), column(table, "excess_error")))
    view.add("Signif.", _fixed(column(table, "significance"), 1), "σ")
    return view.view()


def maps_view(tables: ResultTables) -> TableView | None:
    """Statistics of the significance maps.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``map_significance``.
    """
    table = tables.table("map_significance")
    if table is None:
        return None
    names = {"ring": "ring", "fov": "field of view"}
    stats = {name: table.meta[key] for key, name in names.items() if table.meta.get(key)}
    if not stats:
        return None

    def values(key: str) -> FloatArray:
        return np.array([number(entry.get(key)) for entry in stats.values()])

    view = _Builder("Significance maps: OFF pixels (expected mean 0, width 1) and maximum")
    view.add("Background", stats, numeric=False)
    view.add("Mean of OFF", _pairs(values("off_mean"), values("off_mean_error")), "σ")
    view.add("Width of OFF", _pairs(values("off_width"), values("off_width_error")), "σ")
    view.add("OFF pixels", _whole(values("n_off_pixels")))
    view.add("Independent", _whole(values("n_independent")))
    view.add("Maximum", _fixed(values("max"), 1), "σ")
    view.add("at RA", _fixed(values("max_ra"), 3), "deg")
    view.add("Dec", _fixed(values("max_dec"), 3), "deg")
    view.add("Correlation radius", _sig(values("correlation_radius_deg"), 2), "deg")
    return view.view()


def counts_view(tables: ResultTables) -> TableView | None:
    """Counts spectrum; empty bins are left out.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``spectrum_counts``.
    """
    table = tables.filled("spectrum_counts")
    if table is None:
        return None
    used = flags(table, "in_fit")
    keep = (column(table, "n_on") > 0) | (column(table, "background") > 0) | used
    table, used = table[keep], used[keep]
    view = _Builder("Counts per energy bin (empty bins left out)", "Counts per energy bin")
    view.add("E from", _sig(column(table, "e_min", "TeV")), "TeV")
    view.add("to", _sig(column(table, "e_max", "TeV")), "TeV")
    for label, key in (("ON", "n_on"), ("OFF", "n_off")):
        view.add(label, _whole(column(table, key)))
    view.add("α", _sig(column(table, "alpha")))
    background = column(table, "background")
    view.add("α × OFF", _sig(background))
    view.add("Excess", _fixed(column(table, "excess"), 1))
    view.add("Model", _sig(column(table, "model_signal")))
    view.add("Background + model", _sig(column(table, "model_total")))
    view.add("In fit", ["yes" if use else "no" for use in used], numeric=False)
    return view.view()


def flux_points_view(tables: ResultTables) -> TableView | None:
    """Flux points; below the threshold of detection the upper limit counts.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without ``flux_points``.
    """
    table = tables.filled("flux_points")
    if table is None:
        return None
    view = _Builder("Flux points")
    is_ul = flags(table, "is_ul")
    view.add(E_REF, _sig(column(table, "e_ref", "TeV")), "TeV")
    edges = zip(column(table, "e_min", "TeV"), column(table, "e_max", "TeV"), strict=True)
    view.add("Range", [f"{significant(a)} to {significant(b)}" for a, b in edges], "TeV")
    dnde = column(table, "dnde")
    view.add("dN/dE", _scaled(dnde, table, "dnde"), "cm⁻² s⁻¹ TeV⁻¹")
    view.add("Upper limit", _sig(column(table, "dnde_ul")), "cm⁻² s⁻¹ TeV⁻¹")
    view.add("Norm", _pairs(column(table, "norm"), column(table, "norm_err")), "of the model")
    view.add("√TS", _fixed(column(table, "sqrt_ts"), 1), "σ")
    view.add("TS", _fixed(column(table, "ts"), 1))
    for label, key in ((N_ON, "n_on"), (N_OFF, "n_off")):
        view.add(label, _whole(column(table, key)))
    view.add("α", _sig(column(table, "alpha")))
    view.add("Excess", _fixed(column(table, "excess"), 1))
    view.add("Shown as", ["upper limit" if limit else "point" for limit in is_ul], numeric=False)
    return view.view()


def _scaled(values: FloatArray, table: Table, key: str) -> list[str]:
    """``(value +up -down) × 10ⁿ`` per row."""
    up, down = column(table, f"{key}_errp"), column(table, f"{key}_errn")
    cells = []
    for value, above, below in zip(values, up, down, strict=True):
        if not np.isfinite(value) or value == 0:
            cells.append("0" if value == 0 else MISSING)
            continue
        exponent = common_exponent([float(value), float(above)])
        scale = 10.0**exponent
        errors = [e / scale for e in (above, below) if np.isfinite(e) and e > 0]
        decimals = decimals_of(min(errors)) if errors else 2
        text = fixed(value / scale, decimals)
        if errors:
            text += f" (+{fixed(above / scale, decimals)}, −{fixed(below / scale, decimals)})"
        cells.append(f"{text} × {power_of_ten(exponent)}")
    return cells


def lightcurve_view(tables: ResultTables, binning: str, title: str) -> TableView | None:
    """A light curve's bins; short bins are folded.

    Parameters
    ----------
    tables
        Of the analysis; None is returned without this light curve.
    binning
        ``run``, ``night`` or ``minutes``.
    title
        Of the binning, for the caption.
    """
    table = tables.filled(f"lightcurve_{binning}")
    if table is None:
        return None
    view = _Builder(f"Light curve, {title}", f"{len(table)} bins" if binning == "minutes" else "")
    flux, limit = column(table, "flux"), column(table, "flux_ul")
    exponent = common_exponent([float(value) for value in np.append(flux, limit)])
    scale = 10.0**exponent
    unit = f"{power_of_ten(exponent)} cm⁻² s⁻¹"
    starts = Time(column(table, "time_min"), format="mjd", scale="tt").utc
    middle = (column(table, "time_min") + column(table, "time_max")) / 2
    view.add("Bin", texts(table, "label"), numeric=False)
    view.add("Start", starts.strftime("%Y-%m-%d %H:%M:%S"), "UTC", numeric=False)
    view.add("Middle", _fixed(middle, 4), "MJD, TT")
    view.add("Live time", _fixed(column(table, "livetime", "s") / 60, 1), "min")
    for label, key in ((N_ON, "n_on"), (N_OFF, "n_off")):
        view.add(label, _whole(column(table, key)))
    view.add("Excess", _fixed(column(table, "excess"), 1))
    view.add("Flux", _pairs(flux / scale, column(table, "flux_err") / scale), unit)
    digits = [max(decimals_of(error), 2) for error in column(table, "flux_err") / scale]
    limits = [fixed(value, n) for value, n in zip(limit / scale, digits, strict=True)]
    view.add("Upper limit", limits, unit)
    view.add("√TS", _fixed(column(table, "sqrt_ts"), 1), "σ")
    shown = ["upper limit" if ul else "point" for ul in flags(table, "is_ul")]
    view.add("Shown as", shown, numeric=False)
    return view.view()


def blocks_view(tables: ResultTables, binning: str) -> TableView | None:
    """Bayesian blocks of a light curve, where there is more than one.

    Parameters
    ----------
    tables
        Of the analysis.
    binning
        ``run``, ``night`` or ``minutes``.
    """
    table = tables.filled(f"lightcurve_{binning}")
    blocks = (table.meta.get("blocks") or []) if table is not None else []
    if len(blocks) < 2:
        return None
    flux = [number(block.get("flux")) for block in blocks]
    exponent = common_exponent(flux)
    scale = 10.0**exponent
    errors = [number(block.get("flux_err")) / scale for block in blocks]
    view = _Builder("Bayesian blocks")
    view.add("From", [fixed(number(block.get("start")), 4) for block in blocks], "MJD, TT")
    view.add("to", [fixed(number(block.get("stop")), 4) for block in blocks], "MJD, TT")
    cells = _pairs(np.array(flux) / scale, np.array(errors))
    view.add("Flux", cells, f"{power_of_ten(exponent)} cm⁻² s⁻¹")
    return view.view()
