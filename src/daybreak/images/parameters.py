"""Image parameters of a batch of images: cleaning and parameters in one pass over each image."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.images.camera import Camera
from daybreak.images.cleaning import (
    WORD,
    keep_largest_island,
    label_islands,
    tailcuts,
    time_delta,
)
from daybreak.images.kernels import compiled
from daybreak.images.moments import HILLAS, STATISTICS, concentration, hillas, statistics
from daybreak.images.timing import trimmed_line, weighted_line

FloatArray = NDArray[np.float64]

_TIMING = ("slope", "intercept", "deviation")
_LEAKAGE = ("pixels_width_1", "pixels_width_2", "intensity_width_1", "intensity_width_2")
_CONCENTRATION = ("cog", "core", "pixel")
_MORPHOLOGY = ("n_pixels", "n_islands", "n_small_islands", "n_medium_islands", "n_large_islands")
#: columns of the result, named as ctapipe names them
COLUMNS: tuple[str, ...] = (
    *(f"hillas_{name}" for name in HILLAS),
    *(f"timing_{name}" for name in _TIMING),
    *(f"leakage_{name}" for name in _LEAKAGE),
    *(f"concentration_{name}" for name in _CONCENTRATION),
    *(f"morphology_{name}" for name in _MORPHOLOGY),
    *(f"intensity_{name}" for name in STATISTICS),
    *(f"peak_time_{name}" for name in STATISTICS),
)
_AT_TIMING = len(HILLAS)
_AT_LEAKAGE = _AT_TIMING + len(_TIMING)
_AT_CONCENTRATION = _AT_LEAKAGE + len(_LEAKAGE)
_AT_MORPHOLOGY = _AT_CONCENTRATION + len(_CONCENTRATION)
_AT_INTENSITY = _AT_MORPHOLOGY + len(_MORPHOLOGY)
_AT_PEAK_TIME = _AT_INTENSITY + len(STATISTICS)
#: islands up to these sizes are small and medium
_SMALL, _MEDIUM = 2, 50


@dataclass(frozen=True)
class CleaningSettings:
    """How images are cleaned, and which are given parameters.

    Attributes
    ----------
    picture, boundary
        Thresholds in photo-electrons.
    min_picture_neighbors
        Neighbours above the picture threshold that a core pixel needs.
    keep_isolated
        Keep core pixels without neighbours.
    time_limit_ns
        Pixels need `time_neighbors` kept neighbours nearer in time than this; 0: not asked.
    time_neighbors
        See `time_limit_ns`.
    largest_island
        Keep only the island with most pixels.
    min_pixels, min_charge
        Parameters are given to images with more pixels and more charge than these.
    timing
        ``weighted``: always the same. ``trimmed``: ctapipe's definition.
    """

    picture: float = 8.0
    boundary: float = 4.0
    min_picture_neighbors: int = 2
    keep_isolated: bool = False
    time_limit_ns: float = 0.0
    time_neighbors: int = 1
    largest_island: bool = False
    min_pixels: int = 2
    min_charge: float = 50.0
    timing: str = "weighted"


@dataclass(frozen=True)
class ImageParameters:
    """What `image_parameters` finds.

    Attributes
    ----------
    masks
        Kept pixels, bool, shape (events, pixels).
    table
        Shape (events, columns), NaN where an image has no parameters; lengths in the unit of the
        pixels' places, angles in radians, times in ns.
    """

    masks: NDArray[np.bool_]
    table: FloatArray

    def column(self, name: str) -> FloatArray:
        """One parameter, shape (events,).

        Parameters
        ----------
        name
            One of `COLUMNS`.
        """
        return self.table[:, COLUMNS.index(name)]

    def columns(self) -> Mapping[str, FloatArray]:
        """All parameters by name."""
        return {name: self.table[:, i] for i, name in enumerate(COLUMNS)}


@compiled
def _leakage(charge: Any, pixel: Any, n: Any, border1: Any, border2: Any, out: Any) -> None:
    p1 = p2 = 0
    q1 = q2 = total = 0.0
    for i in range(n):
        total += charge[i]
        if border1[pixel[i]]:
            p1 += 1
            q1 += charge[i]
        if border2[pixel[i]]:
            p2 += 1
            q2 += charge[i]
    out[0], out[1], out[2], out[3] = p1 / n, p2 / n, q1 / total, q2 / total


@compiled
def _morphology(n: Any, islands: Any, sizes: Any, out: Any) -> None:
    small = medium = 0
    for island in range(1, islands + 1):
        if sizes[island] <= _SMALL:
            small += 1
        elif sizes[island] <= _MEDIUM:
            medium += 1
    out[0], out[1] = n, islands
    out[2], out[3], out[4] = small, medium, islands - small - medium


@compiled
def _gather(image: Any, time: Any, pixel: Any, n: Any, places: Any, kept: Any) -> float:
    """The kept pixels' places, charges and times one after the other; their charge."""
    x, y, area, width = places
    total = 0.0
    for k in range(n):
        i = pixel[k]
        kept[0][k], kept[1][k], kept[2][k], kept[3][k] = x[i], y[i], area[i], width[i]
        kept[4][k], kept[5][k] = image[i], time[i]
        total += image[i]
    return total


@compiled
def _clean(image: Any, time: Any, thresholds: Any, how: Any, rows: Any, work: Any) -> Any:
    """Clean one image: number of pixels kept, and of islands."""
    min_neighbors, isolated, limit_ns, time_neighbors, largest = how
    flags, words, pixel, labels, stack, sizes = work
    n = tailcuts(
        image, thresholds[0], thresholds[1], min_neighbors, isolated, rows, flags, words, pixel
    )
    if limit_ns > 0 and n:
        n = time_delta(pixel, n, time, time_neighbors, limit_ns, rows, flags)
    islands = label_islands(pixel, n, rows, labels, stack, sizes)
    for k in range(n):
        stack[k] = pixel[k]  # those whose labels are to be cleared
    labelled = n
    if largest and islands > 1:
        n = keep_largest_island(pixel, n, labels, islands, sizes)
        islands = 1
    for k in range(labelled):
        labels[stack[k]] = 0
    return n, islands


@compiled
def _parameters(
    kept: Any, pixel: Any, n: Any, borders: Any, seed: Any, trimmed: Any, extra: Any, out: Any
) -> None:
    """All parameters of one cleaned image but those of its islands."""
    x, y, area, width, charge, time, longi, trans = kept
    squared, order = extra
    hillas(x, y, charge, area, n, longi, trans, out[:_AT_TIMING])
    if out[7] > 0:
        if trimmed:
            trimmed_line(longi, time, n, seed, squared, order, out[_AT_TIMING:])
        else:
            weighted_line(longi, time, charge, n, out[_AT_TIMING:])
    _leakage(charge, pixel, n, borders[0], borders[1], out[_AT_LEAKAGE:])
    concentration(x, y, charge, width, n, longi, trans, out, out[_AT_CONCENTRATION:])
    statistics(charge, n, out[_AT_INTENSITY:])
    statistics(time, n, out[_AT_PEAK_TIME:])


@compiled
def _batch(
    images: Any, times: Any, seeds: Any, thresholds: Any, how: Any, least: Any, trimmed: Any,
    camera: Any, masks: Any, table: Any,
) -> None:  # fmt: skip
    """Clean and parametrise a batch, image by image, with the same work arrays."""
    places, rows, borders = camera
    n_pixels = images.shape[1]
    flags = np.zeros(-(-n_pixels // WORD) * WORD, np.uint8)
    pixel = np.zeros(n_pixels, np.int32)
    work = (
        flags,
        flags.view(np.uint64),
        pixel,
        np.zeros(n_pixels, np.int32),
        np.zeros(n_pixels, np.int32),
        np.zeros(n_pixels + 1, np.int32),
    )
    block = np.zeros((9, n_pixels))
    kept = (
        block[0], block[1], block[2], block[3], block[4], block[5], block[6], block[7],
    )  # fmt: skip
    extra = (block[8], np.zeros(n_pixels, np.int32))
    for event in range(len(images)):
        image, time, mask, out = images[event], times[event], masks[event], table[event]
        n, islands = _clean(image, time, thresholds, how, rows, work)
        for k in range(n):
            mask[pixel[k]] = True
        if n <= least[0]:
            continue
        if _gather(image, time, pixel, n, places, kept) > least[1]:
            _parameters(kept, pixel, n, borders, seeds[event], trimmed, extra, out)
            _morphology(n, islands, work[5], out[_AT_MORPHOLOGY:])


def _thresholds(value: Any, n_pixels: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.float32), (n_pixels,)))


def image_parameters(
    images: NDArray[np.float32],
    times_ns: NDArray[np.float32],
    camera: Camera,
    settings: CleaningSettings,
    *,
    picture: NDArray[np.floating] | None = None,
    boundary: NDArray[np.floating] | None = None,
    event_ids: NDArray[np.integer] | None = None,
    threads: int = 1,
) -> ImageParameters:
    """Clean images and compute their parameters.

    Parameters
    ----------
    images
        Charges in photo-electrons, shape (events, pixels).
    times_ns
        Peak times in ns, shape (events, pixels).
    camera
        Places of the pixels: metres, or degrees from :meth:`Camera.on_sky`.
    settings
        Cleaning.
    picture, boundary
        Thresholds of each pixel, shape (pixels,), in place of those of `settings`.
    event_ids
        Shape (events,): from these the random starts of the trimmed fit are drawn, so that an
        event gives the same in any batch; None: the number in the batch.
    threads
        Threads to use.

    Returns
    -------
    ImageParameters
        Masks and parameters.

    Raises
    ------
    ValueError
        If the shapes don't fit.
    """
    images = np.ascontiguousarray(images, dtype=np.float32)
    times_ns = np.ascontiguousarray(times_ns, dtype=np.float32)
    n_events, n_pixels = images.shape
    if times_ns.shape != images.shape or n_pixels != camera.n_pixels:
        raise ValueError("images, times and camera have different numbers of pixels")
    seeds = np.arange(n_events) if event_ids is None else np.asarray(event_ids)
    masks = np.zeros(images.shape, dtype=np.bool_)
    table = np.full((n_events, len(COLUMNS)), np.nan)
    thresholds = (
        _thresholds(settings.picture if picture is None else picture, n_pixels),
        _thresholds(settings.boundary if boundary is None else boundary, n_pixels),
    )
    how = (
        settings.min_picture_neighbors,
        settings.keep_isolated,
        float(settings.time_limit_ns),
        settings.time_neighbors,
        settings.largest_island,
    )
    places = camera.x_m, camera.y_m, camera.area_m2, camera.width_m
    plain = (places, (camera.indptr, camera.indices), (camera.border(1), camera.border(2)))
    least = (settings.min_pixels, float(settings.min_charge))

    def part(low: int, high: int) -> None:
        rows = slice(low, high)
        _batch(
            images[rows], times_ns[rows], seeds[rows].astype(np.int64), thresholds, how, least,
            settings.timing == "trimmed", plain, masks[rows], table[rows],
        )  # fmt: skip

    edges = np.linspace(0, n_events, max(threads, 1) + 1).astype(int)
    if threads <= 1:
        part(0, n_events)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, edges[:-1], edges[1:]))
    return ImageParameters(masks, table)
