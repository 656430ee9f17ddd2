"""A small simulated night, and what Daybreak and Gammapy each make of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from astropy import units as u

from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science.dl3.files import HduLocation
from daybreak.science.observation import LoadedRun, load_run
from daybreak.science.reduce import reduce_run
from daybreak.science.run import ReducedRun, ReductionSetup
from daybreak.simulate import simulate_night


class Night(NamedTuple):
    """Store, how it is reduced, the runs in memory, and reduced."""

    store: Path
    setup: ReductionSetup
    loaded: list[LoadedRun]
    runs: list[ReducedRun]


def locations(entry) -> dict[str, HduLocation]:
    return {k: HduLocation(k, h.hdu_class, h.path, h.hdu) for k, h in entry.hdus.items()}


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    store = tmp_path_factory.mktemp("science") / "store"
    simulate_night(store, seed=20, n_runs=3, ontime=12 * u.min, sampler="direct")
    stage = first_stage(analysis_request("Crab", store=store, out=store.parent / "out"))
    setup = ReductionSetup.from_dict(stage.plan.steps[0].params["setup"])
    entries = stage.about.runs
    loaded = [load_run(entry.obs_id, locations(entry)) for entry in entries]
    return Night(store, setup, loaded, [reduce_run(run, setup) for run in loaded])
