"""Residuals of the three-dimensional fit on the sky."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from daybreak.report.analysis.figures.maps import mark_exclusions
from daybreak.report.analysis.fit3d_views import chosen_source
from daybreak.report.common.rounding import plain
from daybreak.report.common.skygrid import SkyAxes
from daybreak.report.common.tables import ResultTables, number

_SCALE_SIGMA = 5.0


def draw_residuals(tables: ResultTables) -> Figure | None:
    """Map of the significance of counts over the whole prediction, with the fitted source.

    Parameters
    ----------
    tables
        Of the analysis; without ``fit3d_models`` and ``fit3d_residuals`` there is no figure.
    """
    table = tables.filled("fit3d_models")
    found = tables.images_of("fit3d_residuals").get("RESIDUAL_SIGNIFICANCE")
    if table is None or found is None or not np.isfinite(found[0]).any():
        return None
    data, header = found
    sky = SkyAxes(data, header, "σ", -_SCALE_SIGMA, _SCALE_SIGMA)
    radius = number(table.meta.get("correlation_radius_deg"))
    around = f", {plain(radius)}° circles" if np.isfinite(radius) else ""
    sky.note([f"Counts against the whole model{around}"])
    mark_exclusions(tables, sky, first=1)
    source = chosen_source(tables)
    if source is not None:
        lon, lat = np.array([source["lon_0"]]), np.array([source["lat_0"]])
        sky.marks(lon, lat, marker="+")
        if np.isfinite(source["size"]):
            sky.circles(lon, lat, np.array([source["size"]]), colour="#ff8a5c", linewidth=1.8)
    return sky.figure
