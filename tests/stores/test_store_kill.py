"""A copy may be killed at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing import run_trials
from store_maker import make_store, verify_files


def trials(tmp_path: Path, count: int, seed: int) -> None:
    make_store(tmp_path / "source", 40, noise=60_000, shared_irf=False)
    verify_files(tmp_path / "source", write_sums=True)
    results = run_trials(tmp_path / "source", tmp_path, count, seed)
    for tally in results.values():
        assert tally.findings == []
        assert tally.kills == count // 2
    assert sum(tally.in_the_middle for tally in results.values()) > 0


def test_a_few_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    trials(tmp_path, 16, seed=3)


@pytest.mark.slow
def test_many_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m benchmarks.stores --only kills`` does 200."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    trials(tmp_path, 80, seed=11)
