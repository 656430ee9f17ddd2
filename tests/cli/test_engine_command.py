"""``daybreak engine``: lists, prints and tries engines."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture()
def daybreak(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "daybreak" / "engines").mkdir(parents=True)

    def run(*args):
        return subprocess.run(
            [sys.executable, "-c", "from daybreak.cli.main import main; main()", *args],
            capture_output=True, text=True, cwd=tmp_path, timeout=120,
        )  # fmt: skip

    return run


def test_list_and_show(daybreak, tmp_path):
    shown = daybreak("engine", "show", "slurm", "--set", "pools.default.account=foa")
    assert shown.returncode == 0 and "account: foa" in shown.stdout
    own = tmp_path / "config" / "daybreak" / "engines" / "lst.yaml"
    own.write_text(shown.stdout)
    listed = daybreak("engine", "list")
    assert f"lst: {own}" in listed.stdout and "local: built in" in listed.stdout
    again = daybreak("engine", "show", "lst", "--json")
    assert json.loads(again.stdout)["pools"]["default"]["account"] == "foa"
    schema = json.loads(daybreak("engine", "show", "--schema").stdout)
    assert "scheduler_wait" in schema["properties"]


def test_an_unknown_engine_is_exit_code_3(daybreak):
    done = daybreak("engine", "test", "--engine", "slrum")
    assert done.returncode == 3 and "did you mean 'slurm'" in done.stderr


@pytest.mark.slow
def test_this_machine_works(daybreak, tmp_path):
    done = daybreak("engine", "test", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["good"] and report["seconds"]["default"] > 0
    names = [check["name"].removeprefix("default: ") for check in report["checks"]]
    assert names == [
        "start", "a worker comes", "shares the folder", "Python", "daybreak", "cores", "memory",
    ]  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["config"]


def test_what_does_not_work_is_exit_code_9(daybreak, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = daybreak("engine", "test", "--engine", "slurm", "--timeout", "20")
    assert done.returncode == 9
    assert "NO  default: a worker comes:" in done.stdout and "'sbatch' is not there" in done.stdout
    assert "default: a worker comes" in done.stderr and "Traceback" not in done.stderr
