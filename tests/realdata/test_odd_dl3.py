"""Stores of two H.E.S.S. runs, each odd in one way that users of public tools have reported."""

from __future__ import annotations

import runpy
import sys

import pytest

import daybreak

pytestmark = pytest.mark.realdata

SETTINGS = ("spectrum.models=[pl]", "maps.enabled=false", "lightcurve.enabled=false")
FLAGS = {
    "psf-class-wrong-in-index": "INDEX_WRONG",
    "no-gti-in-index": "INDEX_WRONG",
    "no-time-reference-in-events": "TIME_REFERENCE",
    "drift-scan": "POINTING_ODD",
    "livetime-below-gti": "LIVETIME_DIFFERS",
    "half-of-the-events-twice": "EVENTS_DOUBLED",
    "lower-case-columns": "",
}


@pytest.fixture(scope="module")
def stores(hess_store, tmp_path_factory):
    script = hess_store.parent / "odd-dl3" / "make.py"
    if not script.is_file():
        pytest.skip(f"no {script}")
    folder = tmp_path_factory.mktemp("odd")
    argv, sys.argv = sys.argv, [str(script), str(hess_store), str(folder)]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = argv
    return folder


@pytest.mark.parametrize("name", FLAGS)
def test_what_the_undisturbed_runs_give(stores, tmp_path, name):
    """234 ON, 145 OFF, 0.8762 h, index 2.621."""
    found = daybreak.analyse("crab", store=stores / name, out=tmp_path / "out", settings=SETTINGS)
    counts, runs = found.results["counts"], found.results["runs"]
    assert (counts["n_on"], counts["n_off"]) == (234, 145)
    assert sum(run["livetime"] for run in runs) / 3600 == pytest.approx(0.8762, abs=5e-5)
    (model,) = found.results["spectrum"]["models"]
    index = next(p for p in model["parameters"] if p["name"] == "index")
    assert index["value"] == pytest.approx(2.621, abs=5e-4)
    flags = {row["flag"] for row in found.results["oddities"]}
    assert flags == ({FLAGS[name]} if FLAGS[name] else set())


def test_the_sound_store_has_one_run_that_lost_time(hess_store):
    """Run 20283: 503 s of 1682 s without any event, which its good time does not know of."""
    from daybreak.stores.verbs import verify_store

    found = [f for f in verify_store(hess_store).findings if f.kind in ("odd", "unusable")]
    lost = [f for f in found if "GTI_WITHOUT_EVENTS" in f.text]
    assert [f.where for f in lost] == ["run 20283"] and "503 of" in lost[0].text
    others = {f.text.partition(":")[0] for f in found} - {"GTI_WITHOUT_EVENTS"}
    assert others <= {"IRF_REPAIRED"}, others
