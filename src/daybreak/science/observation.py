"""One run of a GADF store in memory: events, good time and responses, with its defects named.

Everything of a run is read once, each file opened once, into plain arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import Time
from astropy.utils.exceptions import AstropyWarning

from daybreak.errors import RunDataError
from daybreak.science.dl3_files import (
    READ_ERRORS,
    HduLocation,
    RunFiles,
    check_values,
    damaged,
)
from daybreak.science.irf import Irf
from daybreak.science.irf_files import read_irf
from daybreak.science.run import BoolArray, FloatArray
from daybreak.science.sphere import distances_deg, unit_vectors

IRF_TYPES = ("aeff", "edisp", "psf", "bkg", "rad_max")
_EVENT_COLUMNS = ("RA", "DEC", "TIME", "ENERGY")
_DAY_S = 86400.0
_OLD_HESS = "SASH FITS::EventListWriter"


@dataclass(frozen=True)
class RunEvents:
    """The events of a run inside its good time intervals.

    Attributes
    ----------
    ra_deg, dec_deg
        Reconstructed directions (ICRS).
    energy_tev
        Reconstructed energies.
    time_mjd
        Times, MJD in TT.
    """

    ra_deg: FloatArray
    dec_deg: FloatArray
    energy_tev: FloatArray
    time_mjd: FloatArray

    def __len__(self) -> int:
        return len(self.energy_tev)

    @cached_property
    def _vectors(self) -> FloatArray:
        return unit_vectors(self.ra_deg, self.dec_deg)

    def away_deg(self, ra_deg: float, dec_deg: float) -> FloatArray:
        """Distances of the events from a place, degrees.

        Parameters
        ----------
        ra_deg, dec_deg
            The place, degrees.
        """
        return distances_deg(self._vectors, ra_deg, dec_deg)

    def where(self, chosen: np.ndarray) -> RunEvents:
        """Some of the events.

        Parameters
        ----------
        chosen
            Mask or indices.
        """
        columns = (self.ra_deg, self.dec_deg, self.energy_tev, self.time_mjd)
        return RunEvents(*(column[chosen] for column in columns))


@dataclass(frozen=True)
class GoodTime:
    """Good time intervals.

    Attributes
    ----------
    reference
        To which the seconds count.
    start_s, stop_s
        Seconds since the reference.
    """

    reference: Time
    start_s: FloatArray
    stop_s: FloatArray

    @property
    def ontime_s(self) -> float:
        """Their sum in seconds."""
        return float(np.sum(self.stop_s - self.start_s))

    @property
    def mjd(self) -> FloatArray:
        """Start and stop as MJD in TT, shape (n, 2)."""
        seconds = np.column_stack([self.start_s, self.stop_s])
        return _mjd(self.reference, seconds)

    @property
    def first(self) -> Time:
        """The first start."""
        return self.reference + self.start_s[0] * u.s

    @property
    def last(self) -> Time:
        """The last stop."""
        return self.reference + self.stop_s[-1] * u.s


def _mjd(reference: Time, seconds: FloatArray) -> FloatArray:
    """MJD in TT of seconds after a reference, which is in TT."""
    days: FloatArray = (reference.jd1 - 2400000.5) + (reference.jd2 + seconds / _DAY_S)
    return days


@dataclass(frozen=True)
class LoadedRun:
    """A run in memory.

    Attributes
    ----------
    obs_id
        Observation id.
    events
        Its events inside the good time intervals.
    good_time
        Its good time intervals.
    irfs
        Its responses by kind, those that are covered by :mod:`daybreak.science.irf`.
    hdus
        Where everything was read.
    events_total, events_outside_gti, events_bad
        Number of events read, dropped outside the GTI, dropped as not finite.
    repaired
        IRF components in which negative values were set to zero.
    header
        The header of the EVENTS HDU.
    """

    obs_id: int
    events: RunEvents
    good_time: GoodTime
    irfs: Mapping[str, Irf]
    hdus: Mapping[str, HduLocation]
    events_total: int
    events_outside_gti: int
    events_bad: int
    repaired: tuple[str, ...]
    header: Mapping[str, Any]

    @property
    def ra_pnt_deg(self) -> float:
        """Right ascension of the pointing."""
        return float(self.header["RA_PNT"])

    @property
    def dec_pnt_deg(self) -> float:
        """Declination of the pointing."""
        return float(self.header["DEC_PNT"])

    @property
    def livetime_s(self) -> float:
        """Good time less the dead time."""
        return self.good_time.ontime_s * float(self.header.get("DEADC", 1.0))

    @property
    def missing(self) -> tuple[str, ...]:
        """Kinds of response that the run has but that are not in `irfs`: Gammapy's business."""
        return tuple(k for k in IRF_TYPES if k in self.hdus and k not in self.irfs)


def _reference(header: Mapping[str, Any]) -> Time:
    """The reference time of a table, in TT."""
    scale = str(header.get("TIMESYS", "tt")).lower()
    parts = float(header["MJDREFI"]), float(header["MJDREFF"])
    return Time(*parts, format="mjd", scale=scale).tt


def _numbers(hdu: Any, name: str, unit: str) -> FloatArray:
    column = hdu.columns[name]
    values = np.asarray(hdu.data[name], dtype=np.float64)
    if column.unit and column.unit != unit:
        values = values * float(u.Unit(column.unit).to(unit))
    return values


def _read_gti(files: RunFiles, location: HduLocation) -> GoodTime:
    hdu = files.hdu(location)
    try:
        scale = float(u.Unit(hdu.header.get("TIMEUNIT", "s")).to("s"))
        sides = [np.asarray(hdu.data[k], dtype=np.float64) * scale for k in ("START", "STOP")]
        gti = GoodTime(_reference(hdu.header), *sides)
        ontime = gti.ontime_s
    except READ_ERRORS as error:
        raise damaged(location.path, error) from error
    if not np.isfinite(ontime) or ontime <= 0:
        raise RunDataError(
            f"{location.path.name}: the GTI is empty, the run has no good time",
            "Nothing to do unless the run should have data: make its DL3 file again.",
        )
    return gti


def _in_gti(seconds: FloatArray, reference: Time, gti: GoodTime) -> BoolArray:
    shift = (reference - gti.reference).to_value("s")
    seconds = seconds + shift if shift else seconds
    inside = np.zeros(len(seconds), dtype=bool)
    for low, high in zip(gti.start_s, gti.stop_s, strict=True):
        inside |= (seconds >= low) & (seconds <= high)
    return inside


def _check_events(hdu: Any, location: HduLocation, obs_id: int) -> None:
    header, name = hdu.header, location.path.name
    found = header.get("OBS_ID")
    if found is not None and str(found).strip() != str(obs_id):
        raise RunDataError(
            f"{name}: the index says run {obs_id}, the file says OBS_ID {found}",
            "Rebuild the index of the store from its files.",
        )
    missing = [c for c in _EVENT_COLUMNS if c not in hdu.columns.names]
    if missing:
        raise RunDataError(
            f"{name}: truncated or damaged (no column {', '.join(missing)})",
            "Copy the run again from its source.",
        )
    reason = ""
    for key in ("RA_PNT", "DEC_PNT"):
        value = header.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            reason = f"{key} is {'missing' if value is None else repr(value)}"
    live = header.get("DEADC", 1.0)
    if not isinstance(live, int | float) or not 0 <= live <= 1:
        reason = f"DEADC is {live!r}"
    if reason:
        raise RunDataError(
            f"{name}: the EVENTS header can't be used ({reason})",
            "Make the run's DL3 file again with a complete GADF header.",
        )


def _mirrored(header: Mapping[str, Any]) -> bool:
    """Whether longitudes of the field of view run the other way: old files of H.E.S.S.

    Their headers say RADEC; Gammapy tells them by the same two words.
    """
    return header.get("CREATOR") == _OLD_HESS and str(header.get("HDUVERS")) == "0.2"


def _read_irfs(
    files: RunFiles, hdus: Mapping[str, HduLocation], mirrored: bool
) -> tuple[dict[str, Irf], tuple[str, ...]]:
    irfs, repaired = {}, []
    for kind in IRF_TYPES:
        if kind not in hdus:
            continue
        location = hdus[kind]
        hdu = files.hdu(location)
        try:
            irf = read_irf(hdu, location.hdu_class)
        except READ_ERRORS as error:
            raise damaged(location.path, error) from error
        if irf is None:
            continue
        if check_values(irf.values, location):
            irf = irf.with_values(np.clip(irf.values, 0, None))
            repaired.append(kind)
        if kind == "bkg" and mirrored:
            irf = replace(irf, header=irf.header | {"FOVALIGN": "REVERSE_LON_RADEC"})
        irfs[kind] = irf
    return irfs, tuple(repaired)


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
        files = RunFiles(stack)
        hdu = files.hdu(hdus["events"])
        _check_events(hdu, hdus["events"], obs_id)
        gti = _read_gti(files, hdus["gti"])
        try:
            reference = _reference(hdu.header)
            seconds = np.asarray(hdu.data["TIME"], dtype=np.float64)
            events = RunEvents(
                _numbers(hdu, "RA", "deg"),
                _numbers(hdu, "DEC", "deg"),
                _numbers(hdu, "ENERGY", "TeV"),
                _mjd(reference, seconds),
            )
        except READ_ERRORS as error:
            raise damaged(hdus["events"].path, error) from error
        irfs, repaired = _read_irfs(files, hdus, _mirrored(hdu.header))
        header = {k: v for k, v in hdu.header.items() if k not in ("", "COMMENT", "HISTORY")}
        missing = [k for k in IRF_TYPES if k in hdus and k not in irfs]
    finite = np.isfinite(events.energy_tev) & (events.energy_tev > 0)
    finite &= np.isfinite(events.ra_deg) & np.isfinite(events.dec_deg)
    good = finite & _in_gti(seconds, reference, gti)
    run = LoadedRun(
        obs_id=obs_id,
        events=events.where(good),
        good_time=gti,
        irfs=irfs,
        hdus=dict(hdus),
        events_total=len(events),
        events_outside_gti=int(np.count_nonzero(finite & ~good)),
        events_bad=int(np.count_nonzero(~finite)),
        repaired=repaired,
        header=header,
    )
    if missing:  # what Gammapy repairs has to be known too
        from daybreak.science.gammapy_irfs import gammapy_irfs

        found = gammapy_irfs(hdus, missing)
        repaired = (*repaired, *(kind for kind, (_, negative) in found.items() if negative))
        return replace(run, repaired=repaired)
    return run
