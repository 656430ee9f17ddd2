"""Folders as products: whole or not there, and nothing of anybody else's is touched."""

from __future__ import annotations

import json

import pytest

from daybreak.errors import OutputError
from daybreak.products.atomic import partial_path, remove_stale_partials
from daybreak.products.folder import (
    MANIFEST,
    atomic_folder,
    folder_digest,
    read_manifest,
    remove_folder,
    size_of,
)


def _make(folder, **files):
    with atomic_folder(folder) as partial:
        for name, text in files.items():
            path = partial / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def test_a_folder_is_whole_or_has_no_digest(tmp_path):
    folder = tmp_path / "models"
    _make(folder, a="1", sub__b="22")
    digest = folder_digest(folder)
    assert digest and set(read_manifest(folder)) == {"a", "sub/b"} and size_of(folder) == 3
    (folder / "mine.txt").write_text("a note of the user's")
    assert folder_digest(folder) == digest, "what the manifest does not list is not the product's"
    (folder / "sub" / "b").write_text("33")
    assert folder_digest(folder) == ""
    (folder / "sub" / "b").unlink()
    assert folder_digest(folder) == ""


def test_made_again_it_loses_what_is_no_longer_made_and_nothing_else(tmp_path):
    folder = tmp_path / "figures"
    _make(folder, a="1", sub__b="22")
    (folder / "mine.txt").write_text("mine")
    _make(folder, a="other", c="3")
    assert sorted(p.name for p in folder.iterdir()) == [MANIFEST, "a", "c", "mine.txt"]
    assert folder_digest(folder) and (folder / "a").read_text() == "other"
    remove_folder(folder)
    assert [p.name for p in folder.iterdir()] == ["mine.txt"]


def test_an_error_leaves_the_old_one(tmp_path):
    folder = tmp_path / "figures"
    _make(folder, a="1")
    digest = folder_digest(folder)
    with pytest.raises(RuntimeError), atomic_folder(folder) as partial:
        (partial / "a").write_text("half")
        raise RuntimeError
    assert folder_digest(folder) == digest and list(tmp_path.iterdir()) == [folder]
    with pytest.raises(OutputError, match="nothing was written"), atomic_folder(folder):
        pass


def test_a_process_that_was_killed_leaves_nothing_that_counts(tmp_path):
    partial = partial_path(tmp_path / "figures", 4_194_303)
    partial.mkdir()
    (partial / "a").write_text("half")
    assert remove_stale_partials(tmp_path) == [partial] and not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}', '{"files": {"a": null}}'])
def test_rubbish_for_a_manifest(tmp_path, text):
    folder = tmp_path / "figures"
    _make(folder, a="1")
    (folder / MANIFEST).write_text(text)
    assert folder_digest(folder) == ""


def test_a_manifest_never_reaches_outside(tmp_path):
    """It is a file that anybody may have written: only what is in the folder is removed."""
    folder, other = tmp_path / "figures", tmp_path / "precious"
    other.write_text("keep")
    _make(folder, a="1")
    names = {"../precious": "x", str(other): "x", ".": "x", "a": "x"}
    (folder / MANIFEST).write_text(json.dumps({"files": names}))
    remove_folder(folder)
    assert other.read_text() == "keep" and not folder.exists()
