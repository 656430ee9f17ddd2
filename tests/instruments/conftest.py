"""A site's own folders of profiles, empty to begin with."""

from __future__ import annotations

from textwrap import dedent

import pytest

from daybreak.cli import main as cli


class Own:
    """Folders of a site: ``first`` and ``second`` of $DAYBREAK_PROFILES, ``home`` of the user."""

    def __init__(self, root):
        self.folders = {name: root / name for name in ("first", "second")}
        self.folders["home"] = root / "config" / "daybreak" / "instruments"
        for folder in self.folders.values():
            folder.mkdir(parents=True)

    def write(self, name, text, where="first"):
        path = self.folders[where] / f"{name}.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return path


@pytest.fixture()
def own(tmp_path, monkeypatch) -> Own:
    own = Own(tmp_path / "own")
    folders = f"{own.folders['first']}:{own.folders['second']}"
    monkeypatch.setenv("DAYBREAK_PROFILES", folders)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own" / "config"))
    return own


@pytest.fixture()
def run(capsys, monkeypatch, tmp_path):
    """Function: run the command line in this process; exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> tuple[int, str, str]:
        try:
            cli.main(list(args))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        else:
            code = 0
        out, errors = capsys.readouterr()
        assert "Traceback" not in out + errors
        return code, out, errors

    return call
