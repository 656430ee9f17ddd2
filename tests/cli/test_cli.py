"""The command line: help, versions, exit codes, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from astropy import units as u
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daybreak import __version__
from daybreak.cli import main as cli
from daybreak.config.analysis import AnalysisConfig
from daybreak.errors import (
    ConfigError,
    DaybreakError,
    InterruptedByUser,
    OutputError,
    TargetError,
)
from daybreak.simulate import simulate_night

COMMANDS = [[], ["analyse"], ["figures"], ["demo"], ["config"], ["config", "show"]]


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "store"
    simulate_night(folder, seed=3, n_runs=2, ontime=2 * u.min, sampler="direct")
    return folder


@pytest.fixture()
def run(capsys, monkeypatch, tmp_path):
    """Function: run the command line in this process; exit code, output, errors."""
    monkeypatch.delenv("VHEFITS", raising=False)
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


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(run, command, option):
    code, out, errors = run(*command, option)
    assert code == 0 and not errors
    assert out.startswith(" ") or "Usage:" in out
    for line in out.splitlines():
        assert len(line) <= 100


def test_every_option_of_analyse_has_a_meaning(run):
    _, out, _ = run("analyse", "--help")
    options = "store out instrument night from to runs on-radius config set workers dry-run json"
    for option in (f"--{name}" for name in options.split()):
        assert re.search(rf"{option}\b.*\w{{3}}", out), option


@pytest.mark.parametrize("command", ["", "analyse", "store", "data", "scan", "status", "engine"])
def test_help_needs_no_heavy_import(command):
    code = (
        f"import sys; sys.argv = ['daybreak', *{command.split()}, '--help']\n"
        "from daybreak.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} "
        "& {'numpy', 'astropy', 'gammapy', 'parsl', 'matplotlib', 'pydantic', 'scipy', 'yaml'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    by_typer = "['pydantic']" if command else "[]"  # for commands with options
    assert done.stdout.splitlines()[-1] in ("[]", by_typer)


def test_version(run):
    assert run("--version") == (0, f"daybreak {__version__}\n", "")


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "daybreak", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"daybreak {__version__}\n")


def test_no_argument_prints_the_help(run):
    code, out, errors = run()
    assert code in (0, 2) and "analyse" in out + errors


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("analyse",), 2, "target"),
        (("analyze", "Crab"), 2, "analyze"),
        (("analyse", "Crab", "--stor", "x"), 2, "--stor"),
        (("analyse", "Crab", "--workers", "many"), 2, "valid integer"),
        (("analyse", "Crab"), 5, "no store given"),
        (("analyse", "Crab", "--store", "nowhere"), 5, "no store at nowhere"),
        (("config", "show", "-s", "maps.pixl=1 deg"), 3, "did you mean 'pixel'"),
        (("config", "show", "-s", "maps"), 3, "KEY=VALUE"),
        (("config", "show", "-c", "no.yaml"), 3, "no.yaml"),
        (("config", "show", "--instrument", "hes"), 3, "Did you mean 'hess'"),
        (("figures", "nowhere"), 11, "no finished analysis"),
        (("figures", "nowhere", "-f", "gif"), 3, "svg, png, pdf"),
    ],
)
def test_exit_codes(run, args, code, words):
    found, out, errors = run(*args)
    assert found == code and words in errors and not out
    if code != 2:
        first, hint = errors.splitlines()[:2]
        assert first.startswith("daybreak: error: ") and hint


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 4, "unknown target 'Nowhere'"),
        (("--night", "yesteryear"), 3, "yesteryear"),
        (("--night", "2004-02-31"), 3, "2004-02-31"),
        (("--from", "soon"), 3, "soon"),
        (("--workers", "-1"), 3, "engine.workers"),
        (("--on-radius", "0.1"), 3, "unit is missing"),
        (("--on-radius", "-1 deg"), 3, "above 0"),
        (("--runs", "no.txt"), 3, "no.txt"),
        (("--config", "no.yaml"), 3, "no.yaml"),
    ],
)
def test_exit_codes_with_a_store(run, store, monkeypatch, options, code, words):
    monkeypatch.setattr("daybreak.runs.targets._sesame", lambda _: None)
    target = "Nowhere" if code == 4 else "Crab"
    found, out, errors = run("analyse", target, "--store", str(store), "-o", "out", *options)
    assert found == code and words in errors and not out
    assert not Path("out").exists(), "nothing is written before everything is checked"


def test_the_store_may_come_from_the_environment(run, store, monkeypatch):
    monkeypatch.setenv("VHEFITS", str(store))
    assert run("analyse", "Crab", "--dry-run")[0] == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("bad", "Mend it."), 3),
        (TargetError("bad", "Mend it."), 4),
        (OutputError("bad", "Mend it."), 8),
        (InterruptedByUser("bad", "Mend it."), 130),
        (DaybreakError("bad", "Mend it."), 1),
    ],
)
def test_errors_become_messages(run, monkeypatch, error, code):
    def fail(**_):
        raise error

    monkeypatch.setattr("daybreak.instruments.settings.resolve_config", fail)
    found, out, errors = run("config", "show")
    assert found == code and not out
    assert "bad\nMend it.\n" in errors and errors.startswith("daybreak: ")


def test_a_fault_of_the_program_is_no_traceback(run, monkeypatch, tmp_path):
    def fail(**_):
        raise ZeroDivisionError("never meant to happen")

    monkeypatch.setattr("daybreak.instruments.settings.resolve_config", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, _, errors = run("config", "show")
    assert code == 70 and "internal error: ZeroDivisionError: never meant to happen" in errors
    (log,) = tmp_path.glob("daybreak-crash-*.log")
    assert str(log) in errors and "Traceback" in log.read_text()


def test_ctrl_c_is_no_traceback(run, monkeypatch):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("daybreak.instruments.settings.resolve_config", stop)
    code, _, errors = run("config", "show")
    assert code == 130 and len(errors) < 200


def test_a_closed_pipe_is_silent():
    command = f"{sys.executable} -m daybreak config show --schema | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_config_show(run):
    code, out, errors = run("config", "show", "--instrument", "hess", "-s", "maps.pixel=0.05 deg")
    assert code == 0 and not errors
    values = yaml.safe_load(out)
    assert set(values) == set(AnalysisConfig.model_fields)
    assert values["maps"]["pixel"] == "0.05 deg"
    assert re.search(r"pixel: 0\.05 deg  # --set", out)
    assert re.search(r"point_radius: 0\.\d+ deg  # profile hess:\d+", out)
    assert re.search(r"correlation_radius: 0\.1 deg  # default", out)


def test_what_config_show_prints_can_be_used(run, tmp_path):
    _, out, _ = run("config", "show", "--instrument", "magic")
    path = tmp_path / "all.yaml"
    path.write_text(out)
    _, again, _ = run("config", "show", "-c", str(path))
    assert yaml.safe_load(again) == yaml.safe_load(out)


def test_config_show_json_and_schema(run):
    _, out, _ = run("config", "show", "--json", "--instrument", "lst1")
    values = json.loads(out)
    _, out, _ = run("config", "show", "--schema")
    schema = json.loads(out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values | {"surprise": 1}, schema)


def test_dry_run(run, store, tmp_path):
    options = ("analyse", "Crab", "--store", str(store), "-o", "out", "--dry-run")
    code, out, errors = run(*options)
    assert code == 0 and not errors
    lines = out.splitlines()
    assert lines[0].startswith("reduce-1: reduce run 1 -> run_000001.fits")
    names = [line.split(":")[0] for line in lines]
    for name in ("reduce-2", "counts", "maps", "spectrum", "lightcurve", "context", "report"):
        assert name in names
    assert not (tmp_path / "out").exists()

    code, out, _ = run(*options, "--json")
    block = json.loads(out)
    assert block["runs"] == [1, 2] and block["left_out"] == []
    assert [s["step"] for s in block["steps"]] == names
    assert all(set(s) == {"step", "what", "after", "makes"} for s in block["steps"])


def test_dry_run_says_what_is_left_out(run, store, tmp_path):
    (tmp_path / "runs.txt").write_text("2\n77\n")
    code, out, _ = run("analyse", "Crab", "--store", str(store), "--dry-run", "--runs", "runs.txt")
    assert code == 0
    assert "left out: 77: not in the store's index" in out
    assert "left out: 1: not in the run list" in out


def _documented(kind=DaybreakError) -> set[int]:
    """Exit codes of success, of wrong usage, and of every error that is raised on purpose."""
    return {0, 2, kind.exit_code}.union(*map(_documented, kind.__subclasses__()))


_words = st.sampled_from(
    ["analyse", "figures", "config", "show", "Crab", "83.6 22.0", "STORE", "--store", "-o", "out",
     "--night", "2004-12-04", "yesterday", "--from", "--to", "--runs", "--on-radius", "0.1 deg",
     "-1 deg", "--config", "-c", "--set", "-s", "maps.pixel=1", "maps.pixel=0.02 deg", "=", "a.b=c",
     "--instrument", "hess", "auto", "--workers", "1", "-1", "--dry-run", "--json", "--schema",
     "--version", "--help", "--", "-", "", "-x", "--nonsense", "\u2028", "no.yaml", "-f", "gif"]
)  # fmt: skip


@given(st.lists(_words | st.text(max_size=8), max_size=7))
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "--runs", "/dev/null"])
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "-c", "/"])
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "-s", "selection.runs=1"])
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "-s", "selection.runs=[2]"])
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "-s", "spectrum.bins_per_decade=3"])
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "-s", "maps.width=1000 deg"])
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "-s", "regions.on_radius=89 deg"])
@example(["analyse", "Crab", "--store", "STORE", "--dry-run", "-s", "theta2.n_bins=1e9"])
@example(["analyse", "a\0b", "--store", "a\0b"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_arguments_end_in_a_documented_way(store, tmp_path, monkeypatch, args):
    """Nothing is run: 'analyse' gets --dry-run."""
    monkeypatch.setattr("daybreak.runs.targets._sesame", lambda _: None)
    monkeypatch.chdir(tmp_path)
    args = [str(store) if a == "STORE" else a for a in args]
    if "demo" in args:
        return
    if "analyse" in args:
        args.insert(args.index("analyse") + 1, "--dry-run")
    try:
        cli.main(args)
    except SystemExit as end:
        code = end.code if end.code is not None else 0
        assert code in _documented(), (args, code)
    else:
        code = 0
    assert not (tmp_path / "out").exists()


def test_progress_is_quiet_without_a_terminal(run, store):
    from daybreak.cli.step_bar import request_progress

    with request_progress() as progress:
        assert progress is None


def test_a_name_with_a_blank_needs_no_quotes_in_messages(run):
    code, _, errors = run("analyse", "Crab", "--store", "a folder with blanks")
    assert code == 5 and "a folder with blanks" in errors


def test_output_is_utf8_whatever_the_locale(tmp_path):
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))
    }
    region = "regions.exclude=[{name: θ² Ori, ra: 1 deg, dec: 2 deg, radius: 1 deg}]"
    done = subprocess.run(
        [sys.executable, "-m", "daybreak", "config", "show", "-s", region],
        env=environment | {"LC_ALL": "C"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert "θ² Ori" in done.stdout.decode()
