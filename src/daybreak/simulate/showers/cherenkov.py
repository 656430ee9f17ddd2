"""Cherenkov light of a step of a charged particle, and what telescopes see of it.

Light is emitted at the angle ``sin2 = 2 (n - 1) - (m / E)**2``. Electrons are scattered within a
step, so their light is a cone folded with a two-dimensional Gaussian; the density per solid angle
at the angle alpha from the step's direction is

    exp(-(alpha2 + theta2) / 2 sigma2) I0(alpha theta / sigma2) / (2 pi sigma2)

with sigma2 of the scattering, and of the mirror as seen from the step. Heavy particles fly
straight: the part of a ring that falls on the mirror is exact geometry.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daybreak.simulate.showers.atmosphere import (
    LIGHT_M_PER_NS,
    air_at,
    density_at,
    mean_refractivity,
    refractivity,
)
from daybreak.simulate.showers.kernels import compiled
from daybreak.simulate.showers.optics import PixelGrid, find_pixel

FloatArray = NDArray[np.float64]
ELECTRON_MEV = 0.51099895


class Array(NamedTuple):
    """Telescopes as kernels see them; the first axis is that of the telescopes.

    All telescopes have the same camera. `reach` is the cosine of the largest angle from the
    pointing at which a photon can meet a pixel, `gain` photo-electrons per metre and sin2.
    """

    place_m: FloatArray
    depth: FloatArray
    basis: FloatArray
    radius_m: FloatArray
    gain: FloatArray
    reach: FloatArray
    focal_m: FloatArray
    blur_m: FloatArray
    blur_growth: FloatArray
    spread_ns: FloatArray
    sag: FloatArray
    transmission: FloatArray
    field_t: FloatArray
    height_step_m: float
    grid: PixelGrid


class Light(NamedTuple):
    """Photo-electrons of one event: telescope, pixel and time of each; and how many."""

    telescope: NDArray[np.int32]
    pixel: NDArray[np.int32]
    time_ns: NDArray[np.float32]
    found: NDArray[np.int64]
    axis: FloatArray
    profile: FloatArray


@compiled
def bessel_i0e(x: Any) -> Any:
    """exp(-x) I0(x), Abramowitz and Stegun 9.8.1 and 9.8.2.

    Parameters
    ----------
    x
        Not negative.
    """
    if x < 3.75:
        t = (x / 3.75) ** 2
        return math.exp(-x) * (
            1.0
            + t
            * (
                3.5156229
                + t
                * (3.0899424 + t * (1.2067492 + t * (0.2659732 + t * (0.0360768 + t * 0.0045813))))
            )
        )
    t = 3.75 / x
    tail = 0.00916281 + t * (-0.02057706 + t * (0.02635537 + t * (-0.01647633 + t * 0.00392377)))
    rest = 0.01328592 + t * (0.00225319 + t * (-0.00157565 + t * tail))
    return (0.39894228 + t * rest) / math.sqrt(x)


@compiled
def poisson(mean: Any) -> Any:
    """A Poisson number; fast where it is nearly always 0.

    Parameters
    ----------
    mean
        Not negative.
    """
    if mean < 0.2:
        draw = np.random.random()
        if draw < 1.0 - mean:  # exp(-mean) is not smaller
            return 0
        chance = math.exp(-mean)
        n = 0
        term = chance
        while draw >= chance and n < 20:
            n += 1
            term *= mean / n
            chance += term
        return n
    return np.random.poisson(mean)


@compiled
def detect(array: Any, light: Any, tel: Any, vx: Any, vy: Any, vz: Any, time_ns: Any) -> Any:
    """Put one photo-electron into a camera.

    Parameters
    ----------
    array, light
        :class:`Array` and :class:`Light`.
    tel
        Index of the telescope.
    vx, vy, vz
        From the mirror towards where the photon comes from; any length.
    time_ns
        Of arrival at the middle of the dish.
    """
    b = array.basis
    ahead = vx * b[tel, 0, 0] + vy * b[tel, 0, 1] + vz * b[tel, 0, 2]
    if ahead <= 0.0:
        return
    scale = array.focal_m[tel] / ahead
    x = scale * (vx * b[tel, 1, 0] + vy * b[tel, 1, 1] + vz * b[tel, 1, 2])
    y = scale * (vx * b[tel, 2, 0] + vy * b[tel, 2, 1] + vz * b[tel, 2, 2])
    blur = array.blur_m[tel] + array.blur_growth[tel] * math.sqrt(x * x + y * y)
    x += blur * np.random.standard_normal()
    y += blur * np.random.standard_normal()
    pixel = find_pixel(array.grid, x, y)
    if pixel < 0:
        return
    n = light.found[0]
    light.found[0] += 1
    if n >= light.pixel.shape[0]:
        return
    time = time_ns + array.spread_ns[tel] * np.random.standard_normal()
    time -= array.sag[tel] * np.random.random()
    axis, place = light.axis, array.place_m
    ahead = axis[0] * (place[tel, 0] - axis[3]) + axis[1] * (place[tel, 1] - axis[4])
    ahead += axis[2] * (place[tel, 2] - axis[5])
    light.telescope[n] = tel
    light.pixel[n] = pixel
    light.time_ns[n] = time - ahead / LIGHT_M_PER_NS


@compiled
def passed(array: Any, tel: Any, height_m: Any) -> Any:
    """Mean transmission from a height to a telescope, at the zenith angle of its pointing.

    Parameters
    ----------
    array
        :class:`Array`.
    tel
        Index of the telescope.
    height_m
        Above sea level.
    """
    place = height_m / array.height_step_m
    i = int(place)
    if i >= array.transmission.shape[1] - 1:
        return array.transmission[tel, -1]
    f = place - i
    return (1.0 - f) * array.transmission[tel, i] + f * array.transmission[tel, i + 1]


@compiled
def scattered_light(
    array: Any, light: Any, track: Any, length_m: Any, energy_mev: Any, sigma2: Any, weight: Any
) -> Any:
    """Light of a step of an electron.

    Parameters
    ----------
    array, light
        :class:`Array` and :class:`Light`.
    track
        Start and direction of the step: x, y, z (m), ux, uy, uz, time (ns), vertical depth at the
        middle of the step.
    length_m
        Of the step.
    energy_mev
        In the middle of the step.
    sigma2
        Variance of the direction per axis, rad2.
    weight
        How many electrons this one stands for.
    """
    x, y, z, ux, uy, uz, time_ns, depth = track
    slope = density_at(depth)
    sin2 = 2.0 * refractivity(slope) - (ELECTRON_MEV / energy_mev) ** 2
    if sin2 <= 0.0:
        return
    theta = math.sqrt(sin2)
    half = 0.5 * length_m
    mx, my, mz = x + half * ux, y + half * uy, z + half * uz
    emitted = weight * sin2 * length_m
    for tel in range(array.place_m.shape[0]):
        dx = array.place_m[tel, 0] - mx
        dy = array.place_m[tel, 1] - my
        dz = array.place_m[tel, 2] - mz
        if dz >= 0.0:
            continue
        distance2 = dx * dx + dy * dy + dz * dz
        distance = math.sqrt(distance2)
        cosine = (dx * ux + dy * uy + dz * uz) / distance
        if cosine < 0.5:
            continue
        alpha = math.sqrt(max(2.0 * (1.0 - cosine), 0.0))
        radius2 = array.radius_m[tel] ** 2
        variance = sigma2 + 0.25 * radius2 / distance2
        off = alpha - theta
        if off * off > 24.0 * variance:
            continue
        b = array.basis
        view = -(dx * b[tel, 0, 0] + dy * b[tel, 0, 1] + dz * b[tel, 0, 2]) / distance
        if view < array.reach[tel]:
            continue
        density = math.exp(-0.5 * off * off / variance) * bessel_i0e(alpha * theta / variance)
        # the solid angle of the mirror times the density, which is per 2 pi variance
        mean = 0.5 * radius2 / distance2 / variance * density * view
        mean *= emitted * array.gain[tel] * passed(array, tel, mz)
        for _ in range(poisson(mean)):
            part = np.random.random() * length_m
            ring = array.radius_m[tel] * math.sqrt(np.random.random())
            turn = 2.0 * math.pi * np.random.random()
            ex, ey = ring * math.cos(turn), ring * math.sin(turn)
            ox, oy, oz = x + part * ux, y + part * uy, z + part * uz
            tx, ty = array.place_m[tel, 0], array.place_m[tel, 1]
            vx = ox - (tx + ex * b[tel, 1, 0] + ey * b[tel, 2, 0])
            vy = oy - (ty + ex * b[tel, 1, 1] + ey * b[tel, 2, 1])
            vz = oz - (array.place_m[tel, 2] + ex * b[tel, 1, 2] + ey * b[tel, 2, 2])
            rx, ry, rz = ox - tx, oy - ty, oz - array.place_m[tel, 2]
            way = math.sqrt(rx * rx + ry * ry + rz * rz)
            delay = 1.0 + mean_refractivity(depth, array.depth[tel], -dz)
            arrival = time_ns + (part + way * delay) / LIGHT_M_PER_NS
            detect(array, light, tel, vx, vy, vz, arrival)


@compiled
def straight_light(array: Any, light: Any, track: Any, length_m: Any, gamma: Any) -> Any:
    """Light of a straight step of a heavy particle: the part of its ring that meets the mirror.

    Parameters
    ----------
    array, light
        :class:`Array` and :class:`Light`.
    track
        Start and direction of the step: x, y, z (m), ux, uy, uz, time (ns), vertical depth at the
        middle of the step.
    length_m
        Of the step.
    gamma
        Energy over mass.
    """
    x, y, z, ux, uy, uz, time_ns, depth = track
    height, slope = air_at(depth)
    sin2 = 2.0 * refractivity(slope) - 1.0 / (gamma * gamma)
    if sin2 <= 0.0:
        return
    sine = math.sqrt(sin2)
    cosine = math.sqrt(1.0 - sin2)
    for tel in range(array.place_m.shape[0]):
        part = np.random.random() * length_m
        ox, oy, oz = x + part * ux, y + part * uy, z + part * uz
        dx = array.place_m[tel, 0] - ox
        dy = array.place_m[tel, 1] - oy
        dz = array.place_m[tel, 2] - oz
        along = dx * ux + dy * uy + dz * uz
        if along <= 0.0:
            continue
        px, py, pz = dx - along * ux, dy - along * uy, dz - along * uz
        away = math.sqrt(px * px + py * py + pz * pz)
        ring = along * sine / cosine
        radius = array.radius_m[tel]
        if abs(away - ring) >= radius and away + ring >= radius:
            continue
        if away + ring <= radius:
            reach = math.pi
        else:
            ratio = (away * away + ring * ring - radius * radius) / (2.0 * away * ring)
            reach = math.acos(min(1.0, max(-1.0, ratio)))
        mean = length_m * sin2 * array.gain[tel] * passed(array, tel, height) * reach / math.pi
        number = poisson(mean)
        if number == 0:
            continue
        if away > 1e-6:
            ax, ay, az = px / away, py / away, pz / away
        else:
            norm = math.sqrt(uy * uy + uz * uz)
            ax, ay, az = 0.0, uz / norm, -uy / norm
        bx, by, bz = uy * az - uz * ay, uz * ax - ux * az, ux * ay - uy * ax
        delay = 1.0 + mean_refractivity(depth, array.depth[tel], -dz)
        way = math.sqrt(dx * dx + dy * dy + dz * dz)
        arrival = time_ns + (part + way * delay) / LIGHT_M_PER_NS
        for _ in range(number):
            turn = (2.0 * np.random.random() - 1.0) * reach
            c, s = math.cos(turn) * sine, math.sin(turn) * sine
            vx = -(cosine * ux + c * ax + s * bx)
            vy = -(cosine * uy + c * ay + s * by)
            vz = -(cosine * uz + c * az + s * bz)
            detect(array, light, tel, vx, vy, vz, arrival)
