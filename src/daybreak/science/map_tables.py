"""Stacked sky maps as FITS and as a table of their significances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from daybreak.products.provenance import header_cards
from daybreak.science.mapstack import SkyMaps

_HISTOGRAM = np.linspace(-6, 10, 81)


def map_significance_table(maps: SkyMaps) -> Table:
    """Histogram of the significances of all pixels and of the OFF pixels.

    Parameters
    ----------
    maps
        The stacked maps.
    """
    table = Table({"low": _HISTOGRAM[:-1], "high": _HISTOGRAM[1:]})
    for item in maps.maps:
        values = item.significance
        measured = np.isfinite(values)
        table[f"{item.method}_all"] = np.histogram(values[measured], _HISTOGRAM)[0]
        table[f"{item.method}_off"] = np.histogram(values[measured & maps.allowed], _HISTOGRAM)[0]
        fit = {k.removesuffix("_deg"): v for k, v in asdict(item.fit).items()}
        table.meta[item.method] = fit | {"correlation_radius_deg": maps.correlation_radius_deg}
    return table


def maps_hdulist(maps: SkyMaps, provenance: Mapping[str, Any]) -> fits.HDUList:
    """Images of all methods with their world coordinates.

    Parameters
    ----------
    maps
        The stacked maps.
    provenance
        Goes into the primary header.
    """
    header = maps.geom.to_image().to_header()
    primary = fits.PrimaryHDU()
    for key, value in header_cards(dict(provenance)):
        if key == "HISTORY":
            primary.header.add_history(value)
        else:
            primary.header[key] = value
    primary.header["CORRRAD"] = (maps.correlation_radius_deg, "[deg] correlation radius")
    hdus: list[Any] = [
        primary,
        fits.ImageHDU(maps.counts.astype(np.float32), header=header, name="COUNTS"),
        fits.ImageHDU(maps.allowed.astype(np.uint8), header=header, name="EXCLUSION"),
    ]
    for item in maps.maps:
        for name in ("background", "excess", "significance"):
            image = getattr(item, name).astype(np.float32)
            label = f"{item.method}_{name}".upper()
            hdus.append(fits.ImageHDU(image, header=header, name=label))
    return fits.HDUList(hdus)
