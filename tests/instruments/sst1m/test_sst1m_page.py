"""The Python of docs/sst1m-raw.md on a real file, with SST-1M's own calibration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sst1m-raw.md"


@pytest.mark.realdata
def test_the_page(data_root, tmp_path):
    protozfits = pytest.importorskip("protozfits", reason="its wheel brings the real file")
    name = "example_SST1M_20180822.fits.fz"
    (raw,) = Path(protozfits.__file__).parent.rglob(name)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)
    assert "SST1M1_20240131_0042.fits.fz" in block
    shutil.copy(raw, tmp_path / "SST1M1_20240131_0042.fits.fz")
    (tmp_path / "sst1mpipe").mkdir()
    (tmp_path / "sst1mpipe" / "data").symlink_to(data_root / "sst1m")
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path, env=os.environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Tally(" in done.stdout and "32" in done.stdout, done.stdout
