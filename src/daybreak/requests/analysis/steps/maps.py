"""Stacked sky maps and the distribution of their significances."""

from __future__ import annotations

from daybreak.ledger.step import StepSkipped
from daybreak.products.provenance import provenance
from daybreak.requests.analysis.steps.common import (
    Inputs,
    Outputs,
    Params,
    config_digest,
    reduced_runs,
    settings,
    write_table,
)
from daybreak.science import map_tables as tables
from daybreak.science.geoms import map_geom
from daybreak.science.mapstack import stack_maps
from daybreak.science.run import ReductionSetup


def maps(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Stacked sky maps and the distribution of their significances.

    Parameters
    ----------
    inputs
        ``runs``, the reduced runs.
    outputs
        ``maps``, a FITS file, and ``significance``, a table.
    params
        ``setup`` and the settings.

    Raises
    ------
    StepSkipped
        If no run has images.
    """
    config = settings(params)
    runs = [run for run in reduced_runs(inputs, maps=True) if run.maps]
    if not runs:
        raise StepSkipped("no sky maps: no run has a background IRF to tell the acceptance")
    setup = ReductionSetup.from_dict(params["setup"])
    stacked = stack_maps(
        runs,
        map_geom(setup),
        setup.exclude,
        config.maps.methods,
        correlation_radius=config.maps.correlation_radius,
    )
    block = provenance("maps", config_digest(params), {})
    tables.maps_hdulist(stacked, block).writeto(outputs["maps"], overwrite=True)
    write_table(tables.map_significance_table(stacked), outputs["significance"], "maps", params)
