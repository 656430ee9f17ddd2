"""Tables of DOM positions: their forms, and what is refused."""

from __future__ import annotations

import i3_writer as w
import numpy as np
import pytest
from astropy.table import Table

from daybreak.errors import EventError
from daybreak.neutrino.geometry import ICE_CENTRE_DEPTH_M, load_geometry


def _rows():
    doms = w.small_detector()
    keys = np.array(list(doms))
    return keys[:, 0], keys[:, 1], np.array(list(doms.values()))


def _check(geometry):
    string, om, xyz = _rows()
    assert geometry.string.tolist() == string.tolist() and geometry.om.tolist() == om.tolist()
    np.testing.assert_allclose(geometry.xyz_m, xyz, atol=1e-9)


@pytest.mark.parametrize("kind", ["ecsv", "csv", "parquet"])
@pytest.mark.parametrize(
    "names",
    [("string", "om", "x", "y", "z"), ("string", "dom_number", "dom_x", "dom_y", "dom_z")],
)
def test_named_columns(tmp_path, kind, names):
    string, om, xyz = _rows()
    path = tmp_path / f"detector.{kind}"
    table = Table(dict(zip(names, (string, om, *xyz.T), strict=True)))
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        columns = {c: np.asarray(table[c]) for c in table.colnames}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        table.write(path, format=f"ascii.{kind}")
    _check(load_geometry(path))


def test_positions_from_the_surface_are_shifted_and_numbered_from_the_top(tmp_path):
    string, _, xyz = _rows()
    shuffled = np.random.default_rng(1).permutation(len(string))
    path = tmp_path / "d.csv"
    names = ("sensor_pos_x", "sensor_pos_y", "sensor_pos_z", "sensor_string_id")
    columns = (xyz[:, 0], xyz[:, 1], xyz[:, 2] - ICE_CENTRE_DEPTH_M, string)
    Table([c[shuffled] for c in columns], names=names).write(path, format="ascii.csv")
    _check(load_geometry(path))


@pytest.mark.parametrize("write", [w.om_geo_map, w.geometry])
@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_gcd_file(tmp_path, write, ending):
    key = "I3OMGeoMap" if write is w.om_geo_map else "I3Geometry"
    frames = [("G", w.frame("G", {key: write(w.small_detector())})), ("C", w.frame("C", {}))]
    _check(load_geometry(w.write_i3(tmp_path / f"gcd.i3{ending}", frames)))


def test_a_difference_is_no_geometry(tmp_path):
    diff = bytes(w.blob("I3GeometryDiff").put("d", 1).data)
    path = w.write_i3(tmp_path / "gcd.i3", [("G", w.frame("G", {"I3GeometryDiff": diff}))])
    with pytest.raises(EventError, match="holds no geometry"):
        load_geometry(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "columns|can't be read"),
        ("a,b\n1,2\n", "columns"),
        ("string,om,x,y,z\n1,1,0,0,nan\n", "not finite"),
        ("string,om,x,y,z\n1,1,0,0,\n", "not finite"),
        ("string,om,x,y,z\n1,1,0,0,here\n", "can't be read"),
        ("string,om,x,y,z\n1,1,0,0,0\n1,1,0,0,9\n", "twice"),
        ("string,om,x,y,z\n1,1.5,0,0,0\n", "no number"),
        ("string,om,x,y,z\n-4,1,0,0,0\n", "no number"),
        ("string,om,x,y,z\n1,61,0,0,0\n", "no in-ice DOM"),
        ("PAR1 but no table", "can't be read as a parquet"),
        ("# %ECSV 1.0\n# rubbish", "can't be read as a ecsv"),
    ],
)
def test_tables_that_are_none(tmp_path, text, says):
    path = tmp_path / "d.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EventError, match=says):
        load_geometry(path)
    with pytest.raises(EventError, match="no file"):
        load_geometry(tmp_path / "none.csv")
