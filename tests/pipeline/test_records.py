"""What is done again, and what is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from daybreak.errors import OutputError
from daybreak.pipeline.execute import execute
from daybreak.pipeline.records import Records
from daybreak.pipeline.step import StepResult, StepState


@pytest.fixture()
def done(step, root):
    """A step that was run and recorded."""
    (root / "in.txt").write_text("in")
    one = step("a", inputs=["in.txt"], outputs=["a.txt", "b.txt"], params={"text": "x"})
    records = Records(root)
    payload = {
        "name": one.name,
        "function": one.function,
        "inputs": {k: str(v) for k, v in one.inputs.items()},
        "outputs": {k: str(v) for k, v in one.outputs.items()},
        "params": dict(one.params),
    }
    answer = execute(payload)
    result = StepResult("a", StepState(answer.pop("state")), **answer)
    records.store(one, records.key(one), result)
    return one


def _again(root, one, **upstream):
    records = Records(root)
    return records.finished(one, records.key(one, upstream))


def test_nothing_changed(root, done):
    found = _again(root, done)
    assert found.cached and found.state is StepState.DONE
    assert set(found.outputs) == {"a.txt", "b.txt"}


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
    monkeypatch.setattr("daybreak.pipeline.records.code_digest", lambda: "new")
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


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"key": 1}', '"x"', '{"outputs": []}', "\udcff"]
)
def test_a_damaged_record(root, done, text):
    path = root / ".daybreak" / "steps" / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert _again(root, done) is None


def test_a_record_of_the_right_key_but_other_content(root, done):
    path = root / ".daybreak" / "steps" / "a.json"
    record = json.loads(path.read_text())
    for change in ({"state": "FAILED"}, {"outputs": {}}, {"outputs": None}, {"state": "X"}):
        path.write_text(json.dumps(record | change))
        assert _again(root, done) is None, change


def test_failed_steps_are_tried_again_skipped_ones_not(root, step):
    one = step("a")
    records = Records(root)
    key = records.key(one)
    records.store(one, key, StepResult("a", StepState.FAILED, "broken"))
    assert records.finished(one, key) is None
    records.store(one, key, StepResult("a", StepState.SKIPPED, "nothing to make"))
    found = records.finished(one, key)
    assert found.state is StepState.SKIPPED and found.reason == "nothing to make" and found.cached


def test_the_folder_may_be_moved(root, done, tmp_path):
    moved = root.rename(tmp_path / "moved")
    one = replace(
        done,
        inputs={k: moved / p.name for k, p in done.inputs.items()},
        outputs={k: moved / p.name for k, p in done.outputs.items()},
    )
    assert _again(moved, one)


def test_old_products_of_a_step_that_failed_are_removed(root, done):
    Records(root).forget_outputs(done)
    assert not (root / "a.txt").exists() and not (root / "b.txt").exists()


def test_an_input_that_can_not_be_read(root, step):
    (root / "folder").mkdir()
    with pytest.raises(OutputError, match="can't read"):
        Records(root).key(step("a", inputs=["folder"]))
