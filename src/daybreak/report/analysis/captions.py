"""Captions that say what each figure shows, with the numbers that belong to it."""

from __future__ import annotations

from daybreak.report.analysis import fit3d_views
from daybreak.report.analysis.headline import MODEL_NAMES
from daybreak.report.analysis.spectral import CRAB_SOURCE, chosen_model
from daybreak.report.common.rounding import fixed, plain, with_error
from daybreak.report.common.tables import ResultTables, number

_MAP_TAIL = (
    "Dashed circles are kept out of the background; the cross is the target. Right ascension "
    "increases to the left."
)


def captions(tables: ResultTables) -> dict[str, str]:
    """Caption by figure name.

    Parameters
    ----------
    tables
        Of the analysis; what is missing is left out of the sentences.

    Returns
    -------
    dict
        Figure to caption, also for figures that are not drawn.
    """
    found = {
        "theta2": _theta2(tables),
        "cumulative": "Excess against live time, and significance against its square root, run by "
        "run. The lines are fits through the origin; a steady source follows them. The dotted "
        "line is 5 σ.",
        "regions": "ON region in orange, OFF regions of all runs in white, pointings as crosses.",
        "counts": "Counts in reconstructed energy: ON with √N errors, α times OFF filled, and the "
        "background plus the chosen model. Energies in the grey area are not in the fit.",
        "sed": _sed(tables),
        "fit3d_residuals": fit3d_views.caption(tables),
    }
    for method, name in (("ring", "ring"), ("fov", "field-of-view")):
        radius = _radius(tables, method)
        around = f" in circles of {radius}° radius around each pixel" if radius else ""
        found[f"{method}_excess"] = f"Excess over the {name} background{around}. {_MAP_TAIL}"
        found[f"{method}_significance"] = (
            f"Significance over the {name} background{around}. {_MAP_TAIL}"
        )
        found[f"{method}_histogram"] = (
            f"Significances of the map's pixels ({name} background): all, and those outside the "
            "exclusion regions (OFF) with their Gaussian fit. Without a source, and with a "
            "well-known background, they follow N(0, 1)."
        )
    for binning in ("run", "night", "minutes"):
        found[f"lightcurve_{binning}"] = _lightcurve(tables, binning)
    return found


def _theta2(tables: ResultTables) -> str:
    table = tables.table("theta2")
    cut = number(table.meta.get("cut")) if table is not None else float("nan")
    where = (
        f"The dashed line is the cut at {plain(cut)} deg²; counts in the figure are below it."
        if cut == cut
        else "The cut depends on energy and is not drawn; counts in the figure are inside it."
    )
    return f"ON events with √N errors, and α times OFF events filled. {where}"


def _radius(tables: ResultTables, method: str) -> str:
    table = tables.table("map_significance")
    stats = (table.meta.get(method) or {}) if table is not None else {}
    radius = number(stats.get("correlation_radius_deg"))
    return plain(radius, 2) if radius == radius else ""


def _sed(tables: ResultTables) -> str:
    entry, points = chosen_model(tables), tables.table("flux_points")
    parts: list[str] = []
    if entry is not None:
        name = MODEL_NAMES.get(entry["model"], entry["model"])
        reference = number(entry["fit"].get("reference_tev"))
        parts.append(
            f"Band: {name} with its 1 σ error, reference energy E₀ = {plain(reference)} TeV."
        )
    if points is not None:
        parts.append(f"Arrows: upper limits {ul_convention(points.meta)}.")
    parts.append(f"Below: (point − model) / error. Dotted: {CRAB_SOURCE}.")
    return " ".join(parts)


def ul_convention(meta: dict[str, object]) -> str:
    """The convention of the upper limits in words.

    Parameters
    ----------
    meta
        Header of the flux points: ``ul_convention``, else ``n_sigma_ul``.
    """
    text = str(meta.get("ul_convention") or "").strip().rstrip(".")
    if text:
        return text.removeprefix("upper limits ")
    n_sigma = number(meta.get("n_sigma_ul"))
    return f"at ΔTS = {plain(n_sigma**2, 2)} above the best fit"


def _lightcurve(tables: ResultTables, binning: str) -> str:
    table = tables.table(f"lightcurve_{binning}")
    if table is None:
        return ""
    meta = table.meta
    low, high = number(meta.get("e_min_tev")), number(meta.get("e_max_tev"))
    n_sigma = number(meta.get("n_sigma_ul"))
    text = (
        f"Flux between {plain(low)} and {plain(high)} TeV for a spectrum of index "
        f"{plain(number(meta.get('index')))}. Arrows: upper limits at "
        f"ΔTS = {plain(n_sigma**2, 2)}. "
    )
    return f"{text}Right axis: {CRAB_SOURCE}. Grey stripes stand for time without data."


def variability(tables: ResultTables, binning: str) -> list[tuple[str, str]]:
    """Constant fit, chi², Fvar and Bayesian blocks as pairs of label and value.

    Parameters
    ----------
    tables
        Of the analysis; without this light curve the list is empty.
    binning
        ``run``, ``night`` or ``minutes``.
    """
    table = tables.filled(f"lightcurve_{binning}")
    if table is None:
        return []
    meta = table.meta
    found = []
    constant, error = number(meta.get("constant")), number(meta.get("constant_error"))
    if constant == constant:
        scaled = with_error(constant / 1e-12, error / 1e-12)
        found.append(("Constant", f"({scaled}) × 10⁻¹² cm⁻² s⁻¹"))
    dof, p_value = number(meta.get("dof")), number(meta.get("p_value"))
    if dof > 0:
        chance = f", p = {plain(p_value, 2)}" if p_value > 0 else ""
        chance = ", p below 10⁻³⁰⁰" if p_value == 0 else chance
        found.append(
            ("χ² to it", f"{fixed(number(meta.get('chi2')), 1)} for {dof:.0f} dof{chance}")
        )
    fvar = number(meta.get("fvar"))
    value = with_error(fvar, number(meta.get("fvar_error"))) if fvar == fvar else "not measurable"
    found.append(("Fractional variability", value))
    blocks = meta.get("blocks") or []
    if blocks:
        p0 = plain(number(meta.get("bayesian_p0")), 2)
        found.append(("Bayesian blocks", f"{len(blocks)} (false-alarm rate {p0})"))
    return found
