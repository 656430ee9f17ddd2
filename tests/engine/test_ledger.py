"""The ledger: what is done again and what is not, legal changes of state, damage, migration."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybreak.engine.attempt import note_path, read_note, write_note
from daybreak.engine.execute import execute
from daybreak.engine.settle import recover
from daybreak.errors import DiskFullError, LedgerError, OutputError, RequestNotFoundError
from daybreak.ledger import database
from daybreak.ledger import reading as ledger_view
from daybreak.ledger import schema as ledger_schema
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.places import ledger_path
from daybreak.ledger.request import RequestInfo, RequestState
from daybreak.ledger.step import Plan, StepResult, StepState
from daybreak.ledger.transitions import REQUEST, STEP, check_request, check_step


def _open(root, *steps, name="plan"):
    ledger = Ledger(root, RequestInfo(id=name))
    ledger.enter()
    ledger.enter_plan(Plan(steps), "-".join(s.name for s in steps))
    return ledger


def _execute(one, **more):
    payload = {
        "name": one.name,
        "function": one.function,
        "inputs": {k: str(v) for k, v in one.inputs.items()},
        "outputs": {k: str(v) for k, v in one.outputs.items()},
        "params": dict(one.params),
    }
    return execute(payload | more)


@pytest.fixture()
def done(step, root):
    """A step that was run and recorded."""
    (root / "in.txt").write_text("in")
    one = step("a", inputs=["in.txt"], outputs=["a.txt", "b.txt"], params={"text": "x"})
    with _open(root, one) as ledger:
        answer = _execute(one)
        result = StepResult("a", StepState(answer.pop("state")), **answer)
        ledger.ended(one, ledger.key(one), result, 0, {})
    return one


def _again(root, one, **upstream):
    with Ledger(root) as ledger:
        return ledger.finished(one, ledger.key(one, upstream))


def test_nothing_changed(root, done):
    found = _again(root, done)
    assert found.cached and found.state is StepState.DONE
    assert set(found.outputs) == {str(root / "a.txt"), str(root / "b.txt")}


def test_labels_do_not_matter(root, done):
    assert _again(root, replace(done, label="something else", required=False))


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"text": "y"}},
        {"params": {"text": "x", "more": 1}},
        {"function": "sample_steps:skip"},
    ],
)
def test_a_changed_step(root, done, change):
    assert _again(root, replace(done, **change)) is None


def test_a_changed_input(root, done):
    (root / "in.txt").write_text("other")
    assert _again(root, done) is None
    (root / "in.txt").unlink()
    assert _again(root, done) is None
    (root / "in.txt").write_text("in")
    assert _again(root, done)


def test_changed_code(root, done, monkeypatch):
    monkeypatch.setattr("daybreak.ledger.keys.function_digest", lambda *_: "new")
    assert _again(root, done) is None


def test_changed_outcomes_upstream(root, done):
    assert _again(root, done, b={"state": "FAILED", "reason": "x"}) is None


@pytest.mark.parametrize("name", ["a.txt", "b.txt"])
def test_a_missing_or_damaged_product(root, done, name):
    text = (root / name).read_text()
    (root / name).write_text("truncat")
    assert _again(root, done) is None
    (root / name).unlink()
    assert _again(root, done) is None
    (root / name).write_text(text)
    assert _again(root, done)


def test_failed_steps_are_tried_again_skipped_ones_not(root, step):
    one = step("a")
    with _open(root, one) as ledger:
        key = ledger.key(one)
        ledger.ended(one, key, StepResult("a", StepState.FAILED, "broken"), 0, {})
        assert ledger.finished(one, key) is None
        ledger.ended(one, key, StepResult("a", StepState.SKIPPED, "nothing to make"), 0, {})
        found = ledger.finished(one, key)
    assert found.state is StepState.SKIPPED and found.reason == "nothing to make" and found.cached


def test_another_request_uses_what_is_there(root, done):
    with _open(root, done, name="other") as ledger:
        assert ledger.finished(done, ledger.key(done)).cached


def test_the_folder_may_be_moved(root, done, tmp_path):
    moved = root.rename(tmp_path / "moved")
    one = replace(
        done,
        inputs={k: moved / p.name for k, p in done.inputs.items()},
        outputs={k: moved / p.name for k, p in done.outputs.items()},
    )
    assert _again(moved, one)


def test_old_products_of_a_step_that_failed_are_removed(root, done):
    with Ledger(root) as ledger:
        ledger.forget_outputs(done)
    assert not (root / "a.txt").exists() and not (root / "b.txt").exists()


def test_an_input_that_can_not_be_read(root, step):
    (root / "loop").symlink_to(root / "loop")
    with Ledger(root) as ledger, pytest.raises(OutputError, match="can't read"):
        ledger.key(step("a", inputs=["loop"]))


def test_a_digest_is_not_trusted_when_the_content_changes_in_place(root):
    """Same size, same time of change set by hand: the inode's own time tells."""
    path = root / "x"
    path.write_text("one")
    found = path.stat()
    with Ledger(root) as ledger:
        first = ledger.digests.of(path)
        path.write_text("two")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert ledger.digests.of(path) != first


# changes of state --------------------------------------------------------------------------------


@given(st.sampled_from(list(StepState)), st.sampled_from(list(StepState)))
def test_steps_go_only_where_they_may(old, new):
    if new in STEP[old]:
        check_step(old, new, "a")
    else:
        with pytest.raises(LedgerError, match=f"{old.value} to {new.value}"):
            check_step(old, new, "a")


def test_every_state_can_be_left_and_reached():
    for table, first in ((REQUEST, RequestState.RECEIVED), (STEP, StepState.PENDING)):
        seen, todo = set(), [first]
        while todo:
            state = todo.pop()
            if state not in seen:
                seen.add(state)
                todo += table[state]
        assert seen == set(table)
    with pytest.raises(LedgerError, match="RECEIVED to DONE"):
        check_request(RequestState.RECEIVED, RequestState.DONE)


def test_an_attempt_from_begin_to_end(root, step):
    one = step("a")
    with _open(root, one) as ledger:
        key = ledger.key(one)
        number = ledger.submitted(one, key, "default", 500, root / "a.log")
        ledger.started("a", number, {"host": "n1", "pid": 7, "job": "42", "started": 5.0})
        result = StepResult("a", StepState.FAILED, "odd", kind="code", exit_code=9, host="n1")
        ledger.ended(one, key, result, number, {})
    history = ledger_view.history(root, "plan", "a")
    (attempt,) = history["attempts"]
    assert (attempt["host"], attempt["pid"], attempt["job"]) == ("n1", 7, "42")
    assert (attempt["state"], attempt["kind"], attempt["exit_code"]) == ("FAILED", "code", 9)
    changes = [(t["old"], t["new"]) for t in history["transitions"]]
    assert changes == [("PENDING", "SUBMITTED"), ("SUBMITTED", "RUNNING"), ("RUNNING", "FAILED")]
    (view,) = ledger_view.steps(root, "plan")
    assert (view.state, view.reason, view.attempts, view.host) == ("FAILED", "odd", 1, "n1")


def test_nothing_is_written_of_a_change_that_is_refused(root, step):
    one = step("a")
    with _open(root, one) as ledger:
        with pytest.raises(RequestNotFoundError, match="no step 'b'"), ledger._write():
            ledger.to("a", StepState.SUBMITTED)
            ledger.to("b", StepState.SUBMITTED)
        assert ledger.step_states() == {"a": StepState.PENDING}


# a driver that was killed ------------------------------------------------------------------------


def _left_by_a_killed_driver(root, one, **note):
    ledger = _open(root, one)
    number = ledger.submitted(one, ledger.key(one), "default", 500, root / "a.log")
    write_note(note_path(root, "a", number), {"host": "n1", "pid": 99, "started": 1.0} | note)
    return ledger


def test_what_had_ended_is_adopted(root, step):
    one = step("a", params={"text": "x"})
    with Ledger(root) as ledger:
        key = ledger.key(one)
    answer = _execute(one, note=str(root / "note"), key=key.key)
    assert read_note(root / "note")["result"] == answer
    ledger = _left_by_a_killed_driver(root, one, key=key.key, result=answer)
    assert recover(ledger, {"a": one}) == ["a"]
    assert ledger.finished(one, key).cached and not ledger.open_attempts()
    assert not list((root / ".daybreak" / "attempts").iterdir())


@pytest.mark.parametrize("damage", ["product", "key", "state", "torn"])
def test_what_had_not_ended_well_is_not_adopted(root, step, damage):
    one = step("a", params={"text": "x"})
    with Ledger(root) as ledger:
        key = ledger.key(one)
    answer = _execute(one)
    note = {"key": key.key, "result": answer}
    if damage == "product":
        (root / "a.txt").write_text("other")
    elif damage == "key":
        note["key"] = "other"
    elif damage == "state":
        note["result"] = answer | {"state": "FAILED"}
    ledger = _left_by_a_killed_driver(root, one, **note)
    if damage == "torn":
        note_path(root, "a", 1).write_text('{"key": "')
    (root / ".a.partial-99.txt").write_text("half")
    assert recover(ledger, {"a": one}) == []
    assert ledger.finished(one, key) is None and not ledger.open_attempts()
    assert ledger.step_states() == {"a": StepState.PENDING}
    (attempt,) = ledger_view.history(root, "plan", "a")["attempts"]
    assert attempt["kind"] == "driver" and attempt["state"] == "FAILED"
    if damage != "torn":
        assert not (root / ".a.partial-99.txt").exists()


# the file ----------------------------------------------------------------------------------------


def test_a_file_that_is_no_ledger(root):
    ledger_path(root).parent.mkdir()
    ledger_path(root).write_bytes(b"this is not a database, whatever its name may say" * 50)
    with pytest.raises(LedgerError, match="move it away"):
        Ledger(root)


def test_a_newer_ledger_is_left_alone(root):
    Ledger(root).close()
    with sqlite3.connect(ledger_path(root)) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(LedgerError, match="schema version 99"):
        Ledger(root)


def test_an_older_ledger_is_brought_up_to_date(root, done, monkeypatch):
    more = (*ledger_schema.LEDGER, "ALTER TABLE steps ADD COLUMN colour TEXT NOT NULL DEFAULT ''")
    monkeypatch.setattr("daybreak.ledger.opened.LEDGER", more)
    assert _again(root, done)
    with sqlite3.connect(ledger_path(root)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(more)
        assert db.execute("SELECT colour FROM steps").fetchall() == [("",)]


def test_a_migration_that_fails_changes_nothing(root, monkeypatch):
    Ledger(root).close()
    more = (*ledger_schema.LEDGER, "CREATE TABLE new (a);\nSELECT nonsense FROM nowhere")
    monkeypatch.setattr("daybreak.ledger.opened.LEDGER", more)
    with pytest.raises(LedgerError, match="nowhere"):
        Ledger(root)
    with sqlite3.connect(ledger_path(root)) as db:
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name='new'").fetchall()


@pytest.mark.parametrize(
    ("line", "kind", "network"),
    [
        ("nfs.site:/home", "nfs4", True),
        ("lustre", "lustre", True),
        ("/dev/sda", "ext4", False),
        ("tmpfs", "tmpfs", False),
    ],
)
def test_network_file_systems_are_known(root, monkeypatch, line, kind, network):
    table = (
        "21 1 8:1 / / rw - ext4 /dev/root rw\n"
        f"40 21 0:50 / {root} rw,relatime shared:2 - {kind} {line} rw\n"
        f"41 21 0:51 / {root}-other rw - xfs /dev/sdb rw\n"
    )
    real = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda p, **k: table if p.name == "mountinfo" else real(p, **k)
    )
    assert database.file_system(root / ".daybreak") == kind
    assert database.is_network(kind) is network
    with Ledger(root) as ledger:
        assert ("network file system" in ledger.notice) is network
        mode = ledger.db.execute("PRAGMA journal_mode").fetchone()[0]
    assert mode == ("delete" if network else "wal")


def test_a_full_disk_is_named(root, step):
    steps = [step(f"s{i}") for i in range(50)]
    with _open(root, *steps) as ledger:
        pages = ledger.db.execute("PRAGMA page_count").fetchone()[0]
        ledger.db.execute(f"PRAGMA max_page_count={pages + 1}")
        with pytest.raises(DiskFullError, match="No space left"):
            for one in steps:
                long = StepResult(one.name, StepState.FAILED, "why " * 2000)
                ledger.ended(one, ledger.key(one), long, 0, {})


def _write_many(root, first, count):
    with Ledger(root) as ledger:
        for n in range(first, first + count):
            with ledger._write():
                ledger._log(f"step{n}", "a", "b", "")


def test_several_processes_write_at_once(root):
    Ledger(root).close()
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(root, 100 * i, 100)) for i in range(3)]
    threads = [threading.Thread(target=_write_many, args=(root, 1000, 100))]
    for worker in writers + threads:
        worker.start()
    for worker in writers + threads:
        worker.join()
    with Ledger(root) as ledger:
        found = ledger.db.execute("SELECT COUNT(DISTINCT step) FROM transitions").fetchone()[0]
    assert found == 400 and all(w.exitcode == 0 for w in writers)
