"""A site's own profiles: where they are found, what they hide, what they extend, how they claim."""

from __future__ import annotations

import json

import pytest

from daybreak.config.analysis import AnalysisConfig
from daybreak.errors import ConfigError
from daybreak.instruments.profiles import (
    load_profile,
    profile_for,
    profile_for_file,
    profile_layer,
    profile_names,
    profile_sources,
)
from daybreak.instruments.settings import resolve_config


def test_without_own_folders_there_are_the_shipped_ones(own):
    names = ["fact", "generic", "hess", "lst1", "magic", "sst1m", "veritas", "virtual"]
    assert profile_names() == names


def test_the_first_folder_wins_and_all_win_over_what_is_shipped(own):
    own.write("dawn", "title: home\n", "home")
    assert load_profile("dawn").title == "home"
    second = own.write("dawn", "title: second\n", "second")
    assert load_profile("dawn").title == "second"
    first = own.write("dawn", "title: first\n", "first")
    assert load_profile("dawn").title == "first"
    assert [s.path for s in profile_sources()["dawn"]][:2] == [first, second]
    own.write("hess", "title: ours\n", "home")
    assert load_profile("hess").title == "ours"
    assert load_profile("hess").analysis == AnalysisConfig()  # the shipped one is hidden whole


def test_extending_changes_only_what_is_named(own):
    path = own.write(
        "lst1",
        """\
        extends: lst1
        roots: {real: /data/lst/real}
        values: {version: "0.11"}
        irfs: {mc_dl2: null}
        analysis:
          regions: {n_off: 5}
        """,
    )
    shipped = {s.path: s for s in profile_sources()["lst1"]}
    assert set(shipped) == {path, None}
    profile = load_profile("lst1")
    assert str(profile.roots["real"]) == "/data/lst/real"
    assert str(profile.roots["models"]) == "/fefs/aswg/data/models"
    assert profile.values == {"version": "0.11", "cut": "84"}
    assert "mc_dl2" not in profile.irfs and "irf" in profile.irfs
    assert "LST-1" in profile.recognise.words and profile_for("LST-1") == "lst1"
    config, origin = resolve_config(instrument="lst1")
    assert config.regions.n_off == 5
    assert origin["regions", "n_off"] == f"{path}:6"
    assert config.spectrum.threshold == "aeff"
    assert origin["spectrum", "threshold"].startswith("profile lst1:")
    assert config.selection.site_longitude == profile.site.longitude


def test_each_setting_knows_the_file_it_stands_in(own):
    path = own.write("dawn", "extends: lst1\nanalysis:\n  spectrum:\n    bins_per_decade: 8\n")
    layer = profile_layer("dawn")
    assert layer.where(("spectrum", "bins_per_decade")) == f"{path}:4"
    assert layer.where(("spectrum", "energy_min")).startswith("profile lst1:")
    assert layer.where(("spectrum", "fit_min")) == f"{path}:3"
    assert layer.where(("maps", "pixel")) == str(path)


def test_a_profile_of_another_name_claims_nothing_of_its_base(own):
    own.write("lst1-foa", "extends: lst1\nanalysis: {regions: {n_off: 1}}\n")
    assert load_profile("lst1-foa").recognise.words == ()
    assert profile_for("LST-1") == "lst1"
    assert profile_for_file("dl1_LST-1.Run16096.h5") == "lst1"
    assert resolve_config(instrument="lst1-foa")[0].regions.n_off == 1
    own.write("lst1-foa", "extends: lst1\nrecognise: {words: [FOA]}\n")
    assert profile_for("foa") == "lst1-foa"


def test_chains_over_folders(own):
    own.write("hess", "extends: hess\ntitle: second\nsite: {height: 1 km}\n", "second")
    own.write("hess", "extends: hess\nsite: {longitude: 20 deg}\n", "first")
    own.write("hess-x", "extends: hess\n", "home")
    for name in ("hess", "hess-x"):
        profile = load_profile(name)
        assert profile.title == "second"
        assert profile.site.height.to_value("m") == 1000
        assert profile.site.longitude.to_value("deg") == 20
        assert profile.analysis.regions.point_radius.to_value("deg") == 0.11
        assert resolve_config(instrument=name)[0].selection.site_longitude.to_value("deg") == 20
        assert profile_layer(name).values["regions"] == {"point_radius": "0.11 deg"}


@pytest.mark.parametrize(
    ("texts", "part"),
    [
        ({"a": "extends: a\n"}, "a.yaml:1: extends: there is no other profile 'a'"),
        ({"a": "extends: b\n", "b": "extends: a\n"}, "extend each other: a -> b -> a"),
        ({"a": "title: x\nextends: hes\n"}, "a.yaml:2: extends: unknown instrument 'hes'"),
        ({"a": "extends: [hess]\n"}, "a.yaml:1: extends: expected the name"),
        ({"a": "extends: ../../x\n"}, "unknown instrument"),
        ({"a": "- x\n"}, "expected 'key: value' lines"),
        ({"a": "title: [\n"}, "this is not YAML"),
        ({"a": "title: !!python/object/apply:os.system [ls]\n"}, "this is not YAML"),
    ],
)
def test_what_can_not_be_extended_is_said(own, texts, part):
    for name, text in texts.items():
        own.write(name, text)
    with pytest.raises(ConfigError) as caught:
        load_profile("a")
    assert part in caught.value.what
    assert load_profile("hess").title  # others can be used


def test_a_long_chain_ends(own):
    for n in range(20):
        own.write(f"c{n}", f"extends: c{n + 1}\n")
    own.write("c20", "title: end\n")
    with pytest.raises(ConfigError, match="extend each other"):
        load_profile("c0")
    assert load_profile("c14").title == "end"


def test_a_sites_claim_comes_before_a_shipped_one(own):
    own.write("hess5", "recognise: {words: [HESS-II], prefixes: [HESS-V]}\n")
    assert profile_for("H.E.S.S. II") == "hess5"
    assert profile_for("HESS-V-2") == "hess5"  # the longer beginning
    assert profile_for("HESS-I") == profile_for("HESS") == "hess"
    own.write("hess6", "recognise: {words: [HESS]}\n")
    assert profile_for("HESS") == "hess6"


def test_two_claims_on_one_word_are_an_error(own):
    own.write("a", "recognise: {words: [Dawn-1]}\n")
    own.write("b", "recognise: {words: [dawn 1]}\n", "home")
    with pytest.raises(ConfigError, match="claimed by the profiles a and b") as caught:
        profile_for("DAWN1")
    assert "--instrument" in caught.value.hint
    assert profile_for("HESS") == "hess"


def test_instrume_is_looked_at_after_telescop(own):
    assert profile_for("", "MAGIC stereo") == "magic"
    assert profile_for("LST-1", "MAGIC stereo") == "lst1"
    assert profile_for("unheard-of", "H.E.S.S. Phase I") == "hess"
    assert profile_for("", "") == profile_for("--", "…") == "generic"


def test_raw_files_are_recognised_by_name(own):
    for name, instrument in {
        "LST-1.1.Run16096.0002.fits.fz": "lst1",
        "dl1_LST-1.Run16096.h5": "lst1",
        "SST1M2_20260120_1102.fits.fz": "sst1m",
        "20131004_M1_05029747.003_Y_MagicCrab-W0.40+035.root": "magic",
        "SST1M2_20261320_1102.fits.fz": "generic",
        "run1.fits": "generic",
    }.items():
        assert profile_for_file(name) == instrument, name


def test_a_broken_claim_is_not_passed_over(own):
    """Or data would be analysed with the settings of another instrument."""
    path = own.write("dawn", "recognise: {wordz: [DAWN]}\n")
    with pytest.raises(ConfigError, match="did you mean 'words'") as caught:
        profile_for("HESS")
    assert f"{path}:1" in caught.value.what
    assert resolve_config(instrument="hess")[0].instrument == "hess"  # named: not looked at


def test_bad_folders_and_names_are_said(own, monkeypatch, tmp_path):
    own.write("Dawn", "title: x\n")
    with pytest.raises(ConfigError, match="'Dawn' can't be the name of an instrument"):
        profile_names()
    (own.folders["first"] / "Dawn.yaml").rename(own.folders["first"] / "auto.yaml")
    with pytest.raises(ConfigError, match="'auto' can't be"):
        profile_names()
    monkeypatch.setenv("DAYBREAK_PROFILES", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"\$DAYBREAK_PROFILES: there is no folder"):
        profile_names()
    monkeypatch.setenv("DAYBREAK_PROFILES", "")
    assert "hess" in profile_names()


def test_a_folder_that_can_not_be_read_is_not_taken_for_an_empty_one(own, monkeypatch):
    def iterdir(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("daybreak.instruments.profiles.Path.iterdir", iterdir)
    with pytest.raises(ConfigError, match="can't be read: Permission denied"):
        profile_names()


def test_the_sites_longitude_is_a_default_that_settings_override(own):
    own.write("dawn", "site: {longitude: 33 deg, latitude: 1 deg, height: 0 m}\n")
    config, origin = resolve_config(instrument="dawn")
    assert config.selection.site_longitude.to_value("deg") == 33
    assert origin["selection", "site_longitude"].endswith("dawn.yaml:1")
    settings = ["selection.site_longitude=3 deg"]
    config, _ = resolve_config(instrument="dawn", settings=settings)
    assert config.selection.site_longitude.to_value("deg") == 3
    with (own.folders["first"] / "dawn.yaml").open("a") as file:
        file.write("analysis: {selection: {site_longitude: 4 deg}}\n")
    config, _ = resolve_config(instrument="dawn")
    assert config.selection.site_longitude.to_value("deg") == 4
    assert resolve_config()[0].selection.site_longitude.to_value("deg") == 0


def test_the_command_lists_and_prints_them(own, run):
    path = own.write("lst1", "extends: lst1\nvalues: {version: '0.11'}\n")
    own.write("bad", "titel: x\n", "home")
    code, out, _ = run("config", "instruments")
    assert code == 0
    assert f"lst1: LST-1; {path} (hides: shipped)\n" in out
    assert "hess: H.E.S.S.; shipped\n" in out
    assert "bad: can't be read" in out
    code, out, _ = run("config", "instruments", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["lst1"]["written_in"] == str(path) and rows["lst1"]["hides"] == ["shipped"]
    code, out, _ = run("config", "instruments", "lst1")
    assert f"version: '0.11'  # {path}:2" in out and "# profile lst1:" in out
    code, text, _ = run("config", "instruments", "hess", "--json")
    assert json.loads(text)["site"]["height"] == "1835 m"
    code, text, _ = run("config", "instruments", "--schema")
    assert "recognise" in json.loads(text)["properties"]
    code, _, errors = run("config", "instruments", "bad")
    assert code == 3 and "did you mean 'title'" in errors
    code, out, _ = run("config", "show", "--instrument", "lst1")
    assert code == 0 and "site_longitude: -17.89149701 deg  # profile lst1:" in out


@pytest.mark.parametrize("name", ["hess", "lst1", "sst1m", "virtual"])
def test_what_is_printed_can_be_saved_as_ones_own(own, run, name):
    before = load_profile(name)
    code, out, _ = run("config", "instruments", name)
    assert code == 0
    own.write(name, out)
    assert load_profile(name) == before
