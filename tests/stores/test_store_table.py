"""Index tables of all kinds: read as Astropy reads them, written so that Astropy agrees."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.time import Time
from astropy.units import Unit
from hypothesis import given, settings
from hypothesis import strategies as st
from store_maker import PRIMARY, header, pad

from daybreak.errors import StoreError
from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.merge import HDU_KEYS, merge, stack, unique
from daybreak.stores.table import IndexTable, pack, read_table, run_key, write_table


def ours(table: Table) -> IndexTable:
    out = io.BytesIO()
    table.write(out, format="fits")
    return read_table(out.getvalue())


def theirs(table: IndexTable) -> Table:
    data = write_table(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits.open(io.BytesIO(data)).verify("exception")
    return Table.read(io.BytesIO(data), format="fits", hdu=1)


def test_types_masks_and_units_come_through() -> None:
    table = Table(
        {
            "OBS_ID": np.array([1, 2], "i4"),
            "A": np.array([1.5, np.nan], "f4"),
            "B": MaskedColumn(np.array([7, 8], "i2"), mask=[True, False]),
            "C": np.array(["x", "long text"]),
            "D": np.array([True, False]),
            "E": np.arange(6.0).reshape(2, 3),
            "U": np.array([3, 4_000_000_000], "u4"),
            "V": np.array([3, 40_000], "u2"),
        },
        units={"A": "deg"},
    )
    back = theirs(ours(table))
    assert back["A"].unit == "deg"
    assert back["B"].mask.tolist() == [True, False]
    assert [str(v).strip() for v in back["C"]] == ["x", "long text"]
    assert back["D"].tolist() == [True, False]
    assert np.array_equal(back["E"], table["E"])
    assert back["U"].tolist() == [3, 4_000_000_000]
    assert back["V"].tolist() == [3, 40_000]
    assert back["A"][0] == 1.5


def test_what_is_masked_stays_masked_and_nothing_else_does() -> None:
    a = ours(Table({"OBS_ID": [1, 2], "N": [999_999, 7], "Q": [True, False], "W": [1.5, 2.5]}))
    b = ours(Table({"OBS_ID": [3], "T": ["x"], "S": np.array([9], "u1")}))
    back = theirs(stack(a, b))
    assert back["N"].tolist() == [999_999, 7, None]
    assert [v if v is None else bool(v) for v in back["Q"].tolist()] == [True, False, None]
    assert np.array_equal(np.ma.filled(back["W"], np.nan), [1.5, 2.5, np.nan], equal_nan=True)
    assert back["S"].tolist() == [None, None, 9]
    assert [v or "" for v in back["T"].tolist()] == ["", "", "x"]
    both = stack(a, b)
    assert both.texts("T") == ["", "", "x"] and both.texts("N") == ["999999", "7", ""]
    assert np.isnan(both.floats("N")[2]) and np.isnan(both.floats("W")[2])


def test_columns_that_have_no_place_in_an_index() -> None:
    columns = [
        fits.Column("OBS_ID", "K", array=[1, 2]),
        fits.Column("BITS", "12X", array=np.ones((2, 12), bool)),
        fits.Column("LONG", "PJ()", array=np.array([[1], [2, 3]], dtype=object)),
        fits.Column("OBJECT", "5A", array=["a", "b"]),
    ]
    out = io.BytesIO()
    fits.BinTableHDU.from_columns(columns).writeto(out)
    table = read_table(out.getvalue())
    assert table.run_keys() == ["1", "2"] and table.texts("object") == ["a", "b"]
    assert table.column("LONG") is None
    assert theirs(table)["OBS_ID"].tolist() == [1, 2]


def test_text_columns_of_no_width() -> None:
    """Some writers leave such columns where all texts are empty; Astropy writes none."""
    cards = [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 8), ("NAXIS2", 2)]
    cards += [("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", 2), ("TTYPE1", "OBJECT"), ("TFORM1", "0A")]
    cards += [("TTYPE2", "OBS_ID"), ("TFORM2", "K")]
    table = read_table(PRIMARY + header(cards) + pad(np.array([1, 2], ">i8").tobytes()))
    assert table.run_keys() == ["1", "2"] and table.texts("object") == ["", ""]
    assert theirs(table)["OBS_ID"].tolist() == [1, 2]


def test_header_comes_through_without_stale_sums() -> None:
    hdu = fits.table_to_hdu(Table({"OBS_ID": [1]}))
    hdu.header["MJDREFI"] = 51910
    hdu.header["TELESCOP"] = "HESS"
    hdu.header["HISTORY"] = "made by hand"
    hdu.header["COMMENT"] = "a remark"
    hdu.header.append(("TWICE", 1), end=True)
    hdu.header.append(("TWICE", 2), end=True)
    hdu.header["EMPTY"] = None
    out = io.BytesIO()
    hdu.writeto(out, checksum=True)
    table = read_table(out.getvalue())
    assert (table.meta["MJDREFI"], table.meta["TWICE"]) == (51910, 1)
    assert "EMPTY" not in table.meta
    back = fits.getheader(io.BytesIO(write_table(table)), 1)
    assert back["HISTORY"][0] == "made by hand" and back["COMMENT"][0] == "a remark"
    assert back["TELESCOP"] == "HESS" and "DATASUM" not in back and "CHECKSUM" not in back


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**62), 2**62),
            st.floats(width=32),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_round_trip(rows: list[tuple[int, float, str]]) -> None:
    ids, numbers, texts = zip(*rows, strict=True)
    table = Table({"OBS_ID": ids, "X": np.array(numbers, "f4"), "T": list(texts)})
    once = ours(table)
    twice = read_table(pack(once, "x.fits.gz"))
    assert twice.run_keys() == [str(i) for i in ids]
    assert np.array_equal(twice.floats("x"), np.array(numbers, "f4"), equal_nan=True)
    assert twice.texts("t") == ["" if t in ("--", "N/A") else t for t in texts]


@pytest.mark.parametrize("bad", ["--", "N/A", "", "  "])
def test_placeholders_are_no_text(bad: str) -> None:
    table = Table({"OBS_ID": [1], "FILE_DIR": np.array([bad], "S10")})
    assert ours(table).texts("FILE_DIR") == [""]


def test_obs_ids_as_text_and_as_numbers_are_the_same() -> None:
    text = Table({"OBS_ID": np.array(["020136", " 7 ", "abc"])})
    assert ours(text).run_keys() == ["20136", "7", "abc"]
    assert ours(Table({"OBS_ID": [20136.0]})).run_keys() == ["20136"]
    assert ours(Table({"OBS_ID": [1.5, np.nan, np.inf]})).run_keys() == ["1.5", "nan", "inf"]
    assert run_key("-012") == "-12"
    joined = stack(ours(Table({"OBS_ID": [5, 6]})), ours(Table({"OBS_ID": ["00007"]})))
    assert theirs(joined)["OBS_ID"].tolist() == [5, 6, 7]


def test_no_obs_id() -> None:
    with pytest.raises(StoreError, match="OBS_ID"):
        ours(Table({"X": [1]})).run_keys()


@pytest.mark.parametrize("data", [b"", b"SIMPLE", b"\x1f\x8b\x08"])
def test_rubbish(data: bytes) -> None:
    with pytest.raises(DamagedFileError):
        read_table(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_indices_give_our_error_or_a_table(data: st.DataObject) -> None:
    good = bytearray(write_table(ours(Table({"OBS_ID": [1, 2], "OBJECT": ["a", "b"]}))))
    at = data.draw(st.integers(0, len(good) - 1))
    rubbish = data.draw(st.binary(min_size=1, max_size=30))
    good[at : at + len(rubbish)] = rubbish
    try:
        table = read_table(bytes(good))
        table.run_keys()
    except (DamagedFileError, StoreError):
        pass


def test_column_names_differ_in_case_and_order() -> None:
    a = ours(Table({"OBS_ID": [1], "Object": ["x"], "ONTIME": [1.0]}))
    b = ours(Table({"ontime": [2.0], "obs_id": [2], "OBJECT": ["yy"]}))
    back = theirs(stack(a, b))
    assert back.colnames == ["OBS_ID", "Object", "ONTIME"]
    assert back["ONTIME"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("h", 3600.0), ("min", 60.0), ("s", 1.0), ("us", 1e-6), ("", 1.0), ("hours", 3600.0)],
)
def test_units_are_converted(unit: str, factor: float) -> None:
    a = ours(Table({"OBS_ID": [1], "ONTIME": [1.0]}, units={"ONTIME": "s"}))
    b = ours(Table({"OBS_ID": [2], "ONTIME": [2.0]}))
    b["ONTIME"].unit = Unit(unit, parse_strict="silent") if unit else None
    assert stack(a, b).floats("ONTIME")[1] == pytest.approx(2.0 * factor)


def test_units_that_do_not_fit() -> None:
    a = ours(Table({"OBS_ID": [1], "ONTIME": [1.0]}, units={"ONTIME": "s"}))
    b = ours(Table({"OBS_ID": [2], "ONTIME": [2.0]}, units={"ONTIME": "m"}))
    with pytest.raises(StoreError, match="ONTIME"):
        stack(a, b)


def test_times_are_moved_to_one_reference() -> None:
    def index(run: int, mjdref: int, start: float, scale: str = "TT") -> IndexTable:
        table = Table({"OBS_ID": [run], "TSTART": [start]})
        table.meta.update({"MJDREFI": mjdref, "MJDREFF": 0.5, "TIMESYS": scale})
        return ours(table)

    both = stack(index(1, 51910, 1e8), index(2, 52706, 1e8))
    assert both.floats("TSTART").tolist() == [1e8, 1e8 + 796 * 86400]
    assert both.meta["MJDREFI"] == 51910
    utc = stack(index(1, 51910, 1e8), index(2, 52706, 1e8, "UTC"))
    expected = (
        Time(52706.5 + 1e8 / 86400, format="mjd", scale="utc").tt
        - Time(51910.5, format="mjd", scale="tt")
    ).sec
    assert utc.floats("TSTART")[1] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(StoreError, match="local"):
        stack(index(1, 51910, 1e8), index(2, 52706, 1e8, "local"))


def test_merge_and_duplicates() -> None:
    a = ours(Table({"OBS_ID": [1, 1, 2], "OBJECT": ["a", "a", "b"]}))
    b = ours(Table({"OBS_ID": [2, 3], "OBJECT": ["new", "c"]}))
    assert merge(a, b, {"2", "3"}, ("OBS_ID",)).texts("OBJECT") == ["a", "new", "c"]
    assert merge(a, b, {"2", "3"}, ("OBS_ID",), keep=True).texts("OBJECT") == ["a", "b", "c"]
    assert len(merge(None, a, {"1", "2"}, ("OBS_ID",))) == 2
    hdu = Table(
        {
            "OBS_ID": [1, 1, 1],
            "HDU_TYPE": ["psf", "psf", "psf"],
            "HDU_CLASS": ["a"] * 3,
            "FILE_DIR": [""] * 3,
            "FILE_NAME": ["f"] * 3,
            "HDU_NAME": ["P1", "P1", "P2"],
        }
    )
    assert len(unique(ours(hdu), HDU_KEYS)) == 2
