"""Where compiled kernels are kept: a folder for each version of their sources."""

from __future__ import annotations

import os
import time

import pytest

from daybreak.neutrino.likelihood import compiled, warm


@pytest.fixture()
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled.cache_folder.cache_clear()
    yield tmp_path / "daybreak" / "kernels"
    compiled.cache_folder.cache_clear()


def test_a_changed_source_has_another_folder(base, tmp_path, monkeypatch):
    first = compiled.cache_folder()
    copies = tmp_path / "copies"
    copies.mkdir()
    for name in compiled._SOURCES:
        text = (type(first)(compiled.__file__)).with_name(f"{name}.py").read_text()
        (copies / f"{name}.py").write_text(text)
    monkeypatch.setattr(compiled, "__file__", str(copies / "compiled.py"))
    compiled.cache_folder.cache_clear()
    assert compiled.cache_folder() == first, "the same text, the same folder"
    with (copies / "delay.py").open("a") as stream:
        stream.write("# another word\n")
    compiled.cache_folder.cache_clear()
    assert compiled.cache_folder() != first


def test_every_compiled_file_is_in_the_digest():
    folder = compiled.Path(compiled.__file__).parent
    using = {p.stem for p in folder.glob("*.py") if "import compiled" in p.read_text()}
    assert using <= set(compiled._SOURCES)


def test_what_nobody_has_used_for_a_month_goes(base):
    kept = compiled.cache_folder()
    old, young = base / "old", base / "young"
    for folder in (kept, old, young):
        folder.mkdir(parents=True)
    long_ago = time.time() - 31 * 86_400
    os.utime(old, (long_ago, long_ago))
    os.utime(kept, (long_ago, long_ago))
    compiled._remove_unused(base, kept)
    assert kept.is_dir() and young.is_dir() and not old.exists()


def test_a_home_that_can_not_be_written_to_is_no_obstacle(base, monkeypatch):
    def refuse(*_, **__):
        raise OSError("read-only")

    monkeypatch.setattr(compiled.Path, "mkdir", refuse)
    assert compiled._Locator.from_function(warm, __file__) is None


def test_warm_says_what_it_made_ready():
    assert set(warm()) == {"time tables", "track fit"}
