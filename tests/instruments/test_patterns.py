"""Path patterns name files and find them, and never leave their root folder."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daybreak.errors import ConfigError
from daybreak.instruments.patterns import Budget, PathPattern

DL1 = "DL1/{night:%Y%m%d}/v{version}/tailcut{cut}/dl1_LST-1.Run{run:05d}.h5"
VALUES = {"night": date(2024, 1, 15), "version": "0.10", "cut": "84", "run": 16096}


def make(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")


def test_a_pattern_is_filled_and_read_back():
    pattern = PathPattern.parse(DL1)
    path = pattern.fill(**VALUES)
    assert path == "DL1/20240115/v0.10/tailcut84/dl1_LST-1.Run16096.h5"
    assert pattern.match(path) == VALUES
    assert pattern.fill(**{**VALUES, "night": "2024-01-15"}) == path
    assert pattern.names == set(VALUES) and pattern.dated and str(pattern) == DL1


def test_night_alone_is_the_date_of_product_folders():
    pattern = PathPattern.parse("{instrument}/{night}/{target}")
    assert pattern.fill(instrument="lst1", night=date(2024, 1, 5), target="Crab Nebula") == (
        "lst1/2024-01-05/Crab Nebula"
    )
    assert pattern.match("lst1/2024-01-05/Crab")["night"] == date(2024, 1, 5)
    assert pattern.match("lst1/2024-02-31/Crab") is None


def test_a_date_may_go_over_several_folders():
    pattern = PathPattern.parse("{night:%Y}/{night:%m}/{night:%d}/T{tel:d}_{night:%Y%m%d}.fz")
    path = pattern.fill(night=date(2026, 1, 20), tel=2)
    assert path == "2026/01/20/T2_20260120.fz"
    assert pattern.match(path) == {"night": date(2026, 1, 20), "tel": 2}
    assert pattern.match("2026/01/20/T2_20260121.fz") is None  # the name is of another night
    assert PathPattern.parse("{night:%Y}/x").match("2026/x") == {}  # a year is no night


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("/etc/passwd", "leading '/'"),
        ("~/data", "leading '/' or '~'"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("a/./b", "'.'"),
        ("a//b", "empty parts"),
        ("a/", "empty parts"),
        ("a\\b", "backslashes"),
        ("a\nb", "control"),
        ("a\0b", "control"),
        ("", "expected a path pattern"),
        (3, "expected a path pattern"),
        ("a{b", "braces"),
        ("{night:%Y/%m}", "one placeholder can't go over a '/'"),
        ("{}", "braces"),
        ("{Night}", "braces"),
        ("{a.__class__}", "braces"),
        ("{a[0]}", "braces"),
        ("{a!r}", "braces"),
        ("{a:>10}", "is not known"),
        ("{a:%H}", "is not known"),
        ("{run:-5d}", "is not known"),
        ("{run:005d}", "is not known"),
        ("{night:%Y}/{night:d}", "a date and a number"),
        ("{run}/{run:05d}", "a text and a number"),
    ],
)
def test_what_is_no_pattern_is_refused(text, part):
    with pytest.raises(ValueError, match=r"expected|braces|known| and ") as caught:
        PathPattern.parse(text)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"run": -1},
        {"run": True},
        {"run": "16096"},
        {"run": 1.5},
        {"night": "yesterday"},
        {"night": "0999-01-01"},
        {"night": 20240115},
        {"version": ""},
        {"version": "../../etc"},
        {"version": "a/b"},
        {"version": "a\\b"},
        {"version": "a\0b"},
        {"version": "a\nb"},
        {"version": "x" * 300},
    ],
)
def test_values_that_are_no_part_of_a_name_are_refused(tmp_path, values):
    pattern = PathPattern.parse(DL1)
    (key,) = values
    with pytest.raises(ConfigError, match=key):
        pattern.fill(**{**VALUES, **values})
    with pytest.raises(ConfigError, match=key):
        list(pattern.find(tmp_path, {**VALUES, **values}))


def test_a_value_is_no_folder_above():
    pattern = PathPattern.parse("{target}/x")
    for value in ("..", "."):
        with pytest.raises(ConfigError):
            pattern.fill(target=value)
    with pytest.raises(ConfigError):
        PathPattern.parse("{a}{b}").fill(a=".", b=".")


def test_what_is_missing_is_said():
    with pytest.raises(ConfigError, match="no value for 'run'"):
        PathPattern.parse(DL1).fill(**{k: v for k, v in VALUES.items() if k != "run"})
    with pytest.raises(ConfigError, match="names no single file"):
        PathPattern.parse("dl1/*.h5").fill()


def test_files_are_found_the_newest_night_first(tmp_path):
    pattern = PathPattern.parse(DL1)
    make(
        tmp_path,
        "DL1/20240115/v0.10/tailcut84/dl1_LST-1.Run16096.h5",
        "DL1/20240115/v0.10/tailcut84/dl1_LST-1.Run16097.h5",
        "DL1/20240115/v0.9/tailcut84/dl1_LST-1.Run16096.h5",
        "DL1/20240116/v0.10/tailcut84/dl1_LST-1.Run16110.h5",
        # none of these fits
        "DL1/20240116/v0.10/tailcut84/dl1_LST-1.Run16110.0001.h5",
        "DL1/20240116/v0.10/tailcut84/dl1_LST-1.Run016110.h5",
        "DL1/20240116/v0.10/tailcut84/.dl1_LST-1.Run16111.h5",
        "DL1/20240116/v0.10/tailcut84/dl1_LST-1.Run16111.h5.partial",
        "DL1/20241332/v0.10/tailcut84/dl1_LST-1.Run16112.h5",
        "DL1/README",
    )
    found = list(pattern.find(tmp_path))
    assert [(m.values["night"].day, m.values["version"], m.values["run"]) for m in found] == [
        (16, "0.10", 16110), (15, "0.9", 16096), (15, "0.10", 16097), (15, "0.10", 16096),
    ]  # fmt: skip
    assert all(m.path.is_file() for m in found)
    night = list(pattern.find(tmp_path, {"night": "2024-01-15", "version": "0.10"}))
    assert [m.values["run"] for m in night] == [16097, 16096]
    assert night[0].values["night"] == date(2024, 1, 15)
    assert list(pattern.find(tmp_path, {"version": "0.*"})) == []  # a value is no wildcard
    assert list(pattern.find(tmp_path / "none")) == []


def test_a_search_has_a_bound(tmp_path):
    make(tmp_path, *(f"a/{i:04d}" for i in range(50)))
    budget = Budget(20)
    found = list(PathPattern.parse("a/{run:04d}").find(tmp_path, budget=budget))
    assert 0 < len(found) <= 20 and budget.left <= 0
    budget = Budget(1000)
    assert len(list(PathPattern.parse("a/{run:04d}").find(tmp_path, budget=budget))) == 50
    assert budget.left > 0


def test_what_is_known_is_not_searched_for(tmp_path):
    """A night among thousands is opened, its neighbours are not listed."""
    make(
        tmp_path, *(f"DL1/202401{d:02d}/v1/tailcut84/dl1_LST-1.Run{d:05d}.h5" for d in range(1, 32))
    )
    known = {"night": date(2024, 1, 5), "version": "1", "cut": "84"}
    budget = Budget(100)
    found = list(PathPattern.parse(DL1).find(tmp_path, known, budget))
    assert [m.values["run"] for m in found] == [5] and budget.left == 99


def test_a_wildcard_stays_in_one_name(tmp_path):
    make(tmp_path, "a/x.h5", "a/y.fits", "a/b/z.h5")
    assert [m.path.name for m in PathPattern.parse("a/*.h5").find(tmp_path)] == ["x.h5"]
    assert PathPattern.parse("a/[xy].h5").match("a/x.h5") is None  # no other wildcards


_text = st.text(max_size=30) | st.sampled_from(["{night}", "{a}", "{run:05d}", "..", "a/b", "*"])


@given(st.lists(_text, max_size=4).map("/".join), _text, _text)
@example("{a}", "..", "")
@example("{a}{b}", ".", ".")
@example("x/{a}", "../..", "")
def test_no_pattern_with_any_values_leaves_its_root(text, first, second):
    try:
        pattern = PathPattern.parse(text)
        path = pattern.fill(a=first, b=second, night=date(2024, 1, 1), run=1)
    except (ValueError, ConfigError):
        return
    assert not path.startswith("/") and "\0" not in path
    assert all(name not in ("", ".", "..") for name in path.split("/"))
    assert len(path.split("/")) == len(text.split("/"))


@given(
    st.dates(date(1990, 1, 1), date(2090, 1, 1)),
    st.integers(0, 10**6),
    st.text("abcXYZ0189._+-", min_size=1, max_size=12),
)
def test_what_is_filled_is_found_again(night, run, version):
    pattern = PathPattern.parse("r/{night:%Y%m%d}/v{version}/{night:%Y-%m}_{run:05d}.h5")
    values = {"night": night, "run": run, "version": version}
    assert pattern.match(pattern.fill(**values)) == values
