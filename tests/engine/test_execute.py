"""A step in this process: whatever happens comes back as data, whole products or none."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daybreak.engine.attempt import read_note
from daybreak.engine.execute import execute


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
        ("full", "DiskFullError", 8, "No space left", "free some space"),
        ("full_elsewhere", "DiskFullError", 8, "/scratch/tmp: No space left", "free some"),
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


def _mark(path):
    found = path.stat()
    return {str(path): (found.st_size, found.st_mtime_ns)}


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("how", ["vanish", "change"])
def test_an_input_that_vanishes_or_changes(run, root, when, how):
    """A step must not be made of something else than its plan says, nor blamed for it."""
    path = root / "in.txt"
    path.write_text("as planned")
    expected = _mark(path)
    if when == "before":
        path.unlink() if how == "vanish" else path.write_text("other")
        answer = run("write", inputs={"one": str(path)}, expected=expected)
    else:
        function = f"sample_steps:{how}_input"
        answer = run(function, inputs={"one": str(path)}, expected=expected)
    said = "has vanished" if how == "vanish" else "has changed since the plan was made"
    assert answer["kind"] == "input" and answer["exit_code"] == 24 and said in answer["reason"]
    assert not (root / "out.txt").exists()


@pytest.mark.parametrize(
    ("function", "kind"), [("fail", "code"), ("full", "disk"), ("no_memory", "memory")]
)
def test_kinds_of_failure(run, function, kind):
    assert run(function)["kind"] == kind


@pytest.mark.parametrize(
    ("limits", "params", "kind"),
    [
        ({"memory_mb": 150}, {"mb": 300}, "memory"),
        ({"walltime_s": 0.4}, {"mb": 1}, "walltime"),
    ],
)
def test_a_step_that_takes_too_much_ends_its_worker(root, limits, params, kind):
    """The process is gone; its note says why, where, and how much it took."""
    payload = {"name": "s", "function": "sample_steps:hold", "inputs": {}, "params": params}
    payload |= {"outputs": {"out": str(root / "o")}, "note": str(root / "note"), **limits}
    program = "import json, sys; from daybreak.engine.execute import execute; "
    program += "execute(json.loads(sys.argv[1]))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", program, json.dumps(payload)]
    done = subprocess.run(command, env=environment, timeout=60)
    note = read_note(root / "note")
    assert done.returncode == -signal.SIGKILL and note["kill"] == kind
    assert note["host"] and note["pid"] and note["peak_mb"] > 20
    if kind == "memory":
        assert note["peak_mb"] > 150
    assert not (root / "o").exists()


def test_what_was_taken_is_told(run):
    small = run("write")["peak_mb"]
    large = run("hold", params={"mb": 200, "seconds": 0})["peak_mb"]
    again = run("write")["peak_mb"]
    assert large > small + 150 and again < large - 100, "the peak is the step's own"
