"""How long steps take, as a site has seen it: for the time to go."""

from __future__ import annotations

import time
from collections.abc import Mapping

from daybreak.ledger.inbox import Inbox

#: weight of the past in the mean duration of a step
_MOST_SAMPLES = 20


def mean_durations(inbox: Inbox) -> dict[str, float]:
    """Mean duration in s of the functions of steps, as seen so far.

    Parameters
    ----------
    inbox
        The site's.
    """
    rows = inbox.db.execute("SELECT function, mean_s FROM durations")
    return {row["function"]: float(row["mean_s"]) for row in rows}


def learn_durations(inbox: Inbox, seen: Mapping[str, list[float]]) -> None:
    """Add the durations of steps that have just run.

    Parameters
    ----------
    inbox
        The site's.
    seen
        Function to durations in s.
    """
    if not any(seen.values()):
        return
    with inbox.writing():
        for function, values in seen.items():
            row = inbox.db.execute(
                "SELECT samples, mean_s FROM durations WHERE function=?", (function,)
            ).fetchone()
            n, mean = (row["samples"], row["mean_s"]) if row is not None else (0, 0.0)
            for value in values:
                n = min(n + 1, _MOST_SAMPLES)
                mean += (value - mean) / n
            inbox.db.execute(
                "INSERT OR REPLACE INTO durations VALUES (?,?,?,?)",
                (function, n, mean, time.time()),
            )
