"""The air: depth, density, refraction and transmission.

Depth as a function of height is Linsley's fit to the US standard atmosphere, as CORSIKA uses it
(Heck et al. 1998, FZKA 6019, appendix D): ``X(h) = a + b exp(-h/c)`` in four layers. Refractivity
is proportional to density, 2.83e-4 at sea level.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.simulate.showers.kernels import compiled

#: lower border of each layer, m
_BASE_M = np.array([0.0, 4.0e3, 10.0e3, 40.0e3])
_A = np.array([-186.5562, -94.919, 0.61289, 0.0])
_B = np.array([1222.6562, 1144.9069, 1305.5948, 540.1778])
#: scale heights, m
_C_M = np.array([9941.8638, 8781.5355, 6361.4304, 7721.7016])
_BORDER_DEPTH = _A + _B * np.exp(-_BASE_M / _C_M)

REFRACTIVITY_SEA_LEVEL = 2.83e-4
#: refractivity per density, m3/g * 1e-6: n - 1 = this * (X - a) / c with X in g/cm2 and c in m
_PER_DEPTH_SLOPE = REFRACTIVITY_SEA_LEVEL / ((_BORDER_DEPTH[0] - _A[0]) / _C_M[0])
LIGHT_M_PER_NS = 0.299792458

FloatArray = NDArray[np.float64]


@compiled
def depth_at(height_m: Any) -> Any:
    """Vertical depth above a height.

    Parameters
    ----------
    height_m
        Height above sea level, m.

    Returns
    -------
    float
        g/cm2.
    """
    layer = 0
    while layer < 3 and height_m >= _BASE_M[layer + 1]:
        layer += 1
    return _A[layer] + _B[layer] * math.exp(-height_m / _C_M[layer])


@compiled
def air_at(depth: Any) -> Any:
    """Height and density where the vertical depth has a value.

    Parameters
    ----------
    depth
        Vertical depth, g/cm2, positive.

    Returns
    -------
    height_m, slope : float
        Height above sea level, and the density as depth per metre of height, g/cm2/m.
    """
    layer = 3
    while layer > 0 and depth > _BORDER_DEPTH[layer]:
        layer -= 1
    above = depth - _A[layer]
    return -_C_M[layer] * math.log(above / _B[layer]), above / _C_M[layer]


@compiled
def density_at(depth: Any) -> Any:
    """Density where the vertical depth has a value.

    Parameters
    ----------
    depth
        Vertical depth, g/cm2, positive.

    Returns
    -------
    float
        g/cm2/m.
    """
    layer = 3
    while layer > 0 and depth > _BORDER_DEPTH[layer]:
        layer -= 1
    return (depth - _A[layer]) / _C_M[layer]


@compiled
def refractivity(slope: Any) -> Any:
    """Refractivity of air, n - 1.

    Parameters
    ----------
    slope
        Density, g/cm2/m, as of :func:`air_at`.
    """
    return _PER_DEPTH_SLOPE * slope


@compiled
def mean_refractivity(depth_above: Any, depth_below: Any, height_m: Any) -> Any:
    """Mean of n - 1 along a straight line: its integral follows from the depth that is crossed.

    Parameters
    ----------
    depth_above, depth_below
        Vertical depths of the ends, g/cm2.
    height_m
        Difference in height of the ends, m.
    """
    if height_m < 1.0:
        return 0.0
    return _PER_DEPTH_SLOPE * (depth_below - depth_above) / height_m


def optical_depth(
    wavelength_nm: FloatArray, height_m: FloatArray, observation_m: float
) -> FloatArray:
    """Vertical optical depth between a height and the telescope.

    Rayleigh scattering with a mean free path of 2970 g/cm2 at 400 nm that goes with the fourth
    power of the wavelength (Baltrusaitis et al. 1985, NIM A 240, 410); aerosols of optical depth
    0.05 at 550 nm, going with 1/wavelength, with a scale height of 1.2 km above the telescope (a
    clear night on a mountain); ozone is not included.

    Parameters
    ----------
    wavelength_nm
        Shape (w,).
    height_m
        Where the light starts, m above sea level, shape (h,).
    observation_m
        Height of the telescope, m above sea level.

    Returns
    -------
    numpy.ndarray
        Shape (h, w).
    """
    crossed = np.array([depth_at(observation_m) - depth_at(h) for h in height_m])
    rayleigh = np.maximum(crossed, 0.0)[:, None] / 2970.0 * (400.0 / wavelength_nm) ** 4
    above = np.maximum(height_m - observation_m, 0.0)
    aerosol = 0.05 * (1.0 - np.exp(-above / 1200.0))[:, None] * (550.0 / wavelength_nm)
    return np.asarray(rayleigh + aerosol)
