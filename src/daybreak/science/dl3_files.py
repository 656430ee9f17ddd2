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
        Name of the HDU in the file.
    """

    kind: str
    hdu_class: str
    path: Path
    hdu: str


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
            try:
                content = path.read_bytes()
                if content[:2] == _GZIP_MAGIC:
                    content = gzip.decompress(content)  # reads to the end: checks the CRC
                hdulist = fits.open(BytesIO(content), memmap=False, lazy_load_hdus=False)
                self._open[path] = self._stack.enter_context(hdulist)
            except FileNotFoundError:
                raise RunDataError(
                    f"{path.name}: the index names this file but it is not there",
                    "Copy the run again, or rebuild the index.",
                ) from None
            except READ_ERRORS as error:
                raise damaged(path, error) from error
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
            _ = hdu.data
        except KeyError:
            raise RunDataError(
                f"{location.path.name}: no HDU {location.hdu!r} ({location.kind})",
                "The file is incomplete: copy or make it again.",
            ) from None
        except READ_ERRORS as error:
            raise damaged(location.path, error) from error
        return hdu


def damaged(path: Path, error: BaseException) -> RunDataError:
    """The error for a file that can't be read through.

    Parameters
    ----------
    path
        The file.
    error
        What went wrong; its words become part of the message.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    return RunDataError(
        f"{path.name}: truncated or damaged ({reason[:120]})", "Copy the run again from its source."
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
            f"{location.path.name}: {n_bad} values of {location.kind} are not finite numbers",
            "The IRF can't be used: make the run's IRFs again.",
        )
    return location.kind != "rad_max" and bool(np.any(values < 0))
