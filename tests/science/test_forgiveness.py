"""Every keyword and column of a good run, one at a time, changed in every way."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from forgiveness import NAMES, Forgiveness, table, verdict

DOCS = Path(__file__).resolve().parents[2] / "docs" / "forgives.md"
#: what a person on duty can do nothing with
PYTHON = re.compile(r"Error\b|Exception|\bNone\b|object has|not subscriptable|<class|astropy|numpy")


@pytest.fixture(scope="module")
def forgiveness(tmp_path_factory):
    return Forgiveness(tmp_path_factory.mktemp("forgiveness"))


@pytest.mark.parametrize("hdu", NAMES)
def test_never_an_unflagged_change(forgiveness, hdu):
    """The same result, or a flagged one, or left out with file, HDU and keyword or column."""
    good = forgiveness.good
    assert good.flags == () and np.isfinite(good.flux)
    outcomes = {}
    for case in forgiveness.cases():
        if case.hdu != hdu:
            continue
        found = outcomes[case] = forgiveness.outcome(case)
        if found.reason:
            said = found.reason
            assert said.startswith("run.fits, "), f"{case}: {said}"
            assert not PYTHON.search(said), f"{case}: {said}"
            assert "damaged" not in said, f"{case}: {said}"
            assert _names_it(case, said), f"{case}: {said}"
        elif verdict(good, found) == "same" or case.item.startswith("TDIM"):
            assert abs(found.flux / good.flux - 1) < 0.01, f"{case}: {found}"
    assert len(outcomes) > 100
    documented = [row for row in DOCS.read_text().splitlines() if row.startswith(f"| {hdu} ")]
    assert table(good, outcomes) == documented, "run `python -m benchmarks.forgiveness`"


def _names_it(case, said: str) -> bool:
    """Whether a message names the HDU, and the keyword or column or its family (TFORMn)."""
    words = {case.item, re.sub(r"\d+$", "n", case.item)}
    column = case.item.startswith(("TTYPE", "TFORM")) and "column" in said
    unit = case.item.startswith("TUNIT") and ("unit" in said or "column" in said)
    return case.hdu in said and (column or unit or any(word in said for word in words))
