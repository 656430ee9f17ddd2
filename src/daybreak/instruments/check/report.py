"""Checks of files by kind: number of events, types, rates, distributions of what is in them."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daybreak.errors import RunDataError
from daybreak.instruments.check.kinds import kind_of
from daybreak.instruments.dl1.source import open_source
from daybreak.products.hdf5 import tables_without_pickle

#: columns whose quantiles are told
_TOLD = (
    *("hillas_intensity", "hillas_width", "hillas_length", "timing_slope"),
    *("leakage_intensity_width_2", "morphology_n_pixels", "intensity", "width", "length"),
)
_QUANTILES = (0.05, 0.5, 0.95)


@dataclass
class FileReport:
    """What a check found.

    Attributes
    ----------
    path, kind, size_bytes
        The file, what it is, and its size.
    whole
        Nothing is missing or damaged.
    problems
        What is.
    events, types
        Number of events, and by type.
    duration_s, rate_hz
        From the first to the last event, and their rate; NaN if not known.
    telescopes
        Images by telescope.
    distributions
        By column: values at 5, 50 and 95 %.
    facts
        Other words: instrument, run, pointing ...
    """

    path: str
    kind: str
    size_bytes: int
    whole: bool = True
    problems: list[str] = field(default_factory=list)
    events: int = 0
    types: dict[str, int] = field(default_factory=dict)
    duration_s: float = float("nan")
    rate_hz: float = float("nan")
    telescopes: dict[str, int] = field(default_factory=dict)
    distributions: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def problem(self, text: str) -> None:
        """Note that something is missing or damaged.

        Parameters
        ----------
        text
            What.
        """
        self.whole = False
        self.problems.append(text)

    def times(self, seconds: Any) -> None:
        """Note duration and rate.

        Parameters
        ----------
        seconds
            Times of the events.
        """
        seconds = np.asarray(seconds, dtype=float)
        if len(seconds) > 1 and np.ptp(seconds) > 0:
            self.duration_s = float(np.ptp(seconds))
            self.rate_hz = float((len(seconds) - 1) / self.duration_s)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def check_file(path: Path) -> FileReport:
    """Look at a file from its beginning to its end.

    Parameters
    ----------
    path
        Camera data, DL1 or DL3.

    Raises
    ------
    RunDataError
        If it can't be read at all.
    """
    kind = kind_of(path)
    report = FileReport(str(path), kind, path.stat().st_size)
    looks = {
        "simtel": _source,
        "zfits": _zfits,
        "ctapipe": _ctapipe,
        "lstchain": _lstchain,
        "dl3": _dl3,
    }
    look = looks.get(kind)
    if look is None:
        report.problem(f"nothing is known about files of this kind ({kind})")
        return report
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        look(path, report)
    for warning in said:
        text = str(warning.message)
        if "truncated" in text.lower():
            report.problem(text)
    return report


def _source(path: Path, report: FileReport) -> None:
    """Camera data through ctapipe's EventSource."""
    types: Counter[str] = Counter()
    telescopes: Counter[str] = Counter()
    seconds = []
    with open_source(path, "equivalent") as source:
        report.facts["subarray"] = str(source.subarray.name)
        report.facts["simulation"] = "yes" if source.is_simulation else "no"
        try:
            for event in source:
                types[event.trigger.event_type.name] += 1
                telescopes.update(str(tel) for tel in event.trigger.tels_with_trigger)
                seconds.append(event.trigger.time.unix_tai)
        except Exception as error:  # sources are plug-ins, and raise what they like
            report.problem(f"reading ended after {len(seconds)} events: {str(error)[:120]}")
    report.events, report.types, report.telescopes = len(seconds), dict(types), dict(telescopes)
    report.times(seconds)
    if not seconds:
        report.problem("no event in it could be read")


def _zfits(path: Path, report: FileReport) -> None:
    """Raw data of SST-1M."""
    from daybreak.instruments.sst1m.raw import EventKind, open_raw

    raw = open_raw(path)
    types: Counter[str] = Counter()
    seconds: list[float] = []
    for chunk in raw.chunks():
        types.update(EventKind(int(kind)).name for kind in chunk.kind)
        seconds += (chunk.time_ns * 1e-9).tolist()
    report.events, report.types = len(seconds), dict(types)
    report.telescopes = {str(raw.telescope): len(seconds)}
    report.facts |= {"target": raw.target, "pixels": str(raw.n_pixels)}
    report.times(seconds)
    for note in raw.notes:
        report.problem(note)
    for reason, count in raw.tally.skipped.items():
        report.problem(f"{count} events left out: {reason}")
    if raw.checksum_holds() is False:
        report.problem("the data are not those of the checksum in the header")


def _told(report: FileReport, columns: dict[str, list[Any]]) -> None:
    for name in _TOLD:
        if name in columns:
            values = np.concatenate(columns[name]).astype(float)
            values = values[np.isfinite(values)]
            if len(values):
                report.distributions[name] = [float(q) for q in np.quantile(values, _QUANTILES)]


def _ctapipe(path: Path, report: FileReport) -> None:
    tables = tables_without_pickle()

    columns: dict[str, list[Any]] = {}
    try:
        with tables.open_file(str(path)) as file:
            for node in file.walk_nodes("/dl1/event/telescope", "Table"):
                if "/parameters/" in node._v_pathname:
                    report.telescopes[node._v_name] = int(node.nrows)
                    for name in set(_TOLD) & set(node.colnames):
                        columns.setdefault(name, []).append(node.col(name))
            trigger = file.root.dl1.event.subarray.trigger
            report.events = int(trigger.nrows)
            report.types = {
                str(k): v for k, v in Counter(trigger.col("event_type").tolist()).items()
            }
            if "time" in trigger.colnames and trigger.coldescrs["time"].shape == (2,):
                time = trigger.col("time").astype(float)
                report.times(time[:, 0] + time[:, 1] * 0.25e-9)
            stopped = file.root._v_attrs
            if "DAYBREAK STOPPED" in stopped and str(stopped["DAYBREAK STOPPED"]):
                report.problem(f"its input ended early, {stopped['DAYBREAK STOPPED']}")
    except (OSError, tables.HDF5ExtError, tables.NoSuchNodeError) as error:
        report.problem(f"a table can't be read ({type(error).__name__.replace('Error', '')})")
    _told(report, columns)


def _lstchain(path: Path, report: FileReport) -> None:
    tables = tables_without_pickle()

    columns: dict[str, list[Any]] = {}
    try:
        with tables.open_file(str(path)) as file:
            node = file.root.dl1.event.telescope.parameters.LST_LSTCam
            report.events = int(node.nrows)
            report.telescopes["LST-1"] = int(node.nrows)
            for name in set(_TOLD) & set(node.colnames):
                columns[name] = [node.col(name)]
            if "event_type" in node.colnames:
                counts = Counter(node.col("event_type").tolist())
                report.types = {str(k): v for k, v in counts.items()}
            for name in ("dragon_time", "trigger_time"):
                if name in node.colnames:
                    report.times(node.col(name))
                    break
    except (OSError, tables.HDF5ExtError, tables.NoSuchNodeError):
        report.problem("the table of parameters can't be read")
    _told(report, columns)


def _dl3(path: Path, report: FileReport) -> None:
    from contextlib import ExitStack

    from daybreak.science.content import run_content
    from daybreak.science.dl3.files import HduLocation, RunFiles

    with ExitStack() as stack:
        hdus = RunFiles(stack).hdulist(path)  # whose errors say what is wrong with a file
        headers = [hdu.header for hdu in hdus[1:]]
        header = next((h for h in headers if "EVENTS" in str(h.get("HDUCLAS1"))), None)
        if header is None:
            report.problem("its events can't be found (HDUCLAS1)")
            return
        report.events = int(header.get("NAXIS2", 0))
        for key in ("TELESCOP", "OBJECT", "OBS_ID", "RA_PNT", "DEC_PNT", "LIVETIME"):
            report.facts[key] = str(header.get(key, ""))
        name = str(header.get("EXTNAME", ""))
    number = report.facts["OBS_ID"]
    places = {"events": HduLocation("events", "events", path, name)}
    reason, oddities = run_content(int(number) if number.lstrip("-").isdigit() else -1, places)
    if reason:
        report.problem(reason)
    report.facts |= {oddity.flag: oddity.text for oddity in oddities if "index" not in oddity.text}


def check_files(paths: list[Path]) -> list[FileReport]:
    """Look at files; what can't be read at all is a report, too.

    Parameters
    ----------
    paths
        The files.
    """
    reports = []
    for path in paths:
        try:
            reports.append(check_file(path))
        except RunDataError as error:
            size = path.stat().st_size if path.is_file() else 0
            report = FileReport(str(path), "unreadable", size)
            report.problem(error.what)
            reports.append(report)
    return reports
