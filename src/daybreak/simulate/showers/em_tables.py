"""Cross sections of photons and electrons in air, as tables over energy.

Bremsstrahlung and pair production are those of Bethe and Heitler with the screening functions of
Butcher and Messel and Coulomb's correction (Tsai 1974, Rev. Mod. Phys. 46, 815; the form is that of
the EGS4 manual, SLAC-265, section 2.7). They are scaled so that at high energy an electron loses
its energy in one radiation length; a photon's mean free path then is 9/7 of it. Compton scattering
is that of Klein and Nishina.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
#: radiation length of dry air, g/cm2 (Particle Data Group)
RADIATION_LENGTH = 36.62
_Z = 7.22
_MASS = 0.51099895
#: electrons per g/cm2 times pi r_e**2, i.e. N_A Z/A pi r_e**2
_THOMSON_UNIT = 6.02214e23 * 0.49919 * math.pi * (2.8179403e-13) ** 2
_FIRST, _PER_DECADE, _COUNT = 1.0, 40, 300


class EmTables(NamedTuple):
    """Tables over log10 of the energy in MeV, in steps of 1/40, from 10 MeV.

    `path` is a photon's mean free path (g/cm2) and `compton` the part of its interactions that is
    Compton scattering. `hard` is the rate of bremsstrahlung with more energy than
    `least(E) = max(cut_mev, E / 1000)` (cm2/g) and `loss` what is lost otherwise (MeV cm2/g).
    """

    cut_mev: float
    path: FloatArray
    compton: FloatArray
    hard: FloatArray
    loss: FloatArray


def _screening(delta: FloatArray) -> tuple[FloatArray, FloatArray]:
    near = delta <= 1.0
    far = 21.12 - 4.184 * np.log(delta + 0.952)
    first = np.where(near, 20.867 - 3.242 * delta + 0.625 * delta**2, far)
    second = np.where(near, 20.209 - 1.930 * delta - 0.086 * delta**2, far)
    return first, second


def _brackets(delta: FloatArray, energy_mev: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Screening functions less 4/3 ln Z, and less Coulomb's correction above 50 MeV."""
    alpha_z = (_Z / 137.036) ** 2
    coulomb = alpha_z * (1 / (1 + alpha_z) + 0.20206 - 0.0369 * alpha_z)
    minus = 4.0 / 3.0 * math.log(_Z) + np.where(energy_mev > 50.0, 4 * coulomb, 0.0)
    first, second = _screening(delta)
    return np.maximum(first - minus, 0.0), np.maximum(second - minus, 0.0)


def _delta(energy_mev: FloatArray, ratio: FloatArray) -> FloatArray:
    return np.asarray(136.0 * _MASS * _Z ** (-1.0 / 3.0) / energy_mev * ratio)


def bremsstrahlung_density(energy_mev: FloatArray, fraction: FloatArray) -> FloatArray:
    """Bremsstrahlung per radiation length and fraction of the electron's energy.

    Parameters
    ----------
    energy_mev
        Of the electron.
    fraction
        That the photon takes, between 0 and 1.

    Returns
    -------
    numpy.ndarray
        At high energy ``(4/3 - 4/3 v + v**2) / v`` nearly.
    """
    first, second = _brackets(_delta(energy_mev, fraction / (1.0 - fraction)), energy_mev)
    shape = (1.0 + (1.0 - fraction) ** 2) * first - 2.0 / 3.0 * (1.0 - fraction) * second
    return np.asarray(shape / fraction / _high_energy_loss())


def pair_density(energy_mev: FloatArray, fraction: FloatArray) -> FloatArray:
    """Pairs per radiation length and fraction of the photon's energy.

    Parameters
    ----------
    energy_mev
        Of the photon.
    fraction
        That one electron takes, between 0 and 1.
    """
    ratio = 1.0 / (fraction * (1.0 - fraction))
    first, second = _brackets(_delta(energy_mev, ratio), energy_mev)
    shape = (fraction**2 + (1.0 - fraction) ** 2) * first
    shape = shape + 2.0 / 3.0 * fraction * (1.0 - fraction) * second
    return np.asarray(shape / _high_energy_loss())


@lru_cache(maxsize=1)
def _high_energy_loss() -> float:
    """Energy lost by an electron of 10 PeV in the units of the brackets."""
    fraction = (np.arange(4000) + 0.5) / 4000
    energy = np.full(4000, 1e10)
    first, second = _brackets(_delta(energy, fraction / (1 - fraction)), energy)
    shape = (1 + (1 - fraction) ** 2) * first - 2 / 3 * (1 - fraction) * second
    return float(np.mean(shape))


def compton_rate(energy_mev: FloatArray) -> FloatArray:
    """Klein and Nishina's total cross section in air.

    Parameters
    ----------
    energy_mev
        Of the photon.

    Returns
    -------
    numpy.ndarray
        cm2/g.
    """
    k = energy_mev / _MASS
    log = np.log1p(2 * k)
    total = (1 - 2 * (k + 1) / k**2) * log + 0.5 + 4 / k - 0.5 / (1 + 2 * k) ** 2
    return np.asarray(_THOMSON_UNIT / k * total)


def ionisation(energy_mev: FloatArray) -> FloatArray:
    """Collision loss of electrons in air, MeV cm2/g: a line through ESTAR's 1.98 at 10 MeV.

    Parameters
    ----------
    energy_mev
        Of the electron.
    """
    return np.asarray(1.98 + 0.35 * np.log10(energy_mev / 10.0))


@lru_cache(maxsize=8)
def em_tables(cut_mev: float) -> EmTables:
    """Make the tables.

    Parameters
    ----------
    cut_mev
        Photons of less energy are not followed; electrons lose it steadily.

    Returns
    -------
    EmTables
    """
    energy = 10 ** (_FIRST + np.arange(_COUNT) / _PER_DECADE)
    fraction = (np.arange(400) + 0.5) / 400
    low = _MASS / energy[:, None]
    inside = low + (1 - 2 * low) * fraction
    pair = np.mean(pair_density(energy[:, None], inside), axis=1) * (1 - 2 * low[:, 0])
    pair /= RADIATION_LENGTH
    compton = compton_rate(energy)
    hard, soft = np.zeros(_COUNT), np.zeros(_COUNT)
    grid = (np.arange(600) + 0.5) / 600
    for i, e in enumerate(energy):
        edge = min(max(cut_mev, 1e-3 * e) / e, 1.0)
        top = 1 - _MASS / e
        if edge < top:
            # even steps in the logarithm of the fraction
            v = edge * (top / edge) ** grid
            hard[i] = np.mean(bremsstrahlung_density(e, v) * v) * math.log(top / edge)
        v = min(edge, top) * grid
        soft[i] = np.mean(bremsstrahlung_density(e, v) * v) * min(edge, top) * e
    return EmTables(
        cut_mev,
        1.0 / (pair + compton),
        compton / (pair + compton),
        hard / RADIATION_LENGTH,
        soft / RADIATION_LENGTH + ionisation(energy),
    )
