"""Raw (R0) files of SST-1M: what a file is, and its events in chunks of bounded memory.

The files are zfits tables of ``CameraEvent`` messages (CTA's ProtoDataModel), read by
:mod:`daybreak.instruments.sst1m.zfits`, not by protozfits: its library ends the whole process on
most damaged files. An event that can't be right is left out, counted, and its reason kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import RunDataError
from daybreak.instruments.sst1m.assemble import Fields, Shape, Tally, shape_of, sort_out
from daybreak.instruments.sst1m.compression import BlockError
from daybreak.instruments.sst1m.writing import write_raw as write_raw
from daybreak.instruments.sst1m.zfits import ZTable, checksum_holds, open_table, read_blocks

#: column to the most bytes of one of its rows: that is 4096 pixels of 128 samples
_LIMITS = {
    **dict.fromkeys(("telescopeID", "eventNumber", "arrayEvtNum", "event_type"), 4),
    **dict.fromkeys(("local_time_sec", "local_time_nanosec"), 8),
    "hiGain_waveforms_samples": 4 + 2 * 4096 * 128,
    **dict.fromkeys(("hiGain_waveforms_pixelsIndices", "hiGain_waveforms_baselines"), 4 + 8192),
    "pixels_flags": 4 + 8192,
}
_NEEDED = {
    *("telescopeID", "eventNumber", "event_type", "local_time_sec", "local_time_nanosec"),
    *("hiGain_waveforms_samples", "hiGain_waveforms_pixelsIndices", "hiGain_waveforms_baselines"),
}
#: look for a whole tile among so many
_LOOK = 20
_NAME = re.compile(r"SST1M\d_(\d{8})_(\d+)")


class EventKind(IntEnum):
    """What an event is, by the bits of the camera (`event_kinds`)."""

    UNKNOWN = 0
    SHOWER = 1
    MUON = 2
    PEDESTAL = 3
    EXTERNAL = 4


def event_kinds(bits: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Kinds of events from the camera's bits (digicampipe, issue 244).

    1 and 2 are the patch triggers (7 and 19 patches), 4 the muon trigger, 8 the internal trigger,
    16 an external one, which is what a flasher for flat-field events gives. As sst1mpipe does,
    only an event whose bits are exactly 8 is taken for a pedestal.

    Parameters
    ----------
    bits
        ``event_type`` of the camera, shape (n,).

    Returns
    -------
    numpy.ndarray
        Values of `EventKind`, shape (n,).
    """
    kinds = np.full(len(bits), EventKind.UNKNOWN, np.uint8)
    kinds[bits & 0x10 > 0] = EventKind.EXTERNAL
    kinds[bits & 0x4 > 0] = EventKind.MUON
    kinds[bits & 0x3 > 0] = EventKind.SHOWER
    kinds[bits == 0x8] = EventKind.PEDESTAL
    return kinds


@dataclass(frozen=True, eq=False)
class RawChunk:
    """Some events of a raw file, whole and in the order of the file.

    Attributes
    ----------
    index
        Place of each event in the file, from 0, shape (n,).
    event_id
        The camera's own event number, shape (n,).
    array_event_id
        Event number of the array (SWAT), shape (n,); zeros where the file has none.
    time_ns
        Nanoseconds since 1970-01-01 as the camera counts them, shape (n,). SST-1M's White Rabbit
        counts TAI; see `RawFile.time_scale`.
    bits
        ``event_type`` of the camera as it stands, shape (n,).
    kind
        `EventKind` of each, shape (n,).
    waveforms
        Samples (ADC counts), shape (n, pixels, samples); pixels by their software number.
    baselines
        The board's baselines, in sixteenths of an ADC count, shape (n, pixels).
    flags
        Flags of the pixels, shape (n, pixels); ones where the file has none.
    """

    index: NDArray[np.int64]
    event_id: NDArray[np.uint32]
    array_event_id: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    bits: NDArray[np.uint32]
    kind: NDArray[np.uint8]
    waveforms: NDArray[np.uint16]
    baselines: NDArray[np.uint16]
    flags: NDArray[np.uint16]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.event_id)


@dataclass
class RawFile:
    """A raw file of one telescope; iterate over `chunks`.

    Attributes
    ----------
    path
        The file.
    telescope
        Number of the telescope as the file has it (21 or 22 at Ondřejov).
    date, run
        Night and number of the run from the file's name; empty and -1 if the name has none.
    target
        Header keyword TARGET; empty if there is none.
    n_events
        Number of events as the header says; if it does not, those of the tiles.
    n_pixels, n_samples
        Of each event.
    has_array_ids
        The file has event numbers of the array, and they are not all zero at its start.
    time_scale
        Header keyword TIMESYS in small letters. It says ``utc`` in files of 2018 whose times are
        UTC. sst1mpipe reads all times as TAI.
    header
        All keywords.
    notes
        What is wrong with the file as a whole.
    tally
        What was read and left out, filled by the latest `chunks`.
    """

    path: Path
    telescope: int
    date: str
    run: int
    target: str
    n_events: int
    n_pixels: int
    n_samples: int
    has_array_ids: bool
    time_scale: str
    header: Mapping[str, Any]
    notes: tuple[str, ...]
    _table: ZTable = field(repr=False)
    tally: Tally = field(default_factory=Tally)

    def chunks(self, size: int = 100) -> Iterator[RawChunk]:
        """Read the events; at the end `tally` counts all that the header announces.

        Parameters
        ----------
        size
            Most events of a chunk. Memory is that of one tile (100 events, usually) and a chunk.
        """
        self.tally = tally = Tally()
        shape = Shape(self.telescope, self.n_pixels, self.n_samples)
        place = 0
        try:
            with self.path.open("rb") as handle:
                for tile in self._table.tiles:
                    try:
                        blocks = read_blocks(handle, self._table, tile, _LIMITS)
                        fields = sort_out(blocks, tile.n_rows, shape, tally)
                    except BlockError as error:
                        tally.skip(str(error), tile.n_rows)
                        place += tile.n_rows
                        continue
                    for start in range(0, len(fields.rows), size):
                        yield self._chunk(fields, slice(start, start + size), place)
                    place += tile.n_rows
        except OSError as error:
            raise RunDataError(f"{self.path}: can't be read ({error.strerror})") from error
        if place < self.n_events:
            tally.skip("the file ends before it, or its tile is lost", self.n_events - place)

    def checksum_holds(self) -> bool | None:
        """Compare the data with the checksum in the header; reads the whole file once.

        Returns
        -------
        bool or None
            None if the header has no checksum.
        """
        return checksum_holds(self._table)

    def _chunk(self, fields: Fields, part: slice, place: int) -> RawChunk:
        waveforms, baselines, flags = fields.pixels(part)
        time = fields.time_ns[part]
        self.tally.read(time)
        return RawChunk(
            place + fields.rows[part],
            fields.event_id[part],
            fields.array_event_id[part],
            time,
            fields.bits[part],
            event_kinds(fields.bits[part]),
            waveforms,
            baselines,
            flags,
        )


def open_raw(path: Path | str) -> RawFile:
    """Open a raw file of SST-1M and say what it is; events are read later.

    Parameters
    ----------
    path
        A ``.fits.fz`` file.

    Returns
    -------
    RawFile
        With the first tile that can be unpacked looked into.

    Raises
    ------
    RunDataError
        If the file is missing, no zfits file of a DigiCam, or none of its events can be read.
    """
    path = Path(path)
    table = open_table(path, "Events")
    lacking = _NEEDED - set(table.columns)
    if lacking:
        raise RunDataError(
            f"{path}: the events have no {', '.join(sorted(lacking))}",
            "Raw files of SST-1M (DigiCam) have them; is this one of another camera?",
        )
    tiles = sum(tile.n_rows for tile in table.tiles)
    if not tiles:
        raise RunDataError(f"{path}: the file holds no events", "Copy it again, or leave it out.")
    notes = list(table.notes)
    if not table.n_rows:
        notes.append(f"the file was not closed by its writer; {tiles} events were found")
    elif tiles < table.n_rows:
        notes.append(f"{tiles} of {table.n_rows} events are there")
    shape, has_array_ids = _look(path, table)
    named = _NAME.search(path.name)
    return RawFile(
        path,
        shape.telescope,
        named[1] if named else "",
        int(named[2]) if named else -1,
        str(table.header.get("TARGET") or ""),
        table.n_rows or tiles,
        shape.n_pixels,
        shape.n_samples,
        has_array_ids,
        str(table.header.get("TIMESYS") or "").lower(),
        table.header,
        tuple(notes),
        table,
    )


def _look(path: Path, table: ZTable) -> tuple[Shape, bool]:
    """Shape of the events, and whether the array numbered them, from the first whole tile."""
    reasons: list[str] = []
    found: tuple[Shape, bool] | None = None
    try:
        with path.open("rb") as handle:
            for tile in table.tiles[:_LOOK]:
                try:
                    blocks = read_blocks(handle, table, tile, _LIMITS)
                    shape, whole = shape_of(blocks, tile.n_rows)
                except BlockError as error:
                    reasons.append(str(error))
                    continue
                if found is None or whole:
                    found = shape, bool(np.any(blocks.get("arrayEvtNum", False)))
                if whole:
                    break
    except OSError as error:
        raise RunDataError(f"{path}: can't be read ({error.strerror or error})") from error
    if found is None:
        raise RunDataError(f"{path}: no event can be read ({reasons[0]})", "Copy the file again.")
    return found
