"""Extended sources of the H.E.S.S. test data, by default and taken for points."""

from __future__ import annotations

import pytest

import daybreak

pytestmark = [pytest.mark.realdata, pytest.mark.slow]
QUICK = ["maps.enabled=false", "lightcurve.enabled=false"]


def _analyse(store, out, target, *settings):
    return daybreak.analyse(target, store=store, out=out, settings=[*QUICK, *settings]).results


def test_msh_15_52_by_default(hess_store, tmp_path):
    """Published: phi(1.4 TeV) of 2.6 to 2.8e-12 (Mohrmann et al. 2019), with the background model
    of each run scaled as a whole; with a surface per run, our default, it is 2.96e-12."""
    settings = ("spectrum.reference=1.4 TeV", "regions.fov_method=scale")
    found = _analyse(hess_store, tmp_path / "out", "MSH 15-52", *settings)
    assert found["extended"] and found["on_radius_deg"] == pytest.approx(0.31)
    assert any("known to be extended" in note for note in found["notes"])
    (model,) = (m for m in found["spectrum"]["models"] if m["model"] == "pl")
    fit = {p["name"]: (p["value"], p["error"]) for p in model["parameters"]}
    assert 2.6e-12 - fit["amplitude"][1] < fit["amplitude"][0] < 2.8e-12 + fit["amplitude"][1]


@pytest.mark.parametrize(
    ("target", "flagged"),
    [("MSH 15-52", True), ("RX J1713.7-3946", True), ("Crab", False), ("pks2155_flare", False),
     ("pks2155_steady", False)],
)  # fmt: skip
def test_taken_for_a_point(hess_store, tmp_path, target, flagged):
    found = _analyse(hess_store, tmp_path / "out", target, "regions.source=point")
    assert any(note.startswith("EXTENDED?") for note in found["notes"]) is flagged
    assert not found["extended"]
