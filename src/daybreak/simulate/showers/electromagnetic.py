"""Electromagnetic cascades, particle by particle.

Photons make pairs or Compton electrons; electrons radiate, lose energy by ionisation, and are
scattered. Below an energy that grows with the primary's, one of several particles stands for all
(thinning, Hillas 1981). What is below the Cherenkov threshold is dropped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daybreak.simulate.showers.atmosphere import LIGHT_M_PER_NS, air_at, refractivity
from daybreak.simulate.showers.cherenkov import ELECTRON_MEV, scattered_light
from daybreak.simulate.showers.em_tables import RADIATION_LENGTH
from daybreak.simulate.showers.kernels import compiled
from daybreak.simulate.showers.optics import turned

STACK = 4096
_PHOTON, _ELECTRON, _POSITRON = 0.0, 1.0, 2.0
#: energy that scatters an electron in one radiation length by one radian, per axis, MeV
_SCATTERING_MEV = 13.6
#: p = this * B * R
_BEND_MEV_PER_T_M = 299.792458
#: depth of a bin of the profile, g/cm2, vertical
PROFILE_STEP = 10.0


@compiled
def _look_both(first: Any, second: Any, energy_mev: Any) -> Any:
    place = (math.log10(energy_mev) - 1.0) * 40.0
    i = min(max(int(place), 0), first.shape[0] - 2)
    f = min(max(place - i, 0.0), 1.0)
    g = 1.0 - f
    return g * first[i] + f * first[i + 1], g * second[i] + f * second[i + 1]


@compiled
def _pair_fraction(energy_mev: Any) -> Any:
    """Fraction of one electron: 1 - 4/3 x (1 - x), full screening; even below 50 MeV."""
    while True:
        x = np.random.random()
        if energy_mev < 50.0 or np.random.random() <= 1.0 - 4.0 / 3.0 * x * (1.0 - x):
            return x


@compiled
def _compton_fraction(energy_mev: Any) -> Any:
    """What the photon keeps: Klein and Nishina's 1/f + f without the small term in the angle."""
    least = 1.0 / (1.0 + 2.0 * energy_mev / ELECTRON_MEV)
    a, b = -math.log(least), 0.5 * (1.0 - least * least)
    if np.random.random() * (a + b) < a:
        return math.exp(-a * np.random.random())
    return math.sqrt(least * least + (1.0 - least * least) * np.random.random())


@compiled
def _photon_fraction(least: Any) -> Any:
    """Fraction of a bremsstrahlung photon above the least: (4/3 - 4/3 v + v**2) / v."""
    while True:
        v = least ** (1.0 - np.random.random())
        if np.random.random() <= 1.0 - v + 0.75 * v * v:
            return v


@compiled
def _push(
    stack: Any, n: Any, kind: Any, energy: Any, track: Any, weight: Any, thin_mev: Any
) -> Any:
    """Put a particle on the stack, or let another one stand for it."""
    wanted = thin_mev / energy
    if wanted > weight:
        if np.random.random() * wanted > weight:
            return n
        weight = wanted
    if n >= stack.shape[0]:
        return n
    x, y, z, ux, uy, uz, time, depth = track
    row = stack[n]
    row[0], row[1], row[2] = kind, energy, weight
    row[3], row[4], row[5], row[6], row[7], row[8] = x, y, z, ux, uy, uz
    row[9], row[10] = time, depth
    return n + 1


@compiled
def _electron(
    array: Any,
    light: Any,
    tables: Any,
    stack: Any,
    n: Any,
    kind: Any,
    energy: Any,
    weight: Any,
    track: Any,
    bottom: Any,
    thin_mev: Any,
) -> Any:
    """Follow an electron; photons that it radiates go on the stack."""
    x, y, z, ux, uy, uz, time, depth = track
    slope = air_at(depth)[1]
    sign = _BEND_MEV_PER_T_M if kind == _POSITRON else -_BEND_MEV_PER_T_M
    fx, fy, fz = sign * array.field_t[0], sign * array.field_t[1], sign * array.field_t[2]
    while True:
        threshold = ELECTRON_MEV / math.sqrt(2.0 * refractivity(slope))
        if energy <= threshold or uz > -0.1:
            return n
        loss, hard = _look_both(tables.loss, tables.hard, energy)
        step = min(0.25 * RADIATION_LENGTH, 0.25 * energy / loss)
        radiates = False
        if hard > 0.0:
            free = -math.log(1.0 - np.random.random()) / hard
            radiates = free < step
            step = min(step, free)
        lower = depth - step * uz
        if lower >= bottom:
            step = (bottom - depth) / -uz
            lower, radiates = bottom, False
        below, slope = air_at(lower)
        length = (z - below) / -uz
        middle = energy - 0.5 * step * loss
        if middle <= threshold:
            return n
        sigma = _SCATTERING_MEV / middle * math.sqrt(step / RADIATION_LENGTH)
        # half of the bend by the Earth's field before the step's light, half after it
        bend = 0.5 * length / middle
        bx, by = bend * (uy * fz - uz * fy), bend * (uz * fx - ux * fz)
        bz = bend * (ux * fy - uy * fx)
        wx, wy = ux, uy
        ux, uy, uz = ux + bx, uy + by, uz + bz
        start = (x, y, z, ux, uy, uz, time, 0.5 * (depth + lower))
        # the variance of the direction grows along the step: take that of a random place of it
        variance = np.random.random() * sigma * sigma
        scattered_light(array, light, start, length, middle, variance, weight)
        bin_ = int(0.5 * (depth + lower) / PROFILE_STEP)
        if bin_ < light.profile.shape[0]:
            light.profile[bin_] += weight * step
        vx, vy, vz = turned(
            ux, uy, uz, sigma * np.random.standard_normal(), sigma * np.random.standard_normal()
        )
        vx, vy, vz = vx + bx, vy + by, vz + bz
        # half of the step in the old direction and half in the new one
        x += 0.5 * length * (wx + vx)
        y += 0.5 * length * (wy + vy)
        z = below
        time += length / LIGHT_M_PER_NS
        scale = 1.0 / math.sqrt(vx * vx + vy * vy + vz * vz)
        ux, uy, uz, depth = vx * scale, vy * scale, vz * scale, lower
        energy -= step * loss
        if lower >= bottom:
            return n
        if radiates:
            least = max(tables.cut_mev, 1e-3 * energy) / energy
            if least >= 1.0:
                return n
            photon = energy * _photon_fraction(least)
            energy -= photon
            here = (x, y, z, ux, uy, uz, time, depth)
            n = _push(stack, n, _PHOTON, photon, here, weight, thin_mev)
            wanted = thin_mev / max(energy, 1e-3)
            if wanted > weight:
                if np.random.random() * wanted > weight:
                    return n
                weight = wanted


@compiled
def cascade(
    array: Any,
    light: Any,
    tables: Any,
    stack: Any,
    kind: Any,
    energy_mev: Any,
    track: Any,
    bottom: Any,
    thin_mev: Any,
) -> Any:
    """Follow a cascade down.

    Parameters
    ----------
    array, light
        Telescopes and where their photo-electrons go.
    tables
        Of :func:`~daybreak.simulate.showers.em_tables.em_tables`.
    stack
        Room for particles, shape (STACK, 11).
    kind
        0 for a photon, 1 for an electron, 2 for a positron.
    energy_mev
        Of the first particle.
    track
        Of the first particle: x, y, z (m above sea level), ux, uy, uz, time (ns), vertical depth.
    bottom
        Vertical depth where it ends, g/cm2.
    thin_mev
        Below this energy one particle stands for several; 0 for none.

    Returns
    -------
    float
        Height of the first photon's interaction, m above sea level; 0 if there was none.
    """
    n = _push(stack, 0, kind, energy_mev, track, 1.0, 0.0)
    first = 0.0
    while n > 0:
        n -= 1
        row = stack[n]
        kind, energy, weight = row[0], row[1], row[2]
        x, y, z, ux, uy, uz = row[3], row[4], row[5], row[6], row[7], row[8]
        time, depth = row[9], row[10]
        if kind != _PHOTON:
            track = (x, y, z, ux, uy, uz, time, depth)
            n = _electron(
                array, light, tables, stack, n, kind, energy, weight, track, bottom, thin_mev
            )
            continue
        if energy <= tables.cut_mev or uz > -0.1:
            continue
        path, scattered = _look_both(tables.path, tables.compton, energy)
        step = -math.log(1.0 - np.random.random()) * path
        depth -= step * uz
        if depth >= bottom:
            continue
        below = air_at(depth)[0]
        length = (z - below) / -uz
        x, y, z = x + length * ux, y + length * uy, below
        time += length / LIGHT_M_PER_NS
        if first == 0.0:
            first = z
        here = (x, y, z, ux, uy, uz, time, depth)
        if np.random.random() < scattered:
            kept = energy * _compton_fraction(energy)
            n = _push(stack, n, _PHOTON, kept, here, weight, thin_mev)
            n = _push(stack, n, _ELECTRON, energy - kept, here, weight, thin_mev)
        else:
            part = energy * _pair_fraction(energy)
            n = _push(stack, n, _ELECTRON, part, here, weight, thin_mev)
            n = _push(stack, n, _POSITRON, energy - part, here, weight, thin_mev)
    return first


@compiled
def start_above(
    depth: Any, ux: Any, uy: Any, uz: Any, core_x: Any, core_y: Any, core_z: Any
) -> Any:
    """A track on the axis at a depth, timed so that the axis meets the core at time 0.

    Parameters
    ----------
    depth
        Vertical, g/cm2.
    ux, uy, uz
        Direction of flight.
    core_x, core_y, core_z
        Where the axis meets the ground, m.
    """
    z = air_at(depth)[0]
    length = (z - core_z) / -uz
    x, y = core_x - length * ux, core_y - length * uy
    return (x, y, z, ux, uy, uz, -length / LIGHT_M_PER_NS, depth)


@compiled
def maximum_depth(profile: Any, uz: Any) -> Any:
    """Slant depth of the maximum of a profile: the top of a parabola through smoothed bins.

    Parameters
    ----------
    profile
        Track length per bin of vertical depth.
    uz
        Cosine of the direction of flight, negative.
    """
    count = profile.shape[0]
    smooth = np.zeros(count)
    for i in range(count):
        total, number = 0.0, 0
        for j in range(max(0, i - 3), min(count, i + 4)):
            total += profile[j]
            number += 1
        smooth[i] = total / number
    top = int(np.argmax(smooth))
    if smooth[top] == 0.0:
        return np.nan
    shift = 0.0
    if 0 < top < count - 1:
        bend = smooth[top - 1] - 2.0 * smooth[top] + smooth[top + 1]
        if bend < 0.0:
            shift = 0.5 * (smooth[top - 1] - smooth[top + 1]) / bend
    return (top + 0.5 + shift) * PROFILE_STEP / -uz
