"""Docstrings: arguments are explained, and examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

import daybreak
from daybreak.cli.main import app

ROOT = Path(daybreak.__file__).parent
#: packages in which every argument is explained; add one here once it is complete
COMPLETE = (
    *("products", "config", "stores", "runs", "instruments", "simulate", "ledger", "engine"),
    *("report", "requests", "cli", "science", "neutrino"),
)
_SECTION = re.compile(r"^Parameters\n-{10}$", re.MULTILINE)
#: how a method says that its base has explained the arguments
_SEE = re.compile(r"See (?::class:)?`(?:~?[\w.]+\.)?(\w+)`")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Functions and methods that others may call; not nested ones, nor those of private classes."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from public([*node.body, *node.orelse], prefix)
        elif isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}{node.name}.")
            else:
                yield f"{prefix}{node.name}", node


def arguments(name: str, node: Function) -> list[str]:
    """Names of the arguments, without self and cls; none for the setter of a property."""
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    if any(mark.endswith(".setter") for mark in marks):
        return []
    given = node.args
    plain = [arg.arg for arg in (*given.posonlyargs, *given.args)]
    if "." in name and "staticmethod" not in marks:
        plain = plain[1:]
    stars = [arg for arg in (given.vararg, given.kwarg) if arg is not None]
    return plain + [arg.arg for arg in (*given.kwonlyargs, *stars)]


def named(doc: str) -> set[str]:
    """Arguments that the section lists."""
    found = _SECTION.search(doc)
    if found is None:
        return set()
    section = re.split(r"^\S.*\n-{3,}$", doc[found.end() :], flags=re.MULTILINE)[0]
    heads = re.findall(r"^(\S.*?)(?: : .*)?$", section, flags=re.MULTILINE)
    return {name.strip().lstrip("*") for head in heads for name in head.split(",")}


def commands() -> set[tuple[str, str]]:
    """Module and name of the functions whose docstring is the help text of a command."""

    def walk(group: TyperGroup) -> Iterator[tuple[str, str]]:
        for each in group.commands.values():
            if isinstance(each, TyperGroup):
                yield from walk(each)
            else:
                yield each.callback.__wrapped__.__module__, each.callback.__wrapped__.__name__

    return set(walk(typer.main.get_command(app)))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FUNCTIONS = [
    (path, name, node, ast.get_docstring(node) or "")
    for path in sorted(ROOT.rglob("*.py"))
    for name, node in public(ast.parse(path.read_text(encoding="utf-8")).body)
]
EXPLAINED = {name for _, name, _, doc in FUNCTIONS if _SECTION.search(doc)}


def unexplained(package: str) -> list[str]:
    """Functions of a package, with the arguments that their docstrings say nothing of."""
    found, skipped = [], commands()
    for path, name, node, doc in FUNCTIONS:
        if path.relative_to(ROOT).parts[0] != package or (module_name(path), name) in skipped:
            continue
        base = _SEE.match(doc)
        if base is not None and f"{base[1]}.{node.name}" in EXPLAINED:
            continue
        left = set(arguments(name, node)) - named(doc)
        if left:
            place = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
            found.append(f"{place} {name}: {', '.join(sorted(left))}")
    return found


@pytest.mark.parametrize("package", COMPLETE)
def test_every_argument_is_explained(package):
    assert (ROOT / package).is_dir()
    found = unexplained(package)
    assert not found, "not explained:\n" + "\n".join(found)


def test_what_is_not_explained_is_found():
    text = '''
class Base:
    def take(self, good, bad=1, *rest, key, **more):
        """Take.

        Parameters
        ----------
        good, key : int
            Both.
        **more
            All others.

        Returns
        -------
        bad
            Not an argument.
        """

    def _own(self, x): ...

class _Private:
    def take(self, x): ...
'''
    ((name, node),) = public(ast.parse(text).body)
    assert name == "Base.take"
    assert set(arguments(name, node)) - named(ast.get_docstring(node)) == {"bad", "rest"}


EXAMPLES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if any(line.lstrip().startswith(">>> ") for line in path.read_text("utf-8").splitlines())
]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_examples_run(path, tmp_path, monkeypatch):
    """In an empty folder, with the real engine; none is skipped."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(module_name(path))
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert tests
    for test in tests:
        assert not any(example.options.get(doctest.SKIP) for example in test.examples)
        said: list[str] = []
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
        assert not said, "".join(said)
