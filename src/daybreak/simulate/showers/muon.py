"""Charged particles that fly straight: muons above all, with losses, scattering and decay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daybreak.simulate.showers.atmosphere import LIGHT_M_PER_NS, air_at, depth_at, refractivity
from daybreak.simulate.showers.cherenkov import straight_light
from daybreak.simulate.showers.em_tables import RADIATION_LENGTH
from daybreak.simulate.showers.kernels import compiled
from daybreak.simulate.showers.optics import turned

MUON_GEV, PION_GEV, PROTON_GEV = 0.1056584, 0.1395704, 0.9382721
#: decay length per Lorentz factor, m
MUON_DECAY_M, PION_DECAY_M = 658.654, 7.8045
#: ionisation, GeV cm2/g, nearly that of all fast particles in air
_LOSS = 2.2e-3


@compiled
def fly(
    array: Any,
    light: Any,
    energy_gev: Any,
    mass_gev: Any,
    track: Any,
    end_depth: Any,
    radiates: Any,
) -> Any:
    """Follow a particle down to a depth, in steps that are short near the telescopes.

    Parameters
    ----------
    array, light
        Telescopes and where their photo-electrons go.
    energy_gev, mass_gev
        Total energy, and mass.
    track
        Start: x, y, z (m above sea level), ux, uy, uz, time (ns), vertical depth (g/cm2).
    end_depth
        Vertical depth where the flight ends.
    radiates
        Cherenkov light is made; else only energy and place change.

    Returns
    -------
    energy_gev : float
        At the end; the mass where the particle stopped.
    track : tuple
        At the end.
    """
    x, y, z, ux, uy, uz, time, depth = track
    end = air_at(end_depth)[0]
    low = array.place_m[:, 2].min()
    while z > end + 1e-3 and uz < -0.1:
        length = min(max(0.02 * (z - low), 5.0), 150.0) if radiates else 1000.0
        length = min(length, (z - end) / -uz)
        below = z + length * uz
        lower = depth_at(below)
        crossed = (lower - depth) / -uz
        gamma = energy_gev / mass_gev
        if radiates:
            slope = (lower - depth) / (z - below)
            if 2.0 * refractivity(slope) * gamma * gamma > 1.0:
                start = (x, y, z, ux, uy, uz, time, 0.5 * (depth + lower))
                straight_light(array, light, start, length, gamma)
        x, y, z = x + length * ux, y + length * uy, below
        time += length / (LIGHT_M_PER_NS * math.sqrt(1.0 - 1.0 / (gamma * gamma)))
        sigma = 13.6e-3 / energy_gev * math.sqrt(crossed / RADIATION_LENGTH)
        ux, uy, uz = turned(
            ux, uy, uz, sigma * np.random.standard_normal(), sigma * np.random.standard_normal()
        )
        energy_gev -= _LOSS * crossed
        depth = lower
        if energy_gev < 1.05 * mass_gev:
            return mass_gev, (x, y, z, ux, uy, uz, time, depth)
    return energy_gev, (x, y, z, ux, uy, uz, time, depth)


@compiled
def decay_depth(track: Any, path_m: Any) -> Any:
    """Vertical depth after a path.

    Parameters
    ----------
    track
        As of :func:`fly`.
    path_m
        Along the direction of flight.
    """
    return depth_at(max(track[2] + path_m * track[5], -1000.0))


@compiled
def muon_end(track: Any, energy_gev: Any, bottom: Any) -> Any:
    """Where a muon's flight ends: at the ground, or where it decays.

    Parameters
    ----------
    track
        As of :func:`fly`.
    energy_gev
        Total energy.
    bottom
        Vertical depth of the ground.

    Returns
    -------
    depth, decays : float, bool
        Vertical depth of the end.
    """
    path = -math.log(1.0 - np.random.random()) * MUON_DECAY_M * energy_gev / MUON_GEV
    depth = decay_depth(track, path)
    return min(depth, bottom), depth < bottom
