"""Each defect is what it says, and touches nothing else."""

from __future__ import annotations

import filecmp
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from gammapy.data import DataStore

from daybreak.errors import StoreError
from daybreak.simulate import defects

BAD, GOOD = 1, 2


@pytest.fixture()
def store(tmp_path: Path, two_runs: Path) -> Path:
    return defects.copy_store(two_runs, tmp_path / "store")


def _open(path: Path) -> fits.HDUList:
    with fits.open(path, memmap=False) as hdus:
        return fits.HDUList([hdu.copy() for hdu in hdus])


def _column(path: Path, hdu: str, column: str) -> np.ndarray:
    return _open(path)[hdu].data[column]


@pytest.mark.parametrize("name", defects.RUN_DEFECTS)
def test_every_defect_changes_one_run_only(store, two_runs, name):
    path = defects.RUN_DEFECTS[name](store, BAD)
    good = defects.run_file(store, GOOD).relative_to(store)
    assert filecmp.cmp(store / good, two_runs / good, shallow=False)
    observation = DataStore.from_dir(store).obs(GOOD)
    assert len(observation.events.table) > 1000
    changed = [
        p
        for p in sorted(two_runs.rglob("*.gz"))
        if not (store / p.relative_to(two_runs)).is_file()
        or not filecmp.cmp(p, store / p.relative_to(two_runs), shallow=False)
    ]
    touched = {path.name} if name not in ("no index rows", "doubled index rows") else set()
    assert touched <= {p.name for p in changed}
    assert {p.name for p in changed} <= {path.name, defects.OBS_INDEX, defects.HDU_INDEX}
    assert changed


@pytest.mark.parametrize("defect", [defects.truncate, defects.damage_gzip])
def test_broken_compression_is_broken(store, defect):
    path = defect(store, BAD)
    with pytest.raises((EOFError, OSError, zlib.error)):
        gzip.decompress(path.read_bytes())


def test_damaged_gzip_keeps_its_length(store, two_runs):
    path = defects.damage_gzip(store, BAD)
    assert path.stat().st_size == (two_runs / path.relative_to(store)).stat().st_size


def test_truncated_fits_ends_within_a_table(store):
    path = defects.truncate_fits(store, BAD, "AEFF")
    gzip.decompress(path.read_bytes())
    with pytest.raises(Exception):  # noqa: B017 - whatever the reader makes of missing bytes
        _column(path, "AEFF", "EFFAREA")
    assert not list(path.parent.glob("*.fits"))


@pytest.mark.parametrize("defect", [defects.not_fits, defects.empty_file])
def test_what_is_no_fits_can_not_be_opened(store, defect):
    with pytest.raises(OSError):
        _open(defect(store, BAD))


@pytest.mark.parametrize("hdu", ["EVENTS", "GTI", "AEFF", "EDISP", "PSF", "BKG"])
def test_a_dropped_hdu_is_gone_but_listed(store, hdu):
    path = defects.drop_hdu(store, BAD, hdu)
    assert hdu not in [h.name for h in _open(path)]
    kinds = _column(store / defects.HDU_INDEX, "HDU_INDEX", "HDU_TYPE")
    assert list(kinds).count(hdu.lower()) == 2


def test_a_run_without_background_response_is_dropped_by_gammapy(store):
    path = defects.drop_irf(store, BAD)
    assert "BKG" not in [h.name for h in _open(path)]
    observations = DataStore.from_dir(store).get_observations(required_irf="full-enclosure")
    assert [int(o.obs_id) for o in observations] == [GOOD]
    assert DataStore.from_dir(store).obs(BAD, required_irf=["aeff", "edisp", "psf"]).bkg is None


@pytest.mark.parametrize(
    ("hdu", "column"), [("AEFF", "EFFAREA"), ("EDISP", "MATRIX"), ("PSF", "RPSF"), ("BKG", "BKG")]
)
def test_bad_values_are_in_the_response(store, hdu, column):
    path = defects.negative_irf(store, BAD, hdu)
    values = _column(path, hdu, column)
    assert 0.01 < (values < 0).mean() < 0.04
    defects.nan_irf(store, BAD, hdu)
    assert 0.01 < np.isnan(_column(path, hdu, column)).mean() < 0.04
    defects.zero_irf(store, BAD, hdu)
    assert not _column(path, hdu, column).any()


@pytest.mark.parametrize(
    ("defect", "column"), [(defects.nan_energies, "ENERGY"), (defects.nan_positions, "RA")]
)
def test_nan_in_events(store, defect, column):
    values = _column(defect(store, BAD), "EVENTS", column)
    assert np.isnan(values).sum() == -(-len(values) // 10)


def test_no_events_and_no_good_time(store):
    path = defects.no_events(store, BAD)
    assert len(_open(path)["EVENTS"].data) == 0
    assert len(DataStore.from_dir(store).obs(BAD).events.table) == 0
    defects.empty_gti(store, BAD)
    assert len(_open(path)["GTI"].data) == 0


def test_good_time_of_no_length(store):
    gti = _open(defects.zero_length_gti(store, BAD))["GTI"].data
    assert (gti["STOP"] == gti["START"]).all()


def test_events_after_the_good_time(store):
    hdus = _open(defects.events_after_gti(store, BAD, n=30, late=2.0))
    late = hdus["EVENTS"].data["TIME"] - hdus["GTI"].data["STOP"][0]
    assert (late > 0).sum() == 30
    assert late.max() == pytest.approx(2.0)
    assert (np.diff(late) >= 0).all()


def test_wrong_obs_id_and_no_livetime(store):
    hdus = _open(defects.wrong_obs_id(store, BAD, other=77))
    assert {h.header["OBS_ID"] for h in hdus[1:]} == {77}
    hdus = _open(defects.zero_livetime(store, BAD))
    assert hdus["EVENTS"].header["LIVETIME"] == 0
    live = _column(store / defects.OBS_INDEX, "OBS_INDEX", "LIVETIME")
    assert live[0] == 0 and live[1] > 0


def test_index_and_files_disagree(store):
    assert not defects.remove_file(store, BAD).exists()
    assert BAD in _column(store / defects.OBS_INDEX, "OBS_INDEX", "OBS_ID")
    path = defects.remove_rows(store, GOOD)
    assert path.is_file()
    for name, hdu in ((defects.OBS_INDEX, "OBS_INDEX"), (defects.HDU_INDEX, "HDU_INDEX")):
        assert GOOD not in _column(store / name, hdu, "OBS_ID")
    with pytest.raises(StoreError, match="run 2 is not in"):
        defects.run_file(store, GOOD)


def test_doubled_rows(store):
    defects.double_rows(store, BAD)
    ids = list(_column(store / defects.OBS_INDEX, "OBS_INDEX", "OBS_ID"))
    assert ids == [BAD, GOOD, BAD]
    assert len(_column(store / defects.HDU_INDEX, "HDU_INDEX", "OBS_ID")) == 18


def test_damaged_index_files(store):
    defects.drop_index_column(store, "LIVETIME")
    hdus = _open(store / defects.OBS_INDEX)
    assert "LIVETIME" not in hdus[1].columns.names and "ONTIME" in hdus[1].columns.names
    assert hdus[1].header["MJDREFI"] == 60310
    assert len(DataStore.from_dir(store).obs_table) == 2
    path = defects.damage_index(store)
    with pytest.raises((EOFError, OSError, zlib.error)):
        gzip.decompress(path.read_bytes())
    assert not defects.remove_index(store).exists()
    with pytest.raises(OSError):
        DataStore.from_dir(store)
