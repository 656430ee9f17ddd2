from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from astropy.table import Table

from daybreak.errors import ProductError
from daybreak.report.analysis.html import write_report
from daybreak.report.common.rounding import fixed, significant, with_error

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects the text, tags, ids and attributes, and checks that tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack, self.tags, self.ids, self.links, self.parts = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.stack == []
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                self.links.append(value)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.parts.append(data)


def test_page_is_well_formed_and_stands_alone(made):
    html = made.html
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert page.tags.count("h1") == 1
    assert len(page.ids) == len(set(page.ids))
    assert {"script", "link", "iframe", "object", "form", "base"}.isdisjoint(page.tags)
    outside = [link for link in page.links if not link.startswith(("#", "data:image/png;base64,"))]
    assert outside == []
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(page.ids)
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []


def test_all_figures_are_in_the_page_with_a_caption(made):
    page = Page(made.html)
    drawn = {path.stem for path in made.figures.glob("*.svg")}
    assert page.tags.count("figure") == len(drawn) == page.tags.count("figcaption")
    for name in drawn:
        assert f"figure-{name.replace('_', '-')}" in page.ids
    for caption in re.findall(r"<figcaption>(.*?)</figcaption>", made.html, re.S):
        assert len(re.sub("<.*?>", "", caption)) > 50


@pytest.mark.parametrize("variant", ["crab", "flare", "one_run", "no_maps", "rad_max"])
def test_page_holds_the_numbers(variant, make):
    made = make(variant)
    text = Page(made.html).text
    for row in Table.read(made.results / "runs.ecsv"):
        for shown in (
            str(row["obs_id"]),
            fixed(row["zenith"], 1),
            significant(row["alpha"]),
            with_error(row["excess"], row["excess_error"]),
            with_error(row["background_ratio"], row["background_ratio_error"]),
            fixed(row["significance"], 1),
        ):
            assert shown in text
    for row in Table.read(made.results / "flux_points.ecsv"):
        assert significant(row["dnde_ul"]) in text
        assert with_error(row["norm"], row["norm_err"]) in text
    for name in ("run", "night", "minutes"):
        for row in Table.read(made.results / f"lightcurve_{name}.ecsv"):
            assert str(row["label"]) in text
            assert f" {row['n_on']} {row['n_off']} {fixed(row['excess'], 1)} " in text
    assert "95.45 % two-sided" in text
    assert "c0ffee" in text
    assert "doi.org" in text


def test_headline_of_a_detection(make):
    text = Page(make("crab").html).text
    assert "Detected at 37.4 σ in 1.76 h" in text
    assert "Flux above 1 TeV: (2.65 ± 0.14) × 10⁻¹¹ cm⁻² s⁻¹ (1.2 Crab)" in text
    assert "Power law: index Γ = 2.685 ± 0.072" in text


def test_headline_without_a_detection(make):
    text = Page(make("no_detection").html).text
    assert "Not detected: 1." in text
    assert "upper limit at ΔTS = 4" in text
    assert "No run was left out." in text


def test_what_was_left_out_is_said_on_top(make):
    html = make("crab").html
    top = html[html.index("<main>") : html.index("<nav")]
    assert "2 runs left out" in top
    assert "325440 found" in top
    assert "background rate 37 % below its IRF" in top
    top = make("no_spectrum").html
    assert "spectrum: no run has an energy dispersion" in top


def test_missing_parts_leave_no_empty_sections(make):
    page = Page(make("no_spectrum").html)
    assert "spectrum" not in page.ids
    assert "lightcurve" not in page.ids
    assert "maps" not in Page(make("no_maps").html).ids


def test_hostile_names_are_text(make):
    html = make("hostile").html
    assert "<script" not in html.lower()
    assert "&lt;script&gt;alert(" in html
    assert "<b>" not in html


def test_missing_numbers_are_a_dash(make):
    text = Page(make("nans").html).text
    assert re.search(r"\bnan\b", text, re.I) is None


def test_a_foreign_figure_is_refused(make, tmp_path):
    made = make("no_maps")
    (tmp_path / "theta2.svg").write_text("<svg><script>alert(1)</script></svg>")
    with pytest.raises(ProductError, match=r"theta2\.svg"):
        write_report(made.results, tmp_path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_page_without_figures_and_with_png(make, tmp_path):
    made = make("no_maps")
    write_report(made.results, tmp_path / "none", tmp_path / "report.html")
    assert "<figure" not in (tmp_path / "report.html").read_text()
    (tmp_path / "theta2.png").write_bytes(b"\x89PNG fake")
    write_report(made.results, tmp_path, tmp_path / "report.html")
    assert 'src="data:image/png;base64,' in (tmp_path / "report.html").read_text()


def test_both_errors_and_the_fit_in_three_dimensions_are_shown(make):
    page = make("crab").html
    assert "± statistical ± systematic" in page and "2.685 ± 0.072 ± 0.022" in page
    assert 'id="fit3d"' in page and "Gaussian (chosen)" in page
    assert "significant by 5.5 sigma" in page


def test_without_a_fit_in_three_dimensions_there_is_no_section(make):
    page = make("no_spectrum").html
    assert 'id="fit3d"' not in page and "± systematic" not in page
