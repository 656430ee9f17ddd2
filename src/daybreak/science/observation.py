"""One run of a GADF store in memory: events, good time and responses, with its oddities named.

Everything of a run is read once, each file opened once, into plain arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.utils.exceptions import AstropyWarning

from daybreak.errors import RunDataError
from daybreak.science.dl3.clock import mjd, reference_of
from daybreak.science.dl3.events import (
    EventTable,
    RunEvents,
    check_directions,
    check_energies,
    check_event_times,
    read_events,
    without_doubles,
)
from daybreak.science.dl3.files import HduLocation, RunFiles, check_values
from daybreak.science.dl3.good_time import (
    EventTimes,
    GoodTime,
    read_good_time,
    without_stretches,
)
from daybreak.science.dl3.live_time import LiveTime, live_time
from daybreak.science.dl3.locate import locate
from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.dl3.pointing import pointing_of
from daybreak.science.irf import Irf
from daybreak.science.irf_checks import check_energies_covered, check_irf
from daybreak.science.irf_files import read_irf

IRF_TYPES = ("aeff", "edisp", "psf", "bkg", "rad_max")
_NEEDED = ("events", "aeff", "edisp")
_OLD_HESS = "SASH FITS::EventListWriter"


@dataclass(frozen=True)
class Reading:
    """What to believe where the files of a run say two things.

    Attributes
    ----------
    livetime
        ``gti``: good time times DEADC. ``header``: LIVETIME.
    gaps
        Good time without events, though many are expected: ``keep`` or ``cut``.
    pointing
        Right ascension and declination in the observation index, degrees; None if it has none.
    """

    livetime: str = "gti"
    gaps: str = "keep"
    pointing: tuple[float, float] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reading:
        """Build from JSON-able values (step parameters).

        Parameters
        ----------
        values
            What the fields are made of.
        """
        pointing = values.get("pointing")
        return cls(values["livetime"], values["gaps"], tuple(pointing) if pointing else None)


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
    live
        Its live time.
    pointing
        Right ascension and declination, degrees.
    irfs
        Its responses by kind, those that are covered by :mod:`daybreak.science.irf`.
    hdus
        Where everything was read.
    events_total, events_doubled, events_outside_gti, events_bad
        Number of events read, and dropped: standing there twice, outside the GTI, not usable.
    repaired
        IRF components in which negative values were set to zero.
    header
        The header of the EVENTS HDU.
    oddities
        What was odd about the files.
    """

    obs_id: int
    events: RunEvents
    good_time: GoodTime
    live: LiveTime
    pointing: tuple[float, float]
    irfs: Mapping[str, Irf]
    hdus: Mapping[str, HduLocation]
    events_total: int
    events_doubled: int
    events_outside_gti: int
    events_bad: int
    repaired: tuple[str, ...]
    header: Mapping[str, Any]
    oddities: tuple[Oddity, ...] = ()

    @property
    def ra_pnt_deg(self) -> float:
        """Right ascension of the pointing."""
        return self.pointing[0]

    @property
    def dec_pnt_deg(self) -> float:
        """Declination of the pointing."""
        return self.pointing[1]

    @property
    def livetime_s(self) -> float:
        """Good time less the dead time."""
        return self.good_time.ontime_s * self.live.fraction

    @property
    def missing(self) -> tuple[str, ...]:
        """Kinds of response that the run has but that are not in `irfs`: Gammapy's business."""
        return tuple(k for k in IRF_TYPES if k in self.hdus and k not in self.irfs)


def _check_number(header: Mapping[str, Any], where: str, obs_id: int) -> None:
    found = header.get("OBS_ID")
    if found is None or str(found).strip() == str(obs_id):
        return
    raise unusable(
        where,
        f"the index says run {obs_id}, the file says OBS_ID {found}",
        "Rebuild the index of the store from its files.",
    )


def _mirrored(header: Mapping[str, Any]) -> bool:
    """Whether longitudes of the field of view run the other way: old files of H.E.S.S.

    Their headers say RADEC; Gammapy tells them by the same two words.
    """
    return header.get("CREATOR") == _OLD_HESS and str(header.get("HDUVERS")) == "0.2"


def _read_irfs(
    files: RunFiles, hdus: Mapping[str, HduLocation], mirrored: bool, oddities: list[Oddity]
) -> tuple[dict[str, Irf], tuple[str, ...]]:
    irfs, repaired = {}, []
    for kind in IRF_TYPES:
        if kind not in hdus:
            continue
        location = hdus[kind]
        irf = read_irf(files.hdu(location), location.hdu_class, location.where, oddities)
        if irf is None:
            continue
        if check_values(irf.values, location):
            irf = irf.with_values(np.clip(irf.values, 0, None))
            repaired.append(kind)
        irf = check_irf(kind, irf, location.where, oddities)
        if kind == "bkg" and mirrored:
            irf = replace(irf, header=irf.header | {"FOVALIGN": "REVERSE_LON_RADEC"})
        irfs[kind] = irf
    return irfs, tuple(repaired)


@dataclass(frozen=True)
class _Timed:
    """Events that can be used, and when the run was; `declared_s`: before gaps were cut out."""

    table: EventTable
    inside: np.ndarray
    time_mjd: np.ndarray
    good: GoodTime
    declared_s: float
    doubled: int
    bad: int


def _read_times(
    table: EventTable, gti: Any, gti_where: str, reading: Reading, oddities: list[Oddity]
) -> _Timed:
    """Drop what stands twice or can't be, and find which events lie in the good time."""
    n_all = len(table)
    table = without_doubles(table, oddities)
    usable = table.usable
    bad = len(table) - int(np.count_nonzero(usable))
    if bad and not usable.any():
        raise unusable(
            table.where,
            f"none of {len(table)} events has a time, a direction and an energy "
            "(columns TIME, RA, DEC, ENERGY)",
        )
    doubled = n_all - len(table)
    table = table.rows(usable)
    check_energies(table)
    reference = reference_of(table.header, table.where, oddities)
    times = EventTimes(table.seconds, reference, table.header, table.where)
    good, reference = read_good_time(gti, gti_where, times, oddities)
    inside = good.holds(table.seconds, reference)
    check_event_times(table, inside, reference, good, gti_where)
    declared_s = good.ontime_s
    if reading.gaps == "cut":
        good = without_stretches(good, table.seconds, reference)
    return _Timed(table, inside, mjd(reference, table.seconds), good, declared_s, doubled, bad)


def load_run(
    obs_id: int, hdus: Mapping[str, HduLocation], reading: Reading | None = None
) -> LoadedRun:
    """Read a run: keep the events inside its good time, put right or refuse what is odd.

    Parameters
    ----------
    obs_id
        Observation id; must be the file's.
    hdus
        The run's HDUs by kind, as the index has them: the files' headers decide.
    reading
        What to believe where the files say two things.

    Returns
    -------
    LoadedRun
        With everything in memory.

    Raises
    ------
    RunDataError
        If a file is missing or damaged, an HDU is missing, the GTI is empty, or something can't
        be right and can't be put right.
    """
    reading = reading or Reading()
    oddities: list[Oddity] = []
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", ".*truncated.*", AstropyWarning)
        files = RunFiles(stack)
        hdus, wrong = locate(hdus, files)
        oddities += wrong
        for kind in _NEEDED:
            if kind not in hdus:
                raise RunDataError(
                    f"run {obs_id}: the index has no {kind} HDU, nor has the run's file",
                    "Copy the run again, or have its file made again.",
                )
        table = read_events(files.hdu(hdus["events"]), hdus["events"].where, oddities)
        _check_number(table.header, table.where, obs_id)
        gti = files.hdu(hdus["gti"]) if "gti" in hdus else None
        gti_where = hdus["gti"].where if "gti" in hdus else ""
        n_all = len(table)
        timed = _read_times(table, gti, gti_where, reading, oddities)
        table, good = timed.table, timed.good
        irfs, repaired = _read_irfs(files, hdus, _mirrored(table.header), oddities)
    events = RunEvents(table.ra_deg, table.dec_deg, table.energy_tev, timed.time_mjd)
    events = events.where(timed.inside)
    middle = good.first + (good.last - good.first) / 2
    pointing = pointing_of(table, middle, reading.pointing, oddities)
    check_directions(table, pointing)
    if "aeff" in irfs:
        check_energies_covered(events.energy_tev, irfs["aeff"], hdus["aeff"].where, oddities)
    live = live_time(table.header, table.where, timed.declared_s, reading.livetime, oddities)
    run = LoadedRun(
        obs_id=obs_id,
        events=events,
        good_time=good,
        live=live,
        pointing=pointing,
        irfs=irfs,
        hdus=dict(hdus),
        events_total=n_all,
        events_doubled=timed.doubled,
        events_outside_gti=int(np.count_nonzero(~timed.inside)),
        events_bad=timed.bad,
        repaired=repaired,
        header=table.header,
        oddities=tuple(oddities),
    )
    return _with_gammapys_repairs(run)


def _with_gammapys_repairs(run: LoadedRun) -> LoadedRun:
    """The run with the names of the responses that are left to Gammapy and were put right."""
    if not run.missing:
        return run
    from daybreak.science.gammapy_irfs import gammapy_irfs

    found = gammapy_irfs(run.hdus, run.missing)
    negative = (kind for kind, (_, repaired) in found.items() if repaired)
    return replace(run, repaired=(*run.repaired, *negative))
