"""Run kernels over a batch of primaries and collect what the telescopes saw."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daybreak.simulate.showers.atmosphere import air_at, depth_at, refractivity
from daybreak.simulate.showers.cherenkov import ELECTRON_MEV, Array, Light
from daybreak.simulate.showers.electromagnetic import (
    PROFILE_STEP,
    STACK,
    cascade,
    maximum_depth,
    start_above,
)
from daybreak.simulate.showers.em_tables import EmTables, em_tables
from daybreak.simulate.showers.hadron import HADRON_STACK, hadron_shower
from daybreak.simulate.showers.kernels import compiled
from daybreak.simulate.showers.muon import MUON_GEV, fly
from daybreak.simulate.showers.telescope import VirtualTelescope
from daybreak.simulate.showers.trigger import patch_trigger

FloatArray = NDArray[np.float64]
#: kinds and the numbers that files know them by
PRIMARIES = {"gamma": 0, "electron": 1, "proton": 101, "muon+": 5, "muon-": 6}
_TOP_DEPTH = 0.01
#: muons start so high above the ground, m
MUON_START_M = 3000.0
_FIRST_ROOM = 1 << 18


class Batch(NamedTuple):
    """What :func:`run_batch` gives; see :class:`~daybreak.simulate.showers.events.ShowerEvents`."""

    first_m: FloatArray
    x_max: FloatArray
    images: tuple[NDArray[np.int32], ...]
    times_ns: tuple[NDArray[np.float32], ...]
    triggered: NDArray[np.bool_]
    photons: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]] | None


@compiled
def _one(
    array: Any,
    light: Any,
    tables: Any,
    stacks: Any,
    primary: Any,
    energy_tev: Any,
    ground: Any,
    thinning: Any,
    seed: Any,
) -> Any:
    """One primary; ground is its height above sea level."""
    np.random.seed(seed)
    light.found[0] = 0
    light.profile[:] = 0.0
    axis = light.axis
    bottom = depth_at(ground)
    thin = thinning * energy_tev * 1e6
    ux, uy, uz = axis[0], axis[1], axis[2]
    track = start_above(_TOP_DEPTH, ux, uy, uz, axis[3], axis[4], ground)
    if primary == 101:
        energy = energy_tev * 1e3
        first = hadron_shower(
            array, light, tables, stacks[0], stacks[1], energy, track, bottom, thin
        )
    elif primary >= 5:
        first = ground + MUON_START_M
        track = start_above(depth_at(first), ux, uy, uz, axis[3], axis[4], ground)
        fly(array, light, energy_tev * 1e3, MUON_GEV, track, bottom, True)
    else:
        kind = float(primary)
        energy = energy_tev * 1e6
        first = cascade(array, light, tables, stacks[0], kind, energy, track, bottom, thin)
    return first, maximum_depth(light.profile, uz)


@compiled
def _sort(light: Any, n: Any, images: Any, times: Any) -> Any:
    """Sum photo-electrons per telescope and pixel, and the mean of their times."""
    for k in range(n):
        images[light.telescope[k], light.pixel[k]] += 1
        times[light.telescope[k], light.pixel[k]] += light.time_ns[k]
    for t in range(images.shape[0]):
        for i in range(images.shape[1]):
            times[t, i] = times[t, i] / images[t, i] if images[t, i] > 0 else np.nan


def _room(size: int, axis: FloatArray, bottom: float) -> Light:
    return Light(
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.float32),
        np.zeros(1, np.int64),
        axis,
        np.zeros(int(bottom / PROFILE_STEP) + 1),
    )


def _tables(array: Array) -> EmTables:
    """Photons below the lowest Cherenkov threshold of an electron are of no use."""
    density = air_at(depth_at(array.place_m[:, 2].min()))[1]
    threshold = ELECTRON_MEV / np.sqrt(2.0 * refractivity(density))
    return em_tables(float(np.round(threshold, 1)))


def run_batch(
    kind: str,
    array: Array,
    telescopes: tuple[VirtualTelescope, ...],
    *,
    energy_tev: FloatArray,
    direction: FloatArray,
    core_m: FloatArray,
    seeds: NDArray[np.uint32],
    thinning: float,
    keep_photons: bool,
) -> Batch:
    """Simulate primaries one after the other.

    Parameters
    ----------
    kind
        One of :data:`PRIMARIES`.
    array, telescopes
        The same telescopes, for kernels and for people.
    energy_tev
        Shape (n,).
    direction
        Unit vectors of flight, shape (n, 3).
    core_m
        Where the axes meet z = 0, shape (n, 2).
    seeds
        Of each event's own random numbers, so that an event does not depend on those before it.
    thinning
        Part of the energy below which particles are thinned.
    keep_photons
        Keep each photo-electron.

    Returns
    -------
    Batch
    """
    n, count, pixels = len(energy_tev), len(telescopes), len(array.grid.x_m)
    ground = telescopes[0].site_height_m
    tables = _tables(array)
    stacks = (np.zeros((STACK, 11)), np.zeros((HADRON_STACK, 10)))
    first, x_max = np.zeros(n), np.zeros(n)
    images = np.zeros((n, count, pixels), dtype=np.int32)
    times = np.zeros((n, count, pixels), dtype=np.float32)
    triggered = np.zeros((n, count), dtype=np.bool_)
    axis = np.zeros(6)
    light = _room(_FIRST_ROOM, axis, depth_at(ground))
    kept: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []
    for i in range(n):
        axis[:] = (*direction[i], *core_m[i], ground)
        while True:
            first[i], x_max[i] = _one(
                array,
                light,
                tables,
                stacks,
                PRIMARIES[kind],
                energy_tev[i],
                ground,
                thinning,
                seeds[i],
            )
            found = int(light.found[0])
            if found <= len(light.pixel):
                break
            # the same event again, with the same numbers and more room
            light = _room(2 * found, axis, depth_at(ground))
        _sort(light, found, images[i], times[i])
        tel = light.telescope[:found]
        for t, one in enumerate(telescopes):
            mine = tel == t if count > 1 else slice(0, found)
            pixel, time = light.pixel[:found][mine], light.time_ns[:found][mine]
            triggered[i, t] = patch_trigger(
                pixel,
                time,
                images[i, t],
                array.grid.indptr,
                array.grid.indices,
                one.trigger_threshold_pe,
                one.trigger_window_ns,
                one.nsb_ghz,
            )
            if keep_photons:
                kept.append((np.full(1, len(pixel), np.int32), pixel.copy(), time.copy()))
    photons = [_joined(kept[t::count]) for t in range(count)] if keep_photons else None
    return Batch(
        first,
        x_max,
        tuple(np.ascontiguousarray(images[:, t]) for t in range(count)),
        tuple(np.ascontiguousarray(times[:, t]) for t in range(count)),
        triggered,
        photons,
    )


def _joined(
    parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    sizes = np.concatenate([part[0] for part in parts]).astype(np.int64)
    offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    pixel = np.concatenate([part[1] for part in parts])
    return offset, pixel, np.concatenate([part[2] for part in parts])
