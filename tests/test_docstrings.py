"""Public functions say what their arguments are, and the examples in docstrings run."""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "daybreak"
#: packages in which every argument of a public function is explained
COMPLETE = ("stores", "engine", "science", "neutrino")


def _functions(body, owner="") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield owner + node.name, node


def _arguments(node: ast.FunctionDef) -> list[str]:
    a = node.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x)]
    return [x.arg for x in every if x.arg not in ("self", "cls")]


def _has_section(node: ast.FunctionDef) -> bool:
    return "Parameters\n----------\n" in (ast.get_docstring(node) or "")


@pytest.mark.parametrize("package", COMPLETE)
def test_arguments_are_explained(package):
    """A method may leave that to the one of its name that it is an implementation of."""
    trees = {p: ast.parse(p.read_text("utf-8")) for p in sorted((SRC / package).rglob("*.py"))}
    found = [(p, *item) for p, tree in trees.items() for item in _functions(tree.body)]
    explained = {
        (node.name, name) for _, _, node in found if _has_section(node) for name in _arguments(node)
    }
    missing = [
        f"{p.relative_to(SRC)}:{node.lineno} {name}"
        for p, name, node in found
        if not _has_section(node)
        and not ("." in name and all((node.name, x) in explained for x in _arguments(node)))
        and _arguments(node)
    ]
    assert missing == []


def _with_examples() -> list[str]:
    return [
        ".".join(p.relative_to(SRC.parent).with_suffix("").parts).removesuffix(".__init__")
        for p in sorted(SRC.rglob("*.py"))
        if ">>>" in p.read_text("utf-8")
    ]


@pytest.mark.parametrize("module", _with_examples())
def test_examples_run(module, tmp_path, monkeypatch):
    """In an empty folder of their own."""
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(
        importlib.import_module(module), optionflags=doctest.ELLIPSIS, raise_on_error=False
    )
    assert result.attempted and not result.failed
