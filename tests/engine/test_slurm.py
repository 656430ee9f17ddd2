"""Pools on a real Slurm of this host, with and without accounting, and what goes wrong with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from checker import marked
from slurm_fixtures import slurm, slurm_accounting  # noqa: F401 - fixtures

from daybreak.config.engine import load_engine
from daybreak.engine.pools.blocks import LONGEST_DELAY_S
from daybreak.engine.pools.worker_pools import cancel_stale, open_pools
from daybreak.engine.schedulers.jobs import JobEnd, SchedulerRefused, SchedulerUnavailable
from daybreak.engine.schedulers.slurm import end_of, explain
from daybreak.errors import SchedulerError, WorkerLostError

HERE = Path(__file__).parent
PROFILE = """\
kind: slurm
heartbeat: 2 s
heartbeat_threshold: 10 s
poll: 1 s
pools:
  default: {partition: short, cores: 2, memory: 1 GB, walltime: 10 min, max_blocks: 3}
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture()
def profile(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(PROFILE)

    def load(*overrides):
        return load_engine(path, overrides=overrides)

    return load


@contextmanager
def _open(profile, tmp_path, **values):
    values = {"tag": "test", "scratch": tmp_path / "scratch", "width": 1} | values
    with open_pools(profile, preload=("pool_steps",), **values) as pools:
        yield pools


def _call(pools, name="now", **payload):
    return pools.submit(f"pool_steps:{name}", payload, label="default")


def _until(true, seconds: float) -> float:
    """Wait until something is true; how long it took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, "not in time"
        time.sleep(0.1)
    return time.monotonic() - start


# without a server ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller "
         "(connect failure)", SchedulerUnavailable),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
         SchedulerUnavailable),
        ("squeue: error: slurm_receive_msg: Zero Bytes were transmitted or received",
         SchedulerUnavailable),
        ("sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job "
         "violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
         SchedulerUnavailable),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition "
         "combination specified", SchedulerRefused),
        ("sbatch: error: invalid partition specified: nope", SchedulerRefused),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not "
         "available", SchedulerRefused),
        ("", SchedulerRefused),
    ],
)  # fmt: skip
def test_refusal_and_outage_are_told_apart(said, kind):
    error = explain(said)
    assert type(error) is kind and str(error)


def test_without_slurm_the_message_says_so(profile, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match=r"'squeue' is not there"):
        cancel_stale(profile(), "x")
    with _open(profile(), tmp_path) as pools:
        _until(pools.health, 5)
        assert pools.health().fatal and "'sbatch' is not there" in pools.health()
    assert end_of("1") == JobEnd("UNKNOWN") and end_of("1; ls") == JobEnd("UNKNOWN")


# on a server --------------------------------------------------------------------------------


@pytest.mark.slurm
@pytest.mark.slow
def test_steps_run_in_named_jobs_that_end_with_the_pools(slurm, profile, tmp_path):  # noqa: F811
    with _open(profile(), tmp_path) as pools:
        answer = _call(pools).result(60)
        assert list(slurm.jobs("daybreak-test-default-")) == [answer["job"]]
        assert pools.health() is None and pools.capacity("default") == 6
        assert pools.job_of(answer) == JobEnd("RUNNING", "None")
        assert pools.job_of({}) is None
        assert [info.id for info in pools.jobs()] == [answer["job"]]
        work = [_call(pools, "nap", seconds=1) for _ in range(18)]
        jobs = {future.result(60)["job"] for future in work}
        assert len(jobs) == 3, "the pool grew to its largest"
    assert _until(lambda: not slurm.jobs(), 10) < 5
    assert end_of(answer["job"]).state in ("CANCELLED", "COMPLETED", "FAILED")
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.slurm
@pytest.mark.slow
def test_a_cancelled_job_is_noticed_and_replaced(slurm, profile, tmp_path):  # noqa: F811
    note = tmp_path / "note.json"
    patient = profile("pools.default.max_blocks=1", "heartbeat_threshold=5 min")
    with _open(patient, tmp_path) as pools:
        future = _call(pools, "noted", note=str(note), seconds=60)
        _until(note.exists, 30)
        (job,) = slurm.jobs()
        slurm.run("scancel", job)
        with pytest.raises(WorkerLostError):
            future.result(60)  # long before its heartbeats are missed
        assert pools.job_of({"job": job}).state == "CANCELLED"
        assert _call(pools).result(30)["job"] not in ("", job)
        assert pools.health() is None


@pytest.mark.slurm
@pytest.mark.slow
def test_a_node_that_dies_takes_only_its_steps(slurm, profile, tmp_path):  # noqa: F811
    with _open(profile("pools.default.max_blocks=2"), tmp_path, width=4) as pools:
        jobs = {f.result(40)["job"] for f in [_call(pools, "nap", seconds=3) for _ in range(4)]}
        assert len(jobs) == 2
        work = [_call(pools, "nap", seconds=15) for _ in range(4)]
        time.sleep(1)
        shown = slurm.run("squeue", "--noheader", "--format=%N", "--jobs", min(jobs)).stdout
        slurm.kill_node(shown.strip())
        lost = [future for future in work if future.exception(60) is not None]
        assert len(lost) == 2 and all(type(f.exception()) is WorkerLostError for f in lost)
        assert {f.result()["job"] for f in work if f not in lost} == {max(jobs)}
        slurm.start_node(shown.strip())
        assert _call(pools).result(60)["job"]
    slurm.wait_for_nodes()


@pytest.mark.slurm
@pytest.mark.slow
def test_an_outage_of_the_scheduler_is_survived(slurm, profile, tmp_path):  # noqa: F811
    """Running jobs go on; what can't be asked for now is asked for later."""
    with _open(profile(), tmp_path) as pools:
        first = _call(pools).result(60)
        slurm.kill("slurmctld")
        work = [_call(pools, "nap", seconds=0.5) for _ in range(20)]
        _until(pools.health, 20)
        assert not pools.health().fatal and "can't be reached" in pools.health()
        assert {future.result(30)["job"] for future in work} == {first["job"]}
        slurm.start_controller()
        _until(lambda: pools.health() is None, 30)
    _until(lambda: not slurm.jobs(), 10)
    slurm.kill("slurmctld")
    with _open(profile(), tmp_path) as pools:  # none is there to begin with
        future = _call(pools)
        _until(pools.health, 20)
        assert not pools.health().fatal
        with pytest.raises(SchedulerError, match="can't be cancelled"):
            cancel_stale(profile(), "test")
        slurm.start_controller()
        # a scheduler that did not answer is asked again after LONGEST_DELAY_S at most
        assert future.result(LONGEST_DELAY_S + 60)["job"]
    slurm.wait_for_nodes()


@pytest.mark.slurm
@pytest.mark.slow
def test_what_slurm_refuses_is_said(slurm, profile, tmp_path):  # noqa: F811
    for override, said in (
        ("pools.default.partition=nope", "nvalid partition"),
        ("pools.default.memory=900 GB", "Memory specification can not be satisfied"),
        ("pools.default.walltime=3 day", "never start job"),
    ):
        with _open(profile(override), tmp_path) as pools:
            _call(pools)
            _until(pools.health, 10)
            assert pools.health().fatal and said in pools.health(), pools.health()
    assert not slurm.jobs()


@pytest.mark.slurm
@pytest.mark.slow
def test_accounts_and_accounting(slurm_accounting, profile, tmp_path):  # noqa: F811
    with _open(profile("pools.default.account=nope"), tmp_path) as pools:
        _call(pools)
        _until(pools.health, 10)
        assert pools.health().fatal and "Invalid account" in pools.health()
    with _open(profile("pools.default.account=foa"), tmp_path) as pools:
        job = _call(pools).result(60)["job"]
    _until(lambda: not slurm_accounting.jobs(), 10)
    asked = ("sacct", "-X", "-n", "-P", "-j", job, "--format=Account,JobName")
    # a job that ends before its start is in the database stands there as "allocation" at first;
    # slurmctld sends its name in a round of every five seconds
    _until(lambda: "|allocation" not in slurm_accounting.run(*asked).stdout, 20)
    assert slurm_accounting.run(*asked).stdout.startswith("foa|daybreak-test-default-")
    assert end_of(job).state in ("CANCELLED", "COMPLETED", "FAILED")


@pytest.mark.slurm
@pytest.mark.slow
def test_a_job_that_runs_out_of_time_is_told_apart(slurm, profile, tmp_path):  # noqa: F811
    """slurmctld looks at limits every thirty seconds."""
    with _open(profile(), tmp_path) as pools:
        future = _call(pools, "nap", seconds=300)
        _until(lambda: "RUNNING" in slurm.jobs().values(), 30)
        (job,) = slurm.jobs()
        time.sleep(3)  # the worker has the call by then
        assert slurm.run("scontrol", "update", f"JobId={job}", "EndTime=now+2").returncode == 0
        with pytest.raises(WorkerLostError):
            future.result(90)
        assert end_of(job) == JobEnd("TIMEOUT", "TimeLimit")


DRIVER = """
import sys, time
from pathlib import Path
from daybreak.config.engine import load_engine
from daybreak.engine.pools.driver_watch import interruptible
from daybreak.engine.pools.worker_pools import open_pools
profile = load_engine(sys.argv[1])
try:
    with interruptible(), open_pools(profile, tag="test", scratch=Path(sys.argv[2]), width=20,
                                     preload=()) as pools:
        work = [pools.submit("pool_steps:nap", {"seconds": 300}, label="default")
                for _ in range(20)]
        while True:
            time.sleep(1)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_job_outlives_its_driver(slurm, profile, tmp_path, number):  # noqa: F811
    """Jobs that run and jobs that wait in the queue; no process, no folder either."""
    profile()
    path = tmp_path / "site.yaml"
    path.write_text(PROFILE.replace("max_blocks: 3", "max_blocks: 5"))
    script, scratch = tmp_path / "driver.py", tmp_path / "scratch"
    script.write_text(DRIVER)
    mark = {"DAYBREAK_TEST_MARK": str(tmp_path), "SPT_NOENV": "1"}
    process = subprocess.Popen(
        [sys.executable, str(script), str(path), str(scratch)], env=os.environ | mark
    )
    states = slurm.jobs
    _until(lambda: sorted(states().values()) == ["PENDING"] * 2 + ["RUNNING"] * 3, 30)
    time.sleep(2)
    process.send_signal(number)
    process.wait(20)
    took = _until(
        lambda: not slurm.jobs() and not list(marked(f"DAYBREAK_TEST_MARK={tmp_path}\0")), 30
    )
    print(f"all gone {took:.1f} s after {number.name}")
    assert list(scratch.iterdir()) == []


@pytest.mark.slurm
@pytest.mark.slow
def test_jobs_of_a_dead_driver_are_cancelled_by_name(slurm, profile, tmp_path):  # noqa: F811
    def submit(name):
        script = tmp_path / "job.sh"
        script.write_text("#!/bin/sh\nsleep 300\n")
        return slurm.run("sbatch", "--parsable", "--chdir=/tmp", "--output=/dev/null",
                         f"--job-name={name}", str(script)).stdout.strip()  # fmt: skip

    mine, others = submit("daybreak-test-default-0.123"), submit("daybreak-tester-default-0.1")
    assert cancel_stale(profile(), "test") == [mine]
    _until(lambda: list(slurm.jobs()) == [others], 10)
