"""The public stores themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from daybreak_cli import run
from store_maker import tree

from daybreak.stores.verbs import copy_store, index_store, list_store, verify_store

pytestmark = pytest.mark.realdata


def test_list_of_the_hess_store(hess_store: Path) -> None:
    info = list_store(hess_store).datasets[0]
    assert info.observations == 105
    assert round(info.ontime_h, 2) == 48.56
    assert info.events == 1_046_156
    assert info.differences == []
    done = run("store", "list", hess_store)
    for text in ("observations   105", "48.56 h", "1,046,156"):
        assert text in done.stdout


def test_a_full_copy_is_identical_the_next_moves_nothing(hess_store: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    assert run("store", "copy", hess_store, dest).returncode == 0
    done = subprocess.run(
        ["diff", "-r", "-x", ".daybreak", hess_store, dest], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "copied 0 files (0 B)" in run("store", "copy", hess_store, dest).stdout


def test_verify_knows_the_wrong_sizes(hess_store: Path) -> None:
    result = verify_store(hess_store)
    assert result.ok
    files = [(f.kind, f.where) for f in result.findings if f.kind != "odd"]
    assert files == [("size", "105 files")]


def test_two_instruments_in_one_store(hess_store: Path, magic_store: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(hess_store, dest, target="crab")
    copy_store(magic_store, dest)
    info = list_store(dest, runs=True).datasets[0]
    assert info.observations == 6
    result = verify_store(dest)
    assert {f.kind for f in result.findings} == {"size"}
    assert info.last.startswith("2013-10-04")  # the MAGIC index does not say from when it counts
    code = (
        "import sys; from gammapy.data import DataStore; s = DataStore.from_dir(sys.argv[1]); "
        "print(sum(len(o.events.table) for o in s.get_observations(required_irf=[])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(dest)], capture_output=True, text=True)
    assert done.stdout.split()[-1] == str(info.events), done.stderr


def test_index_made_anew_equals_the_published_one(hess_store: Path, tmp_path: Path) -> None:
    from astropy.table import Table

    copy_store(hess_store, tmp_path / "dest", target="crab")
    old = Table.read(tmp_path / "dest/obs-index.fits.gz", hdu=1)
    index_store(tmp_path / "dest", overwrite=True)
    new = Table.read(tmp_path / "dest/obs-index.fits.gz", hdu=1)
    for name in ("OBS_ID", "EVENT_COUNT", "N_TELS"):
        assert list(old[name]) == list(new[name])
    for name in ("RA_PNT", "DEC_PNT", "ZEN_PNT", "ONTIME", "LIVETIME", "TSTART", "OFFSET_OBJ"):
        assert list(new[name]) == pytest.approx(list(old[name]), rel=2e-5)
    rows = Table.read(tmp_path / "dest/hdu-index.fits.gz", hdu=1)
    published = Table.read(hess_store / "hdu-index.fits.gz", hdu=1)
    published = published[[i in list(old["OBS_ID"]) for i in published["OBS_ID"]]]

    def triples(table: Table) -> set[tuple[int, str, str]]:
        return {(int(r["OBS_ID"]), str(r["HDU_TYPE"]), str(r["HDU_CLASS"])) for r in table}

    assert triples(rows) == triples(published)


def test_repair_gives_the_same_runs(hess_store: Path, tmp_path: Path) -> None:
    copy_store(hess_store, tmp_path / "dest")
    before = tree(tmp_path / "dest")
    result = verify_store(tmp_path / "dest", repair=True)
    assert {f.kind for f in result.findings} == {"odd"}, "as tests/realdata/test_odd_dl3.py says"
    info = list_store(tmp_path / "dest").datasets[0]
    assert (info.observations, info.events) == (105, 1_046_156)
    changed = {p for p, d in tree(tmp_path / "dest").items() if before[p] != d}
    assert changed == {"obs-index.fits.gz", "hdu-index.fits.gz"}
