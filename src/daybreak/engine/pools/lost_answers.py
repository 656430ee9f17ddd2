"""Steps whose answer has been lost on the way: their notes tell, Parsl does not.

A worker that is killed between taking a step and saying so, or between ending a step and sending
its answer, leaves nobody who would report the step.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from pathlib import Path

from daybreak.engine.attempt import read_note

#: seconds after which an answer that has not come is lost
PATIENCE_S = 8.0
#: seconds between two looks
EVERY_S = 2.0


class LostAnswers:
    """Looks at the notes of steps that have not ended.

    Parameters
    ----------
    local
        The workers are processes of this host.
    """

    def __init__(self, local: bool) -> None:
        self._host = socket.gethostname() if local else ""
        self._silent: dict[int, float] = {}
        self._next = 0.0

    def lost(self, tasks: Iterable[tuple[int, str]]) -> list[int]:
        """Numbers of the steps whose answer will not come.

        Parameters
        ----------
        tasks
            Number and note of each step that has not ended.
        """
        now = time.monotonic()
        if now < self._next:
            return []
        self._next = now + EVERY_S
        silent = {}
        for number, note in tasks:
            if note and self._is_silent(Path(note)):
                silent[number] = self._silent.get(number, now)
        self._silent = silent
        return [number for number, since in silent.items() if now - since > PATIENCE_S]

    def _is_silent(self, path: Path) -> bool:
        """Whether the step has ended, or its process has, as far as this host can see."""
        note = read_note(path)
        if "result" in note:
            return True
        if not note.get("pid") or note.get("host") != self._host:
            return False
        import psutil

        try:
            return bool(psutil.Process(int(note["pid"])).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False
