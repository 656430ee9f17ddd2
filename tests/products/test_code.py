"""What a function uses of the code, and when its digest changes."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import daybreak
from daybreak.products import code
from daybreak.products.code import function_digest, used_libraries, used_modules

PACKAGE = Path(daybreak.__file__).parent


def _all_modules() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def _imports(tree: ast.AST) -> set[str]:
    """Modules that a tree imports, without those for type checkers."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(tree)
    return found


def test_no_import_of_the_package_is_missed():
    """The quick reading of the text finds what the parser finds, in every module there is."""
    modules = set(_all_modules())
    for name in sorted(modules):
        path = PACKAGE.parent / Path(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        wanted = _imports(ast.parse(path.read_text(encoding="utf-8"))) & modules
        missed = wanted - set(used_modules(name)) - {"daybreak._version"}
        assert not missed, f"{name} uses {missed}"


@pytest.fixture()
def package(tmp_path, monkeypatch):
    """A package of our own that can be changed: a uses b, b uses c; d is used by nobody."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    root = tmp_path / name
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "a.py").write_text(
        "import numpy\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        f"    from {name}.d import nothing\n"
        "\n"
        "def run():\n"
        f"    from {name} import (\n"
        "        b,  # of our own\n"
        "    )\n"
    )
    (root / "b.py").write_text(f"STEP = '{name}.c:work'\n")
    (root / "c.py").write_text("def work(): ...\n")
    (root / "d.py").write_text("def nothing(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for cache in (code._file_of, code._read):
        cache.cache_clear()
    yield root
    sys.modules.pop(name, None)


def test_what_is_used_is_followed(package):
    name = package.name
    assert set(used_modules(f"{name}.a")) == {name, f"{name}.a", f"{name}.b", f"{name}.c"}
    assert list(used_libraries(used_modules(f"{name}.a").values())) == ["numpy"]


@pytest.mark.parametrize(("file", "changes"), [("a", True), ("b", True), ("c", True), ("d", False)])
def test_the_digest_changes_with_what_is_used(package, file, changes):
    function = f"{package.name}.a:run"
    before = function_digest(function)
    with (package / f"{file}.py").open("a") as stream:
        stream.write("# a word more\n")
    assert (function_digest(function) != before) is changes


def test_data_and_libraries_count(package, monkeypatch):
    function = f"{package.name}.a:run"
    plain = function_digest(function)
    with_data = function_digest(function, ("report/common/templates",))
    assert with_data not in (
        plain,
        function_digest(function, ("report/common/templates/base.html",)),
    )
    monkeypatch.setattr(code, "_version", lambda name: "0.0.1")
    assert function_digest(function) != plain


def test_a_new_version_number_alone_changes_nothing():
    """An update that leaves the code of a step alone leaves its products alone."""
    for step in ("reduce", "page"):
        assert "daybreak._version" not in used_modules(f"daybreak.requests.analysis.steps.{step}")


def test_steps_do_not_use_each_other():
    """Else a change of one would make them all again."""
    steps = "daybreak.requests.analysis.steps"
    names = ("reduce", "counts", "maps", "spectrum", "lightcurve", "context", "figures", "page")
    for name in names:
        others = {f"{steps}.{other}" for other in names if other != name}
        assert not others & set(used_modules(f"{steps}.{name}")), name
    drawing = {m for m in used_modules(f"{steps}.reduce") if m.startswith("daybreak.report")}
    assert not drawing
