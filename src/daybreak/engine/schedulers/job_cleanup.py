"""Cancels the cluster's jobs of a driver that was killed, and removes its files.

A small process that the driver starts beside itself, in a session of its own. It reads from the
driver: the word ``done`` says that there is nothing to do; the end without it, that the driver was
killed. Jobs that run end by themselves then; those that wait in the queue have to be cancelled.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from daybreak.config.engine import EngineProfile
from daybreak.engine.schedulers.cancelling import cancel_named
from daybreak.errors import DaybreakError

#: seconds between two looks for jobs, and how many looks in a row have to find none
_PAUSE_S = 1.5
_QUIET_LOOKS = 3
#: seconds after which a scheduler that does not answer is given up
_GIVE_UP_S = 1800


class JobCleanup:
    """The driver's end: start the process, tell it that all is done.

    Parameters
    ----------
    profile
        The cluster.
    prefix
        Of the names of the jobs.
    folder
        To be removed.
    """

    def __init__(self, profile: EngineProfile, prefix: str, folder: Path) -> None:
        order = {"profile": profile.model_dump(mode="json"), "prefix": prefix}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "daybreak.engine.schedulers.job_cleanup"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        text = json.dumps({**order, "folder": str(folder)}) + "\n"
        stream = self._stream()
        stream.write(text.encode())
        stream.flush()

    def _stream(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def done(self) -> None:
        """Everything was given back: the process has nothing to do."""
        try:
            self._stream().write(b"done\n")
            self._stream().close()
        except OSError:
            return
        self._process.wait()

    def leave(self) -> None:
        """Something could not be given back: the process has to go on trying."""
        self._stream().close()


def _cancel_until_quiet(profile: EngineProfile, prefix: str) -> None:
    """Cancel until nothing new appears: a submission may still have been under way."""
    quiet, began = 0, time.monotonic()
    while quiet < _QUIET_LOOKS and time.monotonic() - began < _GIVE_UP_S:
        try:
            quiet = 0 if cancel_named(profile, prefix) else quiet + 1
        except DaybreakError:
            quiet = 0
        time.sleep(_PAUSE_S)


def main() -> None:
    """Wait for the driver's end."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the driver's end is what this waits for
    order = json.loads(sys.stdin.readline() or "{}")
    if not order or sys.stdin.readline().strip() == "done":
        return
    _cancel_until_quiet(EngineProfile.model_validate(order["profile"]), order["prefix"])
    shutil.rmtree(order["folder"], ignore_errors=True)


if __name__ == "__main__":
    main()
