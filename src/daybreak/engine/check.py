"""A tiny plan that shows whether an engine works: what a worker finds, and how long it took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from daybreak._version import __version__
from daybreak.config.engine import EngineProfile
from daybreak.engine.pools.worker_pools import EnginePools, open_pools
from daybreak.errors import EngineError, WorkerLostError
from daybreak.products.digest import file_digest

PROBE = "daybreak.engine.check:probe"
_WORD = "written by a worker\n"


@dataclass(frozen=True)
class EngineCheck:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    good
        Whether it is as it has to be.
    found
        What was found.
    """

    name: str
    good: bool
    found: str


@dataclass(frozen=True)
class EngineReport:
    """What works of an engine.

    Attributes
    ----------
    engine
        Name of the profile.
    checks
        In the order in which they were made.
    seconds
        From the request to the first step running, by pool.
    """

    engine: str
    checks: list[EngineCheck] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Everything works."""
        return all(check.good for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "good": self.good}


def probe(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker sees; runs there.

    Parameters
    ----------
    payload
        ``told``, a file of the driver's to read, and ``written``, a file to write.

    Returns
    -------
    dict
        ``began`` (Unix time in s), ``seen`` (SHA-256 of the file, or the error), ``host``, ``job``,
        ``python``, ``daybreak``, ``cores``, ``memory_mb`` (free).
    """
    import socket

    from daybreak.engine.pools.sizing import memory_mb

    began = time.time()
    told = Path(payload["told"])
    written = Path(payload["written"])
    try:
        seen = file_digest(told)
        written.write_text(_WORD, encoding="utf-8")
    except OSError as error:
        seen = f"{type(error).__name__}: {error}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "began": began,
        "seen": seen,
        "host": socket.gethostname(),
        "job": os.environ.get("DAYBREAK_JOB_ID", ""),
        "python": sys.version.split()[0],
        "daybreak": __version__,
        "cores": cores,
        "memory_mb": memory_mb()[1],
    }


def check_engine(profile: EngineProfile, folder: Path, *, timeout_s: float = 300.0) -> EngineReport:
    """Run a probe in each pool of an engine.

    Parameters
    ----------
    profile
        The engine.
    folder
        Empty, in the kind of place in which the output folders will lie.
    timeout_s
        How long to wait for the workers of a pool, in seconds.

    Returns
    -------
    EngineReport
        What works; a pool that gives no worker is a check that is not good.
    """
    report = EngineReport(profile.name)
    started = time.time()
    try:
        with open_pools(
            profile, tag=f"test-{os.getpid()}", scratch=folder, width=1, preload=()
        ) as pools:
            report.checks.append(EngineCheck("start", True, f"{profile.kind} engine"))
            for label in pools.labels():
                _check_pool(report, pools, label, profile, folder, started, timeout_s)
    except EngineError as error:
        report.checks.append(EngineCheck("start", False, error.what))
    return report


def _check_pool(
    report: EngineReport,
    pools: EnginePools,
    label: str,
    profile: EngineProfile,
    folder: Path,
    started: float,
    timeout_s: float,
) -> None:
    told, written = folder / f"told-{label}", folder / f"written-{label}"
    told.write_text(f"{label} {started}\n", encoding="utf-8")
    payload = {"told": str(told.absolute()), "written": str(written.absolute())}
    try:
        answer = _wait(pools, label, payload, timeout_s)
    except EngineError as error:
        report.checks.append(EngineCheck(f"{label}: a worker comes", False, error.what))
        return
    report.seconds[label] = answer["began"] - started
    where = f"on {answer['host']}" + (f", job {answer['job']}" if answer["job"] else "")
    add = report.checks.append
    add(
        EngineCheck(
            f"{label}: a worker comes", True, f"after {report.seconds[label]:.1f} s {where}"
        )
    )
    shared = answer["seen"] == file_digest(told) and _appears(written)
    add(
        EngineCheck(
            f"{label}: shares the folder", shared, str(folder) if shared else answer["seen"]
        )
    )
    mine = sys.version.split()[0]
    add(
        EngineCheck(
            f"{label}: Python", answer["python"] == mine, f"{answer['python']} (here {mine})"
        )
    )
    same = answer["daybreak"] == __version__
    add(EngineCheck(f"{label}: daybreak", same, f"{answer['daybreak']} (here {__version__})"))
    pool = profile.pools[label]
    enough = int(answer["cores"]) >= pool.worker_cores
    add(EngineCheck(f"{label}: cores", enough, f"{answer['cores']} for {max(pool.cores, 1)} asked"))
    asked = "" if pool.memory is None else f", {pool.memory.to_value('MB'):.0f} MB asked"
    wanted = 0.0 if pool.memory is None else float(pool.memory.to_value("MB"))
    free = float(answer["memory_mb"])
    add(EngineCheck(f"{label}: memory", free >= wanted, f"{free:.0f} MB free{asked}"))


def _wait(
    pools: EnginePools, label: str, payload: Mapping[str, Any], timeout_s: float
) -> dict[str, Any]:
    future = pools.submit(PROBE, payload, label=label)
    end = time.monotonic() + timeout_s
    while not future.done():
        trouble = pools.health()
        if trouble is not None and (trouble.fatal or time.monotonic() > end):
            raise EngineError(str(trouble))
        if time.monotonic() > end:
            waits = [f"job {j.id}: {j.state} {j.reason}" for j in pools.jobs() if j.label == label]
            raise EngineError(f"none within {timeout_s:.0f} s; {'; '.join(waits) or 'no job'}")
        time.sleep(0.05)
    try:
        return future.result()
    except WorkerLostError as error:
        raise EngineError(error.what) from error


def _appears(path: Path, seconds: float = 5.0) -> bool:
    """Whether the worker's file is seen here; network file systems take a moment."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if path.read_text(encoding="utf-8") == _WORD:
                return True
        except OSError:
            pass
        time.sleep(0.1)
    return False
