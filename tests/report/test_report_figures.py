from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from astropy.io import fits

from daybreak.errors import ConfigError, ProductError
from daybreak.report.analysis.figures import draw_figures, figure_specs
from daybreak.report.analysis.figures.lightcurve import TimeAxis
from daybreak.report.common.skygrid import circle
from daybreak.report.common.style import INK

ALL = {spec.name for spec in figure_specs()}
MAPS = {name for name in ALL if name.startswith(("ring", "fov"))}
SPECTRUM = {"counts", "sed"}
CURVES = {name for name in ALL if name.startswith("lightcurve")}
FIT = {"fit3d_residuals"}
EXPECTED = {
    "no_maps": ALL - MAPS - {"regions"} - FIT,
    "no_spectrum": ALL - SPECTRUM - CURVES - FIT,
    "nans": ALL - {"fov_excess", "fov_significance"},
    "rad_max": ALL - MAPS - {"regions"} - FIT,
}


def test_figures_are_those_that_the_tables_allow(made):
    drawn = {path.stem for path in made.figures.glob("*.svg")}
    assert drawn == EXPECTED.get(made.variant, ALL)


def test_each_svg_is_valid_and_takes_the_colour_of_the_page(made):
    for path in made.figures.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        root = ET.fromstring(text)
        assert root.get("role") == "img"
        assert "currentColor" in text
        # the ink stands only in the style that a figure of its own falls back to
        assert text.count(INK) == 1, path.name
        assert "<script" not in text
        assert "nan" not in " ".join(root.itertext())


def test_ids_are_unique_over_all_figures(made):
    ids = []
    for path in made.figures.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        own = re.findall(r'\bid="([^"]+)"', text)
        ids += own
        used = re.findall(r'(?:url\(#|href="#)([^")]+)', text)
        assert set(used) <= set(own), path.name
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_figure_can_be_drawn_alone(name, make, tmp_path):
    made = make("crab")
    written = draw_figures(made.results, tmp_path, only=[name])
    assert [path.name for path in written] == [f"{name}.svg"]
    assert written[0].read_bytes() == (made.figures / f"{name}.svg").read_bytes()


def test_a_figure_that_can_no_longer_be_drawn_goes(make, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(make("crab").results, results)
    draw_figures(results, tmp_path / "figures", only=["theta2"])
    (results / "theta2.ecsv").unlink()
    assert draw_figures(results, tmp_path / "figures") != []
    assert not (tmp_path / "figures" / "theta2.svg").exists()


def test_other_formats(make, tmp_path):
    written = draw_figures(make("crab").results, tmp_path, ("png", "pdf"), only=["sed"])
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert written[1].read_bytes().startswith(b"%PDF")


def test_unknown_figure_is_refused(make, tmp_path):
    with pytest.raises(ConfigError, match="sedd"):
        draw_figures(make("crab").results, tmp_path, only=["sedd"])


@pytest.mark.parametrize("name", ["theta2.ecsv", "maps.fits", "context.json"])
def test_a_damaged_table_is_named(name, make, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(make("crab").results, results)
    data = (results / name).read_bytes()
    (results / name).write_bytes(data[: len(data) // 3])
    with pytest.raises(ProductError, match=re.escape(name)):
        draw_figures(results, tmp_path / "figures")


def test_no_results_is_an_error(tmp_path):
    with pytest.raises(ProductError, match=r"context\.json"):
        draw_figures(tmp_path, tmp_path / "figures")


def test_right_ascension_increases_to_the_left(make, tmp_path):
    made = make("crab")
    draw_figures(made.results, tmp_path, only=["ring_significance"])
    root = ET.parse(tmp_path / "ring_significance.svg").getroot()
    labels = {}
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        words = "".join(text.itertext()).strip()
        if re.fullmatch(r"\dh\d\dm", words):
            labels[words] = float(re.search(r"translate\(([\d.]+)|^", _place(text))[1])
    assert len(labels) >= 3
    ordered = sorted(labels, key=labels.get)
    assert ordered == sorted(labels, reverse=True)


def _place(text):
    found = text.get("transform") or ""
    return found if "translate" in found else f"translate({text.get('x')}"


def test_map_statistics_of_the_flipped_axis(make, tmp_path):
    """A map whose first axis grows with RA is still drawn with RA to the left."""
    results = tmp_path / "results"
    shutil.copytree(make("crab").results, results)
    with fits.open(results / "maps.fits", mode="update") as hdus:
        for hdu in hdus[1:]:
            hdu.header["CDELT1"] = abs(hdu.header["CDELT1"])
    assert draw_figures(results, tmp_path / "figures", only=["ring_excess"])


def test_circle_on_the_sphere_keeps_its_radius():
    for ra, dec in ((83.6, 22.0), (0.1, -89.0), (329.7, -30.2)):
        x, y = np.radians(circle(ra, dec, 0.5))
        d = np.radians(dec)
        cosine = np.sin(d) * np.sin(y) + np.cos(d) * np.cos(y) * np.cos(x - np.radians(ra))
        assert np.degrees(np.arccos(cosine)) == pytest.approx(0.5, abs=1e-6)


def test_time_axis_cuts_long_gaps_only():
    low = np.array([0.0, 1.0, 2.01, 100.0])
    axis = TimeAxis.of(low, low + 1)
    assert list(axis.starts) == [0.0, 100.0]
    place = axis.place(np.array([0.0, 3.01, 50.0, 100.0, 101.0]))
    assert (np.diff(place) >= 0).all()
    assert place[2] == place[1]
    assert axis.end == pytest.approx(4.01 + 0.06 * 4)
