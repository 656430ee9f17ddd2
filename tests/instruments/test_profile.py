"""What a profile may say, and what is said when it says something else."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
from astropy import units as u
from astropy.io import fits

from daybreak.config.analysis import AnalysisConfig
from daybreak.errors import ConfigError
from daybreak.instruments.parts import (
    Location,
    Recognition,
    Site,
    Telescope,
    TelescopeArray,
)
from daybreak.instruments.profile import READERS, InstrumentProfile
from daybreak.instruments.profiles import load_profile, profile_for, profile_names, profile_sources

#: instrument to its name in Gammapy's table of observatories
SITES = {
    "hess": "hess",
    "magic": "magic",
    "lst1": "cta_north",
    "fact": "fact",
    "veritas": "veritas",
}


@pytest.mark.parametrize("name", SITES)
def test_sites_are_where_another_table_has_them(name):
    from gammapy.data import observatory_locations

    there = observatory_locations[SITES[name]]
    site = load_profile(name).site
    assert abs(site.longitude - there.lon).to_value("deg") < 0.002
    assert abs(site.latitude - there.lat).to_value("deg") < 0.002
    assert abs(site.height - there.height).to_value("m") < 60


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "store"), [("hess", "hess_store"), ("magic", "magic_store")])
def test_real_files_are_recognised_and_say_the_same_site(name, store, request):
    from daybreak.runs.catalogue import read_catalogue, telescope

    runs = read_catalogue(request.getfixturevalue(store)).runs
    entry = next(run for run in runs if telescope(run))
    assert profile_for(telescope(entry)) == name
    events = entry.hdus["events"]
    header = fits.getheader(events.path, events.hdu)
    assert profile_for("", header["INSTRUME"]) == name
    site = load_profile(name).site
    assert abs(site.longitude.to_value("deg") - header["GEOLON"]) < 1e-6
    assert abs(site.latitude.to_value("deg") - header["GEOLAT"]) < 1e-6
    assert abs(site.height.to_value("m") - header["ALTITUDE"]) < 1e-6


@pytest.mark.realdata
def test_sst1m_is_between_its_telescopes(data_root):
    path = data_root / "sst1m" / "sst1mpipe_data_config.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    config = json.loads(path.read_text())
    site = load_profile("sst1m").site
    telescopes = config["telescope_coords"].values()
    for key, value in (("long_deg", site.longitude), ("lat_deg", site.latitude)):
        low, high = sorted(t[key] for t in telescopes)
        assert low < value.to_value("deg") < high


def test_every_shipped_profile_is_whole():
    seen: dict[str, str] = {}
    for name, (source, *_) in profile_sources().items():
        if source.path is not None:
            continue
        profile = load_profile(name)
        assert profile.title
        for word in profile.recognise.words:
            assert seen.setdefault(word, name) == name
        if name != "generic":
            assert profile.site is not None and profile.recognise.words
        for array in profile.arrays:
            assert [profile.telescope(i) for i in array.telescopes]


def test_what_lst_foa_needs_is_named():
    profile = load_profile("lst1")
    night = date(2024, 1, 15)
    real = "/fefs/aswg/data/real"
    assert str(profile.file("dl1", night=night, run=16096)) == (
        f"{real}/DL1/20240115/v0.10/tailcut84/dl1_LST-1.Run16096.h5"
    )
    assert str(profile.file("run_summary", night=night)) == (
        f"{real}/monitoring/RunSummary/RunSummary_20240115.ecsv"
    )
    assert str(profile.file("datacheck", night=night, run=16096, version="0.11")) == (
        f"{real}/DL1/20240115/v0.11/tailcut84/datacheck/datacheck_dl1_LST-1.Run16096.h5"
    )
    production = "20240131_allsky_v0.10.5_all_dec_base"
    assert str(profile.file("forests", "models", production=production, dec="2276")) == (
        f"/fefs/aswg/data/models/AllSky/{production}/dec_2276"
    )
    assert [a.name for a in profile.arrays] == ["tel_001"]


def test_what_sst1m_daily_needs_is_named():
    profile = load_profile("sst1m")
    assert str(profile.file("raw", night=date(2026, 1, 20), telescope=2, run=1102)) == (
        "/net/cs2/data/raw/2026/01/20/SST1M2/SST1M2_20260120_1102.fits.fz"
    )
    assert [(a.name, a.stereo) for a in profile.arrays] == [
        ("tel_001", False), ("tel_002", False), ("stereo", True),
    ]  # fmt: skip
    assert [t.id_in_files for t in profile.telescopes] == [21, 22]
    with pytest.raises(ConfigError, match=r"roots\.analysis is not given"):
        profile.file("dl1", night=date(2026, 1, 20), target="Crab", telescope=1)
    with pytest.raises(ConfigError, match=r"data\.dl9 is not in its profile"):
        profile.location("dl9")
    with pytest.raises(ConfigError, match="no telescope 7"):
        profile.telescope(7)


SOUND = """\
    title: a telescope
    site: {longitude: 10 deg, latitude: -45 deg, height: 0.1 km}
    telescopes:
      - {id: 1, name: T1, position: [0 m, 1 m, 2 m]}
    arrays:
      - {name: tel_001, telescopes: [1]}
    roots:
      data: /data
    data:
      dl3: {root: data, path: "DL3/{night:%Y%m%d}/*.fits"}
    """

WRONG = [
    ("titel: x", ":11:", "unknown key 'titel'; did you mean 'title'?"),
    ("irfs:\n  irf: {rot: data}", ":12:", "'irfs.irf.rot'; did you mean 'root'?"),
    ("recognise:\n  word: [X]", ":12:", "'recognise.word'; did you mean 'words'?"),
    ("recognise:\n  words: ['-']", ":12:", "at least two letters"),
    ("recognise:\n  files: [a/b]", ":12:", "without folders"),
    ("analysis:\n  regions:\n    on_radus: 1 deg", ":13:", "'analysis.regions.on_radus'"),
    ("analysis:\n  maps:\n    pixel: 0.02", ":13:", "unit is missing"),
    ("analysis:\n  instrument: hess", ":11:", "the profile's own name"),
    ("analysis:\n  spectrum: {energy_min: 200 TeV}", "", "below the upper edge"),
    ("models:\n  rf: {root: nowhere, path: a}", "", "'nowhere' is not among the roots (data)"),
    ("models:\n  rf: {root: data, path: ../a}", ":12:", "'..'"),
    ("models:\n  rf: {root: data, path: /a}", ":12:", "leading '/'"),
    ("models:\n  RF: {root: data, path: a}", "", "small letters"),
    ("models:\n  rf: {root: data}", ":12:", "'models.rf.path' is missing"),
    ("products:\n  dl2: '{run:x}'", ":12:", "is not known"),
    ("reader: os", ":11:", "expected daybreak.instruments.MODULE"),
    ("reader: daybreak.instruments", ":11:", "expected daybreak.instruments.MODULE"),
    ("reader: daybreak.instruments..os", ":11:", "expected daybreak.instruments.MODULE"),
    ("reader: daybreak.instruments.a;b", ":11:", "expected daybreak.instruments.MODULE"),
    ("reader: entry-point:../x", ":11:", "expected daybreak.instruments.MODULE"),
    ("values:\n  version: 0.10", ":11:", "version: write it in quotes"),
    ("values: {version: [1]}", ":11:", "values.version"),
    ("name: other", ":11:", "expected 'mine', as the file is called"),
]


@pytest.mark.parametrize(("text", "line", "part"), WRONG, ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_said_with_file_line_and_key(own, text, line, part):
    own.write("mine", SOUND)
    load_profile("mine")
    path = own.write("mine", SOUND)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_profile("mine")
    assert part in caught.value.what and caught.value.hint
    if line:
        assert f"{path}{line}" in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("longitude: 10 deg", "longitude: 10", "unit is missing"),
        ("longitude: 10 deg", "longitude: 10 m", "unit like 'deg'"),
        ("longitude: 10 deg", "longitude: 400 deg", "east positive"),
        ("latitude: -45 deg", "latitude: -95 deg", "-90 deg to 90 deg"),
        ("height: 0.1 km", "height: 2 TeV", "unit like 'm'"),
        ("height: 0.1 km", "height: 100 km", "metres above the sea"),
        (", height: 0.1 km", "", "'site.height' is missing"),
        ("telescopes: [1]", "telescopes: [1, 2]", "there is no telescope 2"),
        ("name: tel_001", "name: ../x", "arrays.0.name"),
        ("{id: 1, name: T1", "{id: 1, name: T0}\n      - {id: 1, name: T1", "same id"),
        ("data: /data", "data: data", "expected an absolute folder"),
        ("data: /data", "data: /data/../x", "expected an absolute folder"),
    ],
)
def test_values_have_units_and_limits(own, old, new, part):
    assert old in SOUND
    own.write("mine", SOUND.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_profile("mine")
    assert part in caught.value.what and "mine" in caught.value.what + str(part)


def test_quantities_keep_their_units(own):
    own.write("mine", SOUND)
    profile = load_profile("mine")
    assert profile.site.height == 100 * u.m
    assert profile.telescopes[0].position[2] == 2 * u.m
    assert profile.analysis == AnalysisConfig()


def test_a_profile_can_not_be_changed(own):
    profile = load_profile("hess")
    with pytest.raises(Exception, match="frozen"):
        profile.title = "x"


def test_files_are_found_with_the_usual_values_or_any(own, tmp_path):
    own.write(
        "mine",
        f"""\
        roots: {{data: {tmp_path / "data"}}}
        values: {{version: "2"}}
        data:
          dl3:
            root: data
            path: ["{{night}}/v{{version}}/r{{run:d}}.fits", "{{night}}/old/r{{run:d}}.fits"]
        """,
    )
    for name in ("v2/r1.fits", "v1/r1.fits", "old/r2.fits"):
        path = tmp_path / "data" / "2024-01-15" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    profile = load_profile("mine")
    night = date(2024, 1, 15)
    usual = [m.path.parent.name for m in profile.find("dl3", night=night)]
    assert usual == ["v2", "old"]
    assert [m.path.parent.name for m in profile.find("dl3", version=None)] == ["v2", "v1", "old"]
    assert [m.values["run"] for m in profile.find("dl3", run=2)] == [2]
    assert list(profile.find("dl3", night=date(2024, 1, 16))) == []


def test_a_reader_is_imported_when_it_is_used(own, monkeypatch):
    own.write("mine", "reader: daybreak.instruments.patterns\n")
    module = load_profile("mine").load_reader()
    assert module.__name__ == "daybreak.instruments.patterns"
    own.write("mine", "reader: daybreak.instruments.not_there\n")
    profile = load_profile("mine")  # not imported yet
    with pytest.raises(ConfigError, match="can't be imported"):
        profile.load_reader()
    own.write("mine", "reader: entry-point:dawn\n")
    with pytest.raises(ConfigError, match="no installed package has an entry point 'dawn'"):
        load_profile("mine").load_reader()
    own.write("mine", "title: no reader\n")
    with pytest.raises(ConfigError, match="names no reader"):
        load_profile("mine").load_reader()

    class Entry:
        def load(self):
            return "the reader"

    asked = {}

    def entry_points(**kwargs):
        asked.update(kwargs)
        return [Entry()]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    own.write("mine", "reader: entry-point:dawn\n")
    assert load_profile("mine").load_reader() == "the reader"
    assert asked == {"group": READERS, "name": "dawn"}


def test_shipped_profiles_name_no_reader_that_is_not_there():
    for name in profile_names():
        profile = load_profile(name)
        if profile.reader is not None:
            assert profile.load_reader()


def test_every_key_is_in_the_page():
    text = (Path(__file__).parents[2] / "docs" / "instruments.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`(\w+)`", rows))
    assert set(InstrumentProfile.model_fields) - {"name"} <= named
    for part in (Site, Telescope, TelescopeArray, Recognition, Location):
        assert set(part.model_fields) <= named, part
