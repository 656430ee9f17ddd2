"""What may be odd about a run's files without making them useless: the flags and their words."""

from __future__ import annotations

from dataclasses import dataclass

from daybreak.errors import RunDataError

#: what each flag stands for, in a few words
ODDITIES: dict[str, str] = {
    "INDEX_WRONG": "the index and the file's own headers disagree, the headers were followed",
    "HEADER_ODD": "a keyword is missing or senseless and was replaced by what else is known",
    "UNIT_ASSUMED": "a column has no unit that can be read, the format's own was taken",
    "TIME_REFERENCE": "events and good time had different time references, one was put right",
    "NO_GTI": "no good time intervals in the file, TSTART to TSTOP was taken",
    "GTI_REPAIRED": "good time intervals overlapped, were out of order, or could not be",
    "GTI_WITHOUT_EVENTS": "a part of the good time holds no events though many are expected",
    "LIVETIME_DIFFERS": "LIVETIME in the header is not the good time without the dead time",
    "EVENTS_DOUBLED": "events stood in the file more than once and were counted once",
    "EVENT_IDS_REPEATED": "event numbers stand for more than one event, all were kept",
    "POINTING_ODD": "the pointing was taken from other words than RA_PNT and DEC_PNT",
    "RESPONSE_ODD": "a response is not what such a table should be",
    "THRESHOLD_UNKNOWN": "LO_THRES does not tell an energy threshold, the effective area does",
}
#: what runs are flagged for that is counted while they are read, or that they lack
COUNTED = (
    *("NO_EVENTS", "EVENTS_BAD", "EVENTS_OUTSIDE_GTI", "IRF_REPAIRED"),
    *("NO_PSF", "NO_BACKGROUND_IRF"),
)


@dataclass(frozen=True)
class Oddity:
    """Something odd in the files of a run that did not keep it from being used.

    Attributes
    ----------
    flag
        A key of `ODDITIES`, or one of `COUNTED`.
    text
        What was found and what was done, with file, HDU and keyword or column.
    """

    flag: str
    text: str

    def __post_init__(self) -> None:
        if self.flag not in ODDITIES and self.flag not in COUNTED:
            raise ValueError(f"unknown flag {self.flag!r}")


def unusable(where: str, what: str, hint: str = "") -> RunDataError:
    """The error for a run whose files can be read but not used.

    Parameters
    ----------
    where
        File and HDU.
    what
        What is wrong, with the keyword or column.
    hint
        What to do; empty: to make the file again.
    """
    return RunDataError(f"{where}: {what}", hint or "Have the run's DL3 file made again.")
