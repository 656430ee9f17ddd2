"""Listings: counted from the files, whatever the index and the master file claim."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table
from daybreak_cli import run
from store_maker import Run, hdu_table, make_large_store, make_store, obs_table, put, verify_files

from daybreak.errors import ConfigError, NoDataError, StoreError
from daybreak.stores.claims import claims_of
from daybreak.stores.verbs import copy_store, list_store, select


def test_counts_and_claims(tmp_path: Path) -> None:
    claims = {
        "Total observations": 106,
        "Total time": "1.4 hours",
        "Total events": 662826,
        "Disk usage": "0 MB",
        "Date created": "2018-09-10",
        "Contact": {"name": "x"},
    }
    make_store(tmp_path, 3, master=claims)
    info = list_store(tmp_path).datasets[0]
    assert (info.observations, info.events, info.files) == (3, 33, 3)
    assert info.ontime_h == pytest.approx(1.4)
    assert info.size_bytes == sum(p.stat().st_size for p in (tmp_path / "data").iterdir())
    assert info.keys == claims
    assert [d for d in info.differences if "observations: 106; it is 3" in d]
    assert [d for d in info.differences if "events: 662826; it is 33" in d]
    assert len(info.differences) == 2


def test_incomplete_runs_are_not_counted(tmp_path: Path) -> None:
    make_store(tmp_path, 3)
    (tmp_path / "data/run_020001.fits.gz").unlink()
    info = list_store(tmp_path).datasets[0]
    assert (info.observations, info.indexed, info.incomplete) == (2, 3, ["20001"])
    assert "lists 3 observations, 2 are whole" in info.differences[0]


def test_index_that_lies_about_events(tmp_path: Path) -> None:
    runs = make_store(tmp_path, 2)
    runs[0].events += 5
    put(tmp_path / "obs-index.fits.gz", obs_table(runs))
    assert "26 events, the files hold 21" in list_store(tmp_path).datasets[0].differences[0]


def test_changed_file_is_counted_again(tmp_path: Path) -> None:
    runs = make_store(tmp_path, 2)
    assert list_store(tmp_path).datasets[0].events == 21
    runs[0].events = 500
    make_store(tmp_path, runs)
    assert list_store(tmp_path).datasets[0].events == 511


def test_unavailable_dataset(tmp_path: Path) -> None:
    make_store(tmp_path, 2)
    master = json.loads((tmp_path / "master.json").read_text())
    master["datasets"].append({"name": "b", "obsindx": "no.fits", "hduindx": "../x", "Note": 1})
    (tmp_path / "master.json").write_text(json.dumps(master))
    a, b = list_store(tmp_path).datasets
    assert a.available and not b.available
    assert "no.fits is not there" in b.problem and "leaves the store" in b.problem
    assert b.keys == {"Note": 1}


def test_vhefits_and_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="VHEFITS"):
        list_store()
    make_store(tmp_path / "s", 2)
    monkeypatch.setenv("VHEFITS", str(tmp_path / "s"))
    assert list_store().datasets[0].observations == 2
    with pytest.raises(StoreError, match="no data store"):
        (tmp_path / "empty").mkdir()
        list_store(tmp_path / "empty")
    with pytest.raises(StoreError, match="no folder"):
        list_store(tmp_path / "absent")


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"datasets": 1}', '{"datasets": [1]}', "[" * 100_000]
)
def test_rubbish_in_the_master_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "master.json").write_text(content)
    with pytest.raises(StoreError, match=r"master\.json"):
        list_store(tmp_path)


def test_variants_of_the_format(tmp_path: Path) -> None:
    """Six columns, text OBS_IDs, masked FILE_DIR, split dates, no time reference."""
    runs = make_store(tmp_path, 3, folder="", master=False)
    obs = Table(
        {
            "OBS_ID": [f"{r.obs_id:08d}" for r in runs],
            "RA_PNT": np.array([r.ra for r in runs], "f4"),
            "DEC_PNT": np.array([r.dec for r in runs], "f4"),
            "DATE-OBS": ["2004-03-26"] * 3,
            "TIME-OBS": ["02:57:46.184"] * 3,
            "TARGET_TAG": ["crab"] * 3,
        }
    )
    obs.write(tmp_path / "obs-index.fits.gz", overwrite=True)
    rows = [(r.obs_id, "events", "events", r.path) for r in runs]
    hdu = Table(rows=rows, names=("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_NAME"))
    hdu["FILE_DIR"] = MaskedColumn(["x"] * 3, mask=[True] * 3)
    hdu["HDU_NAME"] = "EVENTS"
    hdu.write(tmp_path / "hdu-index.fits.gz", overwrite=True)
    info = list_store(tmp_path, runs=True).datasets[0]
    assert (info.observations, info.events) == (3, 33)
    assert info.runs is not None
    assert [r.obs_id for r in info.runs] == ["20000", "20001", "20002"]
    assert info.first == "2004-03-26 02:57:46"
    assert info.runs[0].ontime_s == 1680.0
    copy_store(tmp_path, tmp_path.parent / "copy", runs=[20001])
    assert list_store(tmp_path.parent / "copy").datasets[0].events == 11
    assert verify_files(tmp_path.parent / "copy").ok


def test_files_of_an_index_named_without_gz(tmp_path: Path) -> None:
    make_store(tmp_path, 2)
    text = (tmp_path / "master.json").read_text().replace(".fits.gz", ".fits")
    (tmp_path / "master.json").write_text(text)
    assert list_store(tmp_path).datasets[0].observations == 2


def test_run_without_files_and_shared_files(tmp_path: Path) -> None:
    runs = make_store(tmp_path, 3, shared_irf=True)
    extra = Run(99999)
    put(tmp_path / "obs-index.fits.gz", obs_table([*runs, extra]))
    info = list_store(tmp_path).datasets[0]
    assert (info.observations, info.incomplete, info.files) == (3, ["99999"], 4)


def test_empty_index(tmp_path: Path) -> None:
    put(tmp_path / "obs-index.fits.gz", obs_table([]))
    put(tmp_path / "hdu-index.fits.gz", hdu_table([]))
    assert list_store(tmp_path).datasets[0].observations == 0
    assert copy_store(tmp_path, tmp_path.parent / "copy").complete


@pytest.mark.parametrize(
    ("key", "value", "kind", "number"),
    [
        ("Total observations", "105", "observations", 105),
        ("Number of events", "1,046,156", "events", 1046156),
        ("Total observation time", "48.6 h", "hours", 48.6),
        ("Total time", "2916 minutes", "hours", 48.6),
        ("Disk usage", "62.2 MB", "bytes", 62.2e6),
    ],
)
def test_claims_that_are_understood(key: str, value: str, kind: str, number: float) -> None:
    (claim,) = claims_of({key: value})
    assert claim.kind == kind
    assert claim.value == pytest.approx(number)


@pytest.mark.parametrize(
    "keys",
    [
        {"Date created": "2018-09-10"},
        {"Contact": "me"},
        {"Total events": "many"},
        {"Events": None},
        {"Total observations": True},
        {"Time zone": "UTC"},
    ],
)
def test_what_is_no_claim(keys: dict[str, object]) -> None:
    assert claims_of(keys) == []


@pytest.mark.parametrize("position", ["83", "a,b", "400,0", "0,91", "1,2,3"])
def test_bad_positions(position: str) -> None:
    with pytest.raises(ConfigError):
        select(position=position)
    with pytest.raises(ConfigError):
        select(after="yesterday")


@pytest.mark.slow
def test_thousands_of_runs(tmp_path: Path) -> None:
    """How long they take is measured by ``python -m benchmarks.stores --only large``."""
    make_large_store(tmp_path / "source", 4_000)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = run("store", "list", tmp_path / "source", **cache)
    assert "4,000" in done.stdout and "20,000" in done.stdout, done.stderr
    done = run("store", "copy", tmp_path / "source", tmp_path / "dest", timeout=300, **cache)
    assert "copied 4,000 files" in done.stdout, done.stdout
    done = run("store", "copy", tmp_path / "source", tmp_path / "dest", **cache)
    assert "copied 0 files" in done.stdout, done.stderr


def test_positions_have_units(tmp_path: Path) -> None:
    make_store(tmp_path, 3)
    info = list_store(tmp_path, runs=True).datasets[0]
    assert info.runs is not None
    ra, dec = info.runs[0].ra_deg, info.runs[0].dec_deg
    assert ra is not None and dec is not None
    places = [f"{ra},{dec}", SkyCoord(ra, dec, unit="deg"), (ra * u.deg, (dec * u.deg).to("rad"))]
    for place in places:
        near = select(position=place, radius=30 * u.arcmin)
        assert near.radius_deg == pytest.approx(0.5)
        assert near.position_deg == pytest.approx((ra, dec))
        assert len(list_store(tmp_path, selection=near).datasets[0].runs or ()) == 3
    with pytest.raises(ConfigError, match="no angle"):
        select(position=places[0], radius=3.0)
    with pytest.raises(ConfigError, match="no angle"):
        select(position=(ra, dec))
    with pytest.raises(NoDataError):
        list_store(tmp_path, selection=select(position=(ra * u.deg, -dec * u.deg)))
