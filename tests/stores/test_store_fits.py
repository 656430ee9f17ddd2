"""The checker sees every truncation and flip that can be seen, in constant memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from store_maker import PRIMARY, Run, bintable, dl3_bytes, header

from daybreak.products.fits_headers import DamagedFileError, parse_value
from daybreak.stores.fits import FileChecker, check_chunks, check_file, header_of
from daybreak.stores.quick import read_facts

PLAIN = dl3_bytes(Run(1, events=300))
ZIPPED = gzip.compress(PLAIN, 6, mtime=0)


def with_checksums() -> bytes:
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.arange(3000.0), name="A")])
    out = io.BytesIO()
    hdus.writeto(out, checksum=True)
    return out.getvalue()


def in_one_buffer(data: bytes, chunk: int) -> Iterator[memoryview]:
    """As a local source gives it: each piece overwrites the one before."""
    buffer = memoryview(bytearray(chunk))
    for start in range(0, len(data), chunk):
        size = len(data[start : start + chunk])
        buffer[:size] = data[start : start + chunk]
        yield buffer[:size]


def names(data: bytes, chunk: int = 1000) -> list[str]:
    return [hdu.name for hdu in check_chunks(in_one_buffer(data, chunk))]


@pytest.mark.parametrize("data", [PLAIN, ZIPPED, ZIPPED + b"\0" * 99, PLAIN + b"\0" * 2880])
@pytest.mark.parametrize("chunk", [1, 79, 2880, 1 << 20])
def test_whole_files(data: bytes, chunk: int) -> None:
    if chunk == 1 and data is PLAIN:
        data = PLAIN[:]
    assert names(data, chunk) == ["", "EVENTS", "GTI", "AEFF"]


def test_members_of_gzip_may_follow_one_another() -> None:
    assert len(names(gzip.compress(PLAIN[:5000]) + gzip.compress(PLAIN[5000:]))) == 4


def test_last_padding_may_be_missing() -> None:
    data = PRIMARY + header(
        [
            ("XTENSION", "IMAGE"),
            ("BITPIX", 8),
            ("NAXIS", 1),
            ("NAXIS1", 100),
            ("PCOUNT", 0),
            ("GCOUNT", 1),
        ]
    )
    assert len(names(data + b"x" * 100)) == 2
    with pytest.raises(DamagedFileError, match="truncated"):
        names(data + b"x" * 99)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(ZIPPED) - 1))
def test_every_truncation_of_gzip_is_seen(cut: int) -> None:
    with pytest.raises(DamagedFileError):
        names(ZIPPED[:cut])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(PLAIN) - 2881))
def test_every_truncation_is_seen_but_at_an_hdu(cut: int) -> None:
    try:
        found = names(PLAIN[:cut])
    except DamagedFileError:
        return
    boundary = sum(1 for hdu in check_chunks([PLAIN]) if hdu.offset <= cut)
    assert 0 < len(found) <= boundary


@settings(max_examples=200, deadline=None)
@given(st.integers(10, len(ZIPPED) - 1), st.integers(0, 7))
def test_every_flip_in_gzip_that_matters_is_seen(at: int, bit: int) -> None:
    data = bytearray(ZIPPED)
    data[at] ^= 1 << bit
    try:
        names(bytes(data))
    except DamagedFileError:
        return
    assert gzip.decompress(data) == PLAIN  # another way to deflate the same content


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_flips_are_seen_where_there_is_a_checksum(data: st.DataObject) -> None:
    good = with_checksums()
    assert all(hdu.checksummed for hdu in check_chunks([good]))
    bad = bytearray(good)
    bad[data.draw(st.integers(8640, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedFileError):
        names(bytes(bad))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=6000), st.booleans())
def test_rubbish_is_refused_and_nothing_worse(data: bytes, zipped: bool) -> None:
    with pytest.raises(DamagedFileError):
        names(gzip.compress(data) if zipped else data)


@settings(max_examples=200, deadline=None)
@given(st.integers(2880, 8600), st.binary(min_size=1, max_size=40))
def test_rubbish_in_headers_is_never_another_error(at: int, rubbish: bytes) -> None:
    data = bytearray(PLAIN)
    data[at : at + len(rubbish)] = rubbish
    with contextlib.suppress(DamagedFileError):
        names(bytes(data))


@pytest.mark.parametrize("zipped", [False, True])
def test_memory_does_not_grow_with_the_file(zipped: bool) -> None:
    size = 200_000_000
    head = PRIMARY + header(
        [
            ("XTENSION", "IMAGE"),
            ("BITPIX", 8),
            ("NAXIS", 1),
            ("NAXIS1", size),
            ("PCOUNT", 0),
            ("GCOUNT", 1),
        ]
    )
    if zipped:
        packed = gzip.compress(head + b"\0" * size + b"\0" * (-size % 2880), 1)
        chunks = [packed[i : i + 100_000] for i in range(0, len(packed), 100_000)]
    else:
        chunks = [head, *[b"\0" * 1_000_000] * 200, b"\0" * (-size % 2880)]
    tracemalloc.start()
    checker = FileChecker()
    for chunk in chunks:
        checker.feed(chunk)
    assert len(checker.finish()) == 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


def test_headers_agree_with_astropy(tmp_path: Path) -> None:
    path = tmp_path / "x.fits.gz"
    path.write_bytes(ZIPPED)
    ours = header_of(path)
    assert ours is not None
    theirs = fits.getheader(path, "EVENTS")
    assert {k: theirs[k] for k in ours} == ours
    assert [h.name for h in check_file(path)][1:] == [h.name for h in fits.open(path)][1:]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'    / c", "it's"),
        ("T", True),
        (" -12 / x", -12),
        ("1.5D3", 1500.0),
        ("", None),
        ("'a / b'", "a / b"),
        ("(1,2)", "(1,2)"),
    ],
)
def test_values(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("zipped", [False, True])
def test_facts_of_usual_and_unusual_files(tmp_path: Path, zipped: bool) -> None:
    gti = bintable("GTI", {"START": ("D", np.zeros(1, ">f8"))}, {})
    late = PRIMARY + gti + PLAIN[2880:]
    for data in (PLAIN, late):
        path = tmp_path / "x.fits"
        path.write_bytes(gzip.compress(data) if zipped else data)
        facts = read_facts(str(path))
        assert (facts.events, facts.ontime, facts.livetime) == (300, 1680.0, 1580.0)
    path.write_bytes(PRIMARY)
    assert not read_facts(str(path)).has_events
    path.write_bytes(b"rubbish")
    assert not read_facts(str(path)).has_events
    assert not read_facts(str(tmp_path / "absent")).has_events
