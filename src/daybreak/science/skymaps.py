"""Images of one run: counts, acceptance, ring background. Gammapy's makers give the same."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from daybreak.science.circle import Circle
from daybreak.science.exclusion import outside_circles
from daybreak.science.observation import LoadedRun
from daybreak.science.response import RunResponse
from daybreak.science.run import BoolArray, FloatArray, ReductionSetup
from daybreak.science.sphere import offsets_deg, separation_deg
from daybreak.science.surface import Surface
from daybreak.science.tangent import TangentPlane

_N_ENERGY = 8


def map_plane(setup: ReductionSetup) -> TangentPlane:
    """Pixels of the sky maps: gnomonic, centred on the ON position.

    Parameters
    ----------
    setup
        How runs are reduced, with maps.
    """
    assert setup.maps is not None
    return TangentPlane.of_width(
        setup.on.ra_deg, setup.on.dec_deg, setup.maps["pixel_deg"], setup.maps["width_deg"]
    )


@lru_cache(maxsize=4)
def _ring_spectrum(inner: float, outer: float, shape: tuple[int, int]) -> NDArray[np.complex128]:
    """Fourier transform of a ring of ones, padded to a shape; radii in pixels."""
    reach = int(np.ceil(outer))
    place = np.arange(-reach, reach + 1)
    distance2 = place[:, None] ** 2 + place[None, :] ** 2
    ring = ((distance2 >= inner**2) & (distance2 <= outer**2)).astype(float)
    return np.fft.rfft2(ring, shape)


def ring_sums(images: FloatArray, inner: float, outer: float) -> FloatArray:
    """Sums over a ring around each pixel.

    Parameters
    ----------
    images
        Shape (n, ny, nx); zero beyond.
    inner, outer
        Radii in pixels; a pixel belongs to the ring if its middle does.

    Returns
    -------
    numpy.ndarray
        Of the same shape.
    """
    ny, nx = images.shape[1:]
    reach = int(np.ceil(outer))
    shape = (_round(ny + 2 * reach), _round(nx + 2 * reach))
    spectrum = _ring_spectrum(inner, outer, shape)
    whole = np.fft.irfft2(np.fft.rfft2(images, shape) * spectrum, shape)
    sums: FloatArray = whole[:, reach : reach + ny, reach : reach + nx]
    return sums


def _round(n: int) -> int:
    """The next length whose only prime factors are 2, 3 and 5: fast to transform."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


@lru_cache(maxsize=4)  # the runs of a target share them
def _allowed(plane: TangentPlane, exclude: tuple[Circle, ...]) -> BoolArray:
    return outside_circles(*plane.centers(), exclude)


def _counts(run: LoadedRun, plane: TangentPlane, edges: FloatArray, used: BoolArray) -> FloatArray:
    """Events per pixel in those energy bins and pixels that are used."""
    events = run.events
    index = np.searchsorted(edges, events.energy_tev, side="right") - 1
    column, row = (
        np.rint(np.nan_to_num(x, nan=-9)).astype(np.intp)
        for x in plane.pixels(events.ra_deg, events.dec_deg)
    )
    inside = (index >= 0) & (index < len(edges) - 1)
    inside &= (column >= 0) & (column < plane.nx) & (row >= 0) & (row < plane.ny)
    index, row, column = index[inside], row[inside], column[inside]
    taken = used[index, row, column]
    flat = (row * plane.nx + column)[taken]
    image = np.bincount(flat, minlength=plane.nx * plane.ny).astype(float)
    return image.reshape(plane.ny, plane.nx)


def run_maps(
    run: LoadedRun,
    setup: ReductionSetup,
    response: RunResponse,
    threshold_tev: float,
    surface: Surface | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Images of a run above its energy threshold.

    Parameters
    ----------
    run, setup
        The run and how it is reduced.
    response
        Its responses, with a background.
    threshold_tev
        Lowest energy.
    surface
        By what the background model is multiplied, for both backgrounds.

    Returns
    -------
    dict of numpy.ndarray
        ``counts``, ``fov_background``, ``valid``, ``ring_acceptance``, ``ring_off``,
        ``ring_acceptance_off``; each of shape (ny, nx). The FoV background is the model scaled
        to the counts outside the excluded circles, as Gammapy's FoVBackgroundMaker does with
        its method "scale".
    """
    assert setup.maps is not None
    edges = np.geomspace(threshold_tev, setup.energy_edges_tev[-1], _N_ENERGY + 1)
    plane = map_plane(setup)
    ra, dec = plane.centers()
    pointing = run.ra_pnt_deg, run.dec_pnt_deg
    near = separation_deg(ra, dec, *pointing) < setup.max_offset_deg
    cube = response.background_map(plane, edges, beyond=True)
    used = near & np.isfinite(cube) & (cube > 0)
    if surface is not None:
        x, y = (part[near] for part in offsets_deg(ra, dec, *pointing))
        cube[:, near] *= surface(x, y, np.sqrt(edges[:-1] * edges[1:]))
    model = np.where(used, cube, 0.0).sum(axis=0)
    counts = _counts(run, plane, edges, used)
    valid = used.any(axis=0)
    allowed = _allowed(plane, setup.exclude)
    scale = setup.maps["pixel_deg"]
    inner = setup.maps["ring_inner_deg"] / scale
    outer = inner + setup.maps["ring_width_deg"] / scale
    ring_off, ring_acceptance = ring_sums(np.stack([counts, model]) * allowed, inner, outer)
    off = valid & allowed
    expected = float(model[off].sum())
    background = model * (float(counts[off].sum()) / expected if expected > 0 else 0.0)

    def plane_of(data: FloatArray) -> NDArray[np.float32]:
        return np.where(valid, np.nan_to_num(data), 0.0).astype(np.float32)

    return {
        "counts": plane_of(counts),
        "fov_background": plane_of(background),
        "valid": valid.astype(np.float32),
        "ring_acceptance": plane_of(model),
        "ring_off": plane_of(ring_off),
        "ring_acceptance_off": plane_of(ring_acceptance),
    }
