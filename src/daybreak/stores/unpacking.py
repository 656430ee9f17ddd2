"""Archives unpacked so that nothing of them can land outside the folder."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from daybreak.errors import StoreIntegrityError
from daybreak.products.atomic import output_error
from daybreak.stores.paths import UnsafePathError, inside, resolve

_MAX_UNPACKED = 1 << 38
_MAX_MEMBERS = 1_000_000


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a tar or zip archive; only plain files and folders, none outside `folder`.

    Parameters
    ----------
    archive
        The file.
    folder
        Where to; made if it is missing.

    Returns
    -------
    int
        How many files there were.

    Raises
    ------
    StoreIntegrityError
        If it is damaged, or has a member that leads outside.
    OutputError
        If the disk is full.
    """
    count = total = 0
    root = Path(os.path.realpath(folder))
    try:
        for name, size, stream in _members(archive):
            count, total = count + 1, total + size
            if count > _MAX_MEMBERS or total > _MAX_UNPACKED:
                raise StoreIntegrityError(f"{archive.name} unpacks to far too much")
            target = inside(root, resolve("", name))
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name[:200]}.partial-{os.getpid()}")
            try:
                with part.open("wb") as out:
                    while chunk := stream.read(1 << 20):
                        out.write(chunk)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, UnsafePathError) as error:
        raise StoreIntegrityError(f"{archive.name} can't be unpacked: {error}") from None
    except OSError as error:
        raise output_error(folder, error) from error
    return count


def _members(archive: Path) -> Any:
    """Name, size and content of each plain file; links and devices are refused."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    with zipped.open(info) as stream:
                        yield info.filename, info.file_size, stream
        return
    with tarfile.open(archive, "r:*") as tarred:
        for member in tarred:
            if member.isdir():
                continue
            if not member.isreg():
                raise StoreIntegrityError(f"{archive.name}: {member.name} is not a plain file")
            content = tarred.extractfile(member)
            if content is not None:
                yield member.name, member.size, content
