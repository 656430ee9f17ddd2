"""A sound store, and analyses whose steps run in this process."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from astropy import units as u

from daybreak.pipeline import engine
from daybreak.pipeline.execute import execute
from daybreak.simulate import simulate_night


@contextmanager
def _here(n_workers, preload):
    def submit(payload):
        future: Future = Future()
        future.set_result(execute(payload))
        return future

    yield submit


@pytest.fixture()
def here(monkeypatch):
    """Run steps in this process: what is tested is what becomes of them, not the engine."""
    monkeypatch.setattr(engine, "local_workers", _here)


@pytest.fixture(scope="session")
def sound_store(tmp_path_factory) -> Path:
    """Three runs of six minutes on a bright source."""
    store = tmp_path_factory.mktemp("sound") / "store"
    simulate_night(store, seed=41, n_runs=3, ontime=6 * u.min, sampler="direct")
    return store
