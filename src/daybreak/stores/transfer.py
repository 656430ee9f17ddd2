"""Bring one file from a source to a temporary name in a store, and check it on the way."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.fits import FileChecker, FitsWalker
from daybreak.stores.landing import Arrived, begin_writing
from daybreak.stores.record import FileRecord, StoreFolder
from daybreak.stores.source import CHUNK, MissingSourceError, Stat, StoreSource, TransientError

ATTEMPTS = 6
_WRITE_OUT = 1 << 24  # bytes of a large file after which the kernel begins to write them to disk
_SMALL = 1 << 18  # smaller files are left to the sync of their batch, which writes them in one go
_FITS_ENDS = (".fits", ".fits.gz", ".fit", ".fit.gz", ".fits.fz", ".fts", ".fts.gz")


class StoppedError(Exception):
    """The user stopped the copy."""


@dataclass
class Job:
    """One file to be brought.

    Attributes
    ----------
    path
        Relative to both stores.
    sha256
        What the source says it should be; empty if it does not.
    is_fits
        Whether its structure can be checked.
    stat
        Size and time at the source, where they are known already.
    later
        A file that will be asked for some files after this one.
    """

    path: str
    sha256: str = ""
    is_fits: bool = True
    stat: Stat | None = None
    later: str = ""


def looks_like_fits(path: str) -> bool:
    """Whether a file of this name should be a FITS file.

    Parameters
    ----------
    path
        Relative to the store, with ``/``.

    Returns
    -------
    bool
        By its ending.
    """
    return path.lower().endswith(_FITS_ENDS)


def check_local(path: Path, *, is_fits: bool) -> tuple[str, str]:
    """Digest of a file that is here, after checking its structure.

    Parameters
    ----------
    path
        The file.
    is_fits
        Whether its structure is to be checked.

    Returns
    -------
    sha256 : str
        Of its content.
    check : str
        What it was checked against, as in `FileRecord`.

    Raises
    ------
    DamagedFileError
        If it is not a whole FITS file although it should be.
    """
    sha, checker = hashlib.sha256(), FileChecker(FitsWalker(structure_only=True))
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            sha.update(chunk)
            if is_fits:
                checker.feed(chunk)
    return sha.hexdigest(), _finish(checker) if is_fits else "none"


def _finish(checker: FileChecker) -> str:
    checker.finish()
    return "gzip" if checker.compressed else "fits"


class FileCarrier:
    """Carries files from a source into a store; used by many threads at once.

    Parameters
    ----------
    source, store
        From where and to where.
    stop
        Set it to end all transfers at their next chunk.
    on_bytes
        Called with the number of bytes of each chunk that came.
    """

    def __init__(
        self,
        source: StoreSource,
        store: StoreFolder,
        stop: threading.Event,
        on_bytes: Callable[[int], None],
    ) -> None:
        self.source, self.store = source, store
        self._stop, self._on_bytes = stop, on_bytes

    def bring(self, job: Job) -> Arrived:
        """Bring one file to a temporary name.

        Tries again when the transfer broke off or damaged it.

        Parameters
        ----------
        job
            The file.

        Returns
        -------
        Arrived
            Its temporary path and its record.

        Raises
        ------
        MissingSourceError, TransientError, DamagedFileError
            If it can't be had whole.
        OSError
            If it can't be written.
        StoppedError
            If the user stopped the copy.
        """
        failure: Exception | None = None
        seen: set[str] = set()
        for attempt in range(ATTEMPTS):
            if attempt:
                pause = min(0.1 * 3.0 ** (attempt - 1), 5.0) * random.uniform(0.5, 1.5)  # noqa: S311
                if self._stop.wait(pause if isinstance(failure, TransientError) else 0.02):
                    raise StoppedError
            try:
                return self._once(job)
            except MissingSourceError:
                raise
            except (TransientError, DamagedFileError) as error:
                failure = error
                if isinstance(error, DamagedFileError):
                    # the same bytes twice: it's damaged at the source, not on the way
                    if self.source.is_local or error.digest in seen:
                        raise
                    seen.update({error.digest} - {""})
        raise failure if failure is not None else AssertionError

    def _once(self, job: Job) -> Arrived:
        if job.later:
            self.source.expect(job.later)
        part = self.store.part()
        stats: list[Stat] = []
        try:
            with part.open("wb", buffering=0) as stream:
                sha256, check = self._pour(job, stream.fileno(), stats)
            for stat in stats:
                if stat.mtime_ns is not None:  # the next copy knows the file by its time
                    os.utime(part, ns=(stat.mtime_ns, stat.mtime_ns))
            found = part.stat()
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        record = FileRecord(job.path, found.st_size, found.st_mtime_ns, sha256, check)
        return Arrived(part, record)

    def _pour(self, job: Job, handle: int, stats: list[Stat]) -> tuple[str, str]:
        """Write the content to an open file; digest and check."""
        sha = hashlib.sha256()
        walker = FitsWalker(structure_only=True)
        checker = FileChecker(walker) if job.is_fits and not job.sha256 else None
        damage: DamagedFileError | None = None
        untold = unwritten = 0
        for chunk in self.source.chunks(job.path, stats.append):
            if self._stop.is_set():
                raise StoppedError
            sha.update(chunk)
            if checker is not None and damage is None:
                try:
                    checker.feed(chunk)
                except DamagedFileError as error:
                    damage = error  # read on, so that its digest is known
            view = memoryview(chunk)
            while view:
                view = view[os.write(handle, view) :]
            untold, unwritten = untold + len(chunk), unwritten + len(chunk)
            if untold >= CHUNK:
                self._on_bytes(untold)
                untold = 0
            if unwritten >= _WRITE_OUT:
                begin_writing(handle)
                unwritten = 0
        self._on_bytes(untold)
        digest = sha.hexdigest()
        check = "sha256" if job.sha256 else "none"
        if job.sha256 and digest != job.sha256:
            damage = DamagedFileError("its SHA-256 is not the one that the source's list gives")
        elif checker is not None and damage is None:
            try:
                check = _finish(checker)
            except DamagedFileError as error:
                damage = error
        if damage is not None:
            damage.digest = digest
            raise damage
        if unwritten >= _SMALL:
            begin_writing(handle)
        return digest, check
