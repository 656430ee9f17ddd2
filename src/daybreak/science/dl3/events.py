"""The events of a run: columns, units, what stands twice, what can't be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from astropy.time import Time

from daybreak.science.dl3.clock import date_text, usual_unit
from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.dl3.values import has_column, numbers, unit_factor
from daybreak.science.run import BoolArray, FloatArray
from daybreak.science.sphere import distances_deg, separation_deg, unit_vectors

#: between these any telescope's reconstructed energies lie
_LOWEST_TEV, _HIGHEST_TEV = 1e-4, 1e4
#: farther from the pointing than this no field of view has its middle
_FARTHEST_DEG = 5.0
_FEWEST = 20


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
class EventTable:
    """What the EVENTS table holds, row by row.

    Attributes
    ----------
    ra_deg, dec_deg, energy_tev, seconds
        Directions, energies, times since the reference of the table.
    ids
        Event numbers; None if there are none that tell events apart.
    header
        Keywords.
    where
        File and HDU.
    """

    ra_deg: FloatArray
    dec_deg: FloatArray
    energy_tev: FloatArray
    seconds: FloatArray
    ids: np.ndarray | None
    header: Mapping[str, Any]
    where: str

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def usable(self) -> BoolArray:
        """Rows with a direction, an energy and a time."""
        good = np.isfinite(self.seconds) & np.isfinite(self.energy_tev) & (self.energy_tev > 0)
        # written so that NaN is refused
        good &= (np.abs(self.ra_deg) <= 360) & (np.abs(self.dec_deg) <= 90)
        return np.asarray(good)

    def rows(self, chosen: np.ndarray) -> EventTable:
        """Some of the rows.

        Parameters
        ----------
        chosen
            Mask.
        """
        return EventTable(
            self.ra_deg[chosen],
            self.dec_deg[chosen],
            self.energy_tev[chosen],
            self.seconds[chosen],
            None if self.ids is None else self.ids[chosen],
            self.header,
            self.where,
        )


def read_events(hdu: Any, where: str, oddities: list[Oddity]) -> EventTable:
    """Read the columns of the events that are needed.

    Parameters
    ----------
    hdu
        The table.
    where
        File and HDU.
    oddities
        Here it is noted if a unit is missing.

    Raises
    ------
    RunDataError
        If a column is missing or holds no numbers.
    """
    header = {k: v for k, v in hdu.header.items() if k not in ("", "COMMENT", "HISTORY")}
    energy_unit = str(header.get("EUNIT") or "")
    usual = energy_unit if unit_factor(energy_unit, "TeV") is not None else "TeV"
    ids = hdu.data["EVENT_ID"] if has_column(hdu, "EVENT_ID") else None
    if ids is not None:
        ids = np.asarray(ids)
        numeric = ids.ndim == 1 and ids.dtype.kind in "iuf"
        if not numeric or len(ids) < 2 or np.all(ids == ids[0]) or not np.isfinite(ids).all():
            ids = None
    return EventTable(
        numbers(hdu, "RA", "deg", where, oddities),
        numbers(hdu, "DEC", "deg", where, oddities),
        numbers(hdu, "ENERGY", "TeV", where, oddities, usual),
        numbers(hdu, "TIME", "s", where, oddities, usual_unit(header) or "s"),
        ids,
        header,
        where,
    )


def without_doubles(table: EventTable, oddities: list[Oddity]) -> EventTable:
    """The events, each once: rows that are the same, or the same number at the same time.

    Event numbers that come again at another time are those of sub-runs counted anew: these rows
    are different events and stay.

    Parameters
    ----------
    table
        The events.
    oddities
        Here it is noted what was found.
    """
    keys = (table.energy_tev, table.dec_deg, table.ra_deg, table.seconds)
    order = np.lexsort(keys)
    same = np.ones(max(len(table) - 1, 0), dtype=bool)
    for key in keys:
        same &= np.diff(key[order]) == 0
    double = np.zeros(len(table), dtype=bool)
    double[order[1:][same]] = True
    n_rows, again = int(same.sum()), 0
    if table.ids is not None:
        order = np.lexsort((table.seconds, table.ids))
        repeated = np.diff(table.ids[order]) == 0
        at_once = repeated & (np.diff(table.seconds[order]) == 0)
        double[order[1:][at_once]] = True
        again = int(repeated.sum() - at_once.sum())
    n = int(double.sum())
    if n:
        oddities.append(
            Oddity(
                "EVENTS_DOUBLED",
                f"{table.where}: {n} of {len(table)} events stand there more than once "
                f"({n_rows} rows the same, {n - n_rows} with the same EVENT_ID and TIME): "
                "counted once",
            )
        )
    if again:
        text = f"{table.where}: {again} EVENT_ID stand for another event, too: all events kept"
        oddities.append(Oddity("EVENT_IDS_REPEATED", text))
    return table.rows(~double) if n else table


def check_energies(table: EventTable) -> None:
    """Refuse energies that no telescope measures.

    Parameters
    ----------
    table
        Usable events.

    Raises
    ------
    RunDataError
        If more than half of the energies are below 0.1 GeV or above 10 PeV.
    """
    energy = table.energy_tev
    odd = (energy < _LOWEST_TEV) | (energy > _HIGHEST_TEV)
    if len(energy) and np.mean(odd) > 0.5:
        raise unusable(
            table.where,
            f"column ENERGY: {int(odd.sum())} of {len(energy)} energies are below 0.1 GeV or above "
            f"10 PeV (the middle one is {np.median(energy):.3g} TeV by its unit)",
            "Check the unit of the column, TUNIT, and have the file made again.",
        )


def check_directions(table: EventTable, pointing: tuple[float, float]) -> None:
    """Refuse a pointing that is not where the events come from.

    Parameters
    ----------
    table
        Usable events.
    pointing
        Right ascension and declination, degrees.

    Raises
    ------
    RunDataError
        If the middle of the events is more than 5 degrees from the pointing.
    """
    if len(table) < _FEWEST:
        return
    middle = middle_of(table)
    away = float(separation_deg(*middle, *pointing))
    if away > _FARTHEST_DEG:
        raise unusable(
            table.where,
            f"the events lie around RA {middle[0]:.2f}, Dec {middle[1]:.2f} deg (columns RA, DEC), "
            f"{away:.1f} deg from the pointing RA_PNT {pointing[0]:.2f}, DEC_PNT {pointing[1]:.2f}",
            "One of them is wrong: have the file made again.",
        )


def middle_of(table: EventTable) -> tuple[float, float]:
    """Right ascension and declination of the middle of events, degrees.

    Parameters
    ----------
    table
        Usable events, at least one.
    """
    x, y, z = np.median(unit_vectors(table.ra_deg, table.dec_deg), axis=1)
    ra = float(np.degrees(np.arctan2(y, x))) % 360
    return ra, float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def drifted_deg(table: EventTable) -> float:
    """How far the middle of the events moved on the sky from the first to the last third.

    Parameters
    ----------
    table
        Usable events.
    """
    third = len(table) // 3
    if third < _FEWEST:
        return 0.0
    order = np.argsort(table.seconds)
    ends = [middle_of(table.rows(rows)) for rows in (order[:third], order[-third:])]
    return float(separation_deg(*ends[0], *ends[1]))


def check_event_times(
    table: EventTable, inside: BoolArray, reference: Time, good: Any, where: str
) -> None:
    """Refuse a run none of whose events lies in its good time.

    Parameters
    ----------
    table
        Usable events.
    inside
        Which lie inside.
    reference
        Of their times.
    good
        Good time.
    where
        File and HDU of the good time.

    Raises
    ------
    RunDataError
        If there are events and all are outside.
    """
    if not len(table) or inside.any():
        return
    first, last = (date_text(reference, f(table.seconds)) for f in (np.min, np.max))
    raise unusable(
        table.where,
        f"all {len(table)} events lie outside the good time: TIME and MJDREFI/F say {first} to "
        f"{last}, {where} says {date_text(good.reference, good.start_s[0])} to "
        f"{date_text(good.reference, good.stop_s[-1])} UTC",
        "One of the two time references is wrong: have the file made again.",
    )
