"""How many workers, how long, where their files lie and at which address this host is reached."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from daybreak.config.engine import EngineProfile, PoolConfig
from daybreak.engine.pools.scratch import make_scratch, remove_abandoned
from daybreak.errors import EngineError
from daybreak.ledger.step import Resources

#: longest temporary folder below which Unix sockets still fit
_LONGEST_TMP = 40
_BYTES_PER_MB = 1e6
_SAFE_PATH = re.compile(r"[A-Za-z0-9_./+@:,=-]+")


def memory_mb() -> tuple[float, float]:
    """Memory of this machine, or of the control group that holds this process, in MB.

    Returns
    -------
    total, free : float
        In units of 10⁶ bytes.
    """
    import psutil

    memory = psutil.virtual_memory()
    total, free = float(memory.total), float(memory.available)
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        try:
            most, taken = int(Path(limit).read_text()), int(Path(used).read_text())
        except (OSError, ValueError):
            continue
        if most < total:
            total, free = float(most), min(free, float(most - taken))
    return total / _BYTES_PER_MB, max(free, 0.0) / _BYTES_PER_MB


def local_workers(
    pool: PoolConfig, *, width: int, workers: int = 0, needs: Sequence[Resources] = ()
) -> int:
    """Workers to start on this machine.

    Parameters
    ----------
    pool
        The profile's pool.
    width
        Steps that may ever run at once.
    workers
        Asked for by the user; 0: one per core.
    needs
        What the steps ask for: no more workers than memory holds of the largest of them.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    count = workers or (pool.cores or cores) // pool.worker_cores
    budget = float(pool.memory.to_value("MB")) if pool.memory is not None else memory_mb()[1]
    if pool.worker_memory is not None:
        count = min(count, int(budget // float(pool.worker_memory.to_value("MB"))))
    largest = sorted((r.memory_mb for r in needs), reverse=True)
    held = 0
    while held < len(largest) and sum(largest[: held + 1]) <= budget:
        held += 1
    if held < len(largest):
        count = min(count, held)
    return max(1, min(count, width))


def _short_tmp() -> str:
    """The temporary folder; /tmp where its path is too long for the sockets below it."""
    folder = tempfile.gettempdir()
    short = len(folder) < _LONGEST_TMP and _SAFE_PATH.fullmatch(folder)
    return folder if short else "/tmp"  # noqa: S108 - mkdtemp makes a private folder


def _folder_names(profile: EngineProfile, tag: str, scratch: Path) -> tuple[str, Path]:
    """How the names of the engine's folders begin, and where they are."""
    if profile.kind == "local":
        return "daybreak-engine-", Path(_short_tmp())
    return f"engine-{tag}-", (profile.scratch or scratch).absolute()


def clear_folders(profile: EngineProfile, tag: str, scratch: Path) -> None:
    """Remove what drivers that were killed have left of `run_folder`.

    Parameters
    ----------
    profile, tag, scratch
        As for `run_folder`.
    """
    remove_abandoned(*_folder_names(profile, tag, scratch))


def run_folder(profile: EngineProfile, tag: str, scratch: Path) -> Path:
    """Make the folder for the engine's own files.

    Parameters
    ----------
    profile
        The engine.
    tag
        Of the request; part of the name on a cluster.
    scratch
        Where to make it on a cluster whose profile names no folder.

    Returns
    -------
    Path
        A private folder; on a cluster one that the nodes see, too.

    Raises
    ------
    EngineError
        If it can't be made, or its name can't stand in a job's script.
    """
    prefix, base = _folder_names(profile, tag, scratch)
    if profile.kind == "local":
        return make_scratch(prefix, base)
    if not _SAFE_PATH.fullmatch(str(base)):
        raise EngineError(
            f"the engine's folder {base} has characters that job scripts can't hold",
            "Set 'scratch' in the engine's profile to a shared folder with a plain name.",
        )
    try:
        base.mkdir(parents=True, exist_ok=True)
        return make_scratch(prefix, base)
    except OSError as error:
        raise EngineError(
            f"the engine's folder {base} can't be used: {error.strerror}",
            "Set 'scratch' in the engine's profile to a folder that you and the nodes share.",
        ) from None


def own_addresses(profile: EngineProfile) -> tuple[str, ...]:
    """IP addresses at which the nodes may reach this host; never asks a server outside for one.

    Parameters
    ----------
    profile
        The engine; its ``address``, if it is set, is the only answer.

    Returns
    -------
    tuple of str
        IPv4 addresses; 127.0.0.1 if there is no other.

    Raises
    ------
    EngineError
        If the profile's address is not known.
    """
    if profile.address is not None:
        try:
            return (socket.gethostbyname(profile.address),)
        except OSError as error:
            raise EngineError(
                f"the address {profile.address!r} of this host is not known: {error}",
                "Correct 'address' in the engine's profile.",
            ) from None
    import psutil

    found = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET
    ]
    outside = [a for a in dict.fromkeys(found) if not a.startswith("127.")]
    return tuple(outside or ["127.0.0.1"])


def drain_s(pool: PoolConfig, needs: Sequence[Resources]) -> int:
    """Seconds after which a block takes no new step, so that none starts which can't finish.

    Parameters
    ----------
    pool
        Its walltime counts.
    needs
        What the plan's steps ask for; the longest counts.
    """
    longest = int(max((r.walltime_min * 60 for r in needs), default=pool.walltime_s // 4))
    return max(pool.walltime_s - longest - 10, pool.walltime_s // 2, 1)
