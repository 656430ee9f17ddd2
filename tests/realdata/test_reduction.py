"""Every run of the public H.E.S.S. data, and MAGIC's, reduced by us and by Gammapy's makers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science.dl3.files import HduLocation
from daybreak.science.gammapy_response import GammapyResponse
from daybreak.science.gammapy_run import gammapy_observation
from daybreak.science.geoms import energy_axes
from daybreak.science.observation import load_run
from daybreak.science.reduce import reduce_run
from daybreak.science.response import GridResponse
from daybreak.science.run import ReductionSetup

from gammapy_reference import compare  # isort: skip

pytestmark = [pytest.mark.realdata, pytest.mark.peer]

#: tags of the store with their settings; all 105 runs lie in one of them
SETS = {
    "crab": ["spectrum.threshold=aeff"],
    "msh1552": [],
    "rxj1713": ["regions.on_radius=0.6 deg"],
    "pks2155_flare": ["regions.n_off=5"],
    "pks2155_steady": [],
    "offdata": [],
}
N_RUNS = {"crab": 4, "msh1552": 20, "rxj1713": 15, "pks2155_flare": 15, "pks2155_steady": 6}


def _runs(store, target, out, settings=()):
    stage = first_stage(analysis_request(target, store=store, out=out, settings=settings))
    for step in stage.plan.steps:
        if step.name.startswith("reduce-"):
            hdus = {
                h["kind"]: HduLocation(h["kind"], h["hdu_class"], Path(h["path"]), h["hdu"])
                for h in step.params["hdus"]
            }
            setup = ReductionSetup.from_dict(step.params["setup"])
            yield load_run(int(step.params["obs_id"]), hdus), setup


@pytest.mark.parametrize("tag", SETS)
def test_hess(hess_store, tmp_path, tag):
    n = 0
    for loaded, setup in _runs(hess_store, tag, tmp_path / "out", SETS[tag]):
        compare(loaded, reduce_run(loaded, setup), setup)
        n += 1
    assert n == N_RUNS.get(tag, 45)


def test_magic(magic_store, tmp_path):
    """Point-like responses: RAD_MAX, exposure and dispersion, and the events within RAD_MAX."""
    n = 0
    for loaded, setup in _runs(magic_store, "crab", tmp_path / "out"):
        run, theirs = reduce_run(loaded, setup), GammapyResponse(loaded, setup)
        ours = GridResponse(loaded, setup)
        assert run.mask_safe.tolist() == theirs.safe_mask()[0].tolist()
        np.testing.assert_allclose(run.exposure_cm2_s, theirs.exposure_cm2_s(), rtol=1e-6)
        np.testing.assert_allclose(run.edisp, theirs.kernel(), rtol=1e-6, atol=1e-9)
        energy = np.geomspace(0.05, 20, 40)
        for nearest in (False, True):
            radii = [
                r.rad_max_deg(energy, setup.on.ra_deg, setup.on.dec_deg, nearest=nearest)
                for r in (ours, theirs)
            ]
            np.testing.assert_allclose(*radii, rtol=1e-6)
        observation = gammapy_observation(loaded)
        reco, _ = energy_axes(setup)
        for kind in ("on", "off"):
            expected = 0
            for place in (c for k, c in run.regions if k == kind):
                events = observation.events.select_rad_max(
                    rad_max=observation.rad_max,
                    position=SkyCoord(place.ra_deg, place.dec_deg, unit="deg"),
                )
                expected += np.histogram(events.energy.to_value(u.TeV), reco.edges.value)[0]
            off = run.backgrounds["reflected"].counts_off
            assert (run.counts_on if kind == "on" else off).tolist() == expected.tolist()
        n += 1
    assert n == 2
