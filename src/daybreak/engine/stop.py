"""How a run is asked to end: a token that the driver looks at, in place of signals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum

from daybreak.errors import DaybreakError, InterruptedByUser, RequestCancelled

_ASK_EVERY_S = 0.5


class StopReason(StrEnum):
    """Why a run ends before its plan is done."""

    USER = "user"
    CANCEL = "cancel"
    SHUTDOWN = "shutdown"


class StopToken:
    """Asked once, it stays asked; any thread may ask and look.

    Parameters
    ----------
    ask
        Tells of a wish from elsewhere, e.g. another process's; called by :meth:`look`.
    """

    def __init__(self, ask: Callable[[], StopReason | None] | None = None) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._asks = [ask] if ask is not None else []
        self._asked = 0.0
        self.reason: StopReason | None = None

    def listen(self, ask: Callable[[], StopReason | None]) -> None:
        """Look for wishes there, too.

        Parameters
        ----------
        ask
            As for the class.
        """
        self._asks.append(ask)

    def deaf(self, ask: Callable[[], StopReason | None]) -> None:
        """Look there no longer.

        Parameters
        ----------
        ask
            What :meth:`listen` was given.
        """
        if ask in self._asks:
            self._asks.remove(ask)

    def request(self, reason: StopReason) -> None:
        """Ask for the end.

        Parameters
        ----------
        reason
            Why; the first one counts.
        """
        with self._lock:
            if self.reason is None:
                self.reason = reason
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the end was asked for, as far as is known; any thread may look."""
        return self._event.is_set()

    def look(self) -> bool:
        """Ask whoever is to be asked, twice a second at most; whether the end was asked for.

        For the thread that runs the request.
        """
        now = time.monotonic()
        if not self.requested and now - self._asked >= _ASK_EVERY_S:
            self._asked = now
            for ask in tuple(self._asks):
                reason = ask()
                if reason is not None:
                    self.request(reason)
        return self.requested

    def wait(self, seconds: float) -> bool:
        """Wait until the end is asked for, or so long; whether it was.

        Parameters
        ----------
        seconds
            How long at most.
        """
        end = time.monotonic() + seconds
        while not self.look():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._event.wait(min(left, _ASK_EVERY_S))
        return True

    def error(self) -> DaybreakError:
        """What the run ends with."""
        if self.reason is StopReason.CANCEL:
            return RequestCancelled("the request was cancelled", "'daybreak resume' takes it up.")
        return InterruptedByUser(
            "stopped; what was finished is kept", "The same command goes on from there."
        )

    def check(self) -> None:
        """Raise :meth:`error` if the end was asked for."""
        if self.look():
            raise self.error()
