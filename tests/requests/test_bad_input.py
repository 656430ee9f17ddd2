"""Everything the world can do to the input: a clear message, a documented exit code, the other
runs still go through, the report says what was left out, and nothing half-written remains."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

import daybreak
from daybreak.cli import main as cli
from daybreak.errors import (
    ConfigError,
    DaybreakError,
    NoDataError,
    OutputError,
    PartialResultError,
    StoreError,
    TargetError,
)
from daybreak.simulate import crab_like, defects, simulate_night

BAD = 2
FILE = "daybreak_virtual_000002.fits.gz"
CHEAP = ("maps.enabled=false", "lightcurve.minutes=3 min", "spectrum.models=[pl]")


class Ended(NamedTuple):
    """How the command ended."""

    code: int
    errors: str
    out: Path

    @property
    def results(self) -> dict:
        return json.loads((self.out / "results.json").read_text())

    @property
    def left_out(self) -> list[dict]:
        table = Table.read(self.out / "results" / "runs_left_out.ecsv", format="ascii.ecsv")
        return [dict(zip(table.colnames, row, strict=True)) for row in table]

    @property
    def runs(self) -> dict[int, dict]:
        table = Table.read(self.out / "results" / "runs.ecsv", format="ascii.ecsv")
        return {int(r["obs_id"]): dict(zip(table.colnames, r, strict=True)) for r in table}


@pytest.fixture()
def store(sound_store, tmp_path):
    return defects.copy_store(sound_store, tmp_path / "store")


@pytest.fixture()
def analyse(here, store, tmp_path, capsys, monkeypatch):
    """Function: `daybreak analyse` in this process; checks what must hold however it ends."""
    monkeypatch.setattr("daybreak.runs.targets._sesame", lambda _: None)

    def call(target: str = "Crab", *options: str, out: Path = tmp_path / "out", settings=CHEAP):
        args = ["analyse", target, "--store", str(store), "-o", str(out), *options]
        for setting in settings:
            args += ["--set", setting]
        try:
            cli.main(args)
        except SystemExit as end:
            code = int(end.code or 0)
        else:
            code = 0
        text = capsys.readouterr()
        assert "Traceback" not in text.err + text.out
        assert not list(tmp_path.rglob("*.partial-*"))
        if code:
            assert text.err.startswith("daybreak: error: ")
            assert len(text.err.splitlines()) >= 2, "no hint"
        return Ended(code, text.err, out)

    return call


REFUSED = {
    "truncated file": (FILE, "truncated or damaged"),
    "truncated FITS": (FILE, "truncated or damaged"),
    "damaged gzip": (FILE, "truncated or damaged"),
    "not FITS": (FILE, "truncated or damaged"),
    "empty file": (FILE, "truncated or damaged"),
    "missing file": (FILE, "missing"),
    "no EVENTS HDU": (FILE, "no HDU 'EVENTS'"),
    "no AEFF HDU": (FILE, "no HDU 'AEFF'"),
    "no EDISP HDU": (FILE, "no HDU 'EDISP'"),
    "no PSF HDU": (FILE, "no HDU 'PSF'"),
    "no BKG HDU": (FILE, "no HDU 'BKG'"),
    "NaN in AEFF": (FILE, "not finite"),
    "NaN in BKG": (FILE, "not finite"),
    "empty GTI": (FILE, "GTI is empty"),
    "GTI of no length": (FILE, "GTI is empty"),
    "wrong OBS_ID": (FILE, "OBS_ID 999999"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_that_can_not_be_used(analyse, store, name):
    """It is named with its file and reason, on the screen, in the table and in the report."""
    defects.RUN_DEFECTS[name](store, BAD)
    file, reason = REFUSED[name]
    ended = analyse()
    assert ended.code == PartialResultError.exit_code == 10
    assert file in ended.errors and reason in ended.errors and "run 2" in ended.errors
    assert str(ended.out / "report.html") in ended.errors
    (row,) = ended.left_out
    assert row["obs_id"] == BAD and row["file"] == file and reason in row["reason"]
    assert row["stage"] in ("reading", "reduction")
    assert set(ended.runs) == {1, 3}
    page = (ended.out / "report.html").read_text()
    assert reason.replace("'", "&#39;") in page or reason in page
    assert [r["obs_id"] for r in ended.results["runs_left_out"]] == [BAD]
    assert ended.results["counts"]["significance"] > 5
    assert not list(ended.out.glob("runs/run_000002.fits"))


USED = {
    "negative AEFF": "IRF_REPAIRED",
    "negative EDISP": "IRF_REPAIRED",
    "negative PSF": "IRF_REPAIRED",
    "negative BKG": "IRF_REPAIRED",
    "NaN energies": "EVENTS_BAD",
    "NaN positions": "EVENTS_BAD",
    "events after GTI": "EVENTS_OUTSIDE_GTI",
    "no background response": "NO_BACKGROUND_IRF",
    "no events": "NO_EVENTS",
    "no GTI HDU": "NO_GTI",
    "BKG all zero": "RESPONSE_ODD",
    "doubled index rows": "",
}


@pytest.mark.parametrize("name", USED)
def test_a_run_that_is_put_right_and_flagged(analyse, store, name):
    defects.RUN_DEFECTS[name](store, BAD)
    ended = analyse()
    assert ended.code == 0, ended.errors
    assert set(ended.runs) == {1, 2, 3} and ended.left_out == []
    run = ended.runs[BAD]
    assert USED[name] in str(run["flags"])
    page = (ended.out / "report.html").read_text()
    assert USED[name] in page
    if name == "events after GTI":
        assert run["events_outside_gti"] == 50
    if name == "no events":
        assert run["n_on"] == run["n_off"] == run["events"] == 0
    for other in (1, 3):
        assert not ended.runs[other]["flags"]
    assert np.isfinite(ended.results["counts"]["significance"])


def test_every_defect_has_its_test():
    rest = {"no livetime", "no index rows"}
    assert set(REFUSED) | set(USED) | rest == set(defects.RUN_DEFECTS)


def test_a_run_without_livetime_is_not_selected(analyse, store):
    defects.zero_livetime(store, BAD)
    ended = analyse()
    assert ended.code == 0
    (row,) = ended.left_out
    assert row["obs_id"] == BAD and "livetime 0 s below 60 s" in row["reason"]


@pytest.mark.parametrize("indices", [(), (defects.OBS_INDEX,)])
def test_a_file_without_an_index_row(analyse, store, indices):
    defects.remove_rows(store, BAD, *indices)
    ended = analyse()
    assert ended.code == 0 and set(ended.runs) == {1, 3}
    (row,) = ended.left_out
    assert row["file"] == FILE and "not in its index" in row["reason"]
    assert FILE in (ended.out / "report.html").read_text()


def test_an_observation_without_hdu_rows(analyse, store):
    defects.remove_rows(store, BAD, defects.HDU_INDEX)
    ended = analyse()
    assert ended.code == 10 and set(ended.runs) == {1, 3}
    assert any("HDU index has no row" in r["reason"] for r in ended.left_out)


def test_every_run_is_damaged(analyse, store):
    for obs_id in (1, 2, 3):
        defects.truncate(store, obs_id)
    ended = analyse()
    assert ended.code == NoDataError.exit_code == 6
    assert "none of the 3 runs could be used" in ended.errors
    assert "000001.fits.gz: truncated or damaged" in ended.errors
    assert not (ended.out / "report.html").exists()


def test_every_file_is_missing(analyse, store):
    for obs_id in (1, 2, 3):
        defects.remove_file(store, obs_id)
    ended = analyse()
    assert ended.code == 6 and "which is missing" in ended.errors


def test_repaired_data_are_analysed_again(analyse, store, sound_store):
    """Only what changed is done again."""
    path = defects.truncate(store, BAD)
    assert analyse().code == 10
    path.write_bytes((sound_store / path.relative_to(store)).read_bytes())
    ended = analyse()
    assert ended.code == 0 and set(ended.runs) == {1, 2, 3}
    times = {n: (ended.out / f"runs/run_{n:06d}.fits").stat().st_mtime_ns for n in (1, 2)}
    assert times[2] > times[1]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (defects.remove_index, "no HDU index"),
        (lambda s: defects.remove_index(s, defects.OBS_INDEX), "no observation index"),
        (defects.damage_index, "obs-index.fits.gz"),
        (lambda s: defects.damage_index(s, defects.HDU_INDEX), "hdu-index.fits.gz"),
        (lambda s: defects.drop_index_column(s, "RA_PNT"), "RA_PNT"),
        (lambda s: defects.drop_index_column(s, "HDU_TYPE", defects.HDU_INDEX), "HDU_TYPE"),
        (lambda s: s.rename(s.with_name("elsewhere")), "there is no store at"),
    ],
)
def test_a_store_that_can_not_be_read(analyse, store, damage, words):
    damage(store)
    ended = analyse()
    assert ended.code == StoreError.exit_code == 5 and words in ended.errors
    assert not ended.out.exists()


@pytest.mark.parametrize(
    "column", ["LIVETIME", "ZEN_PNT", "OBJECT", "DATE-OBS", "TSTART", "ONTIME"]
)
def test_an_index_without_a_column_that_can_be_missed(analyse, store, column):
    try:
        defects.drop_index_column(store, column)
    except KeyError:
        pytest.skip("the simulation does not write it")
    assert analyse("Crab", "--dry-run").code == 0


def test_a_target_outside_every_field(analyse):
    ended = analyse("PKS 2155-304")
    assert ended.code == TargetError.exit_code == 4
    assert "outside the field of view of all 3 runs" in ended.errors
    assert not ended.out.exists()


def test_a_target_nobody_knows(analyse):
    ended = analyse("Crabb Nebulla")
    assert ended.code == 4 and "Did you mean" in ended.errors


def test_a_single_run(analyse, store, tmp_path):
    (tmp_path / "runs.txt").write_text("1\n")
    ended = analyse("Crab", "--runs", str(tmp_path / "runs.txt"))
    assert ended.code == 0 and set(ended.runs) == {1}
    assert ended.results["counts"]["significance"] > 5
    assert len(ended.left_out) == 2


def test_zero_events_in_every_run(analyse, store):
    for obs_id in (1, 2, 3):
        defects.no_events(store, obs_id)
    ended = analyse(settings=("spectrum.models=[pl]",))
    assert ended.code == 0, ended.errors
    counts = ended.results["counts"]
    assert counts["n_on"] == counts["n_off"] == 0
    assert not ended.results["detected"]
    assert (ended.out / "report.html").exists()


def test_no_run_has_a_background_response(analyse, store):
    for obs_id in (1, 2, 3):
        defects.drop_irf(store, obs_id)
    ended = analyse(settings=("spectrum.models=[pl]",))
    assert ended.code == 0, ended.errors
    assert not (ended.out / "results" / "maps.fits").exists()
    assert any("no sky maps" in note for note in ended.results["notes"])
    assert ended.results["counts"]["significance"] > 5
    ended = analyse(settings=(*CHEAP, "regions.background=fov"), out=ended.out.parent / "fov")
    assert ended.code == 6 and "no run has a background IRF" in ended.errors


def test_a_point_source_without_a_psf_in_any_run(analyse, store):
    for obs_id in (1, 2, 3):
        defects.drop_irf(store, obs_id, "PSF")
    ended = analyse()
    assert ended.code == 6 and "no PSF" in ended.errors


def test_on_and_off_regions_do_not_fit(analyse):
    """Pointings 0.5 deg away, ON radius 0.6 deg: the FoV background is used and said so."""
    ended = analyse("Crab", "--on-radius", "0.6 deg", settings=("spectrum.models=[pl]",))
    assert ended.code == 0, ended.errors
    assert ended.results["background"]["used"] == "fov"
    assert "fit in only 0 of 3 runs" in ended.results["background"]["reason"]
    assert "fit in only 0 of 3 runs" in (ended.out / "report.html").read_text()


def test_a_misspelt_key(analyse, tmp_path):
    (tmp_path / "my.yaml").write_text("maps:\n  pixle: 0.05 deg\n")
    ended = analyse("Crab", "--config", str(tmp_path / "my.yaml"))
    assert ended.code == ConfigError.exit_code == 3
    assert "my.yaml:2: unknown key 'maps.pixle'; did you mean 'pixel'?" in ended.errors
    assert not ended.out.exists()


def test_a_file_in_place_of_the_output(analyse, tmp_path):
    (tmp_path / "file").write_text("precious")
    ended = analyse(out=tmp_path / "file")
    assert ended.code == OutputError.exit_code == 8
    assert "A file stands where a folder is needed" in ended.errors
    assert (tmp_path / "file").read_text() == "precious"


def test_an_output_without_permission(analyse, tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir(mode=0o555)
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda p, m: real(p, m) and not ("theirs" in str(p) and m & os.W_OK)
    )
    ended = analyse(out=tmp_path / "theirs")
    assert ended.code == 8 and "not writable" in ended.errors and "-o" in ended.errors


def test_a_disk_that_fills_up_in_a_step(analyse, tmp_path, monkeypatch):
    """The run's product can't be written; the same command goes on when there is room again."""
    from daybreak.requests.analysis.steps import reduce as analysis_steps

    real = analysis_steps.write_run
    calls = []

    def full(run, path, block):
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"SIMPLE  =")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(run, path, block)

    monkeypatch.setattr(analysis_steps, "write_run", full)
    ended = analyse()
    assert ended.code == 8
    assert "No space left on device" in ended.errors and "free some space" in ended.errors
    again = analyse()
    assert again.code == 0 and again.left_out == []
    assert len(calls) == 4, "the runs that were finished are kept"


def _mounted(folder: Path, options: str) -> bool:
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture()
def tmpfs(tmp_path):
    """Function: a small or read-only file system; skips where it can't be mounted."""
    folder = tmp_path / "disk"

    def mount(options: str) -> Path:
        if not _mounted(folder, options):
            pytest.skip("mounting a tmpfs needs root")
        return folder

    yield mount
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["8k", "100k", "400k"])
def test_a_full_disk(store, tmpfs, size):
    """The whole command on a disk that is too small from the start, early or late."""
    disk = tmpfs(f"size={size}")
    command = [sys.executable, "-m", "daybreak", "analyse", "Crab", "--store", str(store)]
    done = subprocess.run(
        [*command, "-o", str(disk / "out"), "--workers", "2"], capture_output=True, text=True
    )
    assert done.returncode == 8, done.stderr
    assert "No space left on device" in done.stderr or "Not enough space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(disk.rglob("*.partial-*"))


def test_a_read_only_output(analyse, tmpfs):
    disk = tmpfs("ro,size=1m")
    ended = analyse(out=disk / "out")
    assert ended.code == 8 and "read-only" in ended.errors.lower()


def test_in_python_the_same_errors_are_raised(here, store, tmp_path):
    options = {"maps": {"enabled": False}}
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="did you mean 'enabled'"):
        daybreak.analyse("Crab", store=store, out=out, options={"maps": {"enabld": False}})
    defects.truncate(store, BAD)
    result = daybreak.analyse("Crab", store=store, out=out, options=options)
    assert len(result.missing) == 1 and FILE in result.missing[0]
    assert [r.name for r in result.failed] == ["reduce-2"]
    with pytest.raises(PartialResultError, match=FILE) as caught:
        daybreak.analyse("Crab", store=store, out=out, options=options, strict=True)
    assert isinstance(caught.value, DaybreakError) and "report.html" in caught.value.hint
    again = daybreak.analyse("Crab", store=store, out=out, options=options)
    assert {s.name for s in again.steps.values() if not s.cached} == {"reduce-2"}


@pytest.mark.slow
def test_the_whole_command(store, tmp_path):
    """Everything on, real workers, one damaged run; then again with nothing to do."""
    simulate_night(store, seed=43, n_runs=3, ontime=8 * u.min, sampler="direct",
                   sources=[crab_like(scale=2)])  # fmt: skip
    defects.damage_gzip(store, BAD)
    command = [sys.executable, "-m", "daybreak", "analyse", "Crab", "--store", str(store)]
    command += ["-o", str(tmp_path / "out"), "--workers", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 10, done.stderr
    assert FILE in done.stderr and "Traceback" not in done.stderr
    results = json.loads(done.stdout)
    import importlib.resources

    import jsonschema

    schema = (
        importlib.resources.files("daybreak.report.analysis") / "schema" / "results.schema.json"
    )
    jsonschema.validate(results, json.loads(schema.read_text()))
    assert results == json.loads((tmp_path / "out" / "results.json").read_text())
    made = {p.name for p in (tmp_path / "out" / "results").iterdir()}
    for name in ("runs", "theta2", "cumulative", "spectrum_counts", "spectrum_models", "butterfly",
                 "flux_points", "lightcurve_run", "lightcurve_night", "lightcurve_minutes",
                 "map_significance", "regions", "exclusion", "runs_left_out"):  # fmt: skip
        assert f"{name}.ecsv" in made
    assert {"maps.fits", "context.json"} <= made
    assert (tmp_path / "out" / "config.yaml").exists()
    assert not list(tmp_path.rglob("*.partial-*"))
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    command.remove("--json")
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 10 and "sigma" in again.stdout
    changed = {p.name for p, t in stamps.items() if p.stat().st_mtime_ns != t}
    assert changed <= {"ledger.sqlite", "reduce-2.log", "lock"}, changed
