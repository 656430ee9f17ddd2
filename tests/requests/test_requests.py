"""Requests after the fact: status, show, cancel, retry, resume, gc, as a user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import daybreak
from daybreak.cli import main as cli
from daybreak.errors import OutputError, RequestNotFoundError
from daybreak.ledger import reading as ledger_view
from daybreak.ledger.inbox import Inbox
from daybreak.ledger.places import ledger_path
from daybreak.ledger.request import RequestState
from daybreak.products.lock import folder_lock
from daybreak.requests import look
from daybreak.requests import manage as api

CHEAP = ("maps.enabled=false", "lightcurve.enabled=false", "spectrum.enabled=false")


@pytest.fixture()
def run(capsys, monkeypatch, tmp_path):
    """Function: run the command line in this process; exit code, output, errors."""
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def call(*args) -> tuple[int, str, str]:
        try:
            cli.main([str(a) for a in args])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        else:
            code = 0
        out, errors = capsys.readouterr()
        assert "Traceback" not in out + errors
        return code, out, errors

    return call


def stub(inputs, outputs, params):
    """Stands in for the pictures and the page, which are not what is tested."""
    for path in outputs.values():
        (path / "none.svg" if path.is_dir() else path).write_text("{}")


@pytest.fixture()
def here(here, monkeypatch):
    """Steps in this process, without pictures."""
    sane = here.run
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def run(payload):
        if payload["name"] in ("figures", "report"):
            payload = {**payload, "function": "test_requests:stub"}
        return sane(payload)

    here.run = run
    return here


@pytest.fixture()
def done(here, run, sound_store, tmp_path):
    """An analysis that was made, in a folder that the registry knows."""
    out = tmp_path / "out"
    code, _, errors = run(
        *("analyse", "Crab", "--store", sound_store, "-o", out),
        *(word for setting in CHEAP for word in ("--set", setting)),
    )
    assert code == 0, errors
    return out


def _name(out):
    return look.find(out).id


def test_nothing_is_known_yet(run):
    assert run("status") == (0, "no requests are known\n", "")
    assert run("status", "--json")[1].strip() == "[]"
    assert run("resume") == (0, "nothing to resume\n", "")
    code, _, errors = run("status", "crab")
    assert code == 25 and "no request 'crab'" in errors and "daybreak status" in errors


def test_status_of_all_and_of_one(run, done):
    name = _name(done)
    assert name.startswith("crab-") and len(name) == len("crab-") + 8
    code, out, _ = run("status")
    assert code == 0 and name in out and "DONE" in out and str(done) in out
    for which in (name, name[:10], done):
        code, out, _ = run("status", which)
        assert code == 0 and out.count("DONE") == 9 and "report" in out
    block = json.loads(run("status", name, "--json")[1])
    assert block["state"] == "DONE" and {s["state"] for s in block["steps"]} == {"DONE"}
    assert block["out"] == str(done) and block["interrupted"] is False


def test_show_a_step_and_its_log(run, done):
    code, out, _ = run("show", "counts", done)
    assert code == 0 and "PENDING -> SUBMITTED" in out and "results/theta2.ecsv" in out
    assert "sha256" in out and "attempt 1: DONE" in out and "done in" in out
    code, out, _ = run("show", "counts", done, "--log")
    assert out == (done / "results" / "counts.log").read_text()
    block = json.loads(run("show", "counts", done, "--json")[1])
    assert block["attempts"][0]["state"] == "DONE" and len(block["products"]) == 8
    code, _, errors = run("show", "count", done)
    assert code == 25 and "Did you mean 'counts'?" in errors


def test_a_folder_that_is_gone_or_damaged_is_listed_as_such(run, done):
    (ledger_path(done)).write_bytes(b"no database at all" * 99)
    code, out, _ = run("status")
    assert code == 0 and "move it away" not in out and "not a database" in out
    ledger_path(done).unlink()
    code, out, _ = run("status")
    assert code == 0 and "holds no requests" in out


def test_names_that_fit_several_requests(run, done, tmp_path, sound_store):
    for setting in ("theta2.n_bins=5", "theta2.n_bins=6"):
        settings = (*CHEAP, setting)
        code = run(
            *("analyse", "Crab", "--store", sound_store, "-o", tmp_path / "other"),
            *(word for s in settings for word in ("--set", s)),
        )[0]
        assert code == 0
    code, _, errors = run("status", "Crab")
    assert code == 25 and "can be any of" in errors and errors.count("crab-") == 3
    assert run("status", tmp_path / "other")[0] == 0


def test_retry_makes_a_named_step_again(run, done):
    before = (done / "results" / "theta2.ecsv").stat().st_mtime_ns
    code, out, _ = run("retry", done, "counts")
    assert code == 0 and "report:" in out
    assert (done / "results" / "theta2.ecsv").stat().st_mtime_ns != before
    history = ledger_view.history(done, _name(done), "counts")
    assert [a["state"] for a in history["attempts"]] == ["DONE", "DONE"]
    assert run("retry", done, "nonsense")[0] == 25


def test_retry_of_what_failed(run, here, sound_store, tmp_path):
    """A step that failed for a reason that has gone is made; its neighbours are not."""
    out = tmp_path / "out"
    sane = here.run

    def fail(payload):
        if payload["name"] == "reduce-2":
            return sane(payload | {"function": "sample:nothing"})
        return sane(payload)

    here.run = fail
    settings = [word for s in CHEAP for word in ("--set", s)]
    assert run("analyse", "Crab", "--store", sound_store, "-o", out, *settings)[0] == 10
    here.run = sane
    here.taken.clear()
    code, text, _ = run("retry", out)
    assert code == 0 and "3 used, 0 left out" in text
    assert {"reduce-1", "reduce-3"}.isdisjoint(name for name, _ in here.taken)


def test_resume_after_a_stop(run, here, sound_store, tmp_path):
    out = tmp_path / "out"
    sane = here.run

    def stop(payload):
        if payload["name"] == "counts":
            raise KeyboardInterrupt
        return sane(payload)

    here.run = stop
    settings = [word for s in CHEAP for word in ("--set", s)]
    code, _, errors = run("analyse", "Crab", "--store", sound_store, "-o", out, *settings)
    assert code == 130, errors
    assert "nobody works on it: daybreak resume crab-" in run("status")[1]
    here.run = sane
    here.taken.clear()
    code, text, _ = run("resume")
    assert code == 0 and "report:" in text and (out / "report.html").is_file()
    assert not [name for name, _ in here.taken if name.startswith("reduce")]
    assert run("resume")[1] == "nothing to resume\n"
    assert "nothing to do" in run("resume", out)[1]


def test_resume_when_the_data_are_gone(run, here, sound_store, tmp_path):
    import shutil

    store, out = tmp_path / "store", tmp_path / "out"
    shutil.copytree(sound_store, store)
    settings = [word for s in CHEAP for word in ("--set", s)]
    assert run("analyse", "Crab", "--store", store, "-o", out, *settings)[0] == 0
    shutil.rmtree(store)
    code, _, errors = run("resume", out)
    assert code == 5 and str(store) in errors


def test_a_moved_folder_goes_on(run, here, done, tmp_path):
    here.taken.clear()
    moved = done.rename(tmp_path / "moved")
    code, _, errors = run("resume", moved)
    assert code == 0, errors
    assert {"counts", "reduce-1", "reduce-2"}.isdisjoint(name for name, _ in here.taken)


def test_a_request_that_this_version_does_not_understand(run, done):
    with Inbox() as inbox:
        inbox.db.execute('UPDATE requests SET spec = \'{"kind": "analysis"}\'')
    code, _, errors = run("resume", done)
    assert code == 27 and "Run its command again" in errors
    with Inbox() as inbox:
        inbox.db.execute("UPDATE requests SET kind = 'plan'")
    code, _, errors = run("resume", done)
    assert code == 25 and "can't be resumed" in errors


def test_cancel_what_nobody_drives(run, here, sound_store, tmp_path):
    out = tmp_path / "out"

    def stop(payload):
        raise KeyboardInterrupt

    sane, here.run = here.run, stop
    settings = [word for s in CHEAP for word in ("--set", s)]
    assert run("analyse", "Crab", "--store", sound_store, "-o", out, *settings)[0] == 130
    here.run = sane
    code, text, _ = run("cancel", out)
    assert code == 0 and "CANCELLED" in text
    assert run("resume")[1] == "nothing to resume\n", "what was cancelled is not taken up by itself"
    assert run("cancel", out)[0] == 0, "again is no error"
    code, text, _ = run("resume", out)
    assert code == 0 and (out / "report.html").is_file()


@pytest.mark.slow
def test_cancel_a_running_driver(run, sound_store, tmp_path):
    """The driver in another process notices, ends with its own code and leaves nothing behind."""
    out = tmp_path / "out"
    program = "from daybreak.cli.main import main; main()"
    command = [sys.executable, "-c", program, "analyse", "Crab"]
    driver = subprocess.Popen(
        [*command, "--store", str(sound_store), "-o", str(out), "--workers", "1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60
        while not (out / "runs").is_dir() and time.monotonic() < end:
            time.sleep(0.05)
        code, text, errors = run("cancel", out)
        assert code == 0 and "CANCELLED" in text, errors
        _, errors = driver.communicate(timeout=30)
        assert driver.returncode == 26 and "was cancelled" in errors
        assert not list(out.rglob("*.partial-*"))
        assert not list((out / ".daybreak").glob("attempts/*"))
    finally:
        driver.kill()
        driver.wait()


def test_a_driver_that_does_not_answer(run, done, monkeypatch):
    """On another host nobody can be asked: the message says so, nothing is done by force."""
    with Inbox() as inbox:
        inbox.claim(_name(done))
        inbox.move(_name(done), RequestState.PLANNED)
        inbox.move(_name(done), RequestState.RUNNING)
        inbox.db.execute("UPDATE requests SET driver_host = 'elsewhere'")
    killed = []
    monkeypatch.setattr(os, "kill", lambda *a: killed.append(a))
    view = look.find(done)
    assert view.driver_alive is None and not view.interrupted
    with pytest.raises(OutputError, match="has not answered"):
        api.cancel(view, wait_s=0.5)
    assert not killed


def test_gc(run, here, done, sound_store):
    """What a former plan made goes; what is in use, or changed by somebody, stays."""
    assert "0 removed" in run("gc", done)[1]
    settings = ("spectrum.enabled=false", "lightcurve.enabled=false")
    words = [word for s in settings for word in ("--set", s)]
    first = run("analyse", "Crab", "--store", sound_store, "-o", done, *words)
    assert first[0] == 0 and (done / "results" / "maps.fits").is_file()
    words = [word for s in CHEAP for word in ("--set", s)]
    assert run("analyse", "Crab", "--store", sound_store, "-o", done, *words)[0] == 0
    (done / ".x.partial-4194303.txt").write_text("half")
    code, text, _ = run("gc", done, "--older-than", "0d", "--dry-run")
    assert code == 0 and "results/maps.fits" in text and "2 would be" not in text.split("\n")[0]
    assert (done / "results" / "maps.fits").is_file()
    (done / "results" / "map_significance.ecsv").write_text("mine now")
    assert "maps.fits" not in run("gc", done)[1], "younger than 30 days"
    code, text, _ = run("gc", done, "--older-than", "0d")
    assert code == 0 and "results/maps.fits" in text and "theta2.ecsv" not in text
    assert not (done / "results" / "maps.fits").exists()
    assert not list(done.rglob("*.partial-*"))
    assert (done / "results" / "map_significance.ecsv").read_text() == "mine now"
    words = [word for s in CHEAP for word in ("--set", s)]
    again = run("analyse", "Crab", "--store", sound_store, "-o", done, *words)
    assert again[0] == 0 and "nothing to do" in again[1]


def test_gc_waits_for_nobody(run, done):
    with folder_lock(done):
        code, _, errors = run("gc", done, "--older-than", "0d")
    assert code == 8 and "in use by process" in errors
    assert run("gc", done, "--older-than", "soon")[0] == 2


def test_a_second_driver_is_told_who_works(here, done, sound_store):
    with folder_lock(done), pytest.raises(OutputError, match=f"process {os.getpid()}"):
        daybreak.analyse("Crab", store=sound_store, out=done, settings=CHEAP)


def test_engine_settings_do_not_matter_to_the_products(here, done, sound_store):
    options = {"engine": {"workers": 1}}
    result = daybreak.analyse("Crab", store=sound_store, out=done, settings=CHEAP, options=options)
    assert result.cached


def test_find_needs_a_request(tmp_path, monkeypatch):
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path))
    with pytest.raises(RequestNotFoundError):
        look.find(tmp_path)
    assert look.status() == []
