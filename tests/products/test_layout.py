"""Names of folders never lead anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybreak.errors import OutputError
from daybreak.products.layout import product_folder, safe_name


def test_the_levels():
    folder = product_folder(Path("/data"), "lst1", "2026-11-27", "Mrk 421", "tel_001")
    assert folder == Path("/data/lst1/2026-11-27/Mrk_421/tel_001")
    assert product_folder(Path("/data"), "hess", "2004-12-04", "Crab").name == "Crab"


@given(st.text(max_size=80))
def test_whatever_a_target_is_called_it_stays_below(text):
    base = Path("/data/lst1/2026-11-27")
    try:
        name = safe_name(text)
    except OutputError:
        return
    assert (base / name).resolve().parent == base.resolve() and len(name) <= 60


@pytest.mark.parametrize("text", ["", "..", "/", " . ", "../..", "\0"])
def test_what_is_no_name(text):
    with pytest.raises(OutputError):
        safe_name(text)


def test_a_night_is_a_date():
    with pytest.raises(OutputError, match="not a night"):
        product_folder(Path("/data"), "lst1", "../2026", "Crab")
