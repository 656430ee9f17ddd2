"""Checksums of files that have not changed since they were last read are not computed again."""

from __future__ import annotations

import sqlite3
import stat
import time
from pathlib import Path

from daybreak.errors import OutputError
from daybreak.products.digest import file_digest
from daybreak.products.folder import folder_digest

#: a file that changed so shortly before it was read may change again in the same clock tick
_SETTLED_NS = 2_000_000_000


class Digests:
    """SHA-256 of files, remembered in the ledger with size, times and inode.

    Parameters
    ----------
    connection
        The ledger's; None to remember within this process only.
    """

    def __init__(self, connection: sqlite3.Connection | None = None) -> None:
        self._connection = connection
        self._known: dict[Path, tuple[tuple[int, ...], str]] = {}

    def of(self, path: Path) -> str:
        """Digest of a file or a folder as it is now; '' if it is not there or not whole.

        Parameters
        ----------
        path
            The file or the folder.

        Raises
        ------
        OutputError
            If it can't be read.
        """
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            raise _unreadable(path, error) from error
        if stat.S_ISDIR(found.st_mode):
            return folder_digest(path, self.of)
        mark = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        known = self._known.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        digest = self._stored(path, mark)
        if not digest:
            now_ns = time.time_ns()
            try:
                digest = file_digest(path)
            except FileNotFoundError:
                return ""
            except OSError as error:
                raise _unreadable(path, error) from error
            if now_ns - found.st_ctime_ns > _SETTLED_NS:
                self._store(path, mark, digest)
        self._known[path] = (mark, digest)
        return digest

    def learn(self, path: Path, digest: str) -> None:
        """Take a worker's word for the digest of a file that it has just written.

        Parameters
        ----------
        path
            Of the file; folders are passed over.
        digest
            Its SHA-256.
        """
        try:
            found = path.stat()
        except OSError:
            return
        if stat.S_ISDIR(found.st_mode):
            return  # its files are looked at when somebody asks
        mark = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        self._known[path] = (mark, digest)

    def forget(self, path: Path) -> None:
        """Compute it anew next time.

        Parameters
        ----------
        path
            Of the file.
        """
        self._known.pop(path, None)

    def _stored(self, path: Path, mark: tuple[int, ...]) -> str:
        if self._connection is None:
            return ""
        row = self._connection.execute(
            "SELECT size, mtime_ns, ctime_ns, inode, digest FROM digests WHERE path = ?",
            (str(path),),
        ).fetchone()
        return row["digest"] if row is not None and tuple(row)[:4] == mark else ""

    def _store(self, path: Path, mark: tuple[int, ...], digest: str) -> None:
        if self._connection is not None:
            self._connection.execute(
                "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)",
                (str(path), *mark, digest),
            )


def _unreadable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"can't read {path}: {error.strerror}", "Check the file's permissions.")
