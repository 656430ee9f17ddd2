"""The checker finds what is wrong; faults at random moments leave nothing that it finds."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

import pytest
from checker import check, files, marked
from slurm_fixtures import slurm  # noqa: F401 - a fixture
from trials import LOCAL, Bench, can_mount, describe, run_trial

from daybreak.engine.attempt import note_path, read_note, write_note
from daybreak.engine.execute import execute
from daybreak.engine.settle import recover
from daybreak.ledger.inbox import Inbox
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.step import Plan, StepResult, StepState
from daybreak.products.digest import file_digest

# the checker -------------------------------------------------------------------------------------


@pytest.fixture()
def done(root, step) -> Path:
    """A folder in which a plan of one step has been run, as a driver leaves it."""
    one = step("a")
    with Inbox(root.parent / "home") as inbox:
        inbox.submit(RequestInfo(id="plan", key="k", out=root))
        inbox.claim("plan")
        for state in (RequestState.PLANNED, RequestState.RUNNING, RequestState.DONE):
            inbox.move("plan", state)
        inbox.release("plan")
    with Ledger(root) as ledger:
        ledger.enter()
        ledger.enter_plan(Plan((one,)), "plan")
        key = ledger.key(one)
        number = ledger.submitted(one, key, "default", 500, root / "a.log")
        (root / "a.txt").write_text("A")
        outputs = {str(root / "a.txt"): file_digest(root / "a.txt")}
        result = StepResult("a", StepState.DONE, outputs=outputs)
        ledger.ended(one, key, result, number, {"started": 1.0})
    return root


def _check(out, **values):
    return check(out, home=out.parent / "home", **values)


def _sql(text, inbox=False):
    def change(out):
        path = out.parent / "home" / "inbox.sqlite"
        with sqlite3.connect(path if inbox else out / ".daybreak" / "ledger.sqlite") as db:
            assert db.execute(text).rowcount, "the test changes nothing"

    return change


def _file(name):
    def change(out):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("other")

    return change


_ATTEMPT = "INSERT INTO attempts SELECT request, step, 2, {state}, key, pool, memory_mb, host, pid, job, submitted, started, ended, exit_code, peak_mb, kind, reason FROM attempts"  # noqa: E501
_ARRIVAL = "INSERT INTO transitions (request, old, new, time, reason) VALUES "
_CHANGE = "INSERT INTO transitions (request, step, old, new, time, reason) VALUES "
DAMAGE = {
    "product changed": (_file("a.txt"), "a.txt is not what it made"),
    "product gone": (lambda out: (out / "a.txt").unlink(), "a.txt is not there"),
    "half-written": (_file(".a.partial-99.txt"), "half-written"),
    "note": (_file(".daybreak/attempts/a.1.json"), "left"),
    "scratch": (_file(".daybreak/engine/x/y"), "left"),
    "step open": (_sql("UPDATE steps SET state='RUNNING'"), "a is RUNNING"),
    "request open": (_sql("UPDATE requests SET state='RUNNING'", inbox=True), "nobody drives it"),
    "driver": (_sql("UPDATE requests SET driver_pid=7", inbox=True), "still names driver 7"),
    "attempt open": (_sql("UPDATE attempts SET state='RUNNING'"), "has no end"),
    "done twice": (_sql(_ATTEMPT.format(state="'DONE'")), "done 2 times"),
    "attempt missing": (_sql("UPDATE attempts SET number=3"), "numbered [3]"),
    "no reason": (_sql("UPDATE attempts SET state='FAILED'"), "failed without a reason"),
    "not in the table": (_sql("DELETE FROM products"), "table of products"),
    "illegal change": (
        _sql(f"{_CHANGE} ('plan', 'a', 'DONE', 'RUNNING', 1, '')"),
        "DONE -> RUNNING is not allowed",
    ),
    "gap": (_sql(f"{_CHANGE} ('plan', 'a', 'FAILED', 'PENDING', 1, '')"), "but it was DONE"),
    "request illegal": (
        _sql(f"{_ARRIVAL} ('plan', 'DONE', 'RUNNING', 1, '')", inbox=True),
        "DONE -> RUNNING is not allowed",
    ),
}


def test_the_checker_is_content_with_a_sound_folder(done):
    assert _check(done) == []
    assert list(files(done)) == ["a.txt"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checker_finds(done, damage):
    change, finding = DAMAGE[damage]
    change(done)
    assert any(finding in text for text in _check(done)), _check(done)


def test_the_checker_finds_processes_and_jobs(done):
    import subprocess
    import sys

    command = [sys.executable, "-c", "input()"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, env={"SOME_MARK": "4711-0815"})
    try:
        assert [pid for pid, _ in marked("4711-0815")] == [child.pid]
        found = check(done, mark="4711-0815", jobs=["7"])
        assert f"process {child.pid} is left" in found[0] and found[1] == "cluster job 7 is left"
    finally:
        child.communicate(b"\n")
    assert check(done, mark="4711-0815") == []


# a worker that is lost at the worst moment -------------------------------------------------------


@pytest.mark.parametrize("renamed", [True, False])
def test_products_are_announced_before_they_get_their_names(root, step, renamed):
    """Lost between the renaming and the answer: adopted. Lost before the renaming: run again."""
    one = step("a")
    with Ledger(root) as ledger:
        ledger.enter()
        ledger.enter_plan(Plan((one,)), "plan")
        key = ledger.key(one)
        number = ledger.submitted(one, key, "default", 500, root / "a.log")
        note = note_path(root, "a", number)
        execute(
            {
                "name": "a",
                "function": one.function,
                "inputs": {},
                "outputs": {"out": str(root / "a.txt")},
                "params": {},
                "note": str(note),
                "key": key.key,
            }
        )
        values = read_note(note)
        made = {**values.pop("result")}
        assert values["ended"]
        made.pop("peak_mb")
        write_note(note, {**values, "made": made})
        if not renamed:
            (root / "a.txt").rename(root / f".a.partial-{values['pid']}.txt")
        assert recover(ledger, {"a": one}) == (["a"] if renamed else [])
        assert (ledger.finished(one, key) is not None) is renamed
        assert not list(root.glob(".a.partial-*"))


def test_the_announcement_is_what_is_adopted(root, step, monkeypatch):
    """The note that a worker leaves before it renames has all that an adoption needs."""
    one = step("a")
    notes = []
    monkeypatch.setattr(
        "daybreak.engine.execute.write_note", lambda path, values: notes.append(dict(values))
    )
    payload = {"name": "a", "function": one.function, "inputs": {}, "params": {}, "key": "k"}
    answer = execute({**payload, "outputs": {"out": str(root / "a.txt")}, "note": str(root / "n")})
    begun, announced, ended = notes
    assert "made" not in begun and "result" not in announced
    assert announced["made"]["outputs"] == answer["outputs"] == ended["result"]["outputs"]
    assert json.loads(json.dumps(announced))["made"]["state"] == "DONE"


# faults ------------------------------------------------------------------------------------------


def _trials(bench: Bench, kinds, seed: int) -> None:
    bench.rehearse(times=1)
    rng = random.Random(seed)
    for number, kind in enumerate(kinds):
        trial = run_trial(bench, kind, rng, number)
        print(describe(trial))
        assert not trial.findings, describe(trial)


@pytest.mark.slow
def test_faults_on_this_machine(tmp_path):
    """One of each kind; ``python -m benchmarks.kills`` does 200."""
    kinds = [kind for kind in LOCAL if kind != "disk full" or can_mount(tmp_path)]
    _trials(Bench(tmp_path / "work", scale=0.3, workers=4), kinds, seed=5)


@pytest.mark.slurm
@pytest.mark.slow
def test_faults_on_slurm(tmp_path, slurm):  # noqa: F811
    kinds = ["driver SIGKILL", "scancel", "node", "memory limit"]
    _trials(Bench(tmp_path / "work", scale=0.5, slurm=slurm), kinds, seed=6)
