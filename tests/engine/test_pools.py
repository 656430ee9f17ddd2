"""Pools on this machine: what they take, and what becomes of steps when something dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from checker import marked

from daybreak.config.engine import PoolConfig, load_engine
from daybreak.engine.pools.blocks import BlockPool, _Block
from daybreak.engine.pools.carrier import _Task
from daybreak.engine.pools.executor import PoolSetup
from daybreak.engine.pools.forking import FileLock
from daybreak.engine.pools.sizing import drain_s, local_workers, memory_mb, own_addresses
from daybreak.engine.pools.worker_pools import open_pools
from daybreak.engine.schedulers.jobs import JobInfo, JobState
from daybreak.errors import EngineError, WorkerLostError
from daybreak.ledger.step import Resources

HERE = Path(__file__).parent
PRELOAD = ("pool_steps",)


@pytest.fixture(autouse=True)
def mark(monkeypatch, tmp_path) -> str:
    """What the environment of this test's processes holds, and no other's."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("DAYBREAK_TEST_MARK", str(tmp_path))
    monkeypatch.setenv("SPT_NOENV", "1")  # the interchange sets its title, and keeps this then
    return f"DAYBREAK_TEST_MARK={tmp_path}\0"


@contextmanager
def _open(tmp_path, **values):
    values = {"tag": "t", "scratch": tmp_path, "width": 2, "workers": 2} | values
    with open_pools(load_engine("local"), preload=PRELOAD, **values) as pools:
        yield pools


def _find(mark: str, word: str) -> int:
    return next(pid for pid, line in marked(mark) if word in line)


def _left(mark: str) -> list[tuple[int, str]]:
    """Processes that are still there after two seconds."""
    end = time.monotonic() + 2
    while (left := list(marked(mark))) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def _workers(pools, count: int = 2) -> list[int]:
    """Process ids of the workers, as they say themselves."""
    pids: set[int] = set()
    end = time.monotonic() + 20
    while len(pids) < count and time.monotonic() < end:
        naps = [_nap(pools, 0.2) for _ in range(count)]
        pids |= {nap.result(30)["pid"] for nap in naps}
    assert len(pids) == count
    return sorted(pids)


def _nap(pools, seconds, **values):
    payload = {"seconds": seconds, **{k: v for k, v in values.items() if k != "priority"}}
    return pools.submit(
        "pool_steps:nap", payload, label="default", priority=values.get("priority", 0)
    )


# how many, and which ------------------------------------------------------------------------


def test_no_more_workers_than_the_steps_memory_allows():
    pool = PoolConfig(cores=8, memory="10 GB")
    small, large = Resources(memory_mb=1000), Resources(memory_mb=4000)
    assert local_workers(pool, width=100) == 8
    assert local_workers(pool, width=3) == 3
    assert local_workers(pool, width=100, workers=2) == 2
    assert local_workers(pool, width=100, needs=[small] * 50) == 8
    assert local_workers(pool, width=100, needs=[small] * 20 + [large] * 20) == 2
    assert local_workers(pool, width=100, needs=[large] + [small] * 20) == 7
    assert local_workers(pool, width=100, needs=[Resources(memory_mb=99_000)]) == 1
    by_worker = PoolConfig(cores=8, memory="10 GB", worker_memory="3 GB")
    assert local_workers(by_worker, width=100) == 3
    total, free = memory_mb()
    assert 0 < free <= total


def test_blocks_drain_before_their_walltime_ends():
    pool = PoolConfig(cores=1, walltime="2 hour")
    assert drain_s(pool, [Resources(walltime_min=30)]) == 90 * 60 - 10
    assert drain_s(pool, [Resources(walltime_min=110)]) == 3600
    assert 0 < drain_s(PoolConfig(cores=1, walltime="1 min"), []) <= 60


def test_a_step_goes_to_the_smallest_pool_that_fits():
    from daybreak.engine.pools.worker_pools import EnginePools

    text = {
        "default": {"cores": 4, "memory": "8 GB", "walltime": "1 hour"},
        "big-memory": {"cores": 2, "memory": "64 GB", "walltime": "1 hour"},
        "long": {"cores": 4, "memory": "8 GB", "walltime": "1 day", "worker_cores": 2},
    }
    profile = load_engine("slurm", overrides={"pools": text})
    pools = EnginePools(profile, {}, profile.pools)
    assert pools.label_for(Resources()) == "default"
    assert pools.label_for(Resources(memory_mb=5000)) == "big-memory"
    assert pools.label_for(Resources(walltime_min=600)) == "long"
    assert pools.label_for(Resources(cores=2)) == "long"
    with pytest.raises(EngineError, match=r"90000 MB of memory .a worker has 32000 MB"):
        pools.label_for(Resources(memory_mb=90_000))
    with pytest.raises(EngineError, match="9000 min"):
        pools.label_for(Resources(walltime_min=9000))
    with pytest.raises(EngineError, match="no pool has"):
        pools.label_for(Resources(memory_mb=20_000, walltime_min=600))


def test_addresses_never_come_from_outside(monkeypatch):
    monkeypatch.setattr("requests.get", lambda *a, **k: pytest.fail("asked a server outside"))
    assert own_addresses(load_engine("slurm"))
    assert own_addresses(load_engine("slurm", overrides=["address=127.0.0.1"])) == ("127.0.0.1",)
    with pytest.raises(EngineError, match=r"no\.such\.host\.invalid"):
        own_addresses(load_engine("slurm", overrides=["address=no.such.host.invalid"]))


def test_a_tag_has_to_fit_into_a_name(tmp_path):
    with pytest.raises(EngineError, match="job's name"), _open(tmp_path, tag="a b; c"):
        pass


def test_a_lock_is_opened_when_its_holder_dies(tmp_path):
    lock = FileLock(tmp_path / "lock")
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        lock.acquire()
        (tmp_path / "held").touch()
        time.sleep(60)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    assert not lock.acquire(block=False)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert lock.acquire(block=False)
    lock.release()


def test_a_lost_answer_is_missed(tmp_path, monkeypatch):
    """The step has ended, or its process has, and nobody has said so for a while."""
    import json
    import subprocess
    import sys

    from daybreak.engine.pools import lost_answers as vigil

    monkeypatch.setattr(vigil, "EVERY_S", 0)
    monkeypatch.setattr(vigil, "PATIENCE_S", 0.2)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    notes = {
        1: {"host": here, "pid": os.getpid()},
        2: {"host": here, "pid": gone.pid},
        3: {"host": here, "pid": os.getpid(), "result": {}},
        4: {"host": "another", "pid": gone.pid},
    }
    for number, note in notes.items():
        (tmp_path / f"{number}.json").write_text(json.dumps(note))
    tasks = [(n, str(tmp_path / f"{n}.json")) for n in (*notes, 5)] + [(6, "")]
    watch = vigil.LostAnswers(local=True)
    assert watch.lost(tasks) == []
    time.sleep(0.3)
    assert watch.lost(tasks) == [2, 3]
    assert watch.lost([tasks[0]]) == [] and watch.lost(tasks) == []


# real workers -------------------------------------------------------------------------------


@pytest.mark.slow
def test_answers_errors_and_priorities(tmp_path, mark):
    with _open(tmp_path, workers=1) as pools:
        assert pools.capacity("default") == 1 and pools.label_for(Resources()) == "default"
        answer = pools.submit("pool_steps:now", {}, label="default").result(30)
        assert answer["job"] == "" and answer["pid"] != os.getpid()
        assert pools.health() is None and pools.job_of(answer) is None
        with pytest.raises(WorkerLostError, match="ValueError: no") as caught:
            pools.submit("pool_steps:refuse", {}, label="default").result(30)
        assert isinstance(caught.value.__cause__, ValueError)
        first = _nap(pools, 0.5)
        time.sleep(0.2)
        order = []
        for name, priority in (("night", 0), ("alert", 10), ("night2", 0), ("alert2", 10)):
            future = _nap(pools, 0.05, name=name, priority=priority)
            future.add_done_callback(lambda done: order.append(done.result()["name"]))
        first.result(30)
        while len(order) < 4:
            time.sleep(0.02)
        assert order == ["alert", "alert2", "night", "night2"]
        running = _nap(pools, 60)
        time.sleep(0.3)
        assert len(list(marked(mark))) >= 3  # an interchange, a manager, a worker
    with pytest.raises(WorkerLostError, match="closed"):
        running.result(0)
    assert _left(mark) == []


@pytest.mark.slow
def test_an_interrupted_end_is_an_end_all_the_same(tmp_path, monkeypatch, mark):
    """Ctrl-C while the engine is shut: what comes after is shut too."""
    from daybreak.engine.pools import worker_pools as module

    def close(pools):
        ended(pools)
        raise KeyboardInterrupt

    ended = module.EnginePools.close
    monkeypatch.setattr(module.EnginePools, "close", close)
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # sockets lie below it
        monkeypatch.setattr("daybreak.engine.pools.sizing._short_tmp", lambda: short)
        there, folders = 0, []
        with pytest.raises(KeyboardInterrupt), _open(tmp_path, width=1, workers=1) as pools:
            _nap(pools, 0.1).result(30)
            folders = [path.name for path in Path(short).iterdir()]
            there = len(list(marked(mark)))
        assert len(folders) == 1 and folders[0].startswith("daybreak-engine-")
        assert there >= 3, "an interchange, a manager, a worker"
        assert list(Path(short).iterdir()) == [] and _left(mark) == []


def test_any_process_may_be_lost(tmp_path, mark):
    """A worker, busy or idle; the manager, its helpers, the interchange: the pool goes on."""
    with _open(tmp_path) as pools:
        pids = _workers(pools)
        for _ in range(2):  # idle ones, of which one waits for work with the queue locked
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            pids = _workers(pools)
        with pytest.raises(WorkerLostError):
            pools.submit("pool_steps:die", {}, label="default").result(30)
        for word in ("interchange", "pools.workers", "multiprocessing.forkserver"):
            busy = _nap(pools, 60)
            time.sleep(0.5)
            os.kill(_find(mark, word), signal.SIGKILL)
            with pytest.raises(WorkerLostError):
                busy.result(30)
            assert _nap(pools, 0.01).result(30)["pid"]
            assert pools.health() is None


def test_an_interchange_lost_unnoticed_stops_nobody(tmp_path, mark, monkeypatch):
    """A step given to it before its end is noticed fails, and the pool begins anew.

    ZeroMQ would wait for ever with it, and the supervisor for the lock.
    """
    monkeypatch.setattr("daybreak.engine.pools.executor.TAKES_S", 0.5)
    blind = threading.Event()
    tick = BlockPool.tick
    monkeypatch.setattr(
        BlockPool, "tick", lambda pool, *a: None if blind.is_set() else tick(pool, *a)
    )
    with _open(tmp_path) as pools:
        assert _nap(pools, 0.01).result(30)
        blind.set()
        os.kill(_find(mark, "interchange"), signal.SIGKILL)
        time.sleep(0.5)
        given: list = []
        giver = threading.Thread(target=lambda: given.append(_nap(pools, 0.01)), daemon=True)
        giver.start()
        giver.join(10)
        assert given, "giving the step has not come back"
        with pytest.raises(WorkerLostError):
            given[0].result(5)
        blind.clear()
        assert _nap(pools, 0.01).result(30)["pid"]
        assert pools.health() is None


def test_workers_that_never_come_are_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'daybreak.engine.pools.workers' in ' '.join(sys.orig_argv):\n"
        "    sys.exit('no such module on this node')\n"
    )
    with _open(tmp_path) as pools:
        end = time.monotonic() + 30
        while not pools.health() and time.monotonic() < end:
            time.sleep(0.1)
        trouble = pools.health()
        assert trouble is not None and trouble.fatal
        assert "3 jobs in a row ended before a worker came" in trouble
        assert "no such module on this node" in trouble


class _Cluster:
    """Jobs of a scheduler that never answers more than is asked here."""

    poll_s = 1.0

    def last_words(self, job):
        return ""

    def cancel(self, jobs):
        """Nothing to cancel."""


def test_a_job_that_ends_before_it_was_seen_to_work_loses_its_steps(tmp_path):
    """Its workers came, took a step and were cancelled between two looks."""
    setup = PoolSetup("default", 1, 1, 0, 1, tmp_path, (), addresses=("192.0.2.1",))
    pool = BlockPool(setup, _Cluster())
    note = tmp_path / "note.json"
    note.write_text(json.dumps({"host": "n1", "pid": 1, "job": "7"}))
    taken, other = Future(), Future()
    pool._tasks = {1: _Task(taken, None, str(note)), 2: _Task(other, None, str(tmp_path / "no"))}
    block = _Block("7", 0, 0.0, JobInfo("7", "default", JobState.GONE, "CANCELLED"))
    pool._blocks["7"] = block
    pool._block_ended(block)
    with pytest.raises(WorkerLostError, match="job 7 has ended"):
        taken.result(0)
    assert not other.done()
    assert pool._fruitless == 0, "it had a worker"
