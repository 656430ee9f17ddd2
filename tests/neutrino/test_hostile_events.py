"""Damaged files and messages end in a value or an EventError, and nothing else happens.

``python -m benchmarks.hostile_events`` does the same ten thousand times.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).parent / "hostile_worker.py"
CASES = 250


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are those of Linux")
def test_damaged_files():
    done = subprocess.run(
        [sys.executable, str(WORKER), "7", "0", str(CASES)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["cases"] == CASES
    assert found["faults"] == [] and found["run"] == []
    # damage of which nothing is ever noticed, or everything, would test little
    assert found["ends"].keys() == {"value", "EventError"}
    assert min(found["ends"].values()) > CASES // 20
    assert len(found["kinds"]) == 6
