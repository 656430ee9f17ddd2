"""No path of an index or a master file leads out of a store."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daybreak.errors import ConfigError
from daybreak.stores.choose import parse_run_list
from daybreak.stores.paths import UnsafePathError, inside, resolve
from daybreak.stores.record import parse_manifest, parse_sums

PIECES = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a",
        "data",
        "/",
        "//",
        "\\",
        "%2e%2e",
        "..%2f",
        "~",
        "\0",
        "\n",
        "C:",
        "é",
        ".daybreak",
        "master.json",
        "...",
        " ",
        "x" * 300,
    ]
)
PATHS = st.one_of(st.lists(PIECES, max_size=8).map("/".join), st.text(max_size=60))


@settings(max_examples=1500, deadline=None)
@given(PATHS, PATHS, st.sampled_from(["", "index", "a/b/c"]))
def test_a_path_is_inside_or_refused(folder: str, name: str, base: str) -> None:
    try:
        path = resolve(base, folder, name, root="/store")
    except UnsafePathError as error:
        assert error.hint
        return
    parts = path.split("/")
    assert path and not path.startswith("/") and ".." not in parts and "." not in parts
    assert "" not in parts and parts[0] != ".daybreak" and path != "master.json"
    assert not re.search(r"[\x00-\x1f\x7f\\]", path)
    full = os.path.normpath(f"/store/{path}")
    assert full.startswith("/store/") and full == f"/store/{path}"
    assert resolve("", path) == path


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("data/", "x.fits"), "index/data/x.fits"),
        (("./", "x.fits"), "index/x.fits"),
        (("", "x.fits"), "index/x.fits"),
        (("../data", "x.fits"), "data/x.fits"),
        (("/store/data", "x.fits"), "data/x.fits"),
        (("%2e%2e/%2e%2e", "x.fits"), "index/%2e%2e/%2e%2e/x.fits"),
        (("a/../b", "x.fits"), "index/b/x.fits"),
    ],
)
def test_what_is_mapped(parts: tuple[str, str], path: str) -> None:
    assert resolve("index", *parts, root="/store") == path


@pytest.mark.parametrize(
    "parts",
    [
        ("../..", "x"),
        ("/etc", "passwd"),
        ("/storeX", "x"),
        ("a\\b", "x"),
        ("a\0", "x"),
        ("..", "master.json"),
        ("../.daybreak", "lock"),
        ("..", ""),
        ("", "y" * 256),
        ("..", ".."),
    ],
)
def test_what_is_refused(parts: tuple[str, str]) -> None:
    with pytest.raises(UnsafePathError):
        resolve("index", *parts, root="/store")


def test_links(tmp_path: Path) -> None:
    root = tmp_path / "store"
    (root / "real").mkdir(parents=True)
    (root / "good").symlink_to("real")
    (root / "bad").symlink_to("..")
    assert inside(root, "good/x") == root / "good/x"
    for path in ("bad/x", "bad/y/x"):
        with pytest.raises(UnsafePathError):
            inside(root, path)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_rubbish_in_sidecars_is_skipped(data: bytes) -> None:
    parse_manifest(data)
    parse_sums(data)


def test_sums_with_evil_paths() -> None:
    line = "0" * 64
    text = f"{line}  ok/x.fits\n{line} *b.fits\n{line}  ../x\n{line}  /etc/passwd\nrubbish\n"
    assert parse_sums(text.encode()) == {"ok/x.fits": line, "b.fits": line}


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("20136\n20137 good\n# no\n\n  20151\t0.5\n", ("20136", "20137", "20151")),
        ("20136\n020136\n", ("20136",)),
        ("OBS_ID,quality\n1,good\n2,bad\n", ("1", "2")),
        ("target run\nCrab 7\nMSH 8\n", ("7", "8")),
        ("# %ECSV 1.0\nOBS_ID livetime\n0012 1.0\n", ("12",)),
        ("\ufeff5 # comment\n", ("5",)),
        ("1;a\n2;b\n", ("1", "2")),
    ],
)
def test_run_lists(text: str, runs: tuple[str, ...]) -> None:
    assert parse_run_list(text, "list") == runs


@pytest.mark.parametrize("text", ["", "# nothing\n", "abc\n", "1\ntwo\n", "OBS_ID,x\n,5\n", "\0"])
def test_bad_run_lists(text: str) -> None:
    with pytest.raises(ConfigError, match="list"):
        parse_run_list(text, "list")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_run_list_gives_runs_or_our_error(text: str) -> None:
    try:
        assert parse_run_list(text, "list")
    except ConfigError as error:
        assert error.exit_code == 3
