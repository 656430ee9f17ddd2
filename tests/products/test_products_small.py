"""Digests, provenance, the lock, the night."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from daybreak.errors import OutputError
from daybreak.products.digest import code_digest, file_digest, value_digest
from daybreak.products.lock import folder_lock
from daybreak.products.night import night_of
from daybreak.products.provenance import header_cards, provenance, versions


def test_file_digest_is_sha256(tmp_path):
    data = np.random.default_rng(1).bytes(3_000_001)
    (tmp_path / "f").write_bytes(data)
    assert file_digest(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_value_digest_does_not_depend_on_the_order_of_keys():
    assert value_digest({"a": 1, "b": [1, 2]}) == value_digest({"b": [1, 2], "a": 1})
    assert value_digest({"a": 1}) != value_digest({"a": 2})
    assert value_digest([1, 2]) != value_digest([2, 1])
    assert len(code_digest()) == 64


def test_provenance_names_versions_and_inputs():
    block = provenance("reduce", "c" * 64, {"b.fits": "2" * 64, "a.fits": "1" * 64})
    assert list(block["inputs"]) == ["a.fits", "b.fits"]
    assert {"daybreak", "python", "gammapy", "astropy", "numpy"} <= set(versions())
    header = fits.Header()
    for key, value in header_cards(block):
        if key == "HISTORY":
            header.add_history(value)
        else:
            header[key] = value
    assert header["DBSTEP"] == "reduce" and header["DBCONF"] == "c" * 64
    text = "\n".join(header["HISTORY"])
    assert "version gammapy" in text and "input a.fits sha256 1111" in text


def test_the_lock_keeps_a_second_driver_out(tmp_path):
    with (
        folder_lock(tmp_path),
        pytest.raises(OutputError, match="in use by process") as caught,
        folder_lock(tmp_path),
    ):
        pytest.fail("two held the lock")
    assert "-o" in caught.value.hint
    with folder_lock(tmp_path):
        pass


def test_the_lock_goes_with_its_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from daybreak.products.lock import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"process {holder.pid} on "), folder_lock(tmp_path):
            pytest.fail("two held the lock")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with folder_lock(tmp_path):
        pass


def test_the_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(ValueError), folder_lock(tmp_path):
        raise ValueError
    done = threading.Event()
    with folder_lock(tmp_path):
        done.set()
    assert done.is_set()


def test_the_lock_needs_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), folder_lock(tmp_path / "file"):
        pytest.fail("locked a file")


@pytest.mark.parametrize(
    ("time", "longitude", "night"),
    [
        ("2024-12-06T00:30:00", 0.0, "2024-12-05"),
        ("2024-12-05T20:30:00", 0.0, "2024-12-05"),
        ("2024-12-05T11:59:00", 0.0, "2024-12-04"),
        ("2024-12-05T12:01:00", 0.0, "2024-12-05"),
        # Namibia, 16.5 deg east: local noon is 66 minutes before 12 UTC
        ("2004-12-05T10:53:00", 16.5, "2004-12-04"),
        ("2004-12-05T10:55:00", 16.5, "2004-12-05"),
        # La Palma, 17.89 deg west: local noon at 13:11:34 UTC
        ("2024-01-01T13:11:00", -17.89, "2023-12-31"),
        ("2024-01-01T13:12:00", -17.89, "2024-01-01"),
        # Hawaii: a night lies within one UTC date
        ("2024-03-01T06:00:00", -155.5, "2024-02-29"),
        ("2024-03-01T14:00:00", -155.5, "2024-02-29"),
        # 29 February, and a date line's worth east
        ("2024-03-01T03:00:00", 10.0, "2024-02-29"),
        ("2024-06-01T16:00:00", 178.0, "2024-06-01"),
    ],
)
def test_the_night_is_the_date_of_its_evening(time, longitude, night):
    assert night_of(Time(time, scale="utc"), longitude) == night
    assert night_of(Time(time, scale="utc").tt, longitude) == night


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)),
    st.floats(-180, 180, allow_nan=False),
)
def test_nights_change_at_local_noon_and_only_then(when, longitude):
    night = date.fromisoformat(night_of(Time(when, scale="utc"), longitude))
    local = when + timedelta(days=longitude / 360)
    since = local - datetime(night.year, night.month, night.day, 12)
    assert -timedelta(seconds=1) <= since <= timedelta(days=1, seconds=1)
