"""`daybreak doctor` says what is there and what is not, and ends with a code that says so."""

from __future__ import annotations

import json
import os
import sys
import time
from types import SimpleNamespace

import pytest

from daybreak.errors import SetupError
from daybreak.instruments.doctor import profile_checks
from daybreak.instruments.environment import (
    cores_check,
    disk_checks,
    environment_checks,
    folder_check,
    kernel_cache_check,
    memory_check,
    package_checks,
    slurm_check,
)
from daybreak.instruments.profiles import load_profile

SITE = """\
    extends: lst1
    roots:
      real: {root}/real
      models: {root}/models
      mc: {root}/mc
    """


@pytest.fixture()
def lst(own, tmp_path):
    """A small copy of the tree at La Palma; the profile that points there."""
    root = tmp_path / "fefs"
    for name in (
        "real/DL1/20240115/v0.10/tailcut84/dl1_LST-1.Run16096.h5",
        "real/DL1/20240116/v0.10/tailcut84/dl1_LST-1.Run16110.h5",
        "real/DL1/20240116/v0.9/tailcut84/dl1_LST-1.Run16110.h5",
        "real/monitoring/RunSummary/RunSummary_20240116.ecsv",
        "models/AllSky/20240131_prod/dec_2276/reg_energy.sav",
        "mc/DL2/AllSky/20240131_prod/TestingDataset/dec_2276/node_1/"
        "dl2_20240131_prod_node_1_merged.h5",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    own.write("lst1", SITE.format(root=root))
    return root


def by_name(checks):
    return {check.name: check for check in checks}


def test_what_a_profile_names_is_counted(lst):
    checks = by_name(profile_checks(load_profile("lst1")))
    assert [c.name for c in checks.values() if c.state == "missing"] == []
    dl1 = checks["data.dl1"]
    newest = "DL1/20240116/v0.9/tailcut84/dl1_LST-1.Run16110.h5"
    assert dl1.state == "ok" and dl1.found == f"3, newest {newest} in {lst / 'real'}"
    forests = checks["models.forests"]
    assert (
        forests.state == "ok" and "1, last by name AllSky/20240131_prod/dec_2276" in forests.found
    )
    assert checks["data.dl2"].state == "warning" and "nothing at" in checks["data.dl2"].found
    assert "extends: lst1" in checks["data.dl2"].advice


def test_what_is_needed_and_gone_is_missing(lst):
    for path in (lst / "real" / "DL1").rglob("*.h5"):
        path.unlink()
    (lst / "models").rename(lst / "away")
    checks = by_name(profile_checks(load_profile("lst1")))
    assert checks["data.dl1"].state == "missing"
    assert checks["roots.models"].state == "missing"
    assert "models.forests" in checks["roots.models"].found
    assert "models.forests" not in checks  # one line for each cause


def test_folders_that_are_not_given_are_said():
    checks = by_name(profile_checks(load_profile("sst1m")))
    assert checks["roots.analysis"].state == "warning"
    assert "no folder is given" in checks["roots.analysis"].found
    assert "roots.analysis" in checks["roots.analysis"].advice


def test_a_large_tree_is_counted_up_to_a_bound(lst):
    folder = lst / "real" / "DL1" / "20240116" / "v0.10" / "tailcut84"
    for number in range(200):
        (folder / f"dl1_LST-1.Run{number:05d}.h5").touch()
    checks = by_name(profile_checks(load_profile("lst1"), most_entries=50))
    assert checks["data.dl1"].found.startswith("at least ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_the_right_to_read(lst):
    (lst / "real" / "DL1").chmod(0)
    try:
        checks = by_name(profile_checks(load_profile("lst1")))
    finally:
        (lst / "real" / "DL1").chmod(0o755)
    assert checks["data.dl1"].state == "missing" and "can't be read" in checks["data.dl1"].found


def test_an_error_of_the_file_system_is_said(lst, monkeypatch):
    profile = load_profile("lst1")

    def scandir(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("daybreak.instruments.patterns.os.scandir", scandir)
    check = by_name(profile_checks(profile))["data.dl1"]
    assert check.state == "missing" and "can't be read: Permission denied" in check.found


def test_readers_are_looked_for_but_not_imported(own):
    for name, state in (
        ("daybreak.instruments.settings", "ok"),
        ("daybreak.instruments.not_there", "missing"),
        ("daybreak.instruments.not_there.below", "missing"),
        ("entry-point:nobody", "missing"),
    ):
        own.write("mine", f"reader: {name}\n")
        assert by_name(profile_checks(load_profile("mine")))["reader"].state == state, name


def test_packages_out_of_bounds_are_said():
    checks = by_name(package_checks(["numpy>=1", "numpy<1", "no-such-package>=2"]))
    assert checks["package numpy"].state == "missing"
    assert "does not fit <1" in checks["package numpy"].found
    assert checks["package no-such-package"].found == "not installed"
    assert checks["package no-such-package"].advice == "python -m pip install 'no-such-package>=2'"
    assert checks["packages"].found == "1 of 3 fit"
    elsewhere = package_checks(['no-such-package; sys_platform == "plan9"', "numpy"])
    assert [c.state for c in elsewhere] == ["ok"]


def test_optional_packages_only_warn():
    extras = ['isal>=999; extra == "fast"', 'no-such; extra == "sftp"', 'none; extra == "docs"']
    checks = by_name(package_checks(["numpy", *extras]))
    assert checks["packages"].state == "ok"
    assert {c.state for c in checks.values()} == {"ok", "warning"}
    assert "daybreak[fast]" in checks["optional fast"].advice
    assert "no-such: not installed" in checks["optional sftp"].found
    assert not any("docs" in name for name in checks)


def test_the_packages_of_this_environment_fit():
    states = {check.name: check for check in package_checks()}
    assert [c for c in states.values() if c.state == "missing"] == []


def test_folders(tmp_path, monkeypatch):
    good = folder_check("state folder", tmp_path / "a" / "b", needed=True, key="$DAYBREAK_HOME")
    assert good.state == "ok" and "not yet made" in good.found
    assert not (tmp_path / "a").exists()  # nothing is made
    assert folder_check("x", tmp_path, needed=True, key="k").found == str(tmp_path)
    (tmp_path / "file").touch()
    bad = folder_check("state folder", tmp_path / "file", needed=True, key="$DAYBREAK_HOME")
    assert bad.state == "missing" and "$DAYBREAK_HOME" in bad.advice
    assert folder_check("x", tmp_path / "file" / "a", needed=False, key="k").state == "warning"

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("daybreak.instruments.environment.tempfile.TemporaryFile", full)
    bad = folder_check("state folder", tmp_path, needed=True, key="k")
    assert bad.state == "missing" and "No space left" in bad.found


def test_a_place_for_compiled_kernels(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert kernel_cache_check(tmp_path).found.startswith(str(tmp_path / "__pycache__"))
    (tmp_path / "file").touch()  # stands for a folder that can't be written to
    there = kernel_cache_check(tmp_path / "file")
    assert there.state == "ok" and there.found.startswith(str(tmp_path / "cache" / "numba"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    nowhere = kernel_cache_check(tmp_path / "file")
    assert nowhere.state == "missing" and "$NUMBA_CACHE_DIR" in nowhere.advice
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    assert kernel_cache_check(tmp_path / "file").state == "ok"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert kernel_cache_check(tmp_path).state == "missing"


@pytest.mark.parametrize(("free_gb", "state"), [(50, "ok"), (5, "warning"), (0.5, "missing")])
def test_disk_space(tmp_path, monkeypatch, free_gb, state):
    usage = SimpleNamespace(free=free_gb * 1e9)
    monkeypatch.setattr("daybreak.instruments.environment.shutil.disk_usage", lambda _: usage)
    checks = disk_checks({"a": tmp_path, "b": tmp_path / "not yet"})
    assert [c.state for c in checks] == [state]  # one disk, one line
    assert bool(checks[0].advice) == (state != "ok")


@pytest.mark.parametrize(
    ("total", "free", "state"),
    [(32e3, 16e3, "ok"), (32e3, 1e3, "warning"), (1e3, 1e3, "missing")],
)
def test_memory(total, free, state):
    assert memory_check(total, free).state == state


def test_one_core_is_a_warning(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert cores_check().state == "warning"
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert cores_check().state == "ok"


def test_slurm_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_check().state == "warning"
    for name in ("sbatch", "squeue", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert slurm_check().found == "not found: scancel"
    (tmp_path / "scancel").write_text("#!/bin/sh\n")
    (tmp_path / "scancel").chmod(0o755)
    assert slurm_check().state == "ok"


def test_the_environment_is_looked_at_fast(tmp_path):
    start = time.process_time()
    checks = environment_checks(
        state=tmp_path, cache=tmp_path, output=tmp_path, memory_mb=(32e3, 16e3)
    )
    assert time.process_time() - start < 2
    assert len({c.name for c in checks}) == len(checks)


def test_the_command_ends_well_where_nothing_is_missing(lst, run):
    code, out, errors = run("doctor", "--instrument", "lst1")
    assert code == 0, errors
    assert "ok       data.dl1: 3, newest" in out and "missing" not in out
    assert "warning  data.dl2:" in out


def test_the_command_ends_with_its_code_where_something_is(lst, run):
    (lst / "models").rename(lst / "away")
    code, out, errors = run("doctor", "--instrument", "lst1")
    assert code == SetupError.exit_code == 30
    assert "missing  roots.models: there is no folder" in out and "\n         -> mount it" in out
    assert "needed and not there: roots.models" in errors
    code, out, errors = run("doctor", "--instrument", "lst1", "--json")
    document = json.loads(out)
    assert code == 30 and document["missing"] == ["roots.models"]
    assert {"name", "state", "found", "advice"} == set(document["checks"][0])


def test_a_profile_that_can_not_be_read_is_missing(own, run):
    path = own.write("dawn", "titel: x\n")
    code, out, errors = run("doctor")
    assert code == 30 and f"missing  instrument dawn: {path}:1" in out
    code, _, errors = run("doctor", "--instrument", "dawn")
    assert code == 3 and "did you mean 'title'" in errors
    code, _, errors = run("doctor", "--instrument", "dwan")
    assert code == 3 and "Did you mean 'dawn'" in errors


def test_the_folder_of_state_is_the_one_of_the_variable(own, run, tmp_path, monkeypatch):
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path / "home-of-daybreak"))
    _, out, _ = run("doctor")
    assert f"state folder: {tmp_path / 'home-of-daybreak'} (not yet made)" in out


def test_warming(own, run, monkeypatch):
    from daybreak.images import warming
    from daybreak.neutrino import likelihood

    called = []
    for number, module in enumerate((likelihood, warming)):
        monkeypatch.setattr(module, "warm", lambda n=number: called.append(n) or {f"part {n}": 1.5})
    _, out, _ = run("doctor", "--warm")
    assert called == [0, 1]
    assert "warm: kernels compiled in 3.0 s (part 0 1.5 s, part 1 1.5 s)" in out
    _, out, _ = run("doctor")
    assert called == [0, 1] and "warm:" not in out


def test_warming_compiles_what_images_need():
    from daybreak.images.parameters import _batch
    from daybreak.images.warming import warm

    assert warm()["camera images"] >= 0
    assert len(_batch.signatures) == 1, "one specialisation for all"


def test_looking_without_an_instrument_needs_no_heavy_import(tmp_path):
    import subprocess

    code = "import sys, daybreak.instruments.environment; print('gammapy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
