"""One simulated night of each kind, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from daybreak.simulate import Truth, simulate_night


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    out = tmp_path_factory.mktemp("night") / "store"
    return out, simulate_night(out, seed=11)


@pytest.fixture(scope="session")
def point_like_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    out = tmp_path_factory.mktemp("point-like") / "store"
    return out, simulate_night(out, seed=12, point_like=True)


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two") / "store"
    simulate_night(out, seed=13, n_runs=2, sampler="direct")
    return out
