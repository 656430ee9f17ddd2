"""Index files as they come: few columns, masked cells, other spellings, damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from daybreak.errors import StoreError
from daybreak.runs.catalogue import (
    header_times,
    is_point_like,
    read_catalogue,
    telescope,
)

KINDS = ("events", "gti", "aeff", "edisp")


def _write(store: Path, observations: Table, hdus: Table, suffix: str = ".gz") -> Path:
    store.mkdir(exist_ok=True)
    observations.write(store / f"obs-index.fits{suffix}", overwrite=True)
    hdus.write(store / f"hdu-index.fits{suffix}", overwrite=True)
    return store


def _observations(ids=(1, 2), **columns) -> Table:
    n = len(ids)
    table = Table({"OBS_ID": list(ids), "RA_PNT": np.full(n, 83.6), "DEC_PNT": np.full(n, 22.5)})
    for name, values in columns.items():
        table[name.replace("_OBS", "-OBS").replace("_END", "-END")] = values
    return table


def _hdus(ids=(1, 2), folder="data", kinds=KINDS) -> Table:
    rows = [
        (i, kind, f"{kind}_2d", folder, f"run_{i}.fits", kind.upper())
        for i in ids
        for kind in kinds
    ]
    names = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
    return Table(rows=rows, names=names)


def test_a_minimal_index_is_enough(tmp_path):
    catalogue = read_catalogue(_write(tmp_path / "s", _observations((2, 1)), _hdus()))
    first = catalogue.runs[0]
    assert [r.obs_id for r in catalogue.runs] == [1, 2]
    assert first.start is None and first.stop is None
    assert np.isnan([first.zenith_deg, first.livetime_s, first.target_offset_deg]).all()
    assert first.object == first.tag == ""
    assert set(first.hdus) == set(KINDS)
    assert first.files == [tmp_path / "s" / "data" / "run_1.fits"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_plain_and_compressed_index_files(tmp_path, suffix):
    assert len(read_catalogue(_write(tmp_path, _observations(), _hdus(), suffix)).runs) == 2


def test_lower_case_columns_and_padded_text(tmp_path):
    observations = _observations(OBJECT=["Crab  ", " x"], TARGET_TAG=["crab ", "crab"])
    for name in observations.colnames:
        observations.rename_column(name, name.lower())
    hdus = _hdus()
    hdus["HDU_TYPE"] = [f"{k.upper():>8}" for k in hdus["HDU_TYPE"]]
    run = read_catalogue(_write(tmp_path, observations, hdus)).runs[0]
    assert (run.object, run.tag) == ("Crab", "crab")
    assert set(run.hdus) == set(KINDS)


@pytest.mark.parametrize("folder", ["", ".", "--", "./", "../other"])
def test_folders_of_files(tmp_path, folder):
    store = _write(tmp_path / "s", _observations(), _hdus(folder=folder))
    expected = tmp_path / ("other" if "other" in folder else "s") / "run_1.fits"
    assert read_catalogue(store).runs[0].files == [expected]


def test_a_masked_folder_is_the_stores_own(tmp_path):
    hdus = _hdus()
    hdus["FILE_DIR"] = MaskedColumn(hdus["FILE_DIR"], mask=np.ones(len(hdus), dtype=bool))
    run = read_catalogue(_write(tmp_path, _observations(), hdus)).runs[0]
    assert run.files == [tmp_path / "run_1.fits"]


def test_rows_without_a_file_name_are_no_files(tmp_path):
    hdus = _hdus()
    hdus["FILE_NAME"] = ["" if k == "edisp" else n for k, n in hdus["HDU_TYPE", "FILE_NAME"]]
    run = read_catalogue(_write(tmp_path, _observations(), hdus)).runs[0]
    assert set(run.hdus) == set(KINDS) - {"edisp"}


def test_ids_as_text(tmp_path):
    observations = _observations(("0005029747", "5029748"))
    hdus = _hdus(("5029747", "05029748"))
    runs = read_catalogue(_write(tmp_path, observations, hdus)).runs
    assert [r.obs_id for r in runs] == [5029747, 5029748]
    assert all(r.hdus for r in runs)


@pytest.mark.parametrize("bad", ["run_7", "", "1.5"])
def test_ids_that_are_no_numbers(tmp_path, bad):
    with pytest.raises(StoreError, match="no whole number") as caught:
        read_catalogue(_write(tmp_path, _observations(("1", bad)), _hdus(("1", "2"))))
    assert bad in caught.value.what and str(tmp_path) in caught.value.what
    with pytest.raises(StoreError, match="no whole number"):
        read_catalogue(_write(tmp_path, _observations(("1", "2")), _hdus(("1", bad))))


def test_masked_and_impossible_numbers_are_unknown(tmp_path):
    observations = _observations(
        DEC_OBJ=[999.0, 1.0], LIVETIME=MaskedColumn([1.0, 2.0], mask=[True, False])
    )
    observations["DEC_PNT"] = [-400.0, 10.0]
    one, two = read_catalogue(_write(tmp_path, observations, _hdus())).runs
    assert np.isnan([one.dec_pnt_deg, one.dec_obj_deg, one.livetime_s]).all()
    assert (two.dec_pnt_deg, two.dec_obj_deg, two.livetime_s) == (10.0, 1.0, 2.0)


def test_numbers_spelt_as_text(tmp_path):
    observations = _observations(ZEN_PNT=["21.5", "unknown"], LIVETIME=["1e3", ""])
    one, two = read_catalogue(_write(tmp_path, observations, _hdus())).runs
    assert (one.zenith_deg, one.livetime_s) == (21.5, 1000.0)
    assert np.isnan([two.zenith_deg, two.livetime_s]).all()


@pytest.mark.parametrize("bad", [1.5, np.nan, np.inf])
def test_ids_as_floats(tmp_path, bad):
    store = _write(tmp_path, _observations((1.0, 2.0)), _hdus())
    assert [r.obs_id for r in read_catalogue(store).runs] == [1, 2]
    with pytest.raises(StoreError, match="no whole number"):
        read_catalogue(_write(tmp_path, _observations((1.0, bad)), _hdus()))


@pytest.mark.parametrize(
    "columns",
    [
        {"DATE_OBS": ["2004-12-04"] * 2, "TIME_OBS": ["22:08:05"] * 2},
        {"DATE_OBS": ["2004-12-04T22:08:05"] * 2},
        {"DATE_OBS": ["2004-12-04T22:08:05.000"] * 2, "TIME_OBS": ["22:08:05"] * 2},
    ],
)
def test_times_split_or_whole(tmp_path, columns):
    columns |= {k.replace("OBS", "END"): v for k, v in columns.items()}
    run = read_catalogue(_write(tmp_path, _observations(**columns), _hdus())).runs[0]
    assert run.start.isot == "2004-12-04T22:08:05.000" == run.stop.isot
    assert run.start.scale == "utc"


def test_times_as_seconds(tmp_path):
    observations = _observations(TSTART=[0.0, 10.0], TSTOP=[1800.0, np.nan])
    observations.meta.update(MJDREFI=51910, MJDREFF=7.428703703703703e-4, TIMESYS="TT")
    one, two = read_catalogue(_write(tmp_path, observations, _hdus())).runs
    assert one.start.isot == "2001-01-01T00:00:00.000"
    assert (one.stop - one.start).to_value("s") == pytest.approx(1800)
    assert two.stop is None


@pytest.mark.parametrize("date", ["", "not a date", "2004-13-45"])
def test_times_that_are_none(tmp_path, date):
    observations = _observations(DATE_OBS=[date] * 2, TIME_OBS=["25:99:99"] * 2)
    assert read_catalogue(_write(tmp_path, observations, _hdus())).runs[0].start is None


def _events_file(path: Path, **cards) -> None:
    hdu = fits.BinTableHDU(Table({"TIME": [1.0]}), name="EVENTS")
    hdu.header.update(cards)
    path.parent.mkdir(exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def test_times_and_telescope_from_the_file(tmp_path):
    run = read_catalogue(_write(tmp_path, _observations(), _hdus())).runs[0]
    assert header_times(run) == (None, None) and telescope(run) == ""
    _events_file(run.files[0], TELESCOP="HESS ")
    assert header_times(run) == (None, None) and telescope(run) == "HESS"
    _events_file(run.files[0], MJDREFI=53402.0, TIMESYS="odd", TSTART=0.0, TSTOP=60.0)
    start, stop = header_times(run)
    assert start.tt.mjd == 53402.0 and (stop - start).to_value("s") == pytest.approx(60)
    run.files[0].write_bytes(b"damaged")
    assert header_times(run) == (None, None) and telescope(run) == ""


def test_point_like_or_full(tmp_path):
    run = read_catalogue(_write(tmp_path, _observations(), _hdus())).runs[0]
    assert not is_point_like(run)
    for value, expected in (("POINT-LIKE", True), ("full-enclosure", False)):
        hdu = fits.BinTableHDU(Table({"A": [1.0]}), name="AEFF")
        hdu.header["HDUCLAS3"] = value
        run.files[0].parent.mkdir(exist_ok=True)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(run.files[0], overwrite=True)
        assert is_point_like(run) is expected
    hdus = _hdus(kinds=(*KINDS, "rad_max"))
    assert is_point_like(read_catalogue(_write(tmp_path, _observations(), hdus)).runs[0])


def test_files_that_no_run_has(tmp_path):
    store = _write(tmp_path, _observations((1,)), _hdus((1, 2)))
    data = store / "data"
    data.mkdir()
    names = ("run_1.fits", "run_2.fits", "run_3.fits", "run_4.fits.gz", "obs-index.fits", "a.txt")
    for name in names:
        (data / name).write_bytes(b"")
    found = [p.name for p in read_catalogue(store).unindexed]
    assert found == ["run_2.fits", "run_3.fits", "run_4.fits.gz"]


def test_a_run_without_hdus_and_a_shared_response_file(tmp_path):
    hdus = _hdus((1,))
    hdus["FILE_NAME"] = [
        "irf.fits" if k in ("aeff", "edisp") else "e.fits" for k in hdus["HDU_TYPE"]
    ]
    one, two = read_catalogue(_write(tmp_path, _observations(), hdus)).runs
    assert [p.name for p in one.files] == ["e.fits", "irf.fits"]
    assert two.files == []


def test_doubled_rows_count_once(tmp_path):
    observations = _observations((1, 2, 1))
    assert len(read_catalogue(_write(tmp_path, observations, _hdus((1, 2, 1)))).runs) == 2


def test_an_empty_index_has_no_runs(tmp_path):
    store = _write(tmp_path, _observations()[:0], _hdus()[:0])
    catalogue = read_catalogue(store)
    assert catalogue.runs == () and catalogue.unindexed == ()


def test_no_store(tmp_path):
    with pytest.raises(StoreError, match=r"no store at .*nowhere") as caught:
        read_catalogue(tmp_path / "nowhere")
    assert "--store" in caught.value.hint and caught.value.exit_code == 5
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        read_catalogue(tmp_path / "file")
    with pytest.raises(StoreError, match="no observation index"):
        read_catalogue(tmp_path)
    _observations().write(tmp_path / "obs-index.fits")
    with pytest.raises(StoreError, match="no HDU index"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize("name", ["obs-index.fits.gz", "hdu-index.fits.gz"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"<html>not found</html>",
        lambda data: gzip.compress(gzip.decompress(data)[:3000]),
        lambda data: data[:200] + bytes(99) + data[299:],
    ],
)
def test_a_damaged_index_is_named(tmp_path, name, damage):
    store = _write(tmp_path, _observations(), _hdus())
    (store / name).write_bytes(damage((store / name).read_bytes()))
    with pytest.raises(StoreError, match=name.replace(".", r"\.")) as caught:
        read_catalogue(store)
    assert "Copy it again" in caught.value.hint


@pytest.mark.parametrize("column", ["OBS_ID", "RA_PNT", "DEC_PNT"])
def test_an_observation_index_without_a_needed_column(tmp_path, column):
    observations = _observations()
    observations.remove_column(column)
    with pytest.raises(StoreError, match=column):
        read_catalogue(_write(tmp_path, observations, _hdus()))


@pytest.mark.parametrize("column", ["OBS_ID", "HDU_TYPE", "FILE_NAME", "HDU_NAME"])
def test_an_hdu_index_without_a_needed_column(tmp_path, column):
    hdus = _hdus()
    hdus.remove_column(column)
    with pytest.raises(StoreError, match=column):
        read_catalogue(_write(tmp_path, _observations(), hdus))


@pytest.mark.realdata
def test_the_hess_store(hess_store):
    catalogue = read_catalogue(hess_store)
    assert len(catalogue.runs) == 105 and not catalogue.unindexed
    assert all(len(r.hdus) == 6 and len(r.files) == 1 for r in catalogue.runs)
    assert sum(r.ontime_s for r in catalogue.runs) / 3600 == pytest.approx(48.56, abs=0.005)
    assert min(r.start for r in catalogue.runs) > Time("2004-03-26")
    assert not any(is_point_like(r) for r in catalogue.runs)
    assert telescope(catalogue.runs[0]) == "HESS"


@pytest.mark.realdata
def test_the_magic_store_has_six_columns_and_no_times(magic_store):
    catalogue = read_catalogue(magic_store)
    assert [r.obs_id for r in catalogue.runs] == [5029747, 5029748]
    assert all(is_point_like(r) for r in catalogue.runs)
    for run in catalogue.runs:
        start, stop = header_times(run)
        assert start < stop
