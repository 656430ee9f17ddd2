"""A step in this process: whatever happens comes back as data, whole products or none."""

from __future__ import annotations

import hashlib
import json
import logging
import resource
from pathlib import Path

import pytest

from daybreak.pipeline.execute import execute


@pytest.fixture()
def run(root):
    """Function: execute a sample function, check that nothing half-written is left."""

    def call(function: str, outputs=("out.txt",), **payload):
        block = {
            "name": "s",
            "function": function if ":" in function else f"sample_steps:{function}",
            "inputs": {},
            "outputs": {
                "out" + (str(i) if i else ""): str(root / o) for i, o in enumerate(outputs)
            },
            "params": {},
            "log": str(root / "log" / "s.log"),
        }
        answer = execute(block | payload)
        assert json.loads(json.dumps(answer)) == answer
        assert not list(root.rglob("*.partial-*"))
        return answer

    return call


def test_done(run, root):
    (root / "in.txt").write_text("b")
    answer = run("write", params={"text": "a"}, inputs={"one": str(root / "in.txt")})
    assert answer["state"] == "DONE" and answer["seconds"] >= 0
    digest = hashlib.sha256(b"ab").hexdigest()
    assert answer["outputs"] == {str(root / "out.txt"): digest}
    assert "done in" in (root / "log" / "s.log").read_text()


@pytest.mark.parametrize(
    ("function", "error", "exit_code", "reason", "hint"),
    [
        ("fail", "EngineError", 9, "ValueError: a number is odd", "the step's log"),
        ("refuse", "RunDataError", 7, "file.fits: damaged", "Copy it again."),
        ("nothing", "OutputError", 8, "did not write out.txt", "log"),
        ("full", "OutputError", 8, "No space left", "free some space"),
        ("full_elsewhere", "OutputError", 8, "/scratch/tmp: No space left", "free some space"),
        ("output_refused", "OutputError", 8, "no room", "Make some."),
        ("no_such_module:f", "EngineError", 9, "No module named", "log"),
        ("no_such_function", "EngineError", 9, "no attribute", "log"),
    ],
)
def test_failures_are_data(run, root, function, error, exit_code, reason, hint):
    answer = run(function)
    assert (answer["state"], answer["error"], answer["exit_code"]) == ("FAILED", error, exit_code)
    assert reason in answer["reason"] and hint in answer["hint"]
    assert answer["outputs"] == {}
    assert not (root / "out.txt").exists()
    assert "failed" in (root / "log" / "s.log").read_text()
    assert "Traceback" in (root / "log" / "s.log").read_text()


def test_skipped(run, root):
    answer = run("skip")
    assert (answer["state"], answer["reason"]) == ("SKIPPED", "nothing to make")
    assert not (root / "out.txt").exists()


def test_an_earlier_product_survives_a_failure(run, root):
    (root / "out.txt").write_text("old")
    run("fail")
    assert (root / "out.txt").read_text() == "old"


def test_all_outputs_or_none(run, root):
    run("fail", outputs=("a.txt", "b.txt"))
    assert not (root / "a.txt").exists() and not (root / "b.txt").exists()


def test_an_interruption_is_no_result(run, root):
    with pytest.raises(KeyboardInterrupt):
        run("interrupt")
    assert not (root / "out.txt").exists()


def test_what_libraries_say_goes_to_the_log_only(run, root, capsys):
    before = logging.getLogger().handlers[:]
    run("warn")
    text = (root / "log" / "s.log").read_text()
    assert "said in passing" in text and "beware of this" in text
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger().handlers == before


def test_an_output_folder_that_can_not_be_made(run, root):
    (root / "file").write_text("")
    answer = run("write", outputs=("file/out.txt",))
    assert answer["error"] == "OutputError" and "A file stands where" in answer["hint"]


def test_a_log_that_can_not_be_written(run, root):
    (root / "file").write_text("")
    answer = run("write", log=str(root / "file" / "s.log"))
    assert answer["error"] == "OutputError" and answer["exit_code"] == 8
    assert not (root / "out.txt").exists()


def test_a_file_larger_than_allowed(run, root):
    """A limit on file sizes acts as a full disk does: the write fails half-way."""
    import signal

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
    try:
        answer = run("write", params={"text": "x" * 100_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, previous)
    assert answer["error"] == "OutputError" and "File too large" in answer["reason"]
    assert not (root / "out.txt").exists()


def test_no_log_asked_for(run, root):
    assert run("write", log=None)["state"] == "DONE"
    assert [p.name for p in Path(root).iterdir()] == ["out.txt"]
