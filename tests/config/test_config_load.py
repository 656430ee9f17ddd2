"""YAML in, a frozen configuration out, or a ConfigError that says where and what."""

from __future__ import annotations

import pytest
import yaml
from astropy import units as u
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.load import (
    Layer,
    build,
    file_layer,
    merge,
    settings_layer,
    to_yaml,
    yaml_layer,
)
from daybreak.errors import ConfigError
from daybreak.instruments.profiles import profile_for, profile_layer, profile_names
from daybreak.instruments.settings import resolve_config

SECTIONS = {
    name: list(info.annotation.model_fields)
    for name, info in AnalysisConfig.model_fields.items()
    if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
}


def _resolve_text(tmp_path, text: str, **kwargs):
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return resolve_config(config=path, **kwargs)


def test_an_empty_file_is_the_default(tmp_path):
    config, _ = _resolve_text(tmp_path, "\n# nothing\n")
    assert config == AnalysisConfig()


def test_command_line_beats_file_beats_profile_beats_default(tmp_path):
    default = AnalysisConfig().regions.point_radius
    profile, origin = resolve_config(instrument="hess")
    assert profile.regions.point_radius.to_value("deg") == 0.11 != default.to_value("deg")
    assert "profile hess" in origin["regions", "point_radius"]

    text = "maps:\n  pixel: 0.04 deg\nregions:\n  on_radius: 0.2 deg\n"
    config, origin = _resolve_text(tmp_path, text, instrument="hess")
    assert config.regions.on_radius.to_value("deg") == 0.2
    assert origin["regions", "on_radius"].endswith("my.yaml:4")
    assert config.selection.site_longitude.to_value("deg") == 16.5002222  # of the site

    settings = ["regions.on_radius=0.3 deg"]
    config, origin = _resolve_text(tmp_path, text, instrument="hess", settings=settings)
    assert config.regions.on_radius.to_value("deg") == 0.3
    assert origin["regions", "on_radius"] == "--set"
    assert config.maps.pixel.to_value("deg") == 0.04

    options = {"regions": {"on_radius": "0.5 deg"}}
    config, origin = _resolve_text(
        tmp_path, text, instrument="hess", settings=settings, options=options
    )
    assert config.regions.on_radius.to_value("deg") == 0.5
    assert origin["regions", "on_radius"] == "command line"


def test_the_instrument_of_the_command_line_beats_the_files(tmp_path):
    config, _ = _resolve_text(tmp_path, "instrument: magic\n")
    assert config.instrument == "magic" and config.spectrum.threshold == "aeff"
    config, _ = _resolve_text(tmp_path, "instrument: magic\n", instrument="hess")
    assert config.instrument == "hess" and config.regions.n_off == 0
    config, _ = _resolve_text(tmp_path, "", settings=["instrument=lst1"])
    assert config.instrument == "lst1"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("regions:\n  on_radus: 0.1 deg\n", ("my.yaml:2", "'regions.on_radus'", "'on_radius'")),
        ("\n\nspectrun:\n  fit_min: 1 TeV\n", ("my.yaml:3", "'spectrun'", "'spectrum'")),
        ("maps:\n  qqqq: 1\n", ("my.yaml:2", "known here: enabled, width")),
        ("maps: {pixel: 0.02}\n", ("my.yaml:1", "maps.pixel", "unit is missing", "0.02 deg")),
        ("maps:\n  pixel: 3 TeV\n", ("my.yaml:2", "maps.pixel", "unit like 'deg'", "'TeV'")),
        ("maps:\n  pixel: large\n", ("my.yaml:2", "maps.pixel", "'large'")),
        ("maps:\n  pixel: null\n", ("my.yaml:2", "maps.pixel")),
        ("maps:\n  pixel: [1 deg, 2 deg]\n", ("my.yaml:2", "maps.pixel")),
        ("maps:\n  pixel: true\n", ("my.yaml:2", "maps.pixel")),
        ("maps: 3\n", ("my.yaml:1", "maps")),
        ("maps:\n- a\n", ("my.yaml:1", "maps")),
        ("regions:\n  on_radius: -1 deg\n", ("my.yaml:2", "regions.on_radius", "above 0")),
        ("regions:\n  background: rign\n", ("my.yaml:2", "regions.background", "'reflected'")),
        ("regions:\n  n_off: many\n", ("my.yaml:2", "regions.n_off", "'many'")),
        (
            "regions:\n  exclude:\n  - name: x\n    ra: 1 deg\n    dec: 2 deg\n",
            ("my.yaml:3", "regions.exclude.0.radius", "missing"),
        ),
        (
            "regions:\n  exclude:\n  - ra: 1 deg\n    dec: 2 deg\n    radus: 1 deg\n",
            ("my.yaml:5", "'regions.exclude.0.radus'", "'radius'"),
        ),
        (
            "spectrum:\n  energy_min: 10 TeV\n  energy_max: 1 TeV\n",
            ("spectrum.energy_min", "below the upper edge"),
        ),
        ("a: [1\n", ("my.yaml:2", "not YAML")),
        ("a: b: c\n", ("my.yaml:1", "not YAML")),
        ("\tmaps: 1\n", ("my.yaml:1", "not YAML")),
        ("- 1\n- 2\n", ("expected 'key: value' lines, found a list",)),
        ("just text\n", ("expected 'key: value' lines, found a str",)),
        ("maps:\n  pixel: 1 deg\nmaps:\n  width: 1 deg\n", ("my.yaml:3", "'maps'", "twice")),
        ("maps:\n  pixel: 1 deg\n  pixel: 2 deg\n", ("my.yaml:3", "'maps.pixel'", "twice")),
        ("? [1, 2]\n: 3\n", ("my.yaml",)),
        ("selection:\n  night: 2004-02-31\n", ("my.yaml:2", "YYYY-MM-DD", "'2004-02-31'")),
        ("selection:\n  stop: soon\n", ("my.yaml:2", "selection.stop", "'soon'")),
        ("selection:\n  night: 20\n", ("my.yaml:2", "selection.night")),
        ("maps:\n  pixel: nan deg\n", ("my.yaml:2", "maps.pixel", "finite")),
        ("maps:\n  pixel: 0 deg\n", ("my.yaml:2", "maps.pixel", "above 0")),
        ("maps:\n  pixel: 1e-9 deg\n", ("my.yaml:1", "maps", "4000 pixels")),
        ("spectrum:\n  fit_min: -1 TeV\n", ("my.yaml:2", "spectrum.fit_min", "above 0")),
        ("lightcurve:\n  minutes: 1e-9 min\n", ("my.yaml:2", "lightcurve.minutes", "1.0 s")),
        ("a: &x [*x]\n", ("my.yaml",)),
        ("a: !!python/object/apply:os.system [ls]\n", ("my.yaml:1", "not YAML")),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        _resolve_text(tmp_path, text)
    for part in parts:
        assert part in caught.value.what
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_all_mistakes_are_said_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        _resolve_text(tmp_path, "maps:\n  pixl: 1 deg\nengine:\n  workers: -1\n")
    first, second = sorted(caught.value.what.splitlines())
    assert "my.yaml:2" in first and "my.yaml:4" in second


@pytest.mark.parametrize("section", SECTIONS)
def test_every_misspelt_key_gets_its_neighbour(section):
    for key in SECTIONS[section]:
        if len(key) < 4:
            continue
        wrong = key[:1] + key[2:]
        with pytest.raises(ConfigError, match=f"did you mean '{key}'"):
            resolve_config(options={section: {wrong: 1}})


def test_a_night_may_be_written_as_a_yaml_date(tmp_path):
    config, _ = _resolve_text(tmp_path, "selection:\n  night: 2004-12-04\n")
    assert config.selection.night == "2004-12-04"
    config, _ = _resolve_text(tmp_path, "selection:\n  start: 2004-12-04T22:00:00\n")
    assert config.selection.start.startswith("2004-12-04")


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.yaml: No such file"):
        file_layer(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        file_layer(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        file_layer(tmp_path / "latin.yaml")


def test_nested_too_deep_is_no_crash():
    with pytest.raises(ConfigError):
        yaml_layer("[" * 5000 + "]" * 5000, "f")
    with pytest.raises(ConfigError):
        resolve_config(settings=["maps.pixel=" + "[" * 5000 + "]" * 5000])


_keys = st.sampled_from(
    [*AnalysisConfig.model_fields, *(k for names in SECTIONS.values() for k in names), "x", "é", ""]
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["1 deg", "0.1 TeV", "-3 min", "1e400 deg", "nan TeV", "2004-12-04", "pl"]),
    st.dates(),
    st.binary(max_size=4),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.text(max_size=80))
@example("a: 0x\n")
@example("=")
@example("? ")
@example("%YAML 9.9\n---\n")
@example("--- 1\n--- 2\n")
@example("a: *b\n")
@example("<<: 1\n")
@example("a: 1:99:99\n")
@example("a: 2001-99-99\n")
@example("a: !!int x\n")
@example("a: !!binary é\n")
@example("a: 0o9\n")
@example("? {a: 1}\n: 2\n")
def test_any_text_is_a_layer_or_a_config_error(text):
    try:
        layer = yaml_layer(text, "f.yaml")
        build(AnalysisConfig, [layer])
    except ConfigError as error:
        assert error.what


@given(st.dictionaries(_keys, _values, max_size=5))
@example({"spectrum": {"energy_min": "nan TeV"}})
@example({"maps": {"pixel": "inf deg"}})
@example({"maps": {"pixel": float("nan")}})
def test_any_mapping_is_a_configuration_or_a_config_error(values):
    text = yaml.safe_dump(values, allow_unicode=True)
    try:
        config, _ = build(AnalysisConfig, [yaml_layer(text, "f.yaml")])
    except ConfigError as error:
        assert error.what
    else:
        assert isinstance(config, AnalysisConfig)
        config.model_dump_json()


@given(st.lists(st.text(max_size=30) | st.builds("{}.{}={}".format, _keys, _keys, _scalars)))
@example(["a=1", "a.b=2"])
@example(["maps.pixel"])
@example(["=1"])
@example(["maps.pixel=2001-99-99"])
@example(["maps.pixel=[1"])
@example(["instrument={}"])
@example(["instrument=[1]"])
def test_any_setting_is_taken_or_a_config_error(settings):
    try:
        resolve_config(settings=settings)
    except ConfigError as error:
        assert error.what


_trees = st.recursive(
    st.integers(0, 9), lambda x: st.dictionaries(st.sampled_from("abc"), x, max_size=3)
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), _trees, max_size=3), max_size=4))
def test_merging_is_key_by_key_and_the_last_wins(trees):
    values, origin = merge([Layer(str(i), t) for i, t in enumerate(trees)])

    def leaves(tree, path=()):
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from leaves(value, (*path, key))
            else:
                yield (*path, key), value

    for path, value in leaves(values):
        number = int(origin[path])
        given_there = dict(leaves(trees[number]))
        assert given_there[path] == value
        for later in trees[number + 1 :]:
            assert path not in dict(leaves(later))


def test_a_setting_above_or_below_another_is_refused():
    with pytest.raises(ConfigError, match="given a value and a key below"):
        settings_layer(["maps=1", "maps.pixel=2 deg"])
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        settings_layer(["maps.pixel"])


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_loads(name):
    config, origin = resolve_config(instrument=name)
    assert config.instrument == name
    layer = profile_layer(name)
    for section in layer.values:
        assert section in SECTIONS
    for path, place in origin.items():
        if place.startswith("profile") and path in layer.lines:
            assert place == f"profile {name}:{layer.lines[path]}"


def test_profiles_are_found_by_telescope():
    for telescope, name in {
        "HESS": "hess",
        "HESS-I": "hess",
        "H.E.S.S.": "hess",
        "MAGIC": "magic",
        "MAGIC-2": "magic",
        "LST-1": "lst1",
        "CTAO": "lst1",
        "SST-1M": "sst1m",
        "SST1M_1": "sst1m",
        "VERITAS": "veritas",
        "FACT": "fact",
        "FACTORY": "generic",
        "WHIPPLE": "generic",
        "": "generic",
    }.items():
        assert profile_for(telescope) == name, telescope
    with pytest.raises(ConfigError, match="unknown instrument 'hes'") as caught:
        profile_layer("hes")
    assert "'hess'" in caught.value.hint
    with pytest.raises(ConfigError, match="unknown instrument"):
        profile_layer("../secret")


@pytest.mark.parametrize("name", profile_names())
def test_what_is_written_is_read_again(name):
    config, origin = resolve_config(instrument=name, settings=["regions.exclude=[]"])
    again, _ = build(AnalysisConfig, [yaml_layer(to_yaml(config), "config.yaml")])
    assert again == config
    assert "# default" in to_yaml(config, origin)
    commented, _ = build(AnalysisConfig, [yaml_layer(to_yaml(config, origin), "config.yaml")])
    assert commented == config


@given(
    st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.text(max_size=20), st.lists(st.integers(0, 9))
)
def test_values_survive_being_written(radius, limit, name, runs):
    config = AnalysisConfig.model_validate(
        {
            "selection": {"runs": runs, "max_zenith": f"{limit!r} deg"},
            "regions": {
                "on_radius": f"{radius!r} deg",
                "exclude": [{"name": name, "ra": "1 deg", "dec": "2 deg", "radius": "3 arcmin"}],
            },
        }
    )
    again, _ = build(AnalysisConfig, [yaml_layer(to_yaml(config), "config.yaml")])
    assert again.regions.exclude[0].name == name and again.selection.runs == tuple(runs)
    assert again.regions.on_radius == u.Quantity(radius, "deg")
    assert again == config


def test_it_can_not_be_changed():
    config = AnalysisConfig()
    with pytest.raises(ValidationError):
        config.instrument = "hess"
    with pytest.raises(ValidationError):
        config.regions.n_off = 3
