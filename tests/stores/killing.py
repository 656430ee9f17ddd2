"""Copies that are killed at random moments, and what must hold after each."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from servers import Behaviour, serving
from store_maker import index_rows, index_runs, tree, verify_files

from daybreak.errors import DaybreakError
from daybreak.stores import copy as copy_module
from daybreak.stores.verbs import copy_store


@dataclass
class Tally:
    kills: int = 0
    ended_before: int = 0
    in_the_middle: int = 0  # the index listed some runs, not all
    restarts: int = 0
    findings: list[str] = field(default_factory=list)


def _child(source: str, dest: Path, runs: list[int] | None, checkpoint: float) -> None:
    copy_module._CHECKPOINT_S = checkpoint
    try:
        copy_store(source, dest, runs=runs)
    except DaybreakError:
        os._exit(1)
    os._exit(0)


def killed_copy(
    source: str, dest: Path, runs: list[int] | None, after: float, checkpoint: float
) -> bool:
    """Start a copy in a process of its own and kill it; whether it was still at work."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_child, args=(source, dest, runs, checkpoint))
    child.start()
    child.join(after)
    alive = child.is_alive()
    if alive:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
    child.join(30)
    return alive


def check(dest: Path, tally: Tally, total: int) -> None:
    """The index lists only runs that are here and whole; nothing that it lists is damaged."""
    if not (dest / "obs-index.fits.gz").exists():
        return
    result = verify_files(dest)
    tally.findings += [f"{f.kind} {f.where}: {f.text}" for f in result.errors]
    runs = index_runs(dest)
    if len(runs) != len(set(runs)) or {r for r, _k, _f in index_rows(dest)} != set(runs):
        tally.findings.append("the two indices do not agree")
    tally.in_the_middle += 0 < len(runs) < total


def kill_trials(
    source: Path,
    dest: Path,
    count: int,
    *,
    seed: int = 1,
    url: str | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> Tally:
    """Kill `count` copies; the store is checked after each, and begun anew now and then."""
    rng, tally = random.Random(seed), Tally()
    runs = index_runs(source)
    where = url or str(source)
    started = time.perf_counter()
    copy_store(where, dest) if url is None else None
    full = max(time.perf_counter() - started, 0.05 if url is None else 1.0)
    shutil.rmtree(dest, ignore_errors=True)
    while tally.kills < count:
        part = rng.sample(runs, rng.randint(1, len(runs))) if rng.random() < 0.4 else None
        after = rng.uniform(0.0, 1.3 * full)
        if killed_copy(where, dest, part, after, rng.choice([0.01, 0.05, 2.0])):
            tally.kills += 1
            check(dest, tally, len(runs))
        else:
            tally.ended_before += 1
        complete = (dest / "obs-index.fits.gz").exists() and len(index_runs(dest)) == len(runs)
        if complete or rng.random() < 0.1:
            shutil.rmtree(dest, ignore_errors=True)
            tally.restarts += 1
        if tally.kills and tally.kills % 50 == 0:
            say(f"{tally.kills} kills, {len(tally.findings)} findings")
    return tally


def finish(source: Path, dest: Path, url: str | None = None) -> bool:
    """Whether a last copy completes to a store that is identical byte for byte."""
    for _attempt in range(20):
        try:
            if copy_store(url or source, dest).complete:
                break
        except DaybreakError:
            continue
    there = tree(source)
    there.pop("SHA256SUMS", None)
    parts = list((dest / ".daybreak/parts").iterdir())
    return tree(dest) == there and not parts


def run_trials(source: Path, folder: Path, count: int, seed: int = 1) -> dict[str, Tally]:
    """Half of the kills with a folder as the source, half with a server that fails."""
    results = {"folder": kill_trials(source, folder / "local", count // 2, seed=seed)}
    if not finish(source, folder / "local"):
        results["folder"].findings.append("the last copy is not identical")
    how = Behaviour(latency=0.002, drop=0.05, refuse=0.03, truncate=0.05, flip=0.05, only="data/")
    with serving(source, how) as url:
        results["server"] = kill_trials(
            source, folder / "http", count - count // 2, seed=seed + 1, url=url
        )
        if not finish(source, folder / "http", url):
            results["server"].findings.append("the last copy is not identical")
    return results
