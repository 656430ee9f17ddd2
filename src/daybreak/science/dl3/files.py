"""The files of a DL3 run: each opened once, checked to its end, its defects named."""

from __future__ import annotations

import gzip
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from daybreak.errors import RunDataError
from daybreak.science.dl3.structure import what_is_broken

READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    zlib.error,
    AstropyWarning,
)
#: column of the values of each kind of response
VALUES = {
    "aeff": "EFFAREA",
    "edisp": "MATRIX",
    "psf": "RPSF",
    "bkg": "BKG",
    "rad_max": "RAD_MAX",
}
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class HduLocation:
    """Where one HDU of a run lies.

    Attributes
    ----------
    kind
        ``events``, ``gti``, ``aeff``, ``edisp``, ``psf``, ``bkg`` or ``rad_max``.
    hdu_class
        GADF class, e.g. ``aeff_2d``.
    path
        File.
    hdu
        Name of the HDU in the file, or its number.
    """

    kind: str
    hdu_class: str
    path: Path
    hdu: str | int

    @property
    def where(self) -> str:
        """File and HDU, for messages."""
        return f"{self.path.name}, {self.hdu if isinstance(self.hdu, str) else f'HDU {self.hdu}'}"


class RunFiles:
    """Opens each file of a run once; closes all at the end.

    Parameters
    ----------
    stack
        Closes the files when it is left.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[Path, fits.HDUList] = {}
        self._content: dict[Path, bytes] = {}

    def hdulist(self, path: Path) -> fits.HDUList:
        """The content of a file.

        Parameters
        ----------
        path
            FITS, as it is or compressed by gzip.

        Raises
        ------
        RunDataError
            If it is not there or damaged.
        """
        if path not in self._open:
            content = b""
            try:
                packed = path.read_bytes()
                zipped = packed[:2] == _GZIP_MAGIC  # reads to the end: checks the CRC
                content = gzip.decompress(packed) if zipped else packed
                hdulist = fits.open(BytesIO(content), memmap=False, lazy_load_hdus=False)
                drop_unreadable_cards(hdulist)
                self._open[path] = self._stack.enter_context(hdulist)
                self._content[path] = content
            except FileNotFoundError:
                raise RunDataError(
                    f"{path.name}: the index names this file but it is not there",
                    "Copy the run again, or rebuild the index.",
                ) from None
            except Exception as error:  # of any kind where a header describes what can't be
                raise _broken(path, path.name, content, error) from error
        return self._open[path]

    def hdu(self, location: HduLocation) -> Any:
        """One HDU with its data read.

        Parameters
        ----------
        location
            Of the HDU.

        Raises
        ------
        RunDataError
            If it is not in the file, or damaged.
        """
        hdulist = self.hdulist(location.path)
        try:
            hdu = hdulist[location.hdu]
        except KeyError:
            raise RunDataError(
                f"{location.path.name}: no HDU {location.hdu!r} ({location.kind})",
                "The file is incomplete: copy or make it again.",
            ) from None
        try:
            length = hdu.header["NAXIS1"]
            _name_columns_in_capitals(hdu)
            if hdu.columns.dtype.itemsize != length:
                raise ValueError("rows of another length than their columns")
            if not hdu.data.names:
                raise ValueError("no columns")
        except Exception as error:  # of any kind where a header describes what can't be
            content = self._content[location.path]
            raise _broken(location.path, location.where, content, error) from error
        return hdu


def drop_unreadable_cards(hdulist: fits.HDUList) -> None:
    """Take cards out of headers whose value can't be told: they are as if they were not there.

    Parameters
    ----------
    hdulist
        An open file; changed in memory.
    """
    for hdu in hdulist:
        header = hdu.header
        for number in range(len(header) - 1, -1, -1):
            try:
                _ = header[number]
            except Exception:  # of any kind where bytes are damaged
                del header[number]


def column_names(hdu: Any) -> list[str] | None:
    """Names of the columns of an HDU; None if it is no table that can be read.

    Parameters
    ----------
    hdu
        Of any kind.
    """
    try:
        return [str(name) for name in hdu.columns.names if name is not None]
    except Exception:  # of any kind where a header describes what can't be
        return None


def _name_columns_in_capitals(hdu: Any) -> None:
    """Column names are the same in any case (FITS standard 4.0, section 7.2.1)."""
    for number, column in enumerate(hdu.columns):
        name = f"COLUMN_{number + 1}" if column.name is None else column.name.upper()
        if column.name != name:
            column.name = name


def _broken(path: Path, where: str, content: bytes, error: BaseException) -> RunDataError:
    """The error for a file or table that can't be read: its structure, or its bytes."""
    hdu, what = what_is_broken(content) if content else ("", "")
    if what:
        return RunDataError(
            f"{path.name}{f', {hdu}' if hdu else ''}: {what}",
            "The file is not whole, or its header is wrong: copy it again, or have it made again.",
        )
    if where == path.name or isinstance(error, (OSError, EOFError, AstropyWarning)):
        return damaged(path, error)
    return RunDataError(
        f"{where}: its table can't be read as its header describes it (XTENSION, TFIELDS, TTYPEn, "
        "TFORMn, TDIMn, NAXISn, PCOUNT, ...)",
        "Have the run's DL3 file made again.",
    )


def damaged(path: Path, error: BaseException) -> RunDataError:
    """The error for a file that can't be read through.

    Parameters
    ----------
    path
        The file.
    error
        What went wrong; the words of FITS, gzip or the system become part of the message.
    """
    told = isinstance(error, (OSError, EOFError, zlib.error, AstropyWarning))
    reason = " ".join(str(error).split())[:120] if told else ""
    return RunDataError(
        f"{path.name}: truncated or damaged{f' ({reason})' if reason else ''}",
        "Copy the run again from its source.",
    )


def check_values(values: np.ndarray, location: HduLocation) -> bool:
    """Whether a response has negative values, which have to be set to zero.

    Parameters
    ----------
    values
        Of the response.
    location
        Where it was read, for the message.

    Raises
    ------
    RunDataError
        If there are values that are not finite.
    """
    if not np.all(np.isfinite(values)):
        n_bad = int(np.count_nonzero(~np.isfinite(values)))
        raise RunDataError(
            f"{location.where}: {n_bad} values of {location.kind} are not finite numbers (column "
            f"{VALUES.get(location.kind, '')})",
            "The IRF can't be used: make the run's IRFs again.",
        )
    return location.kind != "rad_max" and bool(np.any(values < 0))
