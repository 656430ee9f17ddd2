"""What files are, whether they are whole, and what is in them."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st

from daybreak.cli import main as cli
from daybreak.instruments.check.report import check_file, check_files
from daybreak.simulate import defects, simulate_night


def run(*words):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return ended.value.code or 0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = tmp_path_factory.mktemp("check") / "store"
    simulate_night(store, seed=3, n_runs=1, ontime=3 * u.min, sampler="direct")
    return store


def test_a_dl3_file(store, tmp_path, capsys):
    path = defects.run_file(store, 1)
    report = check_file(path)
    assert report.kind == "dl3" and report.whole and report.events > 100
    assert report.facts["OBS_ID"] == "1"
    assert run("check", path) == 0 and f"{report.events:,}" in capsys.readouterr().out
    defects.copy_store(store, tmp_path / "odd")
    odd = defects.nan_irf(tmp_path / "odd", 1)
    assert run("check", path, odd, "--json") == 12
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [f["whole"] for f in found] == [True, False]
    assert "values of aeff are not finite" in found[1]["problems"][0]
    assert "1 of 2 files are not whole" in said.err


def test_what_is_no_such_file(tmp_path, capsys):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 9999)[:20])
    names = ("empty", "text", "cut.gz", "absent", ".")
    reports = check_files([tmp_path / name for name in names])
    words = ("is empty", "nothing is known", "damaged", "is not there", "is a folder")
    for report, word in zip(reports, words, strict=True):
        assert not report.whole and word in report.problems[0]
    assert run("check", tmp_path / "absent") == 12
    assert "Traceback" not in capsys.readouterr().err


@given(st.integers(0, 2**32 - 1))
def test_damaged_files_are_told(store, tmp_path_factory, seed):
    """Cut, flipped or swapped anywhere: a report, never an exception."""
    rng = random.Random(seed)
    content = bytearray(gzip.decompress(defects.run_file(store, 1).read_bytes()))
    kind = rng.choice(("cut", "flip", "swap"))
    if kind == "cut":
        del content[rng.randrange(len(content)) :]
    elif kind == "flip":
        for _ in range(rng.randrange(1, 20)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    else:
        a, b = (2880 * rng.randrange(len(content) // 2880) for _ in range(2))
        content[a : a + 2880], content[b : b + 2880] = content[b : b + 2880], content[a : a + 2880]
    path = tmp_path_factory.mktemp("damaged") / "run.fits"
    path.write_bytes(bytes(content))
    (report,) = check_files([path])
    assert report.whole or report.problems


@pytest.mark.realdata
def test_camera_data_and_dl1(data_root, tmp_path, capsys):
    pytest.importorskip("ctapipe")
    muons = data_root / "simtel" / "lst_muons.simtel.zst"
    report = check_file(muons)
    assert (report.kind, report.events, report.telescopes) == ("simtel", 30, {"1": 30})
    assert report.rate_hz == pytest.approx(29 / report.duration_s)
    assert run("make", "dl1", muons, "-o", tmp_path, "-s", "focal_length=equivalent") == 0
    capsys.readouterr()
    made = check_file(tmp_path / "lst_muons.dl1.h5")
    assert (made.kind, made.events, made.whole) == ("ctapipe", 30, True)
    low, middle, high = made.distributions["hillas_intensity"]
    assert 50 < low < middle < high
    whole = (data_root / "simtel" / "prod4_pixelsettings_v3.gz").read_bytes()
    (tmp_path / "cut.simtel.gz").write_bytes(whole[: int(0.8 * len(whole))])
    cut = check_file(tmp_path / "cut.simtel.gz")
    assert not cut.whole and 0 < cut.events < 10


def test_raw_data_of_sst1m(tmp_path):
    """Written by ourselves, and with a bit turned."""
    import numpy as np

    from daybreak.instruments.sst1m.raw import write_raw

    n, path = 40, tmp_path / "SST1M1_20240131_0042.fits.fz"
    rng = np.random.default_rng(1)
    write_raw(
        path,
        telescope=21,
        event_id=np.arange(n) + 1,
        array_event_id=np.arange(n) + 1,
        time_ns=1_700_000_000_000_000_000 + np.arange(n) * 1_000_000,
        bits=np.where(np.arange(n) % 4, 1, 8),
        waveforms=rng.integers(180, 260, (n, 24, 20)).astype(np.uint16),
        baselines=rng.integers(3000, 3300, (n, 24)).astype(np.uint16),
        target="Crab",
    )
    report = check_file(path)
    assert (report.kind, report.whole, report.events) == ("zfits", True, n)
    assert sorted(report.types.values()) == [10, 30] and report.facts["target"] == "Crab"
    assert report.rate_hz == pytest.approx(1000, rel=1e-3)
    content = bytearray(path.read_bytes())
    content[-3000] ^= 4
    path.write_bytes(bytes(content))
    (damaged,) = check_files([path])
    assert not damaged.whole and damaged.problems


@pytest.mark.realdata
def test_files_of_lstchain(data_root):
    pytest.importorskip("tables")
    report = check_file(data_root / "peers" / "lstchain" / "dl1_LST-1.Run04183.h5")
    assert (report.kind, report.events, report.whole) == ("lstchain", 1840, True)
    assert report.distributions["intensity"][1] > 10
