"""Calls for the tests of pools; the workers import them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def now(payload):
    return {"time": time.time(), "pid": os.getpid(), "job": os.environ.get("DAYBREAK_JOB_ID")}


def nap(payload):
    time.sleep(payload["seconds"])
    return now(payload) | {"name": payload.get("name", "")}


def noted(payload):
    """Sleep after writing the note that a step's worker writes."""
    from daybreak.engine.attempt import here, write_note

    write_note(Path(payload["note"]), here())
    time.sleep(payload["seconds"])
    return now(payload)


def die(payload):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(payload):
    raise ValueError("no")
