"""Fits on the stacked data, the choice of a model, flux points."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u

from daybreak.config.analysis import SpectrumConfig
from daybreak.ledger.step import StepSkipped
from daybreak.requests.analysis.steps.common import (
    Inputs,
    Outputs,
    Params,
    settings,
    used_runs,
    write_table,
)
from daybreak.science import spectrum_tables
from daybreak.science.discarded import discarded_bins
from daybreak.science.flux_points import flux_points, point_edges, total_flux
from daybreak.science.run import ReducedRun
from daybreak.science.spectrum import (
    SpectrumFits,
    assumed_fit,
    fit_models,
)
from daybreak.science.stack import dataset_response, stack_runs

log = logging.getLogger(__name__)


def spectrum(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Fits on the stacked data, the choice of a model, flux points.

    Parameters
    ----------
    inputs
        ``runs``, and ``summary`` of the counts step.
    outputs
        A table each for ``counts``, ``models``, ``butterfly`` and ``flux_points``; ``model``, the
        chosen one as JSON.
    params
        Of the step; the settings tell models, energies and limits.

    Raises
    ------
    StepSkipped
        Without exposure or counts above the energy threshold.
    """
    chosen = settings(params).spectrum
    runs, summary = used_runs(inputs)
    dataset = stack_runs(runs, summary["method"])
    reco = dataset.counts.geom
    if chosen.fit_min is not None or chosen.fit_max is not None:
        dataset.mask_fit = reco.energy_mask(chosen.fit_min, chosen.fit_max)
    response = dataset_response(dataset)
    fitted = dataset.mask.data.ravel()
    reference = 1.0 * u.TeV if chosen.reference is None else chosen.reference
    significance = summary["counts"]["significance"]
    if not np.any(response.predicted_any() > 0):
        raise StepSkipped("no exposure above the energy threshold")
    if significance >= chosen.fit_above_sigma:
        fits = fit_models(
            dataset,
            response,
            chosen.models,
            reference=reference,
            start_index=chosen.assumed_index,
            choice_sigma=chosen.model_choice_sigma,
        )
        if not fits.best.success:
            fits = assumed_fit(
                response,
                reference,
                chosen.assumed_index,
                f"power law of assumed index {chosen.assumed_index:g}: the fit failed "
                f"({fits.best.message})",
            )
    else:
        fits = assumed_fit(
            response,
            reference,
            chosen.assumed_index,
            f"power law of assumed index {chosen.assumed_index:g}: at {significance:.1f} sigma "
            f"(below {chosen.fit_above_sigma:g}) no shape is fitted",
        )
    log.info("chosen: %s", fits.choice)
    notes = _threshold_notes(runs, summary, chosen)
    notes += _discarded_notes(runs, summary["method"], chosen, fits)
    _write_spectrum(fits, response, fitted, outputs, chosen, params, notes)


def _threshold_notes(
    runs: Sequence[ReducedRun], summary: dict[str, Any], chosen: SpectrumConfig
) -> list[str]:
    """Say it if the fit can't begin where it was asked to."""
    threshold = float(summary["threshold_tev"])
    if chosen.fit_min is None or chosen.fit_min.to_value("TeV") >= threshold * (1 - 1e-6):
        return []
    methods = ", ".join(sorted({str(run.info["threshold_method"]) for run in runs}))
    return [
        f"spectrum.fit_min is {chosen.fit_min.to_value('TeV'):.3g} TeV, but no run is used below "
        f"its energy threshold of {threshold:.3g} TeV or more (threshold: {methods}). Set "
        "spectrum.threshold: none, or a smaller spectrum.aeff_fraction, to use lower energies."
    ]


def _discarded_notes(
    runs: Sequence[ReducedRun], method: str, chosen: SpectrumConfig, fits: SpectrumFits
) -> list[str]:
    """Tell the fit with the bins that the threshold leaves out, where they hold an excess."""
    left = discarded_bins(runs, method) if chosen.threshold == "aeff" else None
    if left is None or not fits.fits:
        return []
    dataset = stack_runs(left.runs, method)
    reference = fits.best.model.reference.quantity
    wide = fit_models(
        dataset, dataset_response(dataset), ("pl",), reference=reference,
        start_index=chosen.assumed_index, choice_sigma=chosen.model_choice_sigma,
    ).fits[0].model  # fmt: skip
    own = next((f.model for f in fits.fits if f.name == "pl"), None)
    told = [_power_law("without them", own)] if own is not None else []
    counts = left.counts
    return [
        f"The energy threshold leaves out bins from {left.low.to_value('TeV'):.2g} TeV on with "
        f"{counts.n_on:.0f} ON and {counts.alpha * counts.n_off:.1f} background events "
        f"({counts.significance:.1f} sigma). Power law at {reference.to_value('TeV'):.3g} TeV: "
        + "; ".join([*told, _power_law("with them", wide)])
        + ". Set spectrum.aeff_fraction or spectrum.threshold to use them, if the responses are "
        "good there."
    ]


def _power_law(what: str, model: Any) -> str:
    phi, index = model.amplitude, model.index
    scale = phi.quantity.unit.to("cm-2 s-1 TeV-1")
    return (
        f"{what} phi = ({phi.value * scale:.3g} ± {phi.error * scale:.2g}) cm-2 s-1 TeV-1, "
        f"Gamma = {index.value:.3f} ± {index.error:.3f}"
    )


def _write_spectrum(
    fits: SpectrumFits,
    response: Any,
    fitted: np.ndarray,
    outputs: Outputs,
    chosen: SpectrumConfig,
    params: Params,
    notes: list[str],
) -> None:
    wanted = [float(e.to_value("TeV")) for e in chosen.point_edges] * u.TeV
    edges = point_edges(response, chosen.points_per_decade, wanted)
    if len(edges) < 2:
        raise StepSkipped("no counts above the energy threshold, neither ON nor OFF")
    limits = {"n_sigma_ul": chosen.n_sigma_ul, "min_off": chosen.min_off_counts}
    points = flux_points(response, fits.shape, edges, **limits)
    table = spectrum_tables.flux_points_table(
        points,
        fits.chosen,
        n_sigma_ul=chosen.n_sigma_ul,
        ul_below_sigma=chosen.ul_below_sigma,
    )
    step = "spectrum"
    write_table(table, outputs["flux_points"], step, params)
    counts_table = spectrum_tables.spectrum_counts_table(response, fits, fitted)
    write_table(counts_table, outputs["counts"], step, params)
    total = total_flux(response, fits.shape, **limits)
    models = spectrum_tables.models_table(fits, total)
    models.meta["notes"] = notes
    write_table(models, outputs["models"], step, params)
    band = spectrum_tables.butterfly_table(fits, edges[0], edges[-1])
    write_table(band, outputs["butterfly"], step, params)
    model = fits.shape.to_dict(full_output=True)
    outputs["model"].write_text(json.dumps(model, indent=1, default=float), encoding="utf-8")
