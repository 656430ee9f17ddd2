"""One run: from its files to counts, response, background and images."""

from __future__ import annotations

from daybreak.errors import RunDataError, UnusableRunError
from daybreak.products.digest import file_digest
from daybreak.products.provenance import provenance
from daybreak.requests.analysis.steps.common import Inputs, Outputs, Params, config_digest
from daybreak.science.dl3.locate import with_hints
from daybreak.science.observation import Reading, load_run
from daybreak.science.reduce import reduce_run
from daybreak.science.run import ReductionSetup
from daybreak.science.run_io import write_run


def reduce(inputs: Inputs, outputs: Outputs, params: Params) -> None:
    """Reduce one run.

    Parameters
    ----------
    inputs
        Not looked at: the plan lists the run's files there, so that a change is seen.
    outputs
        ``run``, a FITS file.
    params
        ``obs_id``, ``hdus`` (where its data and responses lie), ``setup``.

    Raises
    ------
    UnusableRunError
        If the run's files can't be used.
    """
    hdus = with_hints(params["hdus"])
    run = load_run(int(params["obs_id"]), hdus, Reading.from_dict(params["reading"]))
    try:
        reduced = reduce_run(run, ReductionSetup.from_dict(params["setup"]))
    except RunDataError as error:
        raise UnusableRunError(error.what, error.hint) from error
    digests = {p.name: file_digest(p) for p in sorted({h.path for h in hdus.values()})}
    write_run(reduced, outputs["run"], provenance("reduce", config_digest(params), digests))
