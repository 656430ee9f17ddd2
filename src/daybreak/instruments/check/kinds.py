"""What kind of file it is, by its first bytes."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from daybreak.errors import RunDataError
from daybreak.products.hdf5 import tables_without_pickle

_GZIP, _ZSTD, _HDF5, _FITS = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x89HDF\r\n\x1a\n", b"SIMPLE  ="
#: sync marker of eventio, in either order of bytes
_EVENTIO = (b"\xd4\x1f\x8a\x37", b"\x37\x8a\x1f\xd4")
_HEAD = 1 << 16


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file's content, decompressed.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    RunDataError
        If it is not there, empty, or damaged at its beginning.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        if head.startswith(_GZIP):
            with gzip.open(path) as stream:
                return stream.read(_HEAD)
        if head.startswith(_ZSTD):
            import zstandard

            with path.open("rb") as raw:
                return zstandard.ZstdDecompressor().stream_reader(raw).read(_HEAD)
    except FileNotFoundError:
        raise RunDataError(f"{path} is not there", "Check the path.") from None
    except IsADirectoryError:
        raise RunDataError(f"{path} is a folder", "Name its files.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise RunDataError(
            f"{path.name}: damaged at its beginning ({' '.join(str(error).split())[:120]})",
            "Copy it again.",
        ) from error
    except Exception as error:
        if type(error).__module__.startswith("zstandard"):
            raise RunDataError(
                f"{path.name}: its zstd stream is damaged", "Copy it again."
            ) from error
        raise
    if not head:
        raise RunDataError(f"{path.name} is empty", "Copy it again.")
    return head


def kind_of(path: Path) -> str:
    """``simtel``, ``zfits``, ``dl3``, ``fits``, ``ctapipe``, ``lstchain``, ``hdf5`` or ``unknown``.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    RunDataError
        If it can't be read at all.
    """
    head = first_bytes(path)
    if head.startswith(_HDF5):
        return _hdf5_kind(path)
    if head.startswith(_EVENTIO):
        return "simtel"
    if head.startswith(_FITS):
        if b"ZTABLE" in head or path.name.endswith(".fz"):
            return "zfits"
        return "dl3" if b"HDUCLAS1" in head and b"EVENTS" in head else "fits"
    return "unknown"


def _hdf5_kind(path: Path) -> str:
    tables = tables_without_pickle()

    try:
        with tables.open_file(str(path)) as file:
            if "CTA PRODUCT DATA MODEL NAME" in file.root._v_attrs:
                return "ctapipe"
            lst = "/dl1/event/telescope/parameters/LST_LSTCam" in file
            return "lstchain" if lst else "hdf5"
    except (OSError, tables.HDF5ExtError) as error:
        raise RunDataError(
            f"{path.name}: an HDF5 file that can't be opened", "Copy it again, or make it again."
        ) from error
