"""Made-up results, and what is drawn and written from them, once per session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fake_results
import pytest
from fake_variants import VARIANTS

from daybreak.report.analysis.figures import draw_figures
from daybreak.report.analysis.html import write_report


@dataclass(frozen=True)
class Made:
    """Everything that came of one variant."""

    variant: str
    results: Path
    figures: Path
    page: Path

    @property
    def html(self) -> str:
        return self.page.read_text(encoding="utf-8")


_made: dict[str, Made] = {}


def _make(variant: str, folder: Path) -> Made:
    made = Made(variant, folder / "results", folder / "figures", folder / "report.html")
    fake_results.write_results(made.results, variant)
    draw_figures(made.results, made.figures)
    write_report(made.results, made.figures, made.page)
    return made


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """Function: the results, figures and page of a variant."""

    def of(variant: str) -> Made:
        if variant not in _made:
            _made[variant] = _make(variant, tmp_path_factory.mktemp(variant))
        return _made[variant]

    return of


@pytest.fixture(scope="session", params=sorted(VARIANTS))
def made(request, make) -> Made:
    """Each variant in turn."""
    return make(request.param)
