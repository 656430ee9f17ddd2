"""What is here already, what is damaged, and what has to be transferred."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.paths import OWN_FOLDER, UnsafePathError, folder_of, inside
from daybreak.stores.record import (
    MANIFEST,
    SUMS,
    FileRecord,
    parse_manifest,
    parse_sums,
)
from daybreak.stores.source import MissingSourceError, Stat, StoreSource, TransientError
from daybreak.stores.transfer import Job, check_local, looks_like_fits


@dataclass(frozen=True)
class Known:
    """What is known before looking: the destination's manifest and the source's sums."""

    records: dict[str, FileRecord]
    sums: dict[str, str]


@dataclass
class CopyPlan:
    """What a copy has to do.

    Attributes
    ----------
    jobs
        Files to transfer.
    sound
        Files that are here, whole and as they should be.
    fresh
        Records of files that were here without a valid one.
    failed
        Path to the reason why it can't be had.
    """

    jobs: list[Job] = field(default_factory=list)
    sound: set[str] = field(default_factory=set)
    fresh: list[FileRecord] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    present: int = 0
    kept: int = 0


def read_sums(source: StoreSource) -> dict[str, str]:
    """SHA-256 of the source's files: from ``SHA256SUMS``, and from its manifest.

    The manifest of a local source counts only for files whose size and time are still those of
    the record.

    Parameters
    ----------
    source
        The store that is read from.

    Returns
    -------
    dict
        Path to SHA-256.
    """
    sums: dict[str, str] = {}
    try:
        for path, record in parse_manifest(source.read(f"{OWN_FOLDER}/{MANIFEST}")).items():
            if source.is_local:
                stat = source.stat(path)
                if stat is None or (stat.size, stat.mtime_ns) != (record.size, record.mtime_ns):
                    continue
            sums[path] = record.sha256
    except (MissingSourceError, TransientError):
        pass
    with contextlib.suppress(MissingSourceError, TransientError):
        sums.update(parse_sums(source.read(SUMS)))
    return sums


def _same_as_source(stat: Stat, here: os.stat_result) -> bool:
    """Whether size and time are the source's, as far as it tells them."""
    if stat.size is not None and stat.size != here.st_size:
        return False
    if stat.mtime_ns is None:
        return stat.size is not None
    if stat.precise:
        return stat.mtime_ns == here.st_mtime_ns
    return abs(stat.mtime_ns - here.st_mtime_ns) < 1_000_000_000


@dataclass
class _Look:
    """What was found about one file."""

    sound: bool
    record: FileRecord | None = None  # a new one, if the file had to be read
    kept: bool = False
    stat: Stat | None = None


def _lstat(path: str) -> os.stat_result | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found if S_ISREG(found.st_mode) else None


class _Inspector:
    def __init__(
        self, source: StoreSource, root: Path, known: Known, *, keep: bool, verify: bool
    ) -> None:
        self.source, self.root, self.known = source, root, known
        self.keep, self.verify = keep, verify

    def look(self, path: str) -> _Look:
        """Whether the file that is here can stay; reads it only if that is not known."""
        here = _lstat(f"{self.root}/{path}")
        if here is None:
            return _Look(sound=False)
        record = self.known.records.get(path)
        fresh = None
        if self.verify or record is None or not record.fits(here):
            try:
                digest, check = check_local(self.root / path, is_fits=looks_like_fits(path))
            except (DamagedFileError, OSError):
                return _Look(sound=False)
            if record is not None and record.fits(here) and record.sha256 != digest:
                return _Look(sound=False)  # same size and time, other content: it rotted
            untouched = record is not None and record.sha256 == digest
            fresh = FileRecord(path, here.st_size, here.st_mtime_ns, digest, check)
            if record is not None and untouched and record.check == "sha256":
                fresh = FileRecord(path, here.st_size, here.st_mtime_ns, digest, "sha256")
        now = fresh or record
        assert now is not None
        wanted = self.known.sums.get(path)
        if wanted is not None:
            same, stat = now.sha256 == wanted, None
        else:
            stat = self.source.stat(path)
            same = (
                stat is None or _same_as_source(stat, here) or self._same_content(path, now, stat)
            )
        if same:
            return _Look(sound=True, record=fresh, stat=stat)
        return _Look(sound=self.keep, record=fresh, kept=self.keep, stat=stat)

    def _same_content(self, path: str, now: FileRecord, stat: Stat) -> bool:
        """Compare with a local source of the same size whose time differs."""
        if not self.source.is_local or stat.size != now.size:
            return False
        try:
            digest, _check = check_local(Path(self.source.root) / path, is_fits=False)
        except OSError:
            return False
        return digest == now.sha256


def make_plan(
    source: StoreSource,
    root: Path,
    known: Known,
    *,
    wanted: list[str],
    others: Iterable[str],
    documents: list[str],
    overwrite: bool,
    keep: bool,
    verify: bool,
    workers: int,
) -> CopyPlan:
    """Find out what has to be transferred.

    Parameters
    ----------
    source, root
        From where, and the destination's folder.
    known
        Records and sums.
    wanted
        Files of the runs that were asked for.
    others
        Files of the source's other runs: those that are here and recorded count for the index.
    documents
        Files that belong to the store as a whole.
    overwrite, keep, verify
        As in `copy_store`.
    workers
        Threads.

    Returns
    -------
    CopyPlan
        What is here, what has to come, and what can't be had.
    """
    plan = CopyPlan()
    for path in others:
        record, here = known.records.get(path), _lstat(f"{root}/{path}")
        if record is not None and here is not None and record.fits(here):
            plan.sound.add(path)
    paths = _within(plan, root, [*wanted, *documents])
    inspector = _Inspector(source, root, known, keep=keep, verify=verify)
    if overwrite:
        looks = [_Look(sound=False) for _path in paths]
    elif _all_recorded(root, known, paths) and (source.is_local or known.sums) and not verify:
        looks = [inspector.look(path) for path in paths]
    else:
        with ThreadPoolExecutor(workers) as pool:
            looks = list(pool.map(inspector.look, paths, chunksize=16))
    _sort_out(plan, source, known, set(wanted), zip(paths, looks, strict=True))
    return plan


def _sort_out(
    plan: CopyPlan,
    source: StoreSource,
    known: Known,
    asked: set[str],
    looks: Iterable[tuple[str, _Look]],
) -> None:
    """Put each file that was looked at where it belongs: sound, failed or to be transferred."""
    for path, look in looks:
        if look.record is not None:
            plan.fresh.append(look.record)
        if look.sound:
            plan.sound.add(path)
            plan.present += path in asked
            plan.kept += look.kept
            continue
        stat = look.stat or (source.stat(path) if source.is_local else None)
        if stat is None and source.is_local:
            plan.failed[path] = "not there"
            continue
        sha256 = known.sums.get(path, "")
        plan.jobs.append(Job(path, sha256, looks_like_fits(path), stat))


def _all_recorded(root: Path, known: Known, paths: list[str]) -> bool:
    """Whether nothing has to be read, so that threads would only cost time."""
    for path in paths:
        record = known.records.get(path)
        if record is None:
            return False
        here = _lstat(f"{root}/{path}")
        if here is not None and not record.fits(here):
            return False
    return True


def _within(plan: CopyPlan, root: Path, paths: list[str]) -> list[str]:
    """The paths that no symbolic link leads outside; the others are noted as failed."""
    folders: dict[str, str] = {}
    good = []
    for path in paths:
        folder = folder_of(path)
        if folder not in folders:
            try:
                inside(root, path)
                folders[folder] = ""
            except UnsafePathError as error:
                folders[folder] = error.what
        if folders[folder]:
            plan.failed[path] = folders[folder]
        else:
            good.append(path)
    return good
