"""The pixels of a scan: fitted where the engine says, stored as they arrive."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from daybreak.engine.hosted import Host
from daybreak.engine.stop import StopReason
from daybreak.ledger.step import StepStopped
from daybreak.neutrino import coordinates
from daybreak.neutrino.scan.driver import Scan, ScanProgress, ScanRun
from daybreak.neutrino.scan.journal import Journal
from daybreak.neutrino.scan.tree import Tree
from daybreak.requests.scan.prepare import PreparedScan, prepare_scan
from daybreak.requests.scan.workers import fit_workers

STEP = "pixels"
JOURNAL, RUN = "pixels.bin", "run.json"
_SAY_EVERY_S = 1.0
_LOG_EVERY_S = 10.0

log = logging.getLogger(__name__)


def pixels(
    inputs: Mapping[str, Any], outputs: Mapping[str, Path], params: Mapping[str, Any], host: Host
) -> None:
    """Fit the pixels that are missing, until the scan is complete.

    Parameters
    ----------
    inputs
        ``event``, and where they are given ``gcd``, ``geometry`` and ``ice``.
    outputs
        ``pixels``, the journal of the fits, and ``run``, a JSON file on how it went.
    params
        As for `prepare_scan`.
    host
        Gives the workers, hears how far it is, and says when to stop.

    Raises
    ------
    StepStopped
        If it has to end before the scan is complete; what was fitted is kept.
    EventError, ConfigError
        As `prepare_scan` does.
    """
    prepared = prepare_scan(inputs, params)
    work = host.work(STEP)
    earlier = host.root / ".daybreak" / "scan" / JOURNAL
    if host.again:
        (work / JOURNAL).unlink(missing_ok=True)
    elif earlier.is_file() and not (work / JOURNAL).exists():
        shutil.copyfile(
            earlier, work / JOURNAL
        )  # of another set-up: the same fits are not repeated
    tree = Tree(prepared.settings)
    with Journal(work / JOURNAL, prepared.fit_key()) as journal:
        known = len(tree.add(journal.rows))
        run, pool = _fit(prepared, tree, journal, params["provenance"], host)
    about = {
        **pool,
        "resumed_pixels": known,
        "fitted": run.fitted,
        "wall_s": run.wall_s,
        "complete": run.complete,
    }
    (work / RUN).write_text(json.dumps(about), encoding="utf-8")
    if not run.complete:
        raise StepStopped(f"stopped after {len(tree)} pixels")
    shutil.copyfile(work / JOURNAL, outputs["pixels"])
    shutil.copyfile(work / RUN, outputs["run"])


def _fit(
    prepared: PreparedScan, tree: Tree, journal: Journal, where: Mapping[str, Any], host: Host
) -> tuple[ScanRun, dict[str, Any]]:
    """Fit what is missing; where that is done changes no number."""
    seeds = np.array([tuple(s) for s in prepared.prepared.seeds()], float).reshape(-1, 4)
    start = prepared.event.header.start
    teller = _Teller(host)

    def to_local(ra: Any, dec: Any) -> Any:
        return coordinates.to_local(ra, dec, start)

    with fit_workers(prepared, where["where"], where["workers"], host) as pool:
        run = Scan(tree, journal, pool, to_local, seeds, teller).run()
    return run, {"engine": pool.name, "workers": pool.workers}


class _Teller:
    """Passes progress on, writes it down, and ends the scan when it has to."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._said = self._logged = 0.0
        self._nside = 0

    def __call__(self, now: ScanProgress) -> None:
        if self.host.stop.requested:
            raise KeyboardInterrupt
        try:
            self.host.report(now)
        except KeyboardInterrupt:  # who is told wants it to end
            self.host.stop.request(StopReason.USER)
            raise
        at = time.monotonic()
        text = f"nside {now.nside}: {now.done} of {now.wanted} pixels, {now}"
        if now.nside != self._nside or at - self._logged > _LOG_EVERY_S:
            self._nside, self._logged = now.nside, at
            log.info(text)
        if at - self._said > _SAY_EVERY_S:
            self._said = at
            self.host.say(text)
