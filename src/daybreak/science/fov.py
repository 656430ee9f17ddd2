"""The whole field of view of a run: FoV background and quality from the data themselves.

The background model of the IRFs gives the spatial shape in each energy bin; the events outside
the excluded circles give its normalisation, bin by bin. In the terms of an ON/OFF measurement
the acceptances are the model's integrals over the ON region and over the rest of the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.makers.utils import make_map_background_irf
from gammapy.maps import MapAxis, RegionGeom, WcsGeom
from gammapy.utils.interpolation import interpolation_scale

from daybreak.science.null import SMALLEST_RADIUS_DEG, NullField, null_regions
from daybreak.science.observation import LoadedRun
from daybreak.science.regions import separation_deg
from daybreak.science.run import Background, BoolArray, FloatArray, NullRegions, ReductionSetup
from daybreak.science.surface import Surface, disk_points, offsets_deg

_PIXEL_DEG = 0.1
_FEWEST_EVENTS = 60
_N_TIME_BINS = 6
_CLEAR_OF_THRESHOLD = 1.2


@dataclass(frozen=True)
class FieldOfView:
    """FoV background of a run and how well its IRF describes the data.

    Attributes
    ----------
    background
        FoV background as an ON/OFF measurement.
    norm, norm_error
        Events over model outside the excluded circles, from 1.2 times the threshold on: next to
        it the model's own energy bins still hold the step.
    rate_change_sigma
        Largest departure of the background rate, in sigma, of a part of the run from the rest.
    surface
        By what the model is multiplied; None for the model as it is.
    null
        Counts and predictions where there is no source.
    """

    background: Background
    norm: float
    norm_error: float
    rate_change_sigma: float
    surface: Surface | None
    null: NullRegions | None

    def quality(self) -> dict[str, float]:
        """The figures for the run table."""
        return {
            "background_ratio": self.norm,
            "background_ratio_error": self.norm_error,
            "rate_change_sigma": self.rate_change_sigma,
        }


def fill_empty_bins(background: Any) -> None:
    """Fill empty bins of a background IRF between filled ones along energy, in place.

    What Gammapy's ``IRF.interp_missing_data("energy")`` does (linear interpolation in the IRF's
    own scale, no extrapolation), column by column instead of bin by bin.
    """
    data = np.array(background.data)
    scale = interpolation_scale(background.interp_kwargs.get("values_scale", "lin"))
    columns = np.moveaxis(data, background.axes.index("energy"), -1)
    empty = ~np.isfinite(columns) | (columns == 0)
    mixed = empty.any(axis=-1) & ~empty.all(axis=-1)
    positions = np.arange(columns.shape[-1])
    for where in zip(*np.nonzero(mixed), strict=True):
        column, missing = columns[where], empty[where]
        inside = missing.copy()
        filled = positions[~missing]
        inside[: filled[0]] = False
        inside[filled[-1] :] = False
        if inside.any():
            values = np.interp(positions[inside], filled, scale(column[~missing]))
            column[inside] = scale.inverse(values)
    background.data = data


def model_counts(run: LoadedRun, geom: Any, *, center_only: bool = True) -> np.ndarray:
    """Counts that the background IRF predicts on a geometry (Gammapy's function)."""
    observation = run.observation
    model = make_map_background_irf(
        pointing=observation.pointing,
        ontime=observation.observation_time_duration,
        bkg=observation.bkg,
        geom=geom,
        time_start=observation.gti.time_start[0],
        use_region_center=center_only,
        location=observation.observatory_earth_location,
    )
    return np.asarray(model.data, dtype=float)


def rate_change(time_mjd: FloatArray, gti_mjd: FloatArray) -> float:
    """Largest deviation, in sigma, of the rate in one of several equal parts of the good time.

    Compared with a straight line, since the rate follows the zenith angle; the variance is
    Poisson's. 0 for fewer than 60 events.
    """
    if len(time_mjd) < _FEWEST_EVENTS:
        return 0.0
    length = gti_mjd[:, 1] - gti_mjd[:, 0]
    before = np.concatenate([[0.0], np.cumsum(length)])
    index = np.clip(np.searchsorted(gti_mjd[:, 0], time_mjd, side="right") - 1, 0, len(length) - 1)
    good_time = before[index] + np.clip(time_mjd - gti_mjd[index, 0], 0, length[index])
    counts = np.histogram(good_time, _N_TIME_BINS, (0.0, before[-1]))[0]
    part = np.arange(_N_TIME_BINS)
    line = np.polyval(np.polyfit(part, counts, 1), part)
    return float(np.max(np.abs(counts - line) / np.sqrt(np.maximum(line, 1.0))))


def field_of_view(
    run: LoadedRun, setup: ReductionSetup, region: Any, pointing: SkyCoord, safe: BoolArray
) -> FieldOfView:
    """Compare the events of the whole field with the background model.

    Parameters
    ----------
    run, setup
        The run and how it is reduced.
    region
        ON region.
    pointing
        Centre of the field of view.
    safe
        Energy bins above the threshold.
    """
    edges = np.array(setup.energy_edges_tev)
    axis = MapAxis.from_energy_edges(edges * u.TeV)
    geom = WcsGeom.create(
        skydir=pointing, width=2 * setup.max_offset_deg * u.deg, binsz=_PIXEL_DEG, axes=[axis]
    )
    image = geom.to_image()
    coords = image.get_coord(frame="icrs").skycoord
    ra, dec = coords.ra.deg, coords.dec.deg
    used = separation_deg(ra, dec, pointing.ra.deg, pointing.dec.deg) < setup.max_offset_deg
    for circle in setup.exclude:
        used &= ~(separation_deg(ra, dec, circle.ra_deg, circle.dec_deg) < circle.radius_deg)
    model = model_counts(run, geom)
    expected_off = (model * used).sum(axis=(1, 2))
    on_geom = RegionGeom.create(region, axes=[axis])
    model_on = model_counts(run, on_geom, center_only=not setup.extended).ravel()

    events = run.observation.events
    x, y = image.coord_to_pix(events.radec)
    column, row = np.rint(np.nan_to_num(x, nan=-9)), np.rint(np.nan_to_num(y, nan=-9))
    ny, nx = used.shape
    near = (
        separation_deg(events.radec.ra.deg, events.radec.dec.deg, pointing.ra.deg, pointing.dec.deg)
        < 2 * setup.max_offset_deg
    )
    inside = near & (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    outside_source = np.zeros(len(inside), dtype=bool)
    outside_source[inside] = used[row[inside].astype(int), column[inside].astype(int)]
    energy = events.energy.to_value("TeV")[outside_source]
    pixel = np.where(outside_source, row * nx + column, 0).astype(int)[outside_source]
    time = run.time_mjd[outside_source]
    counts = np.histogram(energy, edges)[0].astype(float)
    clear = safe & (edges[:-1] >= _CLEAR_OF_THRESHOLD * edges[:-1][safe].min(initial=np.inf))
    observed, expected = counts[clear].sum(), expected_off[clear].sum()
    norm = observed / expected if expected > 0 else float("nan")
    error = np.sqrt(observed) / expected if expected > 0 else float("nan")
    gti = run.observation.gti
    intervals = np.column_stack([gti.time_start.tt.mjd, gti.time_stop.tt.mjd])
    index = np.searchsorted(edges, energy, side="right") - 1
    above = (index >= 0) & (index < safe.size)
    above[above] = safe[index[above]]
    cube = np.histogram2d(energy, pixel, (edges, np.arange(used.size + 1) - 0.5))[0]
    field = NullField(
        cube.reshape(model.shape),
        model,
        *offsets_deg(ra, dec, pointing.ra.deg, pointing.dec.deg),
        used,
        safe,
        np.sqrt(edges[:-1] * edges[1:]),
    )
    surface = field.surface(used) if setup.fov_method == "surface" else None
    on_xy = offsets_deg(setup.on.ra_deg, setup.on.dec_deg, pointing.ra.deg, pointing.dec.deg)
    if surface is not None:
        model_on = model_on * _mean_on(surface, field, on_xy, setup)
        expected_off = (field.bent(surface) * used).sum(axis=(1, 2))
    return FieldOfView(
        Background(counts, model_on, expected_off, time, energy),
        float(norm),
        float(error),
        rate_change(time[above], intervals),
        surface,
        _null(field, on_xy, setup, surface),
    )


def _mean_on(
    surface: Surface, field: NullField, on_xy: tuple[FloatArray, FloatArray], setup: ReductionSetup
) -> FloatArray:
    """Mean of the surface over the ON region per energy bin, weighted by the model."""
    if not setup.extended:
        return surface(*on_xy, field.energy_tev)
    x, y = disk_points(float(on_xy[0]), float(on_xy[1]), setup.on.radius_deg)
    away = (field.x_deg.ravel() - x[:, None]) ** 2 + (field.y_deg.ravel() - y[:, None]) ** 2
    weight = field.model.reshape(len(field.model), -1)[:, np.argmin(away, axis=1)]
    total = weight.sum(axis=1)
    mean: FloatArray = np.divide(
        (weight * surface(x, y, field.energy_tev)).sum(axis=1),
        total,
        out=np.ones_like(total),
        where=total > 0,
    )
    return mean


def _null(
    field: NullField,
    on_xy: tuple[FloatArray, FloatArray],
    setup: ReductionSetup,
    surface: Surface | None,
) -> NullRegions | None:
    radius = np.nanmax([setup.on.radius_deg, SMALLEST_RADIUS_DEG])
    keep_out = max(setup.exclude[0].radius_deg if setup.exclude else 0.0, radius)
    return null_regions(field, (float(on_xy[0]), float(on_xy[1])), radius, keep_out, surface)
