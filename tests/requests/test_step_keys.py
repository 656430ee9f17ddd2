"""What has to be made again when something changes: the table of docs/requests.md."""

from __future__ import annotations

import shutil

import pytest

import daybreak
from daybreak.products import code

pytestmark = pytest.mark.slow

REDUCE = {"reduce-1", "reduce-2", "reduce-3"}
PAGES = {"results", "report"}
ALL = (
    REDUCE
    | PAGES
    | {
        *("counts", "maps", "spectrum", "lightcurve", "systematics", "context", "figures"),
    }
)
SPECTRAL = PAGES | {"spectrum", "systematics", "context", "figures"}

#: a setting, and the steps that it makes again
SETTINGS = {
    "engine.workers=1": set(),
    "report.formats=[svg, png]": PAGES | {"figures"},
    "lightcurve.minutes=5 min": PAGES | {"lightcurve", "context", "figures"},
    "spectrum.points_per_decade=3": SPECTRAL,
    "quality.min_live_fraction=0.99": PAGES | {"counts", "context", "figures"},
    "maps.correlation_radius=0.2 deg": PAGES | {"maps", "context", "figures"},
    "regions.on_radius=0.15 deg": ALL,
}
#: a file of Daybreak, and the steps that a change of it makes again
FILES = {
    "_version.py": set(),
    "report/common/templates/style.css": {"report"},
    "report/analysis/figures/spectrum.py": {"figures", "report"},
    "science/lightcurve.py": {"lightcurve"},
    "science/mapstack.py": {"maps"},
    "science/reduce.py": REDUCE,
    "neutrino/contours.py": set(),
    "cli/analyse.py": set(),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, sound_store):
    """An analysis that is done."""
    from contextlib import contextmanager

    from here_pools import HerePools

    @contextmanager
    def open_pools(*_, **__):
        yield HerePools()

    out = tmp_path_factory.mktemp("made") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daybreak.engine.run.open_pools", open_pools)
        result = daybreak.analyse("Crab", store=sound_store, out=out)
    assert set(result.steps) == ALL and not result.failed
    return out


@pytest.fixture()
def again(here, made, sound_store, tmp_path):
    """Function: the same analysis in a copy of its folder; the steps that ran."""

    def call(**values) -> set[str]:
        out = tmp_path / "out"
        shutil.copytree(made, out)
        result = daybreak.analyse("Crab", store=sound_store, out=out, **values)
        assert not result.failed
        return {name for name, step in result.steps.items() if not step.cached}

    return call


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_that_is_changed(again, setting):
    assert again(settings=[setting]) == SETTINGS[setting]


@pytest.fixture()
def changed(monkeypatch):
    """Function: pretend that a file of Daybreak reads otherwise."""
    look = code._look

    def change(name: str) -> None:
        def other(path):
            digest, names = look(path)
            return (
                f"changed {digest}" if path.as_posix().endswith(f"daybreak/{name}") else digest
            ), names

        monkeypatch.setattr(code, "_look", other)

    return change


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_daybreak_that_is_changed(again, changed, file):
    """What follows is made again only if what was made again is not the same."""
    changed(file)
    ran = again()
    assert ran >= FILES[file]
    assert ran <= FILES[file] | ({"report"} if "figures" in FILES[file] else set())


def test_what_an_older_daybreak_made_is_kept_on_demand(again, changed, tmp_path):
    """The report says so, and without the wish it is made again."""
    changed("science/reduce.py")
    assert again(keep=True) == {"report"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Kept from an older version" in page and "reduce-2" in page


def test_what_was_made_from_other_data_is_never_kept(again):
    assert again(keep=True, settings=["regions.on_radius=0.15 deg"]) == ALL
