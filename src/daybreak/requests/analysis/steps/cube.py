"""One run as a cube for the three-dimensional fit."""

from __future__ import annotations

import warnings
from pathlib import Path

from daybreak.errors import RunDataError, UnusableRunError
from daybreak.requests.analysis.steps.common import Inputs, Outputs, Params
from daybreak.science.cube import CubeSetup, run_cube
from daybreak.science.dl3.locate import with_hints
from daybreak.science.observation import Reading, load_run
from daybreak.science.run_io import read_run
from daybreak.science.surface import Surface


def cube(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Make the cube of a run, with the threshold and the surface of its reduction.

    Parameters
    ----------
    inputs
        ``run``, the reduced run.
    outputs
        ``cube``, a FITS file of Gammapy.
    params
        ``obs_id``, ``hdus`` (where its data and responses lie), ``cube`` (a `CubeSetup`).

    Raises
    ------
    UnusableRunError
        If the run's files can't be used.
    """
    hdus = with_hints(params["hdus"])
    info = read_run(Path(inputs["run"])).info
    surface = Surface(**info["fov_surface"]) if info.get("fov_surface") else None
    run = load_run(int(params["obs_id"]), hdus, Reading.from_dict(params["reading"]))
    setup = CubeSetup.from_dict(params["cube"])
    try:
        dataset = run_cube(run, setup, float(info["threshold_tev"]), surface)
    except RunDataError as error:
        raise UnusableRunError(error.what, error.hint) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.write(outputs["cube"], overwrite=True)
