"""The three-dimensional fit of all runs: position, extension and spectrum."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from astropy import units as u
from gammapy.datasets import MapDataset

from daybreak.ledger.step import StepSkipped
from daybreak.products.provenance import provenance
from daybreak.requests.analysis.steps.common import (
    Inputs,
    Outputs,
    Params,
    config_digest,
    read_summary,
    settings,
    write_table,
)
from daybreak.science.cube import CubeSetup
from daybreak.science.fit3d import fit_cubes, prepare
from daybreak.science.fit3d_tables import fit3d_table, residuals_hdulist
from daybreak.science.residuals import residuals

log = logging.getLogger(__name__)
_SMALLEST_START_DEG = 0.05


def fit3d(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Fit the spatial models to the cubes and choose one.

    Parameters
    ----------
    inputs
        ``cubes`` of the runs that have one, and ``summary`` of the counts step.
    outputs
        ``fit3d``, a table, and ``residuals``, a FITS file.
    params
        ``cube`` (a `CubeSetup`) and the settings.

    Raises
    ------
    StepSkipped
        Without a cube, or where the source is too faint for a fit.
    """
    config = settings(params)
    chosen, spectrum = config.fit3d, config.spectrum
    paths = [Path(path) for path in inputs.get("cubes", ())]
    if not paths:
        raise StepSkipped("no three-dimensional fit: no run has a PSF and a background IRF")
    significance = float(read_summary(inputs)["counts"]["significance"])
    if not significance >= spectrum.fit_above_sigma:
        raise StepSkipped(
            f"no three-dimensional fit: at {significance:.1f} sigma (below "
            f"{spectrum.fit_above_sigma:g}) nothing is fitted"
        )
    setup = CubeSetup.from_dict(params["cube"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cubes = (MapDataset.read(path, name=path.stem) for path in paths)
        datasets = prepare(cubes, setup.exclude[1:], stack=chosen.stack)
        fits = fit_cubes(
            datasets,
            setup.on,
            chosen.models,
            spectrum=chosen.spectrum,
            reference=1.0 * u.TeV if spectrum.reference is None else spectrum.reference,
            start_index=spectrum.assumed_index,
            start_size=max(setup.on.radius_deg / 2, _SMALLEST_START_DEG) * u.deg,
            choice_sigma=chosen.choice_sigma,
        )
        log.info("chosen: %s", fits.choice)
        found = residuals(datasets, config.maps.correlation_radius)
        facts = {
            "n_runs": len(paths),
            "stacked": chosen.stack,
            "pixel_deg": setup.pixel_deg,
            "width_deg": setup.width_deg,
            "correlation_radius_deg": float(config.maps.correlation_radius.to_value("deg")),
        }
        write_table(fit3d_table(fits, found, facts), outputs["fit3d"], "fit3d", params)
    block = provenance("fit3d", config_digest(params), {})
    residuals_hdulist(found, block).writeto(outputs["residuals"], overwrite=True)
