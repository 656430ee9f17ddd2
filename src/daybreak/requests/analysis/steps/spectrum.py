"""Fits on the stacked data, the choice of a model, flux points."""

from __future__ import annotations

import json
import logging
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
from daybreak.science.spectrum import (
    SpectrumFits,
    assumed_fit,
    fit_models,
    flux_points,
    point_edges,
    total_flux,
)
from daybreak.science.stack import dataset_response, stack_runs

log = logging.getLogger(__name__)


def spectrum(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Fits on the stacked data, the choice of a model, flux points."""
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
    _write_spectrum(fits, response, fitted, outputs, chosen, params)


def _write_spectrum(
    fits: SpectrumFits,
    response: Any,
    fitted: np.ndarray,
    outputs: Outputs,
    chosen: SpectrumConfig,
    params: Params,
) -> None:
    wanted = [float(e.to_value("TeV")) for e in chosen.point_edges]
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
    write_table(spectrum_tables.models_table(fits, total), outputs["models"], step, params)
    band = spectrum_tables.butterfly_table(fits, float(edges[0]), float(edges[-1]))
    write_table(band, outputs["butterfly"], step, params)
    model = fits.shape.to_dict(full_output=True)
    outputs["model"].write_text(json.dumps(model, indent=1, default=float), encoding="utf-8")
