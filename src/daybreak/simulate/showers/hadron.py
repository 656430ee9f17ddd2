"""Hadronic showers: a leading nucleon or pion, and pions from what it loses.

A nucleon or charged pion goes on with part of its energy; the rest goes to pions one after the
other, each with a part of what is left that follows a Beta distribution (Feynman scaling, as
``(1 - x)**b / x``). A third are neutral and start two electromagnetic cascades. Charged pions
interact or decay to muons. Kaons, diffraction and nuclear fragments are left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daybreak.simulate.showers.electromagnetic import cascade
from daybreak.simulate.showers.kernels import compiled
from daybreak.simulate.showers.muon import (
    MUON_GEV,
    PION_DECAY_M,
    PION_GEV,
    PROTON_GEV,
    decay_depth,
    fly,
    muon_end,
)
from daybreak.simulate.showers.optics import turned

HADRON_STACK = 4096
_NUCLEON, _PION, _MUON = 0.0, 1.0, 2.0
#: energies below which particles are dropped, GeV
_LEAST_HADRON, _LEAST_MUON, _LEAST_NEUTRAL = 3.0, 4.0, 0.15
_NEUTRAL_PION_GEV = 0.1349768
_LEAST_PION = 0.4
_TRANSVERSE_GEV = 0.17


@compiled
def interaction_length(kind: Any, energy_gev: Any) -> Any:
    """Mean free path in air: cross sections rise by about 6 % per decade above 100 GeV.

    Parameters
    ----------
    kind
        0 nucleon, 1 pion.
    energy_gev
        Of the hadron.

    Returns
    -------
    float
        g/cm2.
    """
    length = 85.0 if kind == _NUCLEON else 115.0
    return length / (1.0 + 0.06 * max(math.log10(energy_gev / 100.0), 0.0))


@compiled
def _put(stack: Any, n: Any, kind: Any, energy: Any, track: Any) -> Any:
    if n >= stack.shape[0]:
        return n
    row = stack[n]
    row[0], row[1] = kind, energy
    row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9] = track
    return n + 1


@compiled
def _kicked(track: Any, momentum_gev: Any) -> Any:
    """A track with a transverse momentum, two exponentials of 0.17 GeV, in a random direction."""
    x, y, z, ux, uy, uz, time, depth = track
    transverse = -_TRANSVERSE_GEV * math.log(
        (1.0 - np.random.random()) * (1.0 - np.random.random())
    )
    angle = min(transverse / momentum_gev, 1.0)
    turn = 2.0 * math.pi * np.random.random()
    ux, uy, uz = turned(ux, uy, uz, angle * math.cos(turn), angle * math.sin(turn))
    return (x, y, z, ux, uy, uz, time, depth)


@compiled
def _neutral(
    array: Any,
    light: Any,
    tables: Any,
    em_stack: Any,
    energy: Any,
    track: Any,
    bottom: Any,
    thin_mev: Any,
) -> Any:
    """The two photons of a neutral pion, isotropic in its rest frame."""
    x, y, z, ux, uy, uz, time, depth = track
    gamma = energy / _NEUTRAL_PION_GEV
    beta = math.sqrt(max(1.0 - 1.0 / (gamma * gamma), 0.0))
    cosine = 2.0 * np.random.random() - 1.0
    turn = 2.0 * math.pi * np.random.random()
    sine = math.sqrt(1.0 - cosine * cosine)
    for sign in (1.0, -1.0):
        photon = 0.5 * energy * (1.0 + sign * beta * cosine)
        if photon < _LEAST_NEUTRAL * 0.3:
            continue
        tangent = sign * 0.5 * _NEUTRAL_PION_GEV * sine / photon
        tangent = min(max(tangent, -1.0), 1.0)
        vx, vy, vz = turned(ux, uy, uz, tangent * math.cos(turn), tangent * math.sin(turn))
        start = (x, y, z, vx, vy, vz, time, depth)
        cascade(array, light, tables, em_stack, 0.0, photon * 1e3, start, bottom, thin_mev)


@compiled
def _collide(
    array: Any,
    light: Any,
    tables: Any,
    em_stack: Any,
    stack: Any,
    n: Any,
    kind: Any,
    energy: Any,
    track: Any,
    bottom: Any,
    thin_mev: Any,
) -> Any:
    """One interaction: the leading particle goes on, pions take the rest."""
    inelasticity = 0.5 + 0.18 * np.random.standard_normal()
    inelasticity = min(max(inelasticity, 0.05), 0.98)
    left = inelasticity * energy
    leading = energy - left
    if leading > _LEAST_HADRON:
        charged = kind == _NUCLEON or np.random.random() < 2.0 / 3.0
        if charged:
            n = _put(stack, n, kind, leading, _kicked(track, leading))
        else:
            away = _kicked(track, leading)
            _neutral(array, light, tables, em_stack, leading, away, bottom, thin_mev)
    power = 4.0 + 0.6 * math.log10(energy)
    while left > _LEAST_PION:
        part = left * (1.0 - np.random.random() ** (1.0 / power))
        part = min(max(part, _LEAST_PION), left)
        left -= part
        if np.random.random() < 1.0 / 3.0:
            away = _kicked(track, part)
            _neutral(array, light, tables, em_stack, part, away, bottom, thin_mev)
        elif part > _LEAST_HADRON:
            n = _put(stack, n, _PION, part, _kicked(track, part))
    return n


@compiled
def _decay_electron(
    array: Any,
    light: Any,
    tables: Any,
    em_stack: Any,
    energy: Any,
    track: Any,
    bottom: Any,
    thin_mev: Any,
) -> Any:
    """The electron of a muon that decayed, with a third of its energy."""
    if energy > 2.0 * MUON_GEV:
        third = energy / 3.0 * 1e3
        cascade(array, light, tables, em_stack, 1.0, third, track, bottom, thin_mev)


@compiled
def hadron_shower(
    array: Any,
    light: Any,
    tables: Any,
    em_stack: Any,
    stack: Any,
    energy_gev: Any,
    track: Any,
    bottom: Any,
    thin_mev: Any,
) -> Any:
    """Follow a proton's shower down.

    Parameters
    ----------
    array, light
        Telescopes and where their photo-electrons go.
    tables, em_stack
        For the electromagnetic part.
    stack
        Room for hadrons and muons, shape (HADRON_STACK, 10).
    energy_gev
        Of the proton.
    track
        Its start: x, y, z (m above sea level), ux, uy, uz, time (ns), vertical depth (g/cm2).
    bottom
        Vertical depth of the ground.
    thin_mev
        Thinning of the electromagnetic part.

    Returns
    -------
    float
        Height of the first interaction, m above sea level; 0 if there was none.
    """
    n = _put(stack, 0, _NUCLEON, energy_gev, track)
    first = 0.0
    while n > 0:
        n -= 1
        row = stack[n]
        kind, energy = row[0], row[1]
        here = (row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9])
        if here[5] > -0.1 or here[7] >= bottom:
            continue
        if kind == _MUON:
            if energy < _LEAST_MUON:
                continue
            end, decays = muon_end(here, energy, bottom)
            energy, there = fly(array, light, energy, MUON_GEV, here, end, True)
            if decays:
                _decay_electron(array, light, tables, em_stack, energy, there, bottom, thin_mev)
            continue
        free = -math.log(1.0 - np.random.random()) * interaction_length(kind, energy)
        end = here[7] - free * here[5]
        decays = False
        if kind == _PION:
            path = -math.log(1.0 - np.random.random()) * PION_DECAY_M * energy / PION_GEV
            decay = decay_depth(here, path)
            decays = decay < end
            end = min(end, decay)
        mass = PION_GEV if kind == _PION else PROTON_GEV
        energy, there = fly(array, light, energy, mass, here, min(end, bottom), energy > 30 * mass)
        if end >= bottom or energy < _LEAST_HADRON:
            continue
        if decays:
            # flat between (m_muon / m_pion)**2 and 1; at most 30 MeV of transverse momentum
            muon = energy * (0.573 + 0.427 * np.random.random())
            angle = 0.03 / muon * math.sqrt(np.random.random())
            turn = 2.0 * math.pi * np.random.random()
            vx, vy, vz = turned(
                there[3], there[4], there[5], angle * math.cos(turn), angle * math.sin(turn)
            )
            there = (there[0], there[1], there[2], vx, vy, vz, there[6], there[7])
            n = _put(stack, n, _MUON, muon, there)
            continue
        if first == 0.0:
            first = there[2]
        n = _collide(
            array, light, tables, em_stack, stack, n, kind, energy, there, bottom, thin_mev
        )
    return first
