"""Where compiled kernels are kept: a folder for each version of their sources."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from daybreak.images import kernels
from daybreak.neutrino.likelihood import compiled as likelihood
from daybreak.products import compiled
from daybreak.simulate.showers import kernels as showers

FAMILIES = {
    "images": kernels.FAMILY,
    "likelihood": likelihood.FAMILY,
    "showers": showers.FAMILY,
}


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "daybreak" / "kernels"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_changed_source_has_another_folder(family, tmp_path):
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in family.files:
        shutil.copy(path, copies)
    names = [path.stem for path in family.files]
    copy = compiled.KernelFamily(copies, names)
    assert copy.cache_folder == family.cache_folder, "the same text, the same folder"
    with copy.files[1].open("a") as stream:
        stream.write("# another word\n")
    assert compiled.KernelFamily(copies, names).cache_folder != family.cache_folder


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_compiled_file_is_in_the_digest(family):
    folder = family.files[0].parent
    using = {p for p in folder.glob("*.py") if "import compiled" in p.read_text()}
    assert using and using <= set(family.files)


def test_what_nobody_has_used_for_a_month_goes(base):
    kept = kernels.FAMILY.cache_folder
    old, young = base / "old", base / "young"
    for folder in (kept, old, young):
        folder.mkdir(parents=True)
    long_ago = time.time() - 31 * 86_400
    os.utime(old, (long_ago, long_ago))
    os.utime(kept, (long_ago, long_ago))
    compiled._remove_unused(base, kept)
    assert kept.is_dir() and young.is_dir() and not old.exists()


def test_a_home_that_can_not_be_written_to_is_no_obstacle(monkeypatch):
    def refuse(*_, **__):
        raise OSError("read-only")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert (
        kernels.FAMILY.locator.from_function(test_every_compiled_file_is_in_the_digest, "") is None
    )
