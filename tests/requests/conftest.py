"""A sound store."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy import units as u

from daybreak.simulate import simulate_night


@pytest.fixture(scope="session")
def sound_store(tmp_path_factory) -> Path:
    """Three runs of six minutes on a bright source."""
    store = tmp_path_factory.mktemp("sound") / "store"
    simulate_night(store, seed=41, n_runs=3, ontime=6 * u.min, sampler="direct")
    return store
