"""Make a DL1 file of a file of camera data."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daybreak.config.dl1 import Dl1Config
from daybreak.errors import RunDataError
from daybreak.images.camera import Camera
from daybreak.instruments.dl1.cameras import camera_from_ctapipe
from daybreak.instruments.dl1.processing import process
from daybreak.instruments.dl1.reading import TelescopeBuffer
from daybreak.instruments.dl1.source import open_source
from daybreak.instruments.dl1.tables import IMAGES, PARAMETERS, image_table, parameter_table
from daybreak.products.atomic import commit
from daybreak.products.digest import file_digest, value_digest
from daybreak.products.hdf5 import tables_without_pickle
from daybreak.products.provenance import provenance

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MadeDl1:
    """What became of a file.

    Attributes
    ----------
    path
        The DL1 file.
    events, images, parametrised
        Array events, images of telescopes, and those with parameters.
    made
        It was made now; False: it was there.
    stopped
        Why reading ended before the end of the file; empty if it did not.
    """

    path: Path
    events: int
    images: int
    parametrised: int
    made: bool = True
    stopped: str = ""


class _Writer:
    """Parameters and images of all telescopes in a file of their own, merged at the end."""

    def __init__(self, path: Path, config: Dl1Config) -> None:
        tables = tables_without_pickle()

        self.file = tables.open_file(str(path), "w")
        self.config = config
        self.images = self.parametrised = 0

    def add(self, buffer: TelescopeBuffer, camera: Camera, threads: int) -> None:
        """Process what a buffer holds, write it, and empty the buffer."""
        from ctapipe.io import write_table

        if not len(buffer):
            return
        found, tel = process(buffer, camera, self.config, threads), f"tel_{buffer.tel_id:03d}"
        table = parameter_table(found, buffer.tel_id)
        self.images += len(table)
        self.parametrised += int((found.parameters.column("hillas_intensity") > 0).sum())
        write_table(table, self.file, f"{PARAMETERS}/{tel}", append=True)
        if self.config.images:
            write_table(
                image_table(found, buffer.tel_id), self.file, f"{IMAGES}/{tel}", append=True
            )
        buffer.clear()


def _merge(parts: Path, into: Path, note: dict[str, Any]) -> None:
    """Copy the tables of telescopes into the file with everything else."""
    tables = tables_without_pickle()

    with tables.open_file(str(parts)) as source, tables.open_file(str(into), "a") as target:
        for group in (PARAMETERS, IMAGES):
            if group not in source:
                continue
            parent, _, name = group.rpartition("/")
            if parent not in target:
                above, _, last = parent.rpartition("/")
                target.create_group(above, last, createparents=True)
            target.copy_node(source.get_node(group), target.get_node(parent), name, recursive=True)
        for key, value in note.items():
            target.root._v_attrs[f"DAYBREAK {key.upper()}"] = str(value)


def _run(
    source: Any, writer: Any, parts: _Writer, config: Dl1Config, threads: int
) -> tuple[int, str]:
    """All events of a source; their number, and why reading stopped early."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        events, stopped = _loop(source, writer, parts, config, threads)
    cut = next((str(w.message) for w in said if "truncated" in str(w.message).lower()), "")
    if cut and not stopped:  # what eventio says, and then ends as if the file did
        stopped = f"after {events} events: {cut}"
    return events, stopped


def _loop(
    source: Any, writer: Any, parts: _Writer, config: Dl1Config, threads: int
) -> tuple[int, str]:
    cameras: dict[int, Camera] = {}
    buffers: dict[int, TelescopeBuffer] = {}
    events, stopped = 0, ""
    iterator = iter(source)
    while True:
        try:
            event = next(iterator)
        except StopIteration:
            break
        except Exception as error:  # sources are plug-ins, and raise what they like
            _log.debug("reading stopped", exc_info=error)
            stopped = f"after {events} events: {' '.join(str(error).split())[:160]}"
            break
        events += 1
        writer(event)
        for tel_id in event.r1.tel or event.dl0.tel:
            if tel_id not in cameras:
                effective = config.focal_length == "effective"
                cameras[tel_id] = camera_from_ctapipe(
                    source.subarray.tel[tel_id], effective=effective
                )
                buffers[tel_id] = TelescopeBuffer(tel_id)
            buffers[tel_id].take(event)
            if len(buffers[tel_id]) >= config.chunk:
                parts.add(buffers[tel_id], cameras[tel_id], threads)
    for tel_id, buffer in buffers.items():
        parts.add(buffer, cameras[tel_id], threads)
    return events, stopped


def dl1_key(path: Path, config: Dl1Config) -> str:
    """What a DL1 file depends on: content of the input and configuration.

    Parameters
    ----------
    path
        The input.
    config
        The resolved configuration.
    """
    return value_digest({"input": file_digest(path), "config": config.model_dump(mode="json")})


def make_dl1(path: Path, out: Path, config: Dl1Config, *, threads: int = 1) -> MadeDl1:
    """Make the DL1 file of a file of camera data, if it is not there already.

    Parameters
    ----------
    path
        What a ctapipe EventSource reads.
    out
        The DL1 file; written under another name and renamed when complete.
    config
        The resolved configuration.
    threads
        Threads for the kernels.

    Returns
    -------
    MadeDl1
        With the number of events, and why reading ended early if it did.

    Raises
    ------
    RunDataError
        If nothing can be read.
    ConfigError
        If ctapipe is not installed.
    """
    with open_source(path, config.focal_length) as source:
        from ctapipe.io import DataWriter

        key = dl1_key(path, config)
        known = _there(out, key)
        if known is not None:
            return known
        out.parent.mkdir(parents=True, exist_ok=True)
        target, extra = (
            out.with_name(f".{out.name}.{w}-{os.getpid()}") for w in ("partial", "parts")
        )
        try:
            parts = _Writer(extra, config)
            with parts.file, DataWriter(
                source, output_path=target, write_dl1_parameters=False, write_dl1_images=False,
                overwrite=True,
            ) as writer:  # fmt: skip
                events, stopped = _run(source, writer, parts, config, threads)
                if not events:
                    raise RunDataError(f"{path.name}: no event in it could be read", stopped)
            note = provenance("make dl1", value_digest(config.model_dump(mode="json")), {})
            counts = {"events": events, "images": parts.images, "parametrised": parts.parametrised}
            _merge(extra, target, {"key": key, **counts, "stopped": stopped, "provenance": note})
            commit(target, out)
        finally:
            for left in (target, extra):
                left.unlink(missing_ok=True)
    return MadeDl1(out, events, parts.images, parts.parametrised, stopped=stopped)


def _there(out: Path, key: str) -> MadeDl1 | None:
    """What is there already, if it was made of the same input with the same settings."""
    tables = tables_without_pickle()

    try:
        with tables.open_file(str(out)) as file:
            known = {name: str(file.root._v_attrs[f"DAYBREAK {name}"]) for name in (
                "KEY", "EVENTS", "IMAGES", "PARAMETRISED", "STOPPED",
            )}  # fmt: skip
    except (OSError, KeyError, tables.HDF5ExtError):
        return None
    if known["KEY"] != key:
        return None
    events, images, parametrised = (
        int(known[name]) for name in ("EVENTS", "IMAGES", "PARAMETRISED")
    )
    return MadeDl1(out, events, images, parametrised, made=False, stopped=known["STOPPED"])
