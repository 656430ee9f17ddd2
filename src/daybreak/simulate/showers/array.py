"""Telescopes as arrays for the kernels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import ConfigError
from daybreak.simulate.showers.atmosphere import LIGHT_M_PER_NS, depth_at, optical_depth
from daybreak.simulate.showers.cherenkov import Array
from daybreak.simulate.showers.optics import pixel_grid, pointing_basis
from daybreak.simulate.showers.telescope import VirtualTelescope

_HEIGHT_STEP_M = 200.0
_TOP_M = 40e3


def transmission(telescope: VirtualTelescope, altitude_rad: float) -> NDArray[np.float64]:
    """Mean transmission from heights to a telescope, weighted with yield and efficiency.

    Parameters
    ----------
    telescope
        Its height and efficiency count.
    altitude_rad
        Of its pointing: the air crossed goes with 1 / sin(altitude).

    Returns
    -------
    numpy.ndarray
        For heights of 0, 200 m, 400 m ... above sea level, to 40 km.
    """
    heights = np.arange(0.0, _TOP_M + _HEIGHT_STEP_M, _HEIGHT_STEP_M)
    depth = optical_depth(telescope.wavelength_nm, heights, telescope.height_m)
    weight = telescope.efficiency / telescope.wavelength_nm**2
    return np.asarray(np.exp(-depth / math.sin(altitude_rad)) @ weight / weight.sum())


def make_array(
    telescopes: tuple[VirtualTelescope, ...], altitude_rad: float, azimuth_rad: float
) -> Array:
    """Arrays of telescopes that look in parallel.

    Parameters
    ----------
    telescopes
        Of one site and with one camera.
    altitude_rad, azimuth_rad
        Where they look.

    Returns
    -------
    Array

    Raises
    ------
    ConfigError
        Telescopes of different cameras or sites.
    """
    camera, site = telescopes[0].camera, telescopes[0].site_height_m
    if any(one.camera is not camera or one.site_height_m != site for one in telescopes):
        raise ConfigError(
            "the virtual telescopes of one simulation differ in camera or site",
            "Simulate telescopes of different types one after the other.",
        )
    place = np.array([one.position_m for one in telescopes], dtype=np.float64)
    place[:, 2] += site
    radius = np.array([one.mirror_radius_m for one in telescopes])
    area = np.array([one.mirror_area_m2 for one in telescopes])
    light_yield = np.array([one.yield_per_m() for one in telescopes])
    focal = np.full(len(telescopes), camera.focal_length_m)
    edge = float(np.hypot(camera.x_m, camera.y_m).max()) + 1.5 * float(camera.width_m.max())
    basis = pointing_basis(altitude_rad, azimuth_rad)
    in_camera = math.radians(1.0) * camera.focal_length_m
    return Array(
        place,
        np.array([depth_at(z) for z in place[:, 2]]),
        np.repeat(basis[None], len(telescopes), axis=0),
        radius,
        light_yield * area / (math.pi * radius**2),
        np.cos(np.arctan(edge / focal)),
        focal,
        np.array([one.psf_sigma_deg for one in telescopes]) * in_camera,
        np.array([one.psf_growth for one in telescopes]),
        np.array([one.time_spread_ns for one in telescopes]),
        np.array(
            [
                0.0 if one.parabolic else r**2 / (2 * camera.focal_length_m) / LIGHT_M_PER_NS
                for one, r in zip(telescopes, radius, strict=True)
            ]
        ),
        np.stack([transmission(one, altitude_rad) for one in telescopes]),
        np.array(telescopes[0].field_ut) * 1e-6,
        _HEIGHT_STEP_M,
        pixel_grid(camera),
    )
