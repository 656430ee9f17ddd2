"""Scans as requests of the ledger, and on the workers of an engine profile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import daybreak
from daybreak.engine.pools.carrier import Trouble
from daybreak.errors import (
    ConfigError,
    EngineError,
    InterruptedByUser,
    RequestCancelled,
    SchedulerError,
    WorkerLostError,
)
from daybreak.ledger.inbox import Inbox
from daybreak.ledger.request import RequestState
from daybreak.neutrino.scan.pools import FitWorkers
from daybreak.requests import look
from daybreak.requests import manage as api
from daybreak.requests.scan.workers import Sender


@pytest.fixture(scope="module")
def event(tmp_path_factory):
    """A simulated track in a file of our own."""
    from daybreak.cli import main as cli

    path = tmp_path_factory.mktemp("event") / "track.json"
    with pytest.raises(SystemExit) as end:
        cli.main(["simulate", "event", "--seed", "3", "-o", str(path)])
    assert not end.value.code
    return path


@pytest.fixture(autouse=True)
def _state(monkeypatch, tmp_path):
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path / "state"))


DUMMY = {"nsides": (1, 4), "likelihood": "dummy"}


def _numbers(out):
    """What a scan has found, without times and places."""
    results = json.loads((out / "results.json").read_text())
    keys = ("best_fit", "minima", "contours", "complete", "labels")
    return {key: results[key] for key in keys}


def test_a_scan_is_a_request(event, tmp_path):
    out = tmp_path / "out"
    daybreak.scan(event, out=out, **DUMMY)
    view = look.find(out)
    assert (view.kind, view.state, view.target) == ("scan", "DONE", event.name)
    assert view.id.startswith("scan-track-") and not view.driver
    assert [v.id for v in look.status()] == [view.id]
    again = api.resume(view)
    assert again.fitted == 0 and again.complete


def test_a_scan_that_was_stopped_is_resumed(event, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    daybreak.scan(event, out=whole, **DUMMY)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(InterruptedByUser):
        daybreak.scan(event, out=out, progress=stop, **DUMMY)
    view = look.find(out)
    assert view.state == "PLANNED" and view.interrupted
    assert [v.out for v in look.to_resume()] == [out]
    result = api.resume(view)
    assert result.complete and look.find(out).state == "DONE"
    assert _numbers(out) == _numbers(whole)


def test_the_steps_of_a_scan(event, tmp_path):
    """What status and show have to say: both steps, their products, and the log."""
    out = tmp_path / "out"
    daybreak.scan(event, out=out, **DUMMY)
    view = look.find(out)
    steps = {step.name: step for step in look.steps(view)}
    assert list(steps) == ["pixels", "products"] and dict(view.steps) == {"DONE": 2}
    assert all(step.attempts == 1 and step.host for step in steps.values())
    _, history = look.step(view, "products")
    made = {row["path"] for row in history["products"]}
    assert made >= {"report.html", "results.json", "skymap.fits.gz", "results", "figures"}
    files = [row for row in history["products"] if (out / row["path"]).is_file()]
    assert all((out / row["path"]).stat().st_size == row["size"] for row in files)
    log = Path(steps["pixels"].log).read_text()
    assert "step pixels" in log and "nside 4: " in log and "done in" in log
    assert api.garbage(out, older_than_s=0) == []


def test_a_scan_is_cancelled_by_another(event, tmp_path):
    """``daybreak cancel`` is heard while it waits; the map so far is there, and it goes on."""
    out, seen = tmp_path / "out", []

    def slow(progress):
        seen.append(progress)
        time.sleep(0.3)

    def ask():
        while len(seen) < 2:
            time.sleep(0.05)
        seen.append(api.cancel(look.find(out)))

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(RequestCancelled, match="shows the map so far"):
        daybreak.scan(event, out=out, progress=slow, nsides=(1, 8, 64), likelihood="dummy")
    asking.join()
    assert seen[-1].state == "CANCELLED" and (out / "report.html").is_file()
    view = look.find(out)
    assert {step.name: step.state for step in look.steps(view)} == dict.fromkeys(
        ("pixels", "products"), "PENDING"
    )
    assert look.to_resume() == [], "who cancels does not want it to go on by itself"
    assert api.resume(view).complete and look.find(out).state == "DONE"


def test_a_scan_that_is_stopped_before_its_first_pixel(event, tmp_path, monkeypatch):
    """There is no map yet; the message says so, and the scan goes on as if it had not begun."""

    @contextmanager
    def queue(*_):
        yield FitWorkers(lambda block: Future(), 2, "queue")

    def stop(progress):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("daybreak.requests.scan.steps.pixels.fit_workers", queue)
        with pytest.raises(InterruptedByUser, match="before the first pixel"):
            daybreak.scan(event, out=out, progress=stop, **DUMMY)
    view = look.find(out)
    assert view.state == "PLANNED" and not (out / "report.html").exists()
    assert api.resume(view).complete


def test_a_driver_that_was_killed_at_the_end(event, tmp_path, monkeypatch):
    """All products are there, but the inbox still says RUNNING."""
    out, move = tmp_path / "out", Inbox.move

    def die(inbox, name, new, reason=""):
        if new is RequestState.DONE:
            raise SystemExit(9)
        move(inbox, name, new, reason)

    monkeypatch.setattr(Inbox, "move", die)
    with pytest.raises(SystemExit):
        daybreak.scan(event, out=out, **DUMMY)
    monkeypatch.undo()
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path / "state"))
    assert look.find(out).state == "RUNNING"
    daybreak.scan(event, out=out, **DUMMY)
    assert look.find(out).state == "DONE" and look.to_resume() == []


@pytest.mark.parametrize(("name", "fitted"), [("products", False), ("pixels", True)])
def test_a_step_of_a_scan_is_made_again(event, tmp_path, name, fitted):
    out = tmp_path / "out"
    daybreak.scan(event, out=out, **DUMMY)
    before = (out / "report.html").stat().st_mtime_ns
    result = api.retry(look.find(out), [name])
    assert bool(result.fitted) is fitted and result.complete
    assert (out / "report.html").stat().st_mtime_ns > before
    assert look.find(out).state == "DONE"


@pytest.mark.parametrize(("kind", "error"), [("code", EngineError), ("scheduler", SchedulerError)])
def test_a_fit_that_fails_is_told(event, tmp_path, monkeypatch, kind, error):
    def fail(*_):
        raise error("no fit today", "Try tomorrow.")

    monkeypatch.setattr("daybreak.neutrino.scan.driver._rows", fail)
    out = tmp_path / "out"
    with pytest.raises(error, match="no fit today"):
        daybreak.scan(event, out=out, **DUMMY)
    view = look.find(out)
    pixels = look.steps(view)[0]
    assert (view.state, view.reason, pixels.kind) == ("FAILED", "no fit today", kind)
    assert (pixels.state, pixels.reason, pixels.hint) == ("FAILED", "no fit today", "Try tomorrow.")


def test_an_engine_that_is_not_known(event, tmp_path):
    with pytest.raises(ConfigError, match="no engine 'slrum'; did you mean 'slurm'"):
        daybreak.scan(event, out=tmp_path / "out", engine="slrum", **DUMMY)


@pytest.mark.slow
def test_an_engine_profile_gives_the_same(event, tmp_path):
    profile = tmp_path / "here.yaml"
    profile.write_text("kind: local\n")
    daybreak.scan(event, out=tmp_path / "threads", engine="threads", **DUMMY)
    daybreak.scan(event, out=tmp_path / "engine", engine=str(profile), workers=2, **DUMMY)
    assert _numbers(tmp_path / "engine") == _numbers(tmp_path / "threads")


class Lossy:
    """Pools that lose what they are given, some times."""

    def __init__(self, losses: int) -> None:
        self.losses, self.sent, self.trouble = losses, 0, None

    def health(self):
        return self.trouble

    def submit(self, function, payload, *, label, priority=0):
        self.sent += 1
        future: Future = Future()
        if self.losses is None:
            return future
        if self.sent <= self.losses:
            future.set_exception(WorkerLostError("gone"))
        else:
            future.set_result({"rows": b""})
        return future


@pytest.mark.parametrize(("losses", "sent"), [(0, 1), (2, 3), (9, 3)])
def test_a_block_whose_worker_was_lost_is_sent_again(losses, sent):
    pools = Lossy(losses)
    sender = Sender(pools, "default", retries=2)
    answer = sender.submit({})
    assert pools.sent == sent
    if losses > 2:
        assert isinstance(answer.exception(timeout=5), WorkerLostError)
    else:
        assert answer.result(timeout=5) == {"rows": b""}
    sender.close()


def test_a_scheduler_that_refuses_ends_the_scan():
    pools = Lossy(None)
    sender = Sender(pools, "default", retries=2)
    answer = sender.submit({})
    pools.trouble = Trouble("invalid account", fatal=True)
    with pytest.raises(SchedulerError, match="invalid account"):
        answer.result(timeout=10)
    sender.close()


FITS = """
import sys
import numpy as np
from pathlib import Path
from daybreak.neutrino import read_events
from daybreak.neutrino.likelihood import get_likelihood
prepared = get_likelihood("pandel-mpe", ice="built-in").prepare(read_events(Path(sys.argv[1]))[0])
seeds = np.array([tuple(s) for s in prepared.seeds()], float)
zenith, azimuth = np.linspace(0.5, 2.5, 12), np.linspace(0, 6, 12)
fits = prepared.fit_many(zenith, azimuth, np.repeat(seeds[None], 12, 0))
np.save(sys.argv[2], fits["llh"])
"""


@pytest.mark.slow
def test_compiling_does_not_change_the_numbers(event, tmp_path):
    """The process that compiles the inner loop and those that find it compiled agree exactly."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    for name in ("first", "second"):
        command = [sys.executable, "-c", FITS, str(event), str(tmp_path / f"{name}.npy")]
        subprocess.run(command, env=environment, check=True, timeout=300)
    first, second = (np.load(tmp_path / f"{name}.npy") for name in ("first", "second"))
    assert np.isfinite(first).all() and np.array_equal(first, second)
