"""The house as it was planned: short files, names that stand once, no module named in a string."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import daybreak

ROOT = Path(daybreak.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
#: from the ground up; a package may name modules of those before it, and of itself
FLOORS = (
    *("errors", "products", "config", "images", "reco", "irf", "science", "neutrino", "stores"),
    *("runs", "instruments", "simulate", "ledger", "engine", "report", "requests", "alerts"),
    *("service", "cli"),
)
_LONGEST = 400
_NAMED = re.compile(r"daybreak\.([a-z_]+)(?:\.[a-z_]+)*(?::\w+)?")


def test_no_file_is_long():
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in MODULES
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > _LONGEST
    }
    assert not long


def test_every_package_has_its_floor():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"errors"}
    assert packages <= set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_string_names_a_module_of_a_higher_package(path):
    """Docstrings and comments may; code that is looked up by name is an import, too."""
    package = path.relative_to(ROOT).parts[0]
    if package.endswith(".py") and package != "errors.py":
        return  # the verbs of the package itself
    floor = FLOORS.index(package.removesuffix(".py"))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        found = _NAMED.fullmatch(node.value)
        if id(node) in docs or found is None or found.group(1) not in FLOORS:
            continue
        assert FLOORS.index(found.group(1)) <= floor, f"{node.value} in line {node.lineno}"


def test_names_of_classes_stand_once():
    """Two things of one name are mixed up sooner or later."""
    seen: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                seen.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: places for name, places in seen.items() if len(places) > 1} == {}
