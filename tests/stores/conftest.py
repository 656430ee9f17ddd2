"""Every test has its own cache folder, and small stores."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_maker import Run, make_store


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("VHEFITS", raising=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Nine runs, as csiactcopy's own tests have."""
    make_store(tmp_path / "source", 9)
    return tmp_path / "source"


@pytest.fixture
def runs9() -> list[Run]:
    return [Run(20000 + i) for i in range(9)]
