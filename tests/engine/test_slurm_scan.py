"""A sky scan on the workers of a real Slurm finds what threads of this machine find."""

from __future__ import annotations

import json

import pytest
from slurm_fixtures import slurm  # noqa: F401 - a fixture

import daybreak
from daybreak.requests import look

PROFILE = """
kind: slurm
address: 127.0.0.1
pools:
  default: {cores: 2, memory: 3.2 GB, walltime: 10 min, min_blocks: 2, max_blocks: 2}
"""


@pytest.mark.slurm
@pytest.mark.slow
def test_a_scan_on_two_nodes(tmp_path, slurm, monkeypatch):  # noqa: F811
    from daybreak.simulate.event_file import simulate_event

    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path / "state"))
    event = tmp_path / "track.json"
    simulate_event(event, seed=3)
    (tmp_path / "farm.yaml").write_text(PROFILE)
    scan = {"nsides": (1, 4), "likelihood": "dummy"}
    daybreak.scan(event, out=tmp_path / "here", **scan)
    result = daybreak.scan(event, out=tmp_path / "farm", engine=str(tmp_path / "farm.yaml"), **scan)
    assert result.complete
    numbers = []
    for name in ("here", "farm"):
        found = json.loads((tmp_path / name / "results.json").read_text())
        numbers.append({key: found[key] for key in ("best_fit", "minima", "contours", "pixels")})
    assert numbers[0]["best_fit"] == numbers[1]["best_fit"]
    assert numbers[0]["contours"] == numbers[1]["contours"]
    assert look.find(tmp_path / "farm").state == "DONE"
