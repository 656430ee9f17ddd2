"""Plans on Parsl: failures stay where they are, nothing is done twice, nobody is left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from checker import marked

from daybreak.engine.control import Control
from daybreak.engine.run import run_plan
from daybreak.ledger import reading as ledger_view
from daybreak.ledger.step import Plan, Resources

HERE = Path(__file__).parent
PRELOAD = ("daybreak.engine.execute",)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def _run(plan, root, **kwargs):
    return run_plan(plan, root, workers=2, preload=PRELOAD, **kwargs)


def _states(results):
    return {name: r.state.value for name, r in results.items()}


def _partials(root):
    return list(root.rglob("*.partial-*"))


def test_a_plan_from_end_to_end(step, root):
    """Failure, skip, a lost worker, a full disk: the others go on, tolerant steps hear of it."""
    plan = Plan((
        step("a", params={"text": "A"}),
        step("b", inputs=["a.txt"], params={"text": "B"}),
        step("bad", "fail"),
        step("refused", "refuse"),
        step("after-bad", inputs=["bad.txt"]),
        step("after-after", inputs=["after-bad.txt"]),
        step("skipped", "skip"),
        step("full", "full"),
        step("report", "tell_upstream", inputs=["b.txt", "bad.txt", "skipped.txt"], tolerant=True),
    ))  # fmt: skip
    heard = []
    results = _run(plan, root, control=Control(progress=heard.append))
    assert _states(results) == {
        "a": "DONE",
        "b": "DONE",
        "bad": "FAILED",
        "refused": "FAILED",
        "after-bad": "SKIPPED",
        "after-after": "SKIPPED",
        "skipped": "SKIPPED",
        "full": "FAILED",
        "report": "DONE",
    }
    assert (root / "b.txt").read_text() == "BA"
    assert results["bad"].reason == "ValueError: a number is odd"
    assert results["refused"].exit_code == 7 and results["full"].exit_code == 8
    assert results["after-bad"].reason == "bad: ValueError: a number is odd"
    told = (root / "report.txt").read_text().splitlines()
    assert told == [
        "b DONE ",
        "bad FAILED ValueError: a number is odd",
        "skipped SKIPPED nothing to make",
        "inputs ['in0']",
    ]
    told = [h for h in heard if h.result is not None]
    assert [h.ended for h in told] == list(range(1, 10)) and {h.total for h in heard} == {9}
    assert not _partials(root)
    made = {p.name for p in root.glob("*.txt")}
    assert made == {"a.txt", "b.txt", "report.txt"}

    again = _run(plan, root)
    assert _states(again) == _states(results)
    assert {n for n, r in again.items() if r.cached} == {"a", "b", "skipped", "report"}

    (root / "a.txt").write_text("damaged")
    third = _run(Plan(plan.steps[:2]), root)
    assert (root / "b.txt").read_text() == "BA"
    assert not third["a"].cached and third["b"].cached, "the same input again: b is still right"


@pytest.mark.slow
def test_lost_workers(step, root):
    """One that is lost once is replaced, one that is lost always fails its step only."""
    mark = {"mark": str(root / "mark")}
    plan = Plan((
        step("dies", "die"),
        step("dies-once", "die_first", params=mark),
        step("a"),
        step("b", inputs=["a.txt"]),
    ))  # fmt: skip
    results = _run(plan, root)
    assert _states(results) == {"dies": "FAILED", "dies-once": "DONE", "a": "DONE", "b": "DONE"}
    dies = results["dies"]
    assert "worker was lost" in dies.reason and "tried 3 times" in dies.reason
    assert (dies.exit_code, dies.kind, dies.attempts) == (20, "lost", 3)
    assert not _partials(root)
    attempts = ledger_view.history(root, "plan", "dies-once")["attempts"]
    assert attempts[0]["kind"] == "lost" and attempts[0]["reason"].startswith("the worker was lost")
    assert (attempts[-1]["state"], attempts[-1]["kind"]) == ("DONE", "")


@pytest.mark.slow
def test_a_step_that_takes_too_much_memory_gets_more(step, root):
    mark = {"mark": str(root / "mark"), "mb": 500}
    plan = Plan((
        step("once", "hold_first", params=mark, resources=Resources(memory_mb=400)),
        step("never", "hoard", resources=Resources(memory_mb=300)),
    ))  # fmt: skip
    results = _run(plan, root)
    assert _states(results) == {"once": "DONE", "never": "FAILED"}
    first, second = ledger_view.history(root, "plan", "once")["attempts"]
    assert first["kind"] == "memory" and "more than the 400 MB" in first["reason"]
    assert second["memory_mb"] >= 800 and second["state"] == "DONE"
    assert results["never"].exit_code == 22 and results["never"].kind == "memory"


DRIVER = """
import sys
from pathlib import Path
from daybreak.errors import DaybreakError
from daybreak.engine.control import Control
from daybreak.cli.running import stop_on_signals
from daybreak.engine.control import Control
from daybreak.engine.run import run_plan
from daybreak.ledger.step import Plan, Step
from daybreak.products.lock import folder_lock
root = Path(sys.argv[1])
out = lambda name: {"out": root / f"{name}.txt"}
steps = [Step("quick", "sample_steps:write", {}, out("quick"))]
steps += [
    Step(f"slow{i}", "sample_steps:slow", {}, out(f"slow{i}"),
         {"seconds": float(sys.argv[2]), "started": str(root / f"started{i}")})
    for i in range(2)
]
try:
    with folder_lock(root):
        preload = ("daybreak.engine.execute",)
        with stop_on_signals() as stop:
            results = run_plan(
                Plan(tuple(steps)), root, workers=2, preload=preload, control=Control(stop=stop)
            )
except DaybreakError as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
print({n: (r.state.value, r.cached) for n, r in results.items()})
print([r.reason for r in results.values()])
"""


@pytest.fixture()
def driver(root, tmp_path, monkeypatch):
    """Function: start a driver in a process of its own, wait until its slow steps run."""
    scratch = Path(tempfile.mkdtemp(prefix="dbt-", dir="/tmp"))
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = os.environ | {"DAYBREAK_TEST_MARK": str(root), "SPT_NOENV": "1"}
    started = []

    def start(
        seconds: float = 120.0, wait: bool = True, scratch: Path = scratch
    ) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, str(script), str(root), str(seconds)],
            env=environment | {"TMPDIR": str(scratch)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        for _ in range(600 if wait else 0):
            if all((root / f"started{i}").exists() for i in range(2)):
                break
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        return process

    start.scratch = scratch
    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
    for left, _ in _marked(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    shutil.rmtree(scratch, ignore_errors=True)


def _marked(root: Path) -> list[tuple[int, str]]:
    """Every process that descends from a driver of this test, by its environment."""
    return list(marked(f"DAYBREAK_TEST_MARK={root}\0"))


def _none_left(root: Path, seconds: float = 10) -> list[str]:
    end = time.monotonic() + seconds
    while (left := _marked(root)) and time.monotonic() < end:
        time.sleep(0.2)
    return [line for _, line in left]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_politely(driver, root, number):
    """Finished steps stay; the message says so; nobody and nothing half-written remains."""
    process = driver()
    assert len(_marked(root)) >= 4
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "InterruptedByUser: stopped; what was finished is kept" in errors
    assert "Traceback" not in errors
    assert _none_left(root) == []
    assert (root / "quick.txt").exists() and not (root / "slow0.txt").exists()
    assert list(driver.scratch.iterdir()) == []

    done = driver(seconds=0.1, wait=False)
    output, errors = done.communicate(timeout=60)
    assert done.returncode == 0, errors
    assert "'quick': ('DONE', True)" in output and "'slow1': ('DONE', False)" in output


@pytest.mark.slow
def test_killed(driver, root):
    """SIGKILL leaves no chance to clean up: the helpers notice by themselves."""
    process = driver()
    process.kill()
    process.wait()
    assert _none_left(root) == []
    assert (root / "quick.txt").exists() and not (root / "slow0.txt").exists()
    deadline = time.monotonic() + 5
    while list(driver.scratch.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert list(driver.scratch.iterdir()) == []

    from daybreak.products.atomic import remove_stale_partials

    remove_stale_partials(root)
    assert not _partials(root)
    done = driver(seconds=0.1, wait=False)
    output, errors = done.communicate(timeout=60)
    assert done.returncode == 0, errors
    assert "'quick': ('DONE', True)" in output


@pytest.mark.slow
def test_two_drivers_on_one_output(driver, root):
    first = driver()
    second = driver(wait=False)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 8 and f"is in use by process {first.pid}" in errors
    assert first.poll() is None
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert _none_left(root) == []


def test_nothing_is_left_after_a_normal_end(driver, root):
    process = driver(seconds=0.1, wait=False)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert _none_left(root, 5) == []
    assert list(driver.scratch.iterdir()) == []
    assert not [
        p
        for p in Path(tempfile.gettempdir()).glob("daybreak-crash-*")
        if str(process.pid) in p.name
    ]


def test_a_long_temporary_folder(driver, root, tmp_path):
    """Sockets have short names: a long TMPDIR, as batch systems set it, must not matter."""
    long = tmp_path / ("x" * 60) / ("y" * 60)
    long.mkdir(parents=True)
    process = driver(seconds=0.1, wait=False, scratch=long)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and output.count("DONE") == 3, output + errors
    assert list(long.iterdir()) == []
