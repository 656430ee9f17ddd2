"""Write runs and index files of a DL3 store in the GADF layout, byte for byte reproducibly."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from daybreak.errors import OutputError
from daybreak.products.atomic import atomic_path
from daybreak.products.provenance import header_cards
from daybreak.simulate.instrument import (
    VirtualInstrument,
    full_enclosure_irfs,
    point_like_irfs,
)
from daybreak.simulate.sampling import Events
from daybreak.simulate.virtual_runs import MJDREFF, MJDREFI, Run, observation_row

INDEX_FILES = ("obs-index.fits.gz", "hdu-index.fits.gz")
_GZIP_LEVEL = 3
_FITS_BLOCK = 2880
_HDU_CLASSES = {
    "events": "events",
    "gti": "gti",
    "aeff": "aeff_2d",
    "edisp": "edisp_2d",
    "psf": "psf_table",
    "bkg": "bkg_3d",
    "rad_max": "rad_max_2d",
}
_TIME_CARDS = {
    "MJDREFI": MJDREFI,
    "MJDREFF": MJDREFF,
    "TIMEUNIT": "s",
    "TIMESYS": "TT",
    "TIMEREF": "LOCAL",
}


def run_file_name(obs_id: int) -> str:
    """Name of a run's file.

    Parameters
    ----------
    obs_id
        Number of the run; six digits are shown.
    """
    return f"daybreak_virtual_{obs_id:06d}.fits.gz"


_IN_SECONDS = {"ONTIME", "LIVETIME", "TSTART", "TSTOP"}
_ANGLE_ENDS = ("_PNT", "_OBJ", "_OFFSET")


def _unit(key: str) -> str | None:
    if key in _IN_SECONDS:
        return "s"
    return "deg" if key.endswith(_ANGLE_ENDS) else None


def _class_cards(first: str, second: str = "") -> dict[str, Any]:
    cards = {
        "HDUCLASS": "GADF",
        "HDUDOC": "https://gamma-astro-data-formats.readthedocs.io",
        "HDUVERS": "0.3",
        "HDUCLAS1": first,
    }
    return {**cards, "HDUCLAS2": second} if second else cards


def _site_cards(instrument: VirtualInstrument) -> dict[str, Any]:
    return {
        "GEOLON": float(instrument.longitude.to_value("deg")),
        "GEOLAT": float(instrument.latitude.to_value("deg")),
        "ALTITUDE": float(instrument.altitude.to_value("m")),
    }


def _events_hdu(
    events: Events, run: Run, row: dict[str, Any], instrument: VirtualInstrument
) -> fits.BinTableHDU:
    time = run.tstart + events.seconds
    columns = [
        fits.Column("EVENT_ID", "1K", array=np.arange(1, len(time) + 1)),
        fits.Column("TIME", "1D", unit="s", array=time),
        fits.Column("RA", "1E", unit="deg", array=events.ra),
        fits.Column("DEC", "1E", unit="deg", array=events.dec),
        fits.Column("ENERGY", "1E", unit="TeV", array=events.energy),
        fits.Column("MC_ID", "1I", array=events.mc_id),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    skipped = {"EVENT_COUNT", "TARGET_NAME", "TARGET_TAG", "TARGET_OFFSET"}
    cards = {
        **_class_cards("EVENTS"),
        **_TIME_CARDS,
        **{k: v for k, v in row.items() if k not in skipped},
        **_site_cards(instrument),
        "TELAPSE": row["ONTIME"],
        "ORIGIN": "Daybreak simulation",
        "OBS_MODE": "POINTING",
        "EV_CLASS": "virtual",
        "RADECSYS": "ICRS",
        "EQUINOX": 2000.0,
        "EUNIT": "TeV",
    }
    hdu.header.update(cards)
    return hdu


def _gti_hdu(run: Run) -> fits.BinTableHDU:
    columns = [
        fits.Column("START", "1D", unit="s", array=np.array([run.tstart])),
        fits.Column("STOP", "1D", unit="s", array=np.array([run.tstop])),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    hdu.header.update({**_class_cards("GTI"), **_TIME_CARDS, "OBS_ID": run.obs_id})
    return hdu


def _irf_hdu(name: str, irf: Any) -> fits.BinTableHDU:
    table = irf.to_table(format="gadf-dl3")
    if "THETA_LO" in table.colnames:
        nodes = irf.axes["offset"].center
        table["THETA_LO"] = table["THETA_HI"] = nodes[np.newaxis]
    for column in table.colnames:
        table[column] = table[column].astype(np.float32)
    hdu = fits.BinTableHDU(table, name=name.upper())
    hdu.header["OBS_ID"] = 0
    hdu.header["ORIGIN"] = "Daybreak simulation"
    return hdu


def _to_bytes(hdus: Sequence[Any]) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def _id_card(obs_id: int) -> bytes:
    return str(fits.Card("OBS_ID", obs_id).image).encode("ascii")


@lru_cache(maxsize=8)
def _irf_bytes(instrument: VirtualInstrument, point_like: bool) -> tuple[bytes, dict[str, int]]:
    """Response tables of run 0 as they stand in a file, and the size of each.

    They are made once for all runs: writing them anew takes longer than drawing the events.
    """
    irfs = point_like_irfs(instrument) if point_like else full_enclosure_irfs(instrument)
    hdus = [_irf_hdu(name, irf) for name, irf in irfs.items()]
    primary = fits.PrimaryHDU()
    content = _to_bytes([primary, *hdus])[_n_bytes(primary) :]
    return content, {hdu.name: _n_bytes(hdu) for hdu in hdus}


def write_gzipped(content: bytes, path: Path) -> None:
    """Write bytes, compressed, atomically; the same content gives the same bytes.

    Parameters
    ----------
    content
        Uncompressed.
    path
        Of the file; its folder is made if it is missing.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    with (
        atomic_path(path) as partial,
        partial.open("wb") as raw,
        gzip.GzipFile(
            filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0
        ) as stream,
    ):
        stream.write(content)


def _n_bytes(hdu: Any) -> int:
    """Size of an HDU in the uncompressed file, header and data in FITS blocks."""
    blocks = -(-hdu.size // _FITS_BLOCK)
    return len(str(hdu.header.tostring())) + int(blocks) * _FITS_BLOCK


def write_run(
    folder: Path,
    run: Run,
    events: Events,
    instrument: VirtualInstrument,
    *,
    point_like: bool,
    provenance: dict[str, Any],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write one run's file.

    Parameters
    ----------
    folder
        Of the store.
    run
        What was observed, and when.
    events
        By time.
    instrument
        Its response is written beside the events.
    point_like
        Write point-like responses with ``RAD_MAX_2D``.
    provenance
        As of :func:`daybreak.products.provenance.provenance`.

    Returns
    -------
    observation : dict
        Its row of the observation index.
    hdus : list of dict
        Its rows of the HDU index.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    row = observation_row(run, len(events.energy), instrument)
    primary = fits.PrimaryHDU()
    for key, value in header_cards(provenance):
        primary.header.add_history(value) if key == "HISTORY" else primary.header.set(key, value)
    tables = [_events_hdu(events, run, row, instrument), _gti_hdu(run)]
    tables[0].header["CREATOR"] = primary.header["CREATOR"]
    irfs, irf_sizes = _irf_bytes(instrument, point_like)
    content = _to_bytes([primary, *tables]) + irfs.replace(_id_card(0), _id_card(run.obs_id))
    name = run_file_name(run.obs_id)
    write_gzipped(content, folder / "data" / name)
    sizes = {hdu.name: _n_bytes(hdu) for hdu in tables} | irf_sizes
    rows = [
        {
            "OBS_ID": run.obs_id,
            "HDU_TYPE": hdu_name.lower(),
            "HDU_CLASS": _HDU_CLASSES[hdu_name.lower()],
            "FILE_DIR": "data",
            "FILE_NAME": name,
            "HDU_NAME": hdu_name,
            "SIZE": size,
        }
        for hdu_name, size in sizes.items()
    ]
    return row, rows


def index_hdu(rows: Sequence[dict[str, Any]], name: str) -> fits.BinTableHDU:
    """A table of equally keyed rows as a FITS table.

    Parameters
    ----------
    rows
        At least one.
    name
        Of the HDU.
    """
    columns = []
    for key in rows[0]:
        values = np.array([row[key] for row in rows])
        form = {"i": "1K", "f": "1D"}.get(values.dtype.kind, f"{values.dtype.itemsize // 4}A")
        columns.append(fits.Column(key, form, unit=_unit(key), array=values))
    return fits.BinTableHDU.from_columns(columns, name=name)


def write_index_files(
    folder: Path,
    observations: Sequence[dict[str, Any]],
    hdus: Sequence[dict[str, Any]],
    instrument: VirtualInstrument,
) -> None:
    """Write ``obs-index.fits.gz`` and ``hdu-index.fits.gz``.

    Parameters
    ----------
    folder
        Of the store.
    observations, hdus
        Rows of the two indices, as of `write_run`.
    instrument
        Its site is written into the header.

    Raises
    ------
    OutputError
        If there is no run, or a file can't be written.
    """
    if not observations:
        raise OutputError(f"no run to index in {folder}", "Ask for at least one run.")
    obs = index_hdu(observations, "OBS_INDEX")
    cards = {**_class_cards("INDEX", "OBS"), **_TIME_CARDS, **_site_cards(instrument)}
    obs.header.update(cards)
    write_gzipped(_to_bytes([fits.PrimaryHDU(), obs]), folder / INDEX_FILES[0])
    table = index_hdu(hdus, "HDU_INDEX")
    table.header.update(_class_cards("INDEX", "HDU"))
    write_gzipped(_to_bytes([fits.PrimaryHDU(), table]), folder / INDEX_FILES[1])
