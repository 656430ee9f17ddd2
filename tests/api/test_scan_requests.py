"""Scans as requests of the ledger, and on the workers of an engine profile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Future

import numpy as np
import pytest

import daybreak
from daybreak.api import requests as api
from daybreak.api.scan_engine import Sender
from daybreak.errors import ConfigError, InterruptedByUser, SchedulerError, WorkerLostError
from daybreak.pipeline import ledger_view
from daybreak.pipeline.blocks import Trouble


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
    monkeypatch.setenv("DAYBREAK_STATE", str(tmp_path / "state"))


DUMMY = {"nsides": (1, 4), "likelihood": "dummy"}


def _numbers(out):
    """What a scan has found, without times and places."""
    results = json.loads((out / "results.json").read_text())
    keys = ("best_fit", "minima", "contours", "complete", "labels")
    return {key: results[key] for key in keys}


def test_a_scan_is_a_request(event, tmp_path):
    out = tmp_path / "out"
    daybreak.scan(event, out=out, **DUMMY)
    view = api.find(out)
    assert (view.kind, view.state, view.target) == ("scan", "DONE", event.name)
    assert view.id.startswith("scan-1-3-") and not view.driver
    assert [v.id for v in api.status()] == [view.id]
    again = api.resume(view)
    assert again.fitted == 0 and again.complete


def test_a_scan_that_was_stopped_is_resumed(event, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    daybreak.scan(event, out=whole, **DUMMY)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(InterruptedByUser):
        daybreak.scan(event, out=out, progress=stop, **DUMMY)
    (view,) = ledger_view.requests(out)
    assert view.state == "PLANNED" and view.interrupted
    assert [v.out for v in api.to_resume()] == [out]
    result = api.resume(view)
    assert result.complete and ledger_view.requests(out)[0].state == "DONE"
    assert _numbers(out) == _numbers(whole)


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
