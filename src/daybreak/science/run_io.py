"""A reduced run as a FITS file: written by the reduction, read by everything after it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from daybreak.errors import ProductError
from daybreak.products.provenance import header_cards
from daybreak.science.circle import Circle
from daybreak.science.run import Background, NullRegions, ReducedRun, Theta2Counts

_VERSION = 1


def _columns(**arrays: tuple[str, np.ndarray]) -> fits.ColDefs:
    columns = []
    for name, (unit, data) in arrays.items():
        data = np.asarray(data, dtype=np.float64)
        width = data.shape[1] if data.ndim == 2 else 1
        columns.append(
            fits.Column(name=name.upper(), format=f"{width}D", unit=unit or None, array=data)
        )
    return fits.ColDefs(columns)


def _table(hdu_name: str, **arrays: tuple[str, np.ndarray]) -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns(_columns(**arrays), name=hdu_name)


def _json_hdu(value: Any) -> fits.ImageHDU:
    text = json.dumps(value, sort_keys=True).encode()
    return fits.ImageHDU(np.frombuffer(text, dtype=np.uint8), name="INFO")


def _background_hdus(name: str, item: Background) -> list[fits.BinTableHDU]:
    return [
        _table(
            f"{name}_BKG",
            counts_off=("", item.counts_off),
            acceptance_on=("", item.acceptance_on),
            acceptance_off=("", item.acceptance_off),
        ),
        _table(
            f"{name}_OFF_EVENTS",
            time=("d", item.off_time_mjd),
            energy=("TeV", item.off_energy_tev),
        ),
    ]


def _null_hdu(null: NullRegions) -> fits.BinTableHDU:
    parts = {
        f"{kind}_{method}": ("", values[method])
        for kind, values in (("expected", null.expected), ("off", null.off_counts))
        for method in values
    }
    return _table("NULL_REGIONS", angle=("deg", null.angles_deg), counts=("", null.counts), **parts)


def _read_null(hdu: Any) -> NullRegions:
    names = [n.removeprefix("EXPECTED_") for n in hdu.columns.names if n.startswith("EXPECTED_")]
    shape = (len(hdu.data), -1)
    expected, off = (
        {n.lower(): _column(hdu, f"{kind}_{n}").reshape(shape) for n in names}
        for kind in ("EXPECTED", "OFF")
    )
    counts = _column(hdu, "COUNTS").reshape(shape)
    return NullRegions(_column(hdu, "ANGLE"), counts, expected, off)


def write_run(run: ReducedRun, path: Path, provenance: Mapping[str, Any]) -> None:
    """Write a reduced run.

    Parameters
    ----------
    run
        What to write.
    path
        Where (the caller gives a temporary name).
    provenance
        Goes into the primary header.
    """
    primary = fits.PrimaryHDU()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key, value in header_cards(dict(provenance)):
            if key == "HISTORY":
                primary.header.add_history(value)
            else:
                primary.header[key] = value
    primary.header["DBFORMAT"] = _VERSION
    info = {
        "info": dict(run.info),
        "regions": [[kind, c.ra_deg, c.dec_deg, c.radius_deg, c.name] for kind, c in run.regions],
        "backgrounds": list(run.backgrounds),
        "maps": list(run.maps),
    }
    hdus: list[Any] = [
        primary,
        _json_hdu(info),
        _table(
            "RECO",
            e_min=("TeV", run.energy_edges_tev[:-1]),
            e_max=("TeV", run.energy_edges_tev[1:]),
            counts_on=("", run.counts_on),
            mask_safe=("", run.mask_safe.astype(float)),
        ),
        _table(
            "TRUE",
            e_min=("TeV", run.true_edges_tev[:-1]),
            e_max=("TeV", run.true_edges_tev[1:]),
            exposure=("cm2 s", run.exposure_cm2_s),
            edisp=("", run.edisp),
        ),
        _table("ON_EVENTS", time=("d", run.on_time_mjd), energy=("TeV", run.on_energy_tev)),
        _table("GTI", start=("d", run.gti_mjd[:, 0]), stop=("d", run.gti_mjd[:, 1])),
    ]
    for name, item in run.backgrounds.items():
        hdus += _background_hdus(name.upper(), item)
    if run.theta2 is not None:
        theta2 = run.theta2
        hdus.append(
            _table(
                "THETA2",
                n_on=("", theta2.n_on),
                n_off=("", theta2.n_off),
                n_positions=("", theta2.n_positions),
            )
        )
    if run.null is not None:
        hdus.append(_null_hdu(run.null))
    hdus += [fits.ImageHDU(data, name=f"MAP_{name.upper()}") for name, data in run.maps.items()]
    fits.HDUList(hdus).writeto(path, overwrite=True)


def _edges(hdu: Any) -> np.ndarray:
    data = hdu.data
    return np.append(data["E_MIN"], data["E_MAX"][-1]).astype(float)


def _column(hdu: Any, name: str) -> np.ndarray:
    return np.array(hdu.data[name], dtype=float)


def read_run(path: Path, *, maps: bool = False) -> ReducedRun:
    """Read a reduced run.

    Parameters
    ----------
    path
        File that :func:`write_run` made.
    maps
        Also read the images.

    Raises
    ------
    ProductError
        If the file is not what it should be.
    """
    try:
        with fits.open(path, memmap=False) as hdulist:
            return _from_hdulist(hdulist, maps)
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise ProductError(
            f"{path}: not a reduced run ({error})", "Delete it and run the same command again."
        ) from error


def _from_hdulist(hdulist: fits.HDUList, maps: bool) -> ReducedRun:
    hdus = {hdu.name: hdu for hdu in hdulist}  # a list looks through all of them for each name
    block = json.loads(hdus["INFO"].data.tobytes())
    backgrounds = {}
    for name in block["backgrounds"]:
        table, events = hdus[f"{name.upper()}_BKG"], hdus[f"{name.upper()}_OFF_EVENTS"]
        backgrounds[name] = Background(
            _column(table, "COUNTS_OFF"),
            _column(table, "ACCEPTANCE_ON"),
            _column(table, "ACCEPTANCE_OFF"),
            _column(events, "TIME"),
            _column(events, "ENERGY"),
        )
    theta2 = None
    if "THETA2" in hdus:
        hdu = hdus["THETA2"]
        theta2 = Theta2Counts(*(_column(hdu, c) for c in ("N_ON", "N_OFF", "N_POSITIONS")))
    gti = hdus["GTI"]
    return ReducedRun(
        info=block["info"],
        energy_edges_tev=_edges(hdus["RECO"]),
        true_edges_tev=_edges(hdus["TRUE"]),
        counts_on=_column(hdus["RECO"], "COUNTS_ON"),
        on_time_mjd=_column(hdus["ON_EVENTS"], "TIME"),
        on_energy_tev=_column(hdus["ON_EVENTS"], "ENERGY"),
        exposure_cm2_s=_column(hdus["TRUE"], "EXPOSURE"),
        edisp=_column(hdus["TRUE"], "EDISP"),
        mask_safe=_column(hdus["RECO"], "MASK_SAFE") > 0,
        gti_mjd=np.column_stack([_column(gti, "START"), _column(gti, "STOP")]),
        backgrounds=backgrounds,
        theta2=theta2,
        maps={n: hdus[f"MAP_{n.upper()}"].data for n in block["maps"]} if maps else {},
        regions=tuple((r[0], Circle(*r[1:])) for r in block["regions"]),
        null=_read_null(hdus["NULL_REGIONS"]) if "NULL_REGIONS" in hdus else None,
    )
