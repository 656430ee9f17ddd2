"""Which runs: run lists, and selection by target, position and time."""

from __future__ import annotations

import csv
import datetime as dt
import fnmatch
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daybreak.errors import ConfigError, NoDataError
from daybreak.stores.table import IndexTable, run_key

Floats = npt.NDArray[np.float64]

_NAMES = {"obs_id", "obsid", "run", "run_id", "runid", "observation", "id"}
_TARGETS = ("OBJECT", "TARGET_NAME", "TARGET_TAG", "TARGET")
_MJD_ZERO = dt.datetime(1858, 11, 17)


@dataclass(frozen=True)
class RunChoice:
    """Which runs of an index are meant; empty means all.

    Attributes
    ----------
    runs
        OBS_IDs from a run list; None for all.
    target
        Name, part of a name or a pattern with ``*``.
    position_deg
        Right ascension and declination in degrees.
    radius_deg
        In degrees, between the position and the pointing.
    after, before
        ISO dates; the run starts in between.
    """

    runs: tuple[str, ...] | None = None
    target: str | None = None
    position_deg: tuple[float, float] | None = None
    radius_deg: float = 3.0
    after: str | None = None
    before: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing was selected."""
        return self == RunChoice(radius_deg=self.radius_deg)


def _split(line: str) -> list[str]:
    delimiter = next((d for d in ",;\t|" if d in line), None)
    if delimiter is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader(io.StringIO(line), delimiter=delimiter))]


def parse_run_list(text: str, name: str) -> tuple[str, ...]:
    """Runs of a run list, in its order, each once.

    A line's first token is the run, ``#`` starts a comment and empty lines don't count, as
    csiactcopy reads it. A table with a header line (CSV, ECSV, blanks) is read too: its column
    ``OBS_ID`` (or ``run``) counts.

    Parameters
    ----------
    text
        Content of the list.
    name
        What to call it in messages.

    Returns
    -------
    tuple of str
        OBS_IDs as `run_key` spells them.

    Raises
    ------
    ConfigError
        For a line whose first token is not a whole number, with its number; or if there is none.
    """
    runs: dict[str, None] = {}
    column: int | None = None
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        cells = _split(line)
        lowered = [cell.strip("\"'").lower() for cell in cells]
        if column is None and not runs:
            named = [i for i, cell in enumerate(lowered) if cell in _NAMES]
            if named:
                column = named[0]
                continue
        at = column or 0
        cell = lowered[at] if at < len(lowered) else ""
        if column is None and not re.fullmatch(r"[+-]?\d+", cell):
            raise ConfigError(
                f"{name}:{number}: expected a run number first, found {cell[:40]!r}",
                "A run list has one run per line, or a header line with OBS_ID.",
            )
        if not cell:
            raise ConfigError(f"{name}:{number}: the column OBS_ID is empty here")
        original = cells[at].strip("\"'")
        runs.setdefault(run_key(original.lstrip("+")))
    if not runs:
        raise ConfigError(f"the run list {name} names no run", "Write one run number per line.")
    return tuple(runs)


def read_run_list(path: Path) -> tuple[str, ...]:
    """Read a run list from a file; see `parse_run_list`.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    tuple of str
        OBS_IDs as `run_key` spells them.

    Raises
    ------
    ConfigError
        If it can't be read or is not a run list.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"can't read the run list {path}: {error.strerror}", "Check the path."
        ) from error
    except UnicodeDecodeError:
        raise ConfigError(f"the run list {path} is not a text file", "Check the path.") from None
    return parse_run_list(text, str(path))


def plain_name(name: str) -> str:
    """A target's name without blanks, dashes and capitals: MSH 15-5-02 gives msh15502.

    Parameters
    ----------
    name
        As a person or an index writes it.

    Returns
    -------
    str
        Letters, digits and ``*?+``.
    """
    return re.sub(r"[^a-z0-9*?+]", "", name.lower())


def target_names(obs: IndexTable) -> list[str]:
    """A name of each run's target: the first column that has one.

    Parameters
    ----------
    obs
        An observation index.

    Returns
    -------
    list of str
        One per row; empty where no column has one.
    """
    found = [""] * len(obs)
    for column in ("TARGET_NAME", "OBJECT", "TARGET", "TARGET_TAG"):
        found = [a or b for a, b in zip(found, obs.texts(column), strict=True)]
    return found


def start_mjd(obs: IndexTable) -> Floats:
    """Start of each run as MJD in the index's own time scale; NaN where it does not say.

    Parameters
    ----------
    obs
        An observation index.

    Returns
    -------
    ndarray of float
        In days; shape (rows,).
    """
    reference = obs.meta.get("MJDREFI")
    start = obs.floats("TSTART")
    mjd = np.full(len(obs), np.nan)
    if isinstance(reference, int | float):
        mjd = float(reference) + float(obs.meta.get("MJDREFF") or 0.0) + start / 86400.0
    dates, times = obs.texts("DATE-OBS"), obs.texts("TIME-OBS")
    for i in np.flatnonzero(~np.isfinite(mjd)):
        if dates[i]:
            text = dates[i] if "T" in dates[i] or not times[i] else f"{dates[i]}T{times[i]}"
            try:
                mjd[i] = parse_date(text)
            except ConfigError:
                continue
    return mjd


def parse_date(text: str) -> float:
    """MJD of an ISO date or date and time; a plain number is an MJD already.

    Parameters
    ----------
    text
        ISO 8601, or a number.

    Returns
    -------
    float
        In days.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text.strip().rstrip("Z"))
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a date", "Write 2004-03-26, 2004-03-26T02:57 or an MJD."
        ) from None
    return (moment.replace(tzinfo=None) - _MJD_ZERO).total_seconds() / 86400.0


def iso(mjd: float) -> str:
    """ISO date and time of an MJD, to the second; empty for NaN.

    Parameters
    ----------
    mjd
        In days.

    Returns
    -------
    str
        As ``2004-03-26 02:57:46``.
    """
    if not np.isfinite(mjd) or not 0 <= mjd < 1e6:
        return ""
    moment = _MJD_ZERO + dt.timedelta(seconds=round(mjd * 86400.0))
    return moment.isoformat(sep=" ")


def separation_deg(ra_deg: Floats, dec_deg: Floats, position_deg: tuple[float, float]) -> Floats:
    """Angle on the sky between directions and one position.

    Parameters
    ----------
    ra_deg, dec_deg
        Right ascension and declination in degrees; shape (runs,).
    position_deg
        Right ascension and declination of the position in degrees.

    Returns
    -------
    ndarray of float
        In degrees; shape (runs,).
    """
    from astropy.coordinates import angular_separation  # most listings need no angle

    places = (np.radians(x) for x in (ra_deg, dec_deg, *position_deg))
    away: Floats = np.degrees(angular_separation(*places))
    return away


def _matches_target(obs: IndexTable, target: str) -> npt.NDArray[np.bool_]:
    wanted = plain_name(target)
    pattern = wanted if any(c in wanted for c in "*?") else f"*{wanted}*"
    keep = np.zeros(len(obs), dtype=bool)
    for name in _TARGETS:
        texts = obs.texts(name)
        good = {t for t in set(texts) if t and fnmatch.fnmatchcase(plain_name(t), pattern)}
        keep |= np.fromiter((t in good for t in texts), dtype=bool, count=len(texts))
    return keep


def choose(obs: IndexTable, selection: RunChoice) -> tuple[list[str], list[str]]:
    """Runs of an observation index that are meant.

    Parameters
    ----------
    obs
        An observation index.
    selection
        What they have in common.

    Returns
    -------
    runs : list of str
        In the order of the run list, or of the index.
    absent : list of str
        Runs of the run list that the index does not have.

    Raises
    ------
    NoDataError
        If target, position or time leave nothing.
    """
    keys = obs.run_keys()
    keep = np.ones(len(obs), dtype=bool)
    if selection.target is not None:
        keep &= _matches_target(obs, selection.target)
    if selection.position_deg is not None:
        pointing = obs.floats("RA_PNT"), obs.floats("DEC_PNT")
        keep &= separation_deg(*pointing, selection.position_deg) <= selection.radius_deg
    if selection.after is not None:
        keep &= start_mjd(obs) >= parse_date(selection.after)
    if selection.before is not None:
        keep &= start_mjd(obs) < parse_date(selection.before)
    if not keep.any() and len(obs):
        names = sorted({name for name in target_names(obs) if name})
        raise NoDataError(
            "no run of the store is selected",
            f"Its targets: {', '.join(names[:20]) or 'not named'}"
            + (" ..." if len(names) > 20 else "")
            + ".",
        )
    chosen = dict.fromkeys(key for key, good in zip(keys, keep, strict=True) if good)
    if selection.runs is None:
        return list(chosen), []
    there = set(keys)
    wanted = [run for run in selection.runs if run in chosen]
    return wanted, [run for run in selection.runs if run not in there]
