from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daybreak.errors import OutputError
from daybreak.neutrino.scan.journal import PIXEL_DTYPE, Journal


def rows(start: int, count: int) -> np.ndarray:
    out = np.zeros(count, PIXEL_DTYPE)
    out["nside"], out["pixel"] = 8, np.arange(start, start + count)
    out["llh"] = 1000.0 + out["pixel"]
    return out


def written(path: Path) -> bytes:
    with Journal(path, "key") as journal:
        for start in (0, 5, 10):
            journal.append(rows(start, 5))
    return path.read_bytes()


def test_rows_come_back(tmp_path: Path):
    written(tmp_path / "p.bin")
    with Journal(tmp_path / "p.bin", "key") as journal:
        assert np.array_equal(journal.rows, rows(0, 15))
        assert journal.dropped_bytes == 0
        journal.append(rows(15, 5))
    with Journal(tmp_path / "p.bin", "key") as journal:
        assert np.array_equal(journal.rows, rows(0, 20))


def test_a_torn_tail_is_dropped_wherever_it_is_torn(tmp_path: Path):
    whole = written(tmp_path / "p.bin")
    block = 8 + 5 * PIXEL_DTYPE.itemsize
    head = len(whole) - 3 * block
    for length in [*range(head, len(whole), 37), len(whole) - 1]:
        path = tmp_path / f"{length}.bin"
        path.write_bytes(whole[:length])
        blocks = (length - head) // block
        with Journal(path, "key") as journal:
            assert np.array_equal(journal.rows, rows(0, 5 * blocks)), length
            assert journal.dropped_bytes == (length - head) % block
            journal.append(rows(100, 2))
        with Journal(path, "key") as journal:
            assert np.array_equal(journal.rows, np.append(rows(0, 5 * blocks), rows(100, 2)))


def test_a_flipped_bit_is_found(tmp_path: Path):
    whole = bytearray(written(tmp_path / "p.bin"))
    block = 8 + 5 * PIXEL_DTYPE.itemsize
    whole[-block + 20] ^= 1
    (tmp_path / "p.bin").write_bytes(whole)
    with Journal(tmp_path / "p.bin", "key") as journal:
        assert np.array_equal(journal.rows, rows(0, 10))


@pytest.mark.parametrize(
    "content", [b"", b"x", b"DBSCAN1\n", b"DBSCAN1\n\xff\xff\xff\xff", b"\0" * 99]
)
def test_what_is_no_journal_is_begun_anew(tmp_path: Path, content: bytes):
    path = tmp_path / "p.bin"
    path.write_bytes(content)
    with Journal(path, "key") as journal:
        assert len(journal.rows) == 0
        journal.append(rows(0, 3))
    with Journal(path, "key") as journal:
        assert np.array_equal(journal.rows, rows(0, 3))


def test_another_key_begins_anew(tmp_path: Path):
    written(tmp_path / "p.bin")
    with Journal(tmp_path / "p.bin", "other") as journal:
        assert len(journal.rows) == 0


def test_a_full_disk_is_said(tmp_path: Path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with Journal(tmp_path / "p.bin", "key") as journal:
        good, journal._stream = journal._stream, full.open("wb")
        with pytest.raises(OutputError, match="space"):
            journal.append(rows(0, 1000))
        journal._stream = good


def test_rows_of_another_kind_are_refused(tmp_path: Path):
    with Journal(tmp_path / "p.bin", "key") as journal, pytest.raises(OutputError):
        journal.append(np.zeros(3))
