"""Verification finds each defect, and index files can be made anew."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from store_maker import (
    HDUS,
    PRIMARY,
    Run,
    dl3_bytes,
    hdu_table,
    index_rows,
    index_runs,
    make_runs,
    make_store,
    obs_table,
    put,
    tree,
    verify_files,
)

from daybreak.errors import NoDataError, StoreError, StoreIntegrityError
from daybreak.stores.verbs import copy_store, index_store, list_store, require_sound

DATA = "data/run_020001.fits.gz"


def truncate(root: Path, _runs: list[Run]) -> None:
    (root / DATA).write_bytes((root / DATA).read_bytes()[:700])


def flip(root: Path, _runs: list[Run]) -> None:
    data = bytearray((root / DATA).read_bytes())
    data[-6] ^= 1
    (root / DATA).write_bytes(data)


def remove(root: Path, _runs: list[Run]) -> None:
    (root / DATA).unlink()


def other_run(root: Path, runs: list[Run]) -> None:
    put(root / DATA, dl3_bytes(Run(777, tstart=runs[1].tstart)))


def other_time(root: Path, runs: list[Run]) -> None:
    runs[1].tstart += 5
    put(root / DATA, dl3_bytes(runs[1]))


def lost_hdu(root: Path, runs: list[Run]) -> None:
    put(root / DATA, dl3_bytes(runs[1], irf=False))


def escape(root: Path, runs: list[Run]) -> None:
    rows = [(r.obs_id, *HDUS[0][:2], "../..", "x.fits", "EVENTS", 0) for r in runs[1:2]]
    rows += [(r.obs_id, *HDUS[0][:2], "data", Path(r.path).name, "EVENTS", 0) for r in runs]
    put(root / "hdu-index.fits.gz", hdu_table(rows))


def no_rows(root: Path, runs: list[Run]) -> None:
    rows = [(r.obs_id, *HDUS[0][:2], "data", Path(r.path).name, "EVENTS", 0) for r in runs[:1]]
    put(root / "hdu-index.fits.gz", hdu_table(rows))


def rubbish_index(root: Path, _runs: list[Run]) -> None:
    (root / "obs-index.fits.gz").write_bytes(b"x" * 5000)


def no_index(root: Path, _runs: list[Run]) -> None:
    (root / "obs-index.fits.gz").unlink()


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (truncate, "damaged"),
        (flip, "damaged"),
        (remove, "missing"),
        (other_run, "obs_id"),
        (other_time, "time"),
        (lost_hdu, "hdu"),
        (escape, "path"),
        (no_rows, "orphan"),
        (rubbish_index, "index"),
        (no_index, "index"),
    ],
)
def test_errors(tmp_path: Path, harm: Callable[[Path, list[Run]], None], kind: str) -> None:
    runs = make_store(tmp_path, 4)
    assert verify_files(tmp_path).findings == []
    harm(tmp_path, runs)
    result = verify_files(tmp_path)
    assert kind in {f.kind for f in result.errors}
    with pytest.raises(StoreIntegrityError) as caught:
        require_sound(result)
    assert caught.value.exit_code == 12


def test_warnings(tmp_path: Path) -> None:
    runs = make_store(tmp_path, 3)
    rows = [
        (r.obs_id, kind, cls, "data", Path(r.path).name, name, 414720)
        for r in runs
        for kind, cls, name in HDUS
    ]
    put(tmp_path / "hdu-index.fits.gz", hdu_table([*rows, rows[0]]))
    runs[1].target = "Vela"
    put(tmp_path / "obs-index.fits.gz", obs_table([*runs, runs[0]]))
    put(tmp_path / "data/extra.fits.gz", dl3_bytes(Run(5)))
    result = verify_files(tmp_path)
    assert result.ok
    assert {f.kind for f in result.findings} == {"size", "duplicate", "target", "extra"}


def test_sums_are_as_sha256sum_writes_them(source: Path) -> None:
    verify_files(source, write_sums=True)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=source, capture_output=True)
    assert done.returncode == 0
    path = source / DATA
    data = bytearray(path.read_bytes())
    data[4] ^= 1  # the time in the gzip header: the content is sound
    path.write_bytes(data)
    result = verify_files(source)
    assert [f.kind for f in result.errors] == ["digest"]


def test_repair_keeps_what_only_the_old_index_knows(tmp_path: Path) -> None:
    from astropy.table import Table

    make_store(tmp_path, 4, shared_irf=True, master=False)
    table = Table.read(tmp_path / "obs-index.fits.gz", hdu=1)
    table["TARGET_TAG"] = ["a", "b", "c", "d"]
    table["ONTIME"] = 1.0
    table.write(tmp_path / "obs-index.fits.gz", overwrite=True)
    (tmp_path / "data/run_020003.fits.gz").unlink()
    put(tmp_path / "data/new.fits.gz", dl3_bytes(Run(30000)))
    assert not verify_files(tmp_path).ok
    result = verify_files(tmp_path, repair=True)
    assert result.ok and not result.findings
    fixed = Table.read(tmp_path / "obs-index.fits.gz", hdu=1)
    assert fixed["OBS_ID"].tolist() == [20000, 20001, 20002, 30000]
    assert [str(t).strip() for t in fixed["TARGET_TAG"].filled("")] == ["a", "b", "c", ""]
    assert set(fixed["ONTIME"]) == {1680.0}
    shared = [row for row in index_rows(tmp_path) if "shared" in row[2]]
    assert len(shared) == 3


def test_repair_of_lost_and_ruined_indices(tmp_path: Path) -> None:
    make_store(tmp_path, 3)
    for name in ("obs-index.fits.gz", "hdu-index.fits.gz"):
        (tmp_path / name).write_bytes(b"rubbish")
    assert verify_files(tmp_path, repair=True).ok
    (tmp_path / "obs-index.fits.gz").unlink()
    (tmp_path / "hdu-index.fits.gz").unlink()
    (tmp_path / "master.json").unlink()
    assert verify_files(tmp_path, repair=True).ok
    assert index_runs(tmp_path) == [20000, 20001, 20002]


def test_index_of_a_folder(tmp_path: Path) -> None:
    for run in make_runs(3):
        put(tmp_path / f"night{run.obs_id % 2}/dl3_{run.obs_id}.fits", dl3_bytes(run))
    put(tmp_path / "irf.fits", PRIMARY)
    put(tmp_path / "copy.fits.gz", dl3_bytes(Run(20000)))
    (tmp_path / "broken.fits").write_bytes(b"x" * 3000)
    result = index_store(tmp_path, name="mine")
    assert (result.runs, result.hdus) == (3, 9)
    assert set(result.skipped) == {"irf.fits", "broken.fits", "night0/dl3_20000.fits"}
    info = list_store(tmp_path).datasets[0]
    assert (info.name, info.observations, info.events) == ("mine", 3, 10 + 11 + 12 + 10)
    with pytest.raises(StoreError, match="already"):
        index_store(tmp_path)
    assert index_store(tmp_path, overwrite=True).runs == 3
    assert json.loads((tmp_path / "master.json").read_text())["datasets"][0]["name"] == "mine"


def test_index_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoDataError):
        index_store(tmp_path)
    with pytest.raises(StoreError):
        index_store(tmp_path / "absent")


def test_gammapy_reads_the_index_that_we_make(tmp_path: Path) -> None:
    from gammapy.data import DataStore

    for run in make_runs(3):
        put(tmp_path / f"dl3_{run.obs_id}.fits.gz", dl3_bytes(run))
    index_store(tmp_path)
    store = DataStore.from_dir(tmp_path)
    assert list(store.obs_table["OBS_ID"]) == [20000, 20001, 20002]
    assert store.hdu_table.hdu_location(20001, "events").path() == tmp_path / "dl3_20001.fits.gz"
    assert store.obs_table.time_start[0].isot.startswith("2004-03-0")


def test_killed_between_two_renames(source: Path, tmp_path: Path) -> None:
    """The journal is finished by whoever comes next."""
    dest = tmp_path / "dest"
    copy_store(source, dest, runs=[20000])
    copy_store(source, tmp_path / "whole")
    own = dest / ".daybreak"
    for number, name in enumerate(("hdu-index.fits.gz", "obs-index.fits.gz")):
        (own / "pending" / str(number)).write_bytes((tmp_path / "whole" / name).read_bytes())
    for path, data in tree(source).items():
        if path.startswith("data/"):
            (dest / path).write_bytes(data)
    (own / "pending/0").replace(dest / "hdu-index.fits.gz")
    moves = [["0", "hdu-index.fits.gz"], ["1", "obs-index.fits.gz"], ["1", "../../evil"]]
    (own / "journal.json").write_text(json.dumps(moves))
    assert verify_files(dest).findings == []
    assert len(index_runs(dest)) == 9
    assert not (own / "journal.json").exists()


def test_tampered_own_folder_is_no_harm(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest)
    own = dest / ".daybreak"
    (own / "manifest.jsonl").write_bytes(b'\xff\x00[1,2]\n{}\n["x"]\n' + gzip.compress(b"x"))
    (own / "journal.json").write_text("{]")
    assert copy_store(source, dest).present == 9
    assert verify_files(dest).digests == 9
