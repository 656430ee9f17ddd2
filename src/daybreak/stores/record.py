"""What is known of the files in a store: the manifest, the lock and the folder for parts.

They lie in ``.daybreak`` inside the store. The manifest has one JSON line per file that was
checked: size, time, SHA-256. A file whose size and time are still those of its line needs no
second look; any other is read again. Lines are only ever appended under the lock, and a line
that a power cut tore is skipped.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daybreak.errors import OutputError
from daybreak.products.atomic import output_error
from daybreak.products.processes import alive
from daybreak.stores.paths import OWN_FOLDER, UnsafePathError, resolve

MANIFEST = "manifest.jsonl"
SUMS = "SHA256SUMS"
_SUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_counter = itertools.count()


@dataclass(frozen=True)
class FileRecord:
    """A checked file.

    Attributes
    ----------
    path
        Relative to the store.
    size, mtime_ns
        When it was checked.
    sha256
        Of its content.
    check
        What the content was checked against: ``sha256`` (the source's sum), ``gzip`` (FITS
        structure and CRC), ``fits`` (FITS structure) or ``none`` (not a FITS file).
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str
    check: str

    def line(self) -> str:
        """The manifest's line."""
        values = [self.path, self.size, self.mtime_ns, self.sha256, self.check]
        return json.dumps(values, ensure_ascii=True, separators=(",", ":")) + "\n"

    def fits(self, stat: os.stat_result) -> bool:
        """Whether the file is as it was when it was checked, to judge by size and time.

        Parameters
        ----------
        stat
            What the file is like now.

        Returns
        -------
        bool
            Whether it needs no second look.
        """
        return bool(self.size == stat.st_size and self.mtime_ns == stat.st_mtime_ns)


def parse_manifest(data: bytes) -> dict[str, FileRecord]:
    """Records by path; the last line of a path counts, lines that are not records are skipped.

    Parameters
    ----------
    data
        JSON lines.

    Returns
    -------
    dict
        Path to record.
    """
    found: dict[str, FileRecord] = {}
    for line in data.splitlines():
        try:
            path, size, mtime_ns, sha256, check = json.loads(line)
        except (ValueError, TypeError):
            continue
        good = isinstance(path, str) and isinstance(size, int) and isinstance(mtime_ns, int)
        if good and isinstance(sha256, str) and len(sha256) == 64:
            found[path] = FileRecord(path, size, mtime_ns, sha256, str(check))
    return found


def parse_sums(data: bytes) -> dict[str, str]:
    """SHA-256 by path from what ``sha256sum`` writes; unsafe paths are skipped.

    Parameters
    ----------
    data
        Lines of digest and path.

    Returns
    -------
    dict
        Path to SHA-256, in small letters.
    """
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        match = _SUM_LINE.fullmatch(line.strip())
        if match:
            try:
                found[resolve("", match[2])] = match[1].lower()
            except UnsafePathError:
                continue
    return found


def sums_text(sums: Mapping[str, str]) -> str:
    """The same as text.

    Parameters
    ----------
    sums
        Path to SHA-256.

    Returns
    -------
    str
        Lines in the order of the paths.
    """
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items()))


class StoreFolder:
    """A local store that is written to: its lock, manifest and temporary files.

    Parameters
    ----------
    folder
        The store; links on the way to it are followed.
    """

    def __init__(self, folder: Path) -> None:
        self.root = Path(os.path.realpath(folder))
        self.own = self.root / OWN_FOLDER
        self._host = re.sub(r"\W", "_", socket.gethostname())[:60]

    def prepare(self) -> None:
        """Make the folders, and clear away what killed copies left half done.

        Raises
        ------
        OutputError
            If the folder can't be written to.
        """
        try:
            if self.own.is_symlink():
                raise OutputError(f"{self.own} is a link", "Remove it and try again.")
            (self.own / "parts").mkdir(parents=True, exist_ok=True)
            self._clear_parts()
        except OSError as error:
            raise output_error(self.root, error) from error

    def _clear_parts(self) -> None:
        for part in (self.own / "parts").iterdir():
            host, _dash, rest = part.name.partition("-")
            pid = rest.partition("-")[0]
            ours = host == self._host and pid.isdigit()
            try:
                dead = not alive(int(pid)) if ours else time.time() - part.stat().st_mtime > 7e5
                if dead:
                    part.unlink(missing_ok=True)
            except FileNotFoundError:
                continue

    def part(self) -> Path:
        """A new temporary path on the store's file system."""
        return self.own / "parts" / f"{self._host}-{os.getpid()}-{next(_counter)}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store's lock; the kernel releases it if this process dies.

        Raises
        ------
        OutputError
            If the lock file can't be made or the file system can't lock.
        """
        try:
            handle = os.open(self.own / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise output_error(self.own / "lock", error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in {errno.ENOLCK, errno.ENOTSUP}:
                    raise output_error(self.own / "lock", error) from error
                raise OutputError(
                    f"the file system of {self.root} can't lock files",
                    "Copy to a local disk first.",
                ) from error
            yield
        finally:
            os.close(handle)

    def records(self) -> dict[str, FileRecord]:
        """The manifest, empty if there is none."""
        try:
            return parse_manifest((self.own / MANIFEST).read_bytes())
        except OSError:
            return {}

    def append(self, records: Iterable[FileRecord]) -> None:
        """Add records; the lock must be held.

        Parameters
        ----------
        records
            Of files that were checked.
        """
        text = "".join(record.line() for record in records)
        if not text:
            return
        path = self.own / MANIFEST
        try:
            with path.open("ab") as stream:
                # a torn line of a power cut must not swallow the first new one
                torn = stream.tell() > 0 and _last_byte(path) != b"\n"
                stream.write((b"\n" if torn else b"") + text.encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise output_error(path, error) from error

    def refresh_sums(self, records: Iterable[FileRecord]) -> None:
        """Correct a ``SHA256SUMS`` of this store for files that changed; the lock must be held.

        Parameters
        ----------
        records
            Of files that are new or were replaced.
        """
        path = self.root / SUMS
        try:
            old = parse_sums(path.read_bytes())
        except OSError:
            return
        new = {record.path: record.sha256 for record in records if record.path in old}
        if any(old[name] != digest for name, digest in new.items()):
            self.replace(path, sums_text({**old, **new}).encode())

    def compact(self) -> None:
        """Write the manifest anew if most of its lines are superseded; the lock must be held."""
        path = self.own / MANIFEST
        try:
            data = path.read_bytes()
        except OSError:
            return
        records = parse_manifest(data)
        if data.count(b"\n") > 2 * len(records) + 100:
            text = "".join(record.line() for record in records.values())
            self.replace(path, text.encode())

    def replace(self, path: Path, data: bytes) -> None:
        """Write `data` to `path` through a synced temporary file.

        Parameters
        ----------
        path
            Absolute; its folder is made if it is missing.
        data
            The new content.

        Raises
        ------
        OutputError
            If the disk is full or the folder can't be written to.
        """
        part = self.part()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise output_error(path, error) from error


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Parameters
    ----------
    folder
        On a local disk.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
