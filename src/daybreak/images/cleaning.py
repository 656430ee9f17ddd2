"""Which pixels of an image hold signal: tail cuts, time, islands. Kernels for one event.

The definitions are those of ctapipe (``ctapipe.image.cleaning``), so that masks are the same. What
is kept is a list of pixels, ascending; kernels take work arrays, so that nothing is allocated per
event, and leave those of one flag per pixel as they were, all zero.
"""

from __future__ import annotations

from typing import Any

from daybreak.images.kernels import compiled

#: bits of a pixel's flag
_PICTURE, _BOUNDARY, _CORE = 1, 2, 4
#: flags are looked through eight at a time
WORD = 8


@compiled
def _flagged(image: Any, picture: Any, boundary: Any, flags: Any, words: Any, pixel: Any) -> int:
    """Flag pixels above a threshold, and list them."""
    n = len(image)
    for i in range(n):
        flags[i] = (image[i] >= picture[i]) | ((image[i] >= boundary[i]) << 1)
    found = 0
    for word in range(len(words)):
        if words[word]:
            for i in range(WORD * word, min(WORD * word + WORD, n)):
                if flags[i]:
                    pixel[found] = i
                    found += 1
    return found


@compiled
def _kept(value: Any, keep_isolated: Any, beside: Any) -> bool:
    """Whether a pixel stays, from its own flag and those of its neighbours together."""
    boundary, core = value & _BOUNDARY, value & _CORE
    if boundary and beside & _CORE:
        return True
    return bool(core and (keep_isolated or beside & _BOUNDARY))


@compiled
def tailcuts(
    image: Any,
    picture: Any,
    boundary: Any,
    min_neighbors: Any,
    keep_isolated: Any,
    rows: Any,
    flags: Any,
    words: Any,
    pixel: Any,
) -> int:
    """Two-threshold cleaning of one image.

    A core pixel is above its picture threshold and has `min_neighbors` such neighbours. Kept are
    pixels above the boundary threshold beside a core pixel, and core pixels beside one above the
    boundary threshold (with `keep_isolated` all core pixels).

    Parameters
    ----------
    image, picture, boundary
        Charges and the thresholds of each pixel, shape (n,).
    min_neighbors
        Neighbours above the picture threshold that a core pixel needs.
    keep_isolated
        Keep core pixels without neighbours.
    rows
        `indptr` and `indices` of :class:`daybreak.images.camera.Camera`.
    flags, words
        uint8 of at least n and a multiple of 8 numbers, zero, and the same bytes as uint64: work.
    pixel
        int32, shape (n,): filled with the kept pixels.

    Returns
    -------
    int
        Number of pixels kept.
    """
    indptr, indices = rows
    found = _flagged(image, picture, boundary, flags, words, pixel)
    least = 0 if keep_isolated else min_neighbors
    for k in range(found):
        i = pixel[k]
        if flags[i] & _PICTURE:
            count = 0
            for m in range(indptr[i], indptr[i + 1]):
                count += flags[indices[m]] & _PICTURE
            if count >= least:
                flags[i] |= _CORE
    kept = 0
    for k in range(found):
        i = pixel[k]
        beside = 0
        for m in range(indptr[i], indptr[i + 1]):
            beside |= flags[indices[m]]
        if _kept(flags[i], keep_isolated, beside):
            pixel[kept] = i
            kept += 1
    words[:] = 0
    return kept


@compiled
def time_delta(
    pixel: Any, n: Any, time_ns: Any, min_neighbors: Any, limit_ns: Any, rows: Any, flags: Any
) -> int:
    """Drop pixels that have too few kept neighbours at nearly their own time.

    Parameters
    ----------
    pixel, n
        Kept pixels and their number; changed.
    time_ns
        Peak times, shape (pixels,).
    min_neighbors
        Neighbours within the limit that a pixel needs.
    limit_ns
        The limit (not included).
    rows
        Neighbours.
    flags
        uint8, zero: work.

    Returns
    -------
    int
        Number of pixels kept.
    """
    indptr, indices = rows
    for k in range(n):
        flags[pixel[k]] = 1
    for k in range(n):
        i, count = pixel[k], 0
        for m in range(indptr[i], indptr[i + 1]):
            j = indices[m]
            if flags[j] and abs(time_ns[i] - time_ns[j]) < limit_ns:
                count += 1
        if count >= min_neighbors:
            flags[i] |= 2
    kept = 0
    for k in range(n):
        i = pixel[k]
        stays = flags[i] & 2
        flags[i] = 0
        if stays:
            pixel[kept] = i
            kept += 1
    return kept


@compiled
def label_islands(pixel: Any, n: Any, rows: Any, labels: Any, stack: Any, sizes: Any) -> int:
    """Number the connected groups of kept pixels from 1, in the order of their first pixel.

    Parameters
    ----------
    pixel, n
        Kept pixels and their number.
    rows
        Neighbours.
    labels
        int32, shape (pixels,), zero: filled for the kept pixels; the caller clears it.
    stack
        int32, shape (pixels,): work.
    sizes
        int32: filled with the number of pixels of each island, from index 1.

    Returns
    -------
    int
        Number of islands.
    """
    indptr, indices = rows
    islands = 0
    for k in range(n):
        labels[pixel[k]] = -1
    for k in range(n):
        if labels[pixel[k]] != -1:
            continue
        islands += 1
        labels[pixel[k]] = islands
        stack[0], depth, size = pixel[k], 1, 0
        while depth:
            depth -= 1
            size += 1
            i = stack[depth]
            for m in range(indptr[i], indptr[i + 1]):
                j = indices[m]
                if labels[j] == -1:
                    labels[j] = islands
                    stack[depth] = j
                    depth += 1
        sizes[islands] = size
    return islands


@compiled
def keep_largest_island(pixel: Any, n: Any, labels: Any, islands: Any, sizes: Any) -> int:
    """Keep only the island with most pixels (the first of those of the same size).

    Parameters
    ----------
    pixel, n
        Kept pixels and their number; changed.
    labels, islands, sizes
        Of `label_islands`; labels of what is dropped become zero.

    Returns
    -------
    int
        Number of pixels kept.
    """
    best, kept = 1, 0
    for island in range(2, islands + 1):
        if sizes[island] > sizes[best]:
            best = island
    for k in range(n):
        i = pixel[k]
        if labels[i] == best:
            pixel[kept] = i
            kept += 1
        else:
            labels[i] = 0
    sizes[1] = sizes[best]
    return kept
