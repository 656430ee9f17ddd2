"""The whole field of view of a run: FoV background and quality from the data themselves.

The background model of the IRFs gives the spatial shape in each energy bin; the events outside
the excluded circles give its normalisation, bin by bin. In the terms of an ON/OFF measurement
the acceptances are the model's integrals over the ON region and over the rest of the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daybreak.science.exclusion import outside_circles
from daybreak.science.null import SMALLEST_RADIUS_DEG, NullField, null_regions
from daybreak.science.observation import LoadedRun
from daybreak.science.response import RunResponse
from daybreak.science.run import Background, BoolArray, FloatArray, NullRegions, ReductionSetup
from daybreak.science.sphere import offsets_deg, separation_deg
from daybreak.science.surface import Surface, disk_points
from daybreak.science.tangent import TangentPlane

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


def rate_change(time_mjd: FloatArray, gti_mjd: FloatArray) -> float:
    """Largest deviation, in sigma, of the rate in one of several equal parts of the good time.

    Compared with a straight line, since the rate follows the zenith angle; the variance is
    Poisson's. 0 for fewer than 60 events.

    Parameters
    ----------
    time_mjd
        Times of the background events, MJD in TT, shape (n,).
    gti_mjd
        Good time intervals, MJD in TT, shape (m, 2).
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


@dataclass(frozen=True)
class _Pixels:
    """The field of view of a run in pixels, and its events outside the excluded circles."""

    plane: TangentPlane
    used: BoolArray
    pixel: np.ndarray
    energy_tev: FloatArray
    time_mjd: FloatArray


def _pixels(run: LoadedRun, setup: ReductionSetup) -> _Pixels:
    pointing = run.ra_pnt_deg, run.dec_pnt_deg
    plane = TangentPlane.of_width(*pointing, _PIXEL_DEG, 2 * setup.max_offset_deg)
    ra, dec = plane.centers()
    used = separation_deg(ra, dec, *pointing) < setup.max_offset_deg
    used &= outside_circles(ra, dec, setup.exclude)
    events = run.events
    column, row = (
        np.rint(np.nan_to_num(x, nan=-9)) for x in plane.pixels(events.ra_deg, events.dec_deg)
    )
    inside = (column >= 0) & (column < plane.nx) & (row >= 0) & (row < plane.ny)
    pixel = np.where(inside, row * plane.nx + column, 0).astype(np.intp)
    chosen = inside & used.ravel()[pixel]
    return _Pixels(plane, used, pixel[chosen], events.energy_tev[chosen], events.time_mjd[chosen])


def _cube(pixels: _Pixels, edges: FloatArray) -> FloatArray:
    """Events per energy bin and pixel, shape (energy bins, ny, nx)."""
    n, (ny, nx) = len(edges) - 1, pixels.used.shape
    energy = pixels.energy_tev
    index = np.searchsorted(edges, energy, side="right") - 1
    index[energy == edges[-1]] = n - 1
    inside = (index >= 0) & (index < n)
    flat = index[inside] * (ny * nx) + pixels.pixel[inside]
    return np.bincount(flat, minlength=n * ny * nx).astype(float).reshape(n, ny, nx)


def field_of_view(
    run: LoadedRun, setup: ReductionSetup, response: RunResponse, safe: BoolArray
) -> FieldOfView:
    """Compare the events of the whole field with the background model.

    Parameters
    ----------
    run, setup
        The run and how it is reduced.
    response
        Its responses, with a background.
    safe
        Energy bins above the threshold.
    """
    edges = np.array(setup.energy_edges_tev)
    pixels = _pixels(run, setup)
    used, pointing = pixels.used, (run.ra_pnt_deg, run.dec_pnt_deg)
    model = response.background_map(pixels.plane, edges)
    expected_off = model[:, used].sum(axis=1)
    model_on = response.background_on()
    cube = _cube(pixels, edges)
    counts = cube.sum(axis=(1, 2))
    clear = safe & (edges[:-1] >= _CLEAR_OF_THRESHOLD * edges[:-1][safe].min(initial=np.inf))
    observed, expected = counts[clear].sum(), expected_off[clear].sum()
    norm = observed / expected if expected > 0 else float("nan")
    error = np.sqrt(observed) / expected if expected > 0 else float("nan")
    index = np.searchsorted(edges, pixels.energy_tev, side="right") - 1
    above = (index >= 0) & (index < safe.size)
    above[above] = safe[index[above]]
    field = NullField(
        cube,
        model,
        *offsets_deg(*pixels.plane.centers(), *pointing),
        used,
        safe,
        np.sqrt(edges[:-1] * edges[1:]),
    )
    surface = field.surface(used) if setup.fov_method == "surface" else None
    on_xy = offsets_deg(setup.on.ra_deg, setup.on.dec_deg, *pointing)
    if surface is not None:
        model_on = model_on * _mean_on(surface, field, on_xy, setup)
        expected_off = field.bent(surface)[:, used].sum(axis=1)
    return FieldOfView(
        Background(counts, model_on, expected_off, pixels.time_mjd, pixels.energy_tev),
        float(norm),
        float(error),
        rate_change(pixels.time_mjd[above], run.good_time.mjd),
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
