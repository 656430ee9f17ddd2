"""SQLite files that several processes share: opening them, and bringing old ones up to date."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daybreak.errors import LedgerError
from daybreak.products.atomic import ensure_folder, output_error

_BUSY_S = 30.0
#: file systems whose locks SQLite can't rely on for its write-ahead log
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "gpfs", "beegfs", "ceph"),
    *("fuse.sshfs", "glusterfs", "pvfs2", "orangefs", "9p"),
}


def file_system(path: Path) -> str:
    """Type of the file system that a path lies on, e.g. ``ext4``; '' if it is not known.

    Parameters
    ----------
    path
        Need not exist.
    """
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        target = path.resolve()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        mount = Path(fields[4].replace("\\040", " "))
        depth = len(mount.parts)
        if depth > best and (target == mount or mount in target.parents):
            best, kind = depth, after.split()[0]
    return kind


def is_network(kind: str) -> bool:
    """Whether a type of file system is one that several hosts share.

    Parameters
    ----------
    kind
        As of `file_system`.
    """
    return kind in _NETWORK


def open_database(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database, make it if it is missing, bring its schema up to date.

    On a local disk the write-ahead log is used. On a network file system, where it is not safe,
    the slower rollback journal is; call :func:`file_system` to tell the user.

    Parameters
    ----------
    path
        The file.
    migrations
        SQL scripts; the n-th brings version n - 1 to n.

    Raises
    ------
    LedgerError
        If the file is no database, is damaged, or was written by a newer version.
    OutputError
        If it can't be written.
    """
    ensure_folder(path.parent)
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        journal = "DELETE" if is_network(file_system(path.parent)) else "WAL"
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.row_factory = sqlite3.Row
        _migrate(connection, path, migrations)
    except sqlite3.Error as error:
        raise database_error(path, error) from error
    return connection


def database_error(path: Path, error: sqlite3.Error) -> Exception:
    """An SQLite error as one that says what to do.

    Parameters
    ----------
    path
        Of the database.
    error
        What SQLite raised.

    Returns
    -------
    OutputError, DiskFullError or LedgerError
        To be raised; which one depends on SQLite's code.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return output_error(path, OSError(28, os.strerror(28), str(path)))
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return output_error(path, OSError(13, os.strerror(13), str(path)))
    if code == sqlite3.SQLITE_IOERR:
        return output_error(path, OSError(5, str(error), str(path)))
    return LedgerError(
        f"{path}: {error}",
        "If it is damaged, move it away: the next run makes it, and all products, again.",
    )


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise LedgerError(
            f"{path} has schema version {version}, this Daybreak knows up to {len(migrations)}",
            "Use the newer Daybreak that wrote it.",
        )
    if version == len(migrations):
        return
    with transaction(connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for number in range(version, len(migrations)):
            for statement in migrations[number].split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number + 1}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; waits for other writers.

    Parameters
    ----------
    connection
        As of `open_database`.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
