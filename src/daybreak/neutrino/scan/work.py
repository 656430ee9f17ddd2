"""The fits of one block of pixels: in this process, or as a function for workers elsewhere."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import EngineError
from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses
from daybreak.neutrino.scan.journal import PIXEL_DTYPE, Rows

_PULSE_FIELDS = ("string", "om", "time_ns", "charge_pe", "width_ns", "flags")
_COPIED = ("x_m", "y_m", "z_m", "t_ns", "llh", "evaluations", "status")


class Fits(Protocol):
    """What a scan needs of a prepared likelihood."""

    def fit_many(
        self,
        zenith_rad: NDArray[np.float64],
        azimuth_rad: NDArray[np.float64],
        seeds: NDArray[np.float64],
    ) -> Any:
        """Best fit over the seeds (n, k, 4) of each of n directions.

        Parameters
        ----------
        zenith_rad
            Zenith angle that the particle comes from, radians, in the detector's frame; an
            array for many.
        azimuth_rad
            Azimuth that it comes from, radians; of the same shape.
        seeds
            Vertices where the searches start, one list for each direction.
        """


@dataclass(frozen=True, eq=False)
class PixelBlock:
    """Pixels that are fitted together.

    Attributes
    ----------
    nside, pixels
        Which pixels.
    zenith_rad, azimuth_rad
        Their directions in the detector.
    seeds
        Vertices to start from, (n, k, 4): x, y, z in m and time in ns.
    """

    nside: int
    pixels: NDArray[np.int64]
    zenith_rad: NDArray[np.float64]
    azimuth_rad: NDArray[np.float64]
    seeds: NDArray[np.float64]


def fit_block(prepared: Fits, block: PixelBlock) -> Rows:
    """Fit a block of pixels.

    Parameters
    ----------
    prepared
        The likelihood of the event.
    block
        What to fit.

    Returns
    -------
    ndarray of PIXEL_DTYPE
        A row per pixel. The CPU time of the block is shared out by the number of evaluations.
    """
    start = time.thread_time()
    fits = prepared.fit_many(block.zenith_rad, block.azimuth_rad, block.seeds)
    cpu_s = time.thread_time() - start
    rows = np.zeros(len(block.pixels), PIXEL_DTYPE)
    rows["nside"], rows["pixel"] = block.nside, block.pixels
    for name in _COPIED:
        rows[name] = fits[name]
    share = np.maximum(rows["evaluations"].astype(float), 1.0)
    rows["seconds"] = cpu_s * share / share.sum()
    return rows


def encode_event(event: Event) -> bytes:
    """What a likelihood needs of an event, as bytes: pulses, positions, header, labels.

    Parameters
    ----------
    event
        The event.
    """
    header = event.header
    start = None if header.start is None else [float(header.start.jd1), float(header.start.jd2)]
    text = json.dumps(
        {
            "header": [header.run, header.event, header.subrun, header.sub_event, header.stream],
            "start_utc_jd": start,
            "kind": event.kind,
            "source": event.source,
            "labels": list(event.labels),
            "geometry": event.geometry.name,
        }
    )
    arrays: dict[str, Any] = {"text": np.frombuffer(text.encode(), np.uint8)}
    for name, series in (("pulses", event.pulses), ("cleaned", event.cleaned)):
        if series is not None:
            arrays |= {f"{name}_{field}": getattr(series, field) for field in _PULSE_FIELDS}
    for field in ("string", "om", "xyz_m"):
        arrays[f"geometry_{field}"] = getattr(event.geometry, field)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def decode_event(data: bytes) -> Event:
    """The event of :func:`encode_event`; reconstructions and truth are not in it.

    Parameters
    ----------
    data
        The bytes.

    Raises
    ------
    EngineError
        If the bytes are not an encoded event.
    """
    import zipfile

    from astropy.time import Time

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        text = json.loads(arrays["text"].tobytes())
        run, number, subrun, sub_event, stream = text["header"]
        jd = text["start_utc_jd"]
        start = None if jd is None else Time(jd[0], jd[1], format="jd", scale="utc")
        geometry = Geometry(
            name=text["geometry"],
            **{field: arrays[f"geometry_{field}"] for field in ("string", "om", "xyz_m")},
        )
        series = {
            name: Pulses(**{field: arrays[f"{name}_{field}"] for field in _PULSE_FIELDS})
            for name in ("pulses", "cleaned")
            if f"{name}_time_ns" in arrays
        }
        return Event(
            header=EventHeader(
                run=run, event=number, subrun=subrun, sub_event=sub_event, stream=stream,
                start=start,
            ),
            pulses=series["pulses"], geometry=geometry, recos={}, truth=None, kind=text["kind"],
            message={}, source=text["source"], cleaned=series.get("cleaned"),
            labels=tuple(text["labels"]),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise EngineError(f"a worker was sent what is no event: {error}") from error


@lru_cache(maxsize=4)
def _prepared(event: bytes, likelihood: str, options: str) -> Fits:
    """The prepared likelihood of an event, once per worker."""
    from daybreak.neutrino.likelihood import get_likelihood

    prepared: Fits = get_likelihood(likelihood, **json.loads(options)).prepare(decode_event(event))
    return prepared


def scan_block(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Fit a block of pixels on a worker anywhere.

    Parameters
    ----------
    payload
        ``event`` (bytes of :func:`encode_event`), ``likelihood`` (its name), ``options`` (JSON
        text), ``nside``, ``pixels``, ``zenith_rad``, ``azimuth_rad`` (lists) and ``seeds``
        (nested lists, n by k by 4).

    Returns
    -------
    dict
        ``rows``: the bytes of an array of PIXEL_DTYPE.
    """
    prepared = _prepared(payload["event"], payload["likelihood"], payload["options"])
    block = PixelBlock(
        int(payload["nside"]),
        np.asarray(payload["pixels"], np.int64),
        np.asarray(payload["zenith_rad"], float),
        np.asarray(payload["azimuth_rad"], float),
        np.asarray(payload["seeds"], float),
    )
    return {"rows": fit_block(prepared, block).tobytes()}
