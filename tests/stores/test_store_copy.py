"""csiactcopy's own test cases, and each of its failures, as a copy of ours meets them."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from astropy import units as u
from astropy.table import Table
from store_maker import (
    Run,
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

from daybreak.errors import ConfigError, NoDataError, PartialResultError, StoreError
from daybreak.stores.copy_progress import NoProgress
from daybreak.stores.verbs import copy_store, require_complete


def run_list(path: Path, runs: list[int]) -> Path:
    path.write_text("# a comment\n\n" + "".join(f"{run} good 0.5\n" for run in runs))
    return path


FIRST, SECOND = list(range(20000, 20005)), list(range(20005, 20009))


def test_two_partial_copies_give_nine_rows_and_stay_so(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    a, b = run_list(tmp_path / "a.txt", FIRST), run_list(tmp_path / "b.txt", SECOND)
    assert copy_store(source, dest, runs=a).copied == 5
    assert index_runs(dest) == FIRST
    assert copy_store(source, dest, runs=b).copied == 4
    for again in (a, b):
        assert copy_store(source, dest, runs=again).copied == 0
    assert index_runs(dest) == FIRST + SECOND
    assert len(index_rows(dest)) == 27
    assert verify_files(dest).findings == []


@pytest.mark.parametrize("keep", [False, True])
def test_clobber_both_ways(tmp_path: Path, keep: bool) -> None:
    dest = tmp_path / "dest"
    make_store(tmp_path / "old", [Run(1, target="old"), Run(2, target="old")])
    make_store(tmp_path / "new", [Run(2, target="new", events=33), Run(3, target="new")])
    copy_store(tmp_path / "old", dest)
    result = copy_store(tmp_path / "new", dest, keep=keep)
    table = Table.read(dest / "obs-index.fits.gz", hdu=1)
    objects = {int(r["OBS_ID"]): str(r["OBJECT"]).strip() for r in table}
    assert objects == {1: "old", 2: "old" if keep else "new", 3: "new"}
    theirs = (tmp_path / ("old" if keep else "new") / "data/run_000002.fits.gz").read_bytes()
    assert (dest / "data/run_000002.fits.gz").read_bytes() == theirs
    assert (result.kept, result.copied) == ((1, 1) if keep else (0, 2))
    assert verify_files(dest).findings == []


def test_overwrite_transfers_everything_anew(source: Path, tmp_path: Path) -> None:
    copy_store(source, tmp_path / "dest")
    assert copy_store(source, tmp_path / "dest", overwrite=True).copied == 9
    with pytest.raises(ConfigError):
        copy_store(source, tmp_path / "dest", overwrite=True, keep=True)


def test_a_absent_run_does_not_stop_the_others(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    result = copy_store(source, dest, runs=[20001, 99999, 20003])
    assert result.datasets[0].absent_runs == ["99999"]
    assert index_runs(dest) == [20001, 20003]
    with pytest.raises(PartialResultError, match="99999") as caught:
        require_complete(result)
    assert caught.value.exit_code == 10


@pytest.mark.parametrize("count", [50, 100])
def test_b_run_list_of_a_multiple_of_fifty(tmp_path: Path, count: int) -> None:
    make_store(tmp_path / "source", 105)
    chosen = list(range(20000, 20000 + count))
    copy_store(tmp_path / "source", tmp_path / "dest", runs=run_list(tmp_path / "r", chosen))
    assert index_runs(tmp_path / "dest") == chosen
    assert len(index_rows(tmp_path / "dest")) == 3 * count


@pytest.mark.parametrize("keep", [False, True])
def test_c_truncated_file_is_replaced(source: Path, tmp_path: Path, keep: bool) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest)
    damaged = dest / "data/run_020004.fits.gz"
    damaged.write_bytes(damaged.read_bytes()[:300])
    result = copy_store(source, dest, keep=keep)
    assert (result.copied, result.present) == (1, 8)
    assert tree(dest) == tree(source)


def test_c_truncated_file_of_another_program(source: Path, tmp_path: Path) -> None:
    """Files that we did not put there are looked at before they are believed."""
    dest = tmp_path / "dest"
    for path, data in tree(source).items():
        (dest / path).parent.mkdir(parents=True, exist_ok=True)
        (dest / path).write_bytes(data[:500] if path.endswith("020006.fits.gz") else data)
    result = copy_store(source, dest, keep=True)
    assert (result.copied, result.present) == (1, 8)
    assert tree(dest) == tree(source)


def test_d_full_copy_after_a_partial_one(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest, runs=[20000, 20001])
    copy_store(source, dest, keep=True)
    assert len(index_runs(dest)) == 9
    assert len(index_rows(dest)) == 27


def test_e_missing_remote_file(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    (source / "data/run_020003.fits.gz").unlink()
    result = copy_store(source, dest)
    assert list(result.failed) == ["data/run_020003.fits.gz"]
    assert result.datasets[0].incomplete_runs == ["20003"]
    assert index_runs(dest) == [r for r in FIRST + SECOND if r != 20003]
    assert (dest / "master.json").exists()
    assert verify_files(dest).ok


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_e_unreadable_remote_file(source: Path, tmp_path: Path) -> None:
    (source / "data/run_020003.fits.gz").chmod(0)
    result = copy_store(source, tmp_path / "dest")
    assert "Permission" in result.failed["data/run_020003.fits.gz"]


def test_e_damaged_remote_file(source: Path, tmp_path: Path) -> None:
    bad = source / "data/run_020003.fits.gz"
    bad.write_bytes(bad.read_bytes()[:-20])
    result = copy_store(source, tmp_path / "dest")
    assert "truncated" in result.failed["data/run_020003.fits.gz"]
    assert len(index_runs(tmp_path / "dest")) == 8
    assert not (tmp_path / "dest/data/run_020003.fits.gz").exists()


def test_f_master_under_another_name(tmp_path: Path) -> None:
    make_store(tmp_path / "source", 3, master_name="observatory.json")
    result = copy_store(tmp_path / "source/observatory.json", tmp_path / "dest", dataset="test")
    assert result.complete
    content = json.loads((tmp_path / "dest/master.json").read_text())
    assert [d["name"] for d in content["datasets"]] == ["test"]
    assert content["comment"] == "kept"


@pytest.mark.parametrize("overwrite", [False, True])
def test_g_index_of_another_store_survives(tmp_path: Path, overwrite: bool) -> None:
    make_store(tmp_path / "a", make_runs(3, 100), name="a", prefix="a")
    make_store(tmp_path / "b", make_runs(4, 200), name="a", prefix="b")
    copy_store(tmp_path / "a", tmp_path / "dest")
    copy_store(tmp_path / "b", tmp_path / "dest", overwrite=overwrite)
    assert sorted(index_runs(tmp_path / "dest")) == [100, 101, 102, 200, 201, 202, 203]
    assert verify_files(tmp_path / "dest").findings == []


def test_h_failed_replacement_leaves_the_old_file(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest)
    before = tree(dest)
    bad = source / "data/run_020002.fits.gz"
    bad.write_bytes(bad.read_bytes()[:-9])
    result = copy_store(source, dest, overwrite=True)
    assert list(result.failed) == ["data/run_020002.fits.gz"]
    assert tree(dest)["data/run_020002.fits.gz"] == before["data/run_020002.fits.gz"]


def test_i_merge_by_name(tmp_path: Path) -> None:
    """Other order of columns, other types and widths, a column more and one less."""
    make_store(tmp_path / "a", [Run(1, target="Crab")])
    make_store(tmp_path / "b", [Run(2, target="A very long target name")])
    table = Table.read(tmp_path / "b/obs-index.fits.gz", hdu=1)
    table["ZTRGRATE"] = [150.0]
    table["LIVETIME"] = (table["LIVETIME"] / 60).astype("f4")
    table["LIVETIME"].unit = "min"
    table.remove_column("RA_PNT")
    table = table[table.colnames[::-1]]
    old = Table.read(tmp_path / "a/obs-index.fits.gz", hdu=1)
    old["LIVETIME"].unit = "s"
    old.write(tmp_path / "a/obs-index.fits.gz", overwrite=True)
    table.write(tmp_path / "b/obs-index.fits.gz", overwrite=True)
    copy_store(tmp_path / "a", tmp_path / "dest")
    copy_store(tmp_path / "b", tmp_path / "dest")
    merged = Table.read(tmp_path / "dest/obs-index.fits.gz", hdu=1)
    assert list(merged["OBS_ID"]) == [1, 2]
    assert [str(v).strip() for v in merged["OBJECT"]] == ["Crab", "A very long target name"]
    assert list(merged["LIVETIME"]) == pytest.approx([1580.0, 1580.0], rel=1e-6)
    assert list(merged["EVENT_COUNT"]) == [20, 20]
    assert str(merged["RA_PNT"][1]) in {"nan", "--"}
    assert merged["ZTRGRATE"][1] == 150.0


def test_i_totals_of_a_partial_copy_are_true(tmp_path: Path) -> None:
    claims = {
        "Total observations": 10,
        "Total time": "4.7 hours",
        "Total events": 117,
        "Disk usage": "43 MB",
        "Date created": "2018-09-10",
    }
    make_store(tmp_path / "source", 9, master=claims)
    copy_store(tmp_path / "source", tmp_path / "dest", runs=[20000, 20001])
    entry = json.loads((tmp_path / "dest/master.json").read_text())["datasets"][0]
    assert entry["Total observations"] == 2
    assert entry["Total time"] == "0.9 hours"
    assert entry["Total events"] == 21
    assert entry["Disk usage"] == "0 MB"
    assert entry["Date created"] == "2018-09-10"
    copy_store(tmp_path / "source", tmp_path / "dest")
    whole = (tmp_path / "dest/master.json").read_bytes()
    assert whole == (tmp_path / "source/master.json").read_bytes()


def test_i_size_counts_every_file(tmp_path: Path) -> None:
    make_store(tmp_path / "source", 4, shared_irf=True)
    result = copy_store(tmp_path / "source", tmp_path / "dest")
    sizes = [len(d) for p, d in tree(tmp_path / "source").items() if p.startswith(("data", "irf"))]
    assert (result.copied, result.copied_bytes) == (5, sum(sizes))


@pytest.mark.parametrize("evil", ["../../..", "/etc", "a/../../b", "..", "data/../../x"])
def test_j_paths_that_leave_the_store_are_refused(tmp_path: Path, evil: str) -> None:
    source, dest = tmp_path / "deep/er/source", tmp_path / "deep/er/dest"
    runs = make_store(source, 3)
    rows = [(r.obs_id, "events", "events", "data", Path(r.path).name, "EVENTS", 0) for r in runs]
    rows[1] = (*rows[1][:3], evil, "secret.fits", "EVENTS", 0)
    put(source / "hdu-index.fits.gz", hdu_table(rows))
    before = {p for p in tmp_path.rglob("*") if dest not in (p, *p.parents)}
    result = copy_store(source, dest)
    assert list(result.failed) == ["run 20001"]
    assert index_runs(dest) == [20000, 20002]
    after = {p for p in tmp_path.rglob("*") if dest not in (p, *p.parents)}
    assert after == before


def test_paths_that_go_up_inside_the_store_are_followed(tmp_path: Path) -> None:
    runs = make_store(tmp_path / "source", 2, master=False)
    for name in ("obs-index.fits.gz", "hdu-index.fits.gz"):
        (tmp_path / "source" / name).unlink()
    rows = [
        (r.obs_id, "events", "events", "../../data", Path(r.path).name, "EVENTS", 0) for r in runs
    ]
    put(tmp_path / "source/index/gps/obs-index.fits.gz", obs_table(runs))
    put(tmp_path / "source/index/gps/hdu-index.fits.gz", hdu_table(rows))
    assert copy_store(tmp_path / "source", tmp_path / "dest").complete
    assert tree(tmp_path / "dest") == tree(tmp_path / "source")
    assert "run 20000" in copy_store(tmp_path / "source/index/gps", tmp_path / "other").failed


def test_links_out_of_the_destination_are_not_followed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest/data").symlink_to(tmp_path / "outside")
    result = copy_store(source, tmp_path / "dest")
    assert len(result.failed) == 9
    assert list((tmp_path / "outside").iterdir()) == []


def test_full_copy_is_identical_and_the_next_moves_nothing(source: Path, tmp_path: Path) -> None:
    (source / "README.txt").write_text("terms")
    first = copy_store(source, tmp_path / "dest")
    assert tree(tmp_path / "dest") == tree(source)
    assert first.documents == ["README.txt"]
    second = copy_store(source, tmp_path / "dest")
    assert (second.copied, second.copied_bytes, second.present) == (0, 0, 9)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_files_of_many_chunks_in_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("daybreak.stores.source.CHUNK", 1009)
    monkeypatch.setattr("daybreak.stores.transfer._WRITE_OUT", 5000)
    make_store(tmp_path / "source", 30, noise=30_000, suffix=suffix)
    seen: list[int] = []
    progress = NoProgress()
    monkeypatch.setattr(progress, "advance", seen.append)
    result = copy_store(tmp_path / "source", tmp_path / "dest", workers=8, progress=progress)
    assert tree(tmp_path / "dest") == tree(tmp_path / "source")
    assert sum(seen) == result.copied_bytes
    assert verify_files(tmp_path / "dest").findings == []


def test_changed_source_file_is_taken(source: Path, tmp_path: Path) -> None:
    copy_store(source, tmp_path / "dest")
    make_store(source, [Run(20000 + i, events=40) for i in range(9)])
    assert copy_store(source, tmp_path / "dest").copied == 9
    assert tree(tmp_path / "dest") == tree(source)


def test_verify_finds_rot_that_size_and_time_hide(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest)
    rotten = dest / "data/run_020001.fits.gz"
    stat, data = rotten.stat(), bytearray(rotten.read_bytes())
    data[len(data) // 2] ^= 4
    rotten.write_bytes(data)
    os.utime(rotten, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert copy_store(source, dest).copied == 0
    assert not verify_files(dest).ok
    assert copy_store(source, dest, verify=True).copied == 1
    assert tree(dest) == tree(source)


def test_sums_of_the_source_are_used(source: Path, tmp_path: Path) -> None:
    assert verify_files(source, write_sums=True).sums_written
    result = copy_store(source, tmp_path / "dest")
    assert result.checks == {"sha256": 9}
    flipped = source / "data/run_020001.fits.gz"
    data = bytearray(flipped.read_bytes())
    data[4] ^= 1  # the gzip header's time: only a digest notices
    flipped.write_bytes(data)
    result = copy_store(source, tmp_path / "other")
    assert "SHA-256" in result.failed["data/run_020001.fits.gz"]


def test_sums_here_follow_what_is_copied(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest)
    verify_files(dest, write_sums=True)
    make_store(source, [Run(20000 + i, events=40 + i) for i in range(9)])
    copy_store(source, dest)
    result = verify_files(dest)
    assert (result.ok, result.digests) == (True, 9)


def test_dry_run_writes_nothing(source: Path, tmp_path: Path) -> None:
    result = copy_store(source, tmp_path / "dest", dry_run=True)
    assert len(result.to_copy) == 9
    assert result.to_copy_bytes == sum(p.stat().st_size for p in (source / "data").iterdir())
    assert not (tmp_path / "dest").exists()


def test_selection_by_target_position_and_time(tmp_path: Path) -> None:
    runs = [
        Run(1, target="Crab"),
        Run(2, target="MSH 15-52", ra=228.5, dec=-59.2),
        Run(3, target="Crab", tstart=2e8),
    ]
    make_store(tmp_path / "source", runs)
    for number, (keys, wanted) in enumerate(
        [
            ({"target": "msh15-5"}, [2]),
            ({"target": "CRAB"}, [1, 3]),
            ({"position": (228.0 * u.deg, -59.0 * u.deg), "radius": 2 * u.deg}, [2]),
            ({"position": "83.6,22.0", "before": "2005-01-01"}, [1]),
            ({"after": "2006-01-01"}, [3]),
        ]
    ):
        copy_store(tmp_path / "source", tmp_path / f"d{number}", **keys)
        assert index_runs(tmp_path / f"d{number}") == wanted
    with pytest.raises(NoDataError, match="no run") as caught:
        copy_store(tmp_path / "source", tmp_path / "none", target="Vela")
    assert "MSH 15-52" in caught.value.hint


def test_unknown_dataset_names_those_there_are(source: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no dataset 'wrong'") as caught:
        copy_store(source, tmp_path / "dest", dataset="wrong")
    assert "'test'" in caught.value.hint


def test_source_and_destination_must_differ(source: Path, tmp_path: Path) -> None:
    for dest in (source, source / "data", tmp_path):
        with pytest.raises(StoreError, match="inside one another"):
            copy_store(source, dest)


def test_run_whose_file_vanished_leaves_the_index(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest)
    (dest / "data/run_020007.fits.gz").unlink()
    result = copy_store(source, dest, runs=[20000])
    assert result.datasets[0].dropped_runs == ["20007"]
    assert 20007 not in index_runs(dest)
    assert copy_store(source, dest).copied == 1
    assert tree(dest) == tree(source)


def test_damaged_index_here_is_not_thrown_away(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    copy_store(source, dest, runs=[20000])
    (dest / "obs-index.fits.gz").write_bytes(b"rubbish")
    with pytest.raises(StoreError, match="damaged") as caught:
        copy_store(source, dest)
    assert "--repair-index" in caught.value.hint
    assert (dest / "obs-index.fits.gz").read_bytes() == b"rubbish"


def _copy(source: Path, dest: Path, runs: list[int], barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    require_complete(copy_store(source, dest, runs=runs))


@pytest.mark.parametrize("overlap", [0, 20])
def test_two_copies_into_one_store_at_once(tmp_path: Path, overlap: int) -> None:
    make_store(tmp_path / "source", 60)
    runs = list(range(20000, 20060))
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    halves = (runs[: 30 + overlap], runs[30 - overlap :])
    jobs = [
        context.Process(target=_copy, args=(tmp_path / "source", tmp_path / "dest", half, barrier))
        for half in halves
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0]
    assert sorted(index_runs(tmp_path / "dest")) == runs
    assert len(index_rows(tmp_path / "dest")) == 180
    assert verify_files(tmp_path / "dest").findings == []
    copy_store(tmp_path / "source", tmp_path / "dest")
    assert tree(tmp_path / "dest") == tree(tmp_path / "source")
