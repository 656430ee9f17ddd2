"""Batches of simulated showers: images, times and triggers, with the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from daybreak.errors import ConfigError
from daybreak.simulate.showers.array import make_array
from daybreak.simulate.showers.batch import PRIMARIES, run_batch
from daybreak.simulate.showers.optics import pointing_basis
from daybreak.simulate.showers.telescope import VirtualTelescope

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PhotonList:
    """Photo-electrons of the showers in one telescope.

    Attributes
    ----------
    offset
        Those of event i are ``offset[i]`` to ``offset[i + 1]``, shape (n + 1,).
    pixel
        Pixel of each, shape (p,).
    time_ns
        Time of each, shape (p,). At 0 a plane front that flies with the shower's axis, and meets
        the core at its time 0, would pass the middle of the dish at the speed of light in vacuum.
    """

    offset: NDArray[np.int64]
    pixel: NDArray[np.int32]
    time_ns: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ShowerEvents:
    """Simulated showers and what the telescopes saw; the first axis is that of the events.

    Attributes
    ----------
    telescopes
        That looked at them.
    altitude_deg, azimuth_deg
        Pointing of the telescopes.
    primary_id
        0 gamma, 1 electron, 101 proton, 5 and 6 muons of both charges.
    energy_tev
        True energy.
    true_altitude_deg, true_azimuth_deg
        True direction, where the primary comes from.
    core_x_m, core_y_m
        Where the axis meets the plane z = 0 of the array: x north, y west.
    first_interaction_m
        Height above sea level; for muons where they start; 0 if it did not interact.
    x_max
        Slant depth of the most electrons above the Cherenkov threshold, g/cm2; nan if there were
        none.
    images
        For each telescope: photo-electrons of the shower per pixel, shape (n, pixels).
    times_ns
        For each telescope: their mean time per pixel, nan where there are none.
    triggered
        Shape (n, telescopes).
    photons
        For each telescope, if they were kept.
    """

    telescopes: tuple[VirtualTelescope, ...]
    altitude_deg: float
    azimuth_deg: float
    primary_id: NDArray[np.int32]
    energy_tev: FloatArray
    true_altitude_deg: FloatArray
    true_azimuth_deg: FloatArray
    core_x_m: FloatArray
    core_y_m: FloatArray
    first_interaction_m: FloatArray
    x_max: FloatArray
    images: tuple[NDArray[np.int32], ...]
    times_ns: tuple[NDArray[np.float32], ...]
    triggered: NDArray[np.bool_]
    photons: tuple[PhotonList, ...] | None = None

    def __len__(self) -> int:
        """Number of events."""
        return len(self.energy_tev)


def draw_energies(
    rng: np.random.Generator, n: int, low_tev: float, high_tev: float, index: float
) -> FloatArray:
    """Energies that follow a power law.

    Parameters
    ----------
    rng
        Source of chance.
    n
        How many.
    low_tev, high_tev
        Between these.
    index
        Of dN/dE, negative for a falling spectrum.
    """
    chance = rng.random(n)
    if low_tev == high_tev:
        return np.full(n, low_tev)
    power = index + 1.0
    if abs(power) < 1e-9:
        return np.asarray(low_tev * (high_tev / low_tev) ** chance)
    a, b = low_tev**power, high_tev**power
    return np.asarray((a + chance * (b - a)) ** (1.0 / power))


def draw_directions(
    rng: np.random.Generator,
    n: int,
    basis: FloatArray,
    *,
    offset_rad: float,
    viewcone_rad: float,
    position_angle_rad: float | None,
) -> FloatArray:
    """Unit vectors towards where the primaries come from.

    Parameters
    ----------
    rng
        Source of chance.
    n
        How many.
    basis
        Of :func:`~daybreak.simulate.showers.optics.pointing_basis`.
    offset_rad
        Distance of a source from the pointing.
    viewcone_rad
        If positive: spread over the solid angle of a cone of this half opening around the pointing.
    position_angle_rad
        Of the source: 0 is higher in altitude, a quarter turn is further in azimuth; None for any.

    Returns
    -------
    numpy.ndarray
        Shape (n, 3).
    """
    chance, turn = rng.random(n), 2 * math.pi * rng.random(n)
    if viewcone_rad > 0:
        cosine = 1 - chance * (1 - math.cos(viewcone_rad))
    else:
        cosine = np.full(n, math.cos(offset_rad))
        if position_angle_rad is not None:
            turn = np.full(n, position_angle_rad)
    sine = np.sqrt(1 - cosine**2)
    axes = np.stack([cosine, sine * np.cos(turn), sine * np.sin(turn)], axis=1)
    return np.asarray(axes @ basis)


def simulate_showers(
    kind: str,
    n: int,
    *,
    telescopes: Sequence[VirtualTelescope],
    energy: u.Quantity,
    index: float = -2.0,
    zenith: u.Quantity = 20.0 * u.deg,
    azimuth: u.Quantity = 180.0 * u.deg,
    offset: u.Quantity = 0.0 * u.deg,
    position_angle: u.Quantity | None = None,
    viewcone: u.Quantity = 0.0 * u.deg,
    max_impact: u.Quantity = 300.0 * u.m,
    around: u.Quantity = (0.0, 0.0) * u.m,
    seed: int = 1,
    thinning: float = 3e-4,
    keep_photons: bool = False,
) -> ShowerEvents:
    """Simulate showers and the images that telescopes take of them.

    Parameters
    ----------
    kind
        ``gamma``, ``electron``, ``proton``, ``muon+`` or ``muon-``.
    n
        Number of showers.
    telescopes
        Of one site and with one camera, as of
        :func:`~daybreak.simulate.showers.telescope.lst_like`.
    energy
        Lowest and highest energy, or one energy.
    index
        Of the power law dN/dE between them.
    zenith, azimuth
        Where the telescopes look; zenith angle at most 60 deg.
    offset
        Distance of the source from the pointing.
    position_angle
        Of the source around the pointing, 0 towards higher altitude, 90 deg towards higher azimuth;
        by default any.
    viewcone
        If positive, directions are spread over a cone of this half opening around the pointing.
    max_impact
        Cores are spread evenly over a circle of this radius on the ground.
    around
        Middle of that circle: x (north), y (west). Muons have to fall near a telescope.
    seed
        The same seed gives the same showers.
    thinning
        Part of the primary's energy below which one electron or photon stands for several; 0 for
        none.
    keep_photons
        Keep each photo-electron; :func:`~daybreak.simulate.showers.waveforms.make_waveforms` needs
        them.

    Returns
    -------
    ShowerEvents

    Raises
    ------
    ConfigError
        An argument that makes no sense.
    """
    limits = np.atleast_1d(energy.to_value(u.TeV)).astype(float)
    zenith_rad, cone = float(zenith.to_value(u.rad)), float(viewcone.to_value(u.rad))
    away = float(offset.to_value(u.rad))
    radius = float(max_impact.to_value(u.m))
    _check(kind, n, limits, zenith_rad, away, cone, radius)
    rng = np.random.default_rng(seed)
    altitude = 0.5 * math.pi - zenith_rad
    pointing = float(azimuth.to_value(u.rad)) % (2 * math.pi)
    basis = pointing_basis(altitude, pointing)
    energies = draw_energies(rng, n, limits[0], limits[-1], index)
    angle = None if position_angle is None else float(position_angle.to_value(u.rad))
    source = draw_directions(
        rng, n, basis, offset_rad=away, viewcone_rad=cone, position_angle_rad=angle
    )
    distance, turn = radius * np.sqrt(rng.random(n)), 2 * math.pi * rng.random(n)
    core = np.stack([distance * np.cos(turn), distance * np.sin(turn)], axis=1)
    core += around.to_value(u.m)
    seeds = rng.integers(0, 2**32, size=n, dtype=np.uint32)
    chosen = tuple(telescopes)
    array = make_array(chosen, altitude, pointing)
    done = run_batch(
        kind,
        array,
        chosen,
        energy_tev=energies,
        direction=-source,
        core_m=core,
        seeds=seeds,
        thinning=thinning,
        keep_photons=keep_photons,
    )
    photons = None
    if done.photons is not None:
        photons = tuple(PhotonList(*each) for each in done.photons)
    return ShowerEvents(
        chosen,
        math.degrees(altitude),
        math.degrees(pointing),
        np.full(n, PRIMARIES[kind], dtype=np.int32),
        energies,
        np.degrees(np.arcsin(source[:, 2])),
        np.degrees(np.arctan2(-source[:, 1], source[:, 0])) % 360.0,
        core[:, 0],
        core[:, 1],
        done.first_m,
        done.x_max,
        done.images,
        done.times_ns,
        done.triggered,
        photons,
    )


def _check(
    kind: str,
    n: int,
    limits: FloatArray,
    zenith_rad: float,
    offset_rad: float,
    cone_rad: float,
    radius_m: float,
) -> None:
    if kind not in PRIMARIES:
        known = ", ".join(PRIMARIES)
        raise ConfigError(f"no showers of kind {kind!r} can be simulated", f"Choose from: {known}.")
    if n < 1:
        raise ConfigError("no showers were asked for", "Ask for one or more.")
    ordered = limits.size in (1, 2) and 0 < limits[0] <= limits[-1]
    if not (ordered and np.all(np.isfinite(limits))):
        raise ConfigError(
            "the energy is neither one energy nor a lowest and a highest one",
            "Give for example [0.02, 50] TeV.",
        )
    if not 0 <= zenith_rad <= math.radians(60.0) + 1e-9:
        raise ConfigError(
            "the zenith angle is not between 0 and 60 degrees",
            "The air is taken as flat, which fails below that.",
        )
    if cone_rad > 0 and offset_rad > 0:
        raise ConfigError("both an offset and a viewcone are given", "Give one of them.")
    if not (0 <= offset_rad <= 0.2 and 0 <= cone_rad <= 0.35 and 0 <= radius_m <= 5000):
        raise ConfigError(
            "offset, viewcone or impact lie outside what can be simulated",
            "Offsets go to 11 deg, viewcones to 20 deg, impacts to 5 km.",
        )
