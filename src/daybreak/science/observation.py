"""Read one run of a GADF store into memory, with its defects named.

Everything of a run is read once, each file opened once; Gammapy's own objects are made of it.
"""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from gammapy.data import GTI, EventList, FixedPointingInfo, Observation
from gammapy.data.io import EventListReader
from gammapy.data.metadata import ObservationMetaData
from gammapy.irf import IRF_REGISTRY

from daybreak.errors import RunDataError

_IRF_TYPES = ("aeff", "edisp", "psf", "bkg", "rad_max")
_READ_ERRORS = (
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


@dataclass(frozen=True)
class LoadedRun:
    """A run in memory.

    Attributes
    ----------
    obs_id
        Observation id.
    observation
        Gammapy's observation, its events restricted to the good time intervals.
    events_total, events_outside_gti, events_bad
        Number of events read, dropped outside the GTI, dropped as not finite.
    repaired
        IRF components in which negative values were set to zero.
    header
        The header of the EVENTS HDU.
    """

    obs_id: int
    observation: Observation
    events_total: int
    events_outside_gti: int
    events_bad: int
    repaired: tuple[str, ...]
    header: Mapping[str, Any]

    @cached_property
    def time_mjd(self) -> np.ndarray:
        """Times of the events, MJD in TT."""
        return np.asarray(self.observation.events.time.tt.mjd, dtype=float)


class _Files:
    """Opens each file of a run once; closes all at the end."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[Path, fits.HDUList] = {}

    def hdulist(self, path: Path) -> fits.HDUList:
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
            except _READ_ERRORS as error:
                raise damaged(path, error) from error
        return self._open[path]

    def hdu(self, location: HduLocation) -> Any:
        hdulist = self.hdulist(location.path)
        try:
            hdu = hdulist[location.hdu]
            _ = hdu.data
        except KeyError:
            raise RunDataError(
                f"{location.path.name}: no HDU {location.hdu!r} ({location.kind})",
                "The file is incomplete: copy or make it again.",
            ) from None
        except _READ_ERRORS as error:
            raise damaged(location.path, error) from error
        return hdu


def damaged(path: Path, error: BaseException) -> RunDataError:
    """The error for a file that can't be read through."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return RunDataError(
        f"{path.name}: truncated or damaged ({reason[:120]})", "Copy the run again from its source."
    )


def _check_irf(irf: Any, location: HduLocation) -> bool:
    """Set negative values to zero (True if there were any); refuse values that are not finite."""
    values = irf.quantity.value
    if not np.all(np.isfinite(values)):
        n_bad = int(np.count_nonzero(~np.isfinite(values)))
        raise RunDataError(
            f"{location.path.name}: {n_bad} values of {location.kind} are not finite numbers",
            "The IRF can't be used: make the run's IRFs again.",
        )
    if location.kind == "rad_max" or not np.any(values < 0):
        return False
    irf.data = np.clip(irf.data, 0, None)
    return True


def _read_irf(files: _Files, location: HduLocation) -> tuple[Any, bool]:
    hdu = files.hdu(location)
    try:
        cls = IRF_REGISTRY.get_cls(location.hdu_class)
        irf = cls.from_hdulist(files.hdulist(location.path), hdu=hdu.name)
    except RunDataError:
        raise
    except _READ_ERRORS as error:
        raise damaged(location.path, error) from error
    return irf, _check_irf(irf, location)


def _read_gti(files: _Files, location: HduLocation) -> GTI:
    hdu = files.hdu(location)
    try:
        gti = GTI.from_table_hdu(hdu)
        ontime = gti.time_sum.to_value("s") if len(gti.table) else 0.0
    except _READ_ERRORS as error:
        raise damaged(location.path, error) from error
    if not np.isfinite(ontime) or ontime <= 0:
        raise RunDataError(
            f"{location.path.name}: the GTI is empty, the run has no good time",
            "Nothing to do unless the run should have data: make its DL3 file again.",
        )
    return gti


def _in_gti(events: EventList, gti: GTI) -> np.ndarray:
    reference = gti.time_ref
    seconds = (events.time - reference).to_value("s")
    start = (gti.time_start - reference).to_value("s")
    stop = (gti.time_stop - reference).to_value("s")
    inside = np.zeros(len(seconds), dtype=bool)
    for low, high in zip(start, stop, strict=True):
        inside |= (seconds >= low) & (seconds <= high)
    return inside


def _read_events(files: _Files, location: HduLocation, obs_id: int) -> EventList:
    hdu = files.hdu(location)
    found = hdu.header.get("OBS_ID")
    if found is not None and str(found).strip() != str(obs_id):
        raise RunDataError(
            f"{location.path.name}: the index says run {obs_id}, the file says OBS_ID {found}",
            "Rebuild the index of the store from its files.",
        )
    try:
        return EventListReader.from_gadf_hdu(hdu)
    except _READ_ERRORS as error:
        raise damaged(location.path, error) from error


def load_run(obs_id: int, hdus: Mapping[str, HduLocation]) -> LoadedRun:
    """Read a run, keep the events inside its GTI, repair or refuse its IRFs.

    Parameters
    ----------
    obs_id
        Observation id; must be the file's.
    hdus
        The run's HDUs by kind. ``events``, ``gti``, ``aeff`` and ``edisp`` are needed.

    Returns
    -------
    LoadedRun
        With everything in memory.

    Raises
    ------
    RunDataError
        If a file is missing or damaged, an HDU is missing, the GTI is empty, or an IRF holds
        values that are not finite.
    """
    for kind in ("events", "gti", "aeff", "edisp"):
        if kind not in hdus:
            raise RunDataError(
                f"run {obs_id}: the index has no {kind} HDU", "Rebuild the index, or copy it again."
            )
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", ".*truncated.*", AstropyWarning)
        files = _Files(stack)
        events = _read_events(files, hdus["events"], obs_id)
        gti = _read_gti(files, hdus["gti"])
        irfs: dict[str, Any] = {}
        repaired = []
        for kind in _IRF_TYPES:
            if kind in hdus:
                irfs[kind], mended = _read_irf(files, hdus[kind])
                if mended:
                    repaired.append(kind)
        header = dict(events.table.meta)
        total = len(events.table)
        finite = (
            np.isfinite(events.energy.value)
            & (events.energy.value > 0)
            & np.isfinite(events.radec.ra.deg)
            & np.isfinite(events.radec.dec.deg)
        )
        good = finite & _in_gti(events, gti) if total else finite
        events = events.select_row_subset(good)
        observation = _observation(obs_id, events, gti, irfs, header, hdus["events"].path)
    return LoadedRun(
        obs_id=obs_id,
        observation=observation,
        events_total=total,
        events_outside_gti=int(np.count_nonzero(finite & ~good)),
        events_bad=int(np.count_nonzero(~finite)),
        repaired=tuple(repaired),
        header=header,
    )


def _observation(
    obs_id: int,
    events: EventList,
    gti: GTI,
    irfs: Mapping[str, Any],
    header: Mapping[str, Any],
    path: Path,
) -> Observation:
    try:
        meta = ObservationMetaData.from_header(header)
        return Observation(
            obs_id=obs_id,
            events=events,
            gti=gti,
            pointing=FixedPointingInfo.from_fits_header(header),
            meta=meta,
            location=meta.location,
            **irfs,
        )
    except _READ_ERRORS as error:
        raise RunDataError(
            f"{path.name}: the EVENTS header can't be used ({str(error)[:120]})",
            "Make the run's DL3 file again with a complete GADF header.",
        ) from error
