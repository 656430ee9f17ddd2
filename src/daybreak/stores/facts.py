"""Facts of a store's event lists, read once: later listings look only at files that changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from daybreak.stores.quick import Facts, read_facts

_SAMPLE = 200  # files whose reading tells whether the disk makes one wait


class FactsCache:
    """Facts of event lists by path, size and time, kept in the user's cache folder.

    Parameters
    ----------
    root
        Absolute path of the store.
    """

    def __init__(self, root: str) -> None:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        name = hashlib.sha256(root.encode()).hexdigest()[:24]
        self._path = Path(base).expanduser() / "daybreak" / "stores" / f"{name}.json"
        self._known: dict[str, list[Any]] = {}
        self._new = False
        try:
            content = json.loads(self._path.read_bytes())
            self._known = content if isinstance(content, dict) else {}
        except (OSError, ValueError):
            self._known = {}

    def get(self, path: str, stat: os.stat_result) -> Facts | None:
        """Facts of a file that has not changed since; None if they are not known.

        Parameters
        ----------
        path
            Relative to the store, with ``/``.
        stat
            What the file is like now.

        Returns
        -------
        Facts or None
            What its header said when it was read.
        """
        entry = self._known.get(path)
        if isinstance(entry, list) and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
            try:
                return Facts(*entry[2:])
            except TypeError:
                return None
        return None

    def put(self, path: str, stat: os.stat_result, facts: Facts) -> None:
        """Remember.

        Parameters
        ----------
        path
            Relative to the store, with ``/``.
        stat
            What the file was like when it was read.
        facts
            What its header says.
        """
        values = [facts.events, facts.ontime, facts.livetime, facts.has_events]
        self._known[path] = [stat.st_size, stat.st_mtime_ns, *values]
        self._new = True

    def save(self) -> None:
        """Write it, if that is possible; a listing does not fail for its cache."""
        if not self._new:
            return
        part = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self._known, separators=(",", ":")))
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)


def facts_of(root: str, paths: Iterable[str], stats: dict[str, os.stat_result]) -> dict[str, Facts]:
    """Facts of event lists, read from the files that the cache does not know.

    Parameters
    ----------
    root
        Absolute path of the store.
    paths
        Event lists, relative to it.
    stats
        Size and time of the files that are there, by path.

    Returns
    -------
    dict
        Path to facts, of the files that are there.
    """
    cache = FactsCache(root)
    found: dict[str, Facts] = {}
    unread = []
    for path in paths:
        if path in stats and path not in found:
            facts = cache.get(path, stats[path])
            if facts is None:
                unread.append(path)
            else:
                found[path] = facts
    results = zip(unread, _read_all(root, unread), strict=True)
    for path, facts in results:
        found[path] = facts
        cache.put(path, stats[path], facts)
    cache.save()
    return found


def _read_all(root: str, paths: list[str]) -> list[Facts]:
    """Facts of many files, by several threads where the disk, and not Python, takes the time."""

    def read(part: list[str]) -> list[Facts]:
        return [read_facts(f"{root}/{path}") for path in part]

    wall, cpu = time.perf_counter(), time.thread_time()
    found, rest = read(paths[:_SAMPLE]), paths[_SAMPLE:]
    wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
    if wall < 3.0 * cpu:
        return found + read(rest)
    with ThreadPoolExecutor(8) as pool:
        parts = [rest[i : i + 50] for i in range(0, len(rest), 50)]
        return found + [facts for part in pool.map(read, parts) for facts in part]
