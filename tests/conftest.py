"""Shared fixtures: where the real data are, and small simulated stores."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from here_pools import HerePools

# the same examples each time, so that a change is not refused for what it has not done;
# DAYBREAK_HYPOTHESIS=full takes ten times as many (CI does), explore looks for new ones
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("daybreak", max_examples=60, derandomize=True, **_COMMON)
settings.register_profile("full", max_examples=600, derandomize=True, **_COMMON)
settings.register_profile("explore", max_examples=600, **_COMMON)
settings.load_profile(os.environ.get("DAYBREAK_HYPOTHESIS", "daybreak"))


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory):
    """The registry of requests is not the user's."""
    old = os.environ.get("DAYBREAK_HOME")
    os.environ["DAYBREAK_HOME"] = str(tmp_path_factory.mktemp("state"))
    yield
    os.environ.pop("DAYBREAK_HOME")
    if old is not None:
        os.environ["DAYBREAK_HOME"] = old


@pytest.fixture()
def here(monkeypatch):
    """Run steps in this process; the pools, so that a test can make them fail."""
    pools = HerePools()

    @contextmanager
    def open_pools(*_, **__):
        yield pools

    class Ahead:
        """Nothing is opened ahead of the plan."""

        open = staticmethod(open_pools)

        def __init__(self, *_):
            pass

        def close(self):
            pass

    monkeypatch.setattr("daybreak.engine.run.open_pools", open_pools)
    monkeypatch.setattr("daybreak.requests.run.OpenedAhead", Ahead)
    return pools


def _data_root() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("DAYBREAK_TEST_DATA", default))


@pytest.fixture(scope="session")
def data_root() -> Path:
    root = _data_root()
    if not root.is_dir():
        pytest.skip(f"no real data at {root} (set DAYBREAK_TEST_DATA)")
    return root


@pytest.fixture(scope="session")
def hess_store(data_root: Path) -> Path:
    store = data_root / "hess-dl3-dr1"
    if not (store / "obs-index.fits.gz").is_file():
        pytest.skip(f"no H.E.S.S. DL3 DR1 store at {store}")
    return store


@pytest.fixture(scope="session")
def magic_store(data_root: Path) -> Path:
    store = data_root / "magic-rad-max" / "data"
    if not (store / "obs-index.fits.gz").is_file():
        pytest.skip(f"no MAGIC store at {store}")
    return store
