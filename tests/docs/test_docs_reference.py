"""The reference pages say the same as the code."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from docs_pages import ROOT, pages

import daybreak
from daybreak import errors
from daybreak.cli.main import INTERNAL_ERROR

sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import config_table

DOCS = ROOT / "docs"


def subclasses(cls: type[errors.DaybreakError]) -> list[type[errors.DaybreakError]]:
    return [cls, *[below for sub in cls.__subclasses__() for below in subclasses(sub)]]


def test_the_table_of_exit_codes_equals_the_classes() -> None:
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? *\| (.+) \|$", text, re.M)
    classes = {cls for cls in subclasses(errors.DaybreakError) if cls.__module__ == errors.__name__}
    assert {(int(code), name) for code, name, _ in rows if name} == {
        (cls.exit_code, cls.__name__) for cls in classes
    }
    assert {int(code) for code, name, _ in rows if not name} == {0, 2, INTERNAL_ERROR, 141}
    codes = [int(code) for code, _, _ in rows]
    assert codes == sorted(codes)


def test_every_key_has_a_type_and_a_meaning() -> None:
    keys = [key for group in config_table.groups() for key in group.keys]
    assert len(keys) > 60
    assert [key.path for key in keys if not key.meaning] == []
    assert [key.path for key in keys if not key.kind] == []
    angle = next(key for key in keys if key.path == "maps.pixel")
    assert (angle.kind, angle.unit) == ("angle", "deg")


def test_no_meaning_is_left_over() -> None:
    keys = {key.path for group in config_table.groups() for key in group.keys}
    assert set(config_table._extra_meanings()) <= keys


def test_every_key_named_in_a_page_exists() -> None:
    groups = [group for group in config_table.groups() if group.name]
    keys = {key.path for group in groups for key in group.keys}
    names = "|".join(group.name for group in groups)
    not_keys = {"maps.pixle", "maps.fits", "report.html"}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if page.name in ("results-json.md", "products.md"):
            continue
        named = set(re.findall(rf"(?:`|--set '?)((?:{names})\.[a-z_]+)(?=[`=: ])", text))
        assert named - not_keys <= keys, page.name


def test_the_profiles_are_all_shown() -> None:
    found = config_table.profiles()
    assert found["generic"] == {}
    assert found["hess"]["regions.point_radius"] == "0.11 deg"


def flags_in(path: Path) -> set[str]:
    """Texts in capitals that are appended to a list in a module."""
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "append"
        and isinstance(node.args[0], ast.Constant)
        and re.fullmatch(r"[A-Z_]{6,}", str(node.args[0].value))
    }


def test_every_quality_flag_is_explained() -> None:
    science = Path(daybreak.__file__).parent / "science"
    flags = set().union(*map(flags_in, sorted(science.glob("*.py"))))
    assert "RATE_UNSTABLE" in flags
    text = (DOCS / "quick-look.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.M)) == flags


def test_every_package_is_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text))
    root = Path(daybreak.__file__).parent
    packages = {path.parent.name for path in root.glob("*/__init__.py")} | {"errors"}
    assert packages <= named


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_files_that_a_page_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"", text)
    for link in ["".join(pair) for pair in links]:
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_picture_is_small() -> None:
    assert (DOCS / "_static" / "report.png").stat().st_size < 400_000


def test_every_public_function_is_in_the_reference() -> None:
    text = (DOCS / "python-api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\.\. autofunction:: daybreak\.(\w+)$", text, re.M))
    assert named == set(daybreak.__all__) - {"__version__"}
