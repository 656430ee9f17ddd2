"""Muon tracks in a neutrino telescope, from injected truth to pulses.

Light comes from the bare muon (Cherenkov cone) and from cascades along it of random energies.
Mean numbers of photoelectrons follow the approximate light yields of Aartsen et al. 2014 (JINST 9
P03009, section 4: diffusion far away, straight light near); arrival delays follow the Pandel
function in layered ice, from where along the track the light was made. Then come the time and
charge response, noise, and local coincidence. What the likelihood leaves out - cascades, ice that
is not exactly as assumed, noise, merged pulses - is in here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from daybreak.neutrino.event import ATWD, FADC, LC, Event, EventHeader, Geometry, Pulses, Reco
from daybreak.neutrino.likelihood.ice import Ice, built_in_ice
from daybreak.simulate.detector import built_in_detector

C = 0.299792458
N_PHASE, N_GROUP = 1.3195, 1.35634
COS_C = 1 / N_PHASE
SIN_C = math.sqrt(1 - COS_C**2)
KAPPA = (N_GROUP * N_PHASE - 1) / math.sqrt(N_PHASE**2 - 1)

PE_AREA_M2 = 0.0006
"""Area of a DOM times its efficiency, averaged over wavelength and arrival angle."""
PHOTONS_PER_M = 3.2e4
PHOTONS_PER_GEV = 1.7e5
"""Cherenkov photons (300 to 600 nm) of a bare muon, and of a cascade (5.2 m of track per GeV)."""
LOSS_A_GEV_M, LOSS_B_M = 0.26, 3.57e-4
"""Mean energy loss of a muon in ice, a + b E (Chirkin and Rhode 2004, hep-ph/0407075)."""
CASCADE_SHAPE = 0.7
"""Pandel's shape for light of cascades, relative to that of a track at the same distance.

Their delay already holds the detour from another place on the track. Chosen, with `PE_AREA_M2`, so
that delays, charges and log-likelihood per DOM resemble those of public simulated events."""
_REACH_M = 350.0
_MAX_PE = 3000.0
_PATH_M = 900.0

_FORWARD_MEAN = 0.08038
"""Mean over the sphere of the numerator in `forwardness`."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrackSettings:
    """How events are made.

    Attributes
    ----------
    jitter_ns
        Gaussian time resolution.
    noise_hz
        Noise rate of a DOM.
    window_ns
        Length of the event.
    merge_ns
        Photoelectrons of a DOM that are closer than this become one pulse.
    ice_error
        Width of the log-normal factors by which scattering and absorption of an event's ice differ
        from the ice given.
    """

    jitter_ns: float = 3.0
    noise_hz: float = 500.0
    window_ns: float = 10_000.0
    merge_ns: float = 10.0
    ice_error: float = 0.07


def simulate_track(
    seed: int,
    *,
    zenith_rad: float | None = None,
    azimuth_rad: float | None = None,
    energy_gev: float | None = None,
    detector: Geometry | None = None,
    ice: Ice | None = None,
    settings: TrackSettings | None = None,
    start_utc: str = "2026-01-01T00:00:00",
) -> Event:
    """Make a track event.

    Parameters
    ----------
    seed
        Whole number; the same seed gives the same event.
    zenith_rad, azimuth_rad
        Where the muon comes from; by default isotropic.
    energy_gev
        Energy of the muon where it enters; by default log-uniform from 30 TeV to 1 PeV.
    detector
        By default `built_in_detector`.
    ice
        By default the built-in profile.
    settings
        See `TrackSettings`.
    start_utc
        Start time of the event, ISO.

    Returns
    -------
    Event
        With its truth; the vertex is the point of the track that is nearest to the centre.
    """
    from astropy.time import Time

    rng = np.random.default_rng(seed)
    settings = settings or TrackSettings()
    zenith = math.acos(rng.uniform(-1, 1)) if zenith_rad is None else float(zenith_rad)
    azimuth = rng.uniform(0, 2 * math.pi) if azimuth_rad is None else float(azimuth_rad)
    if energy_gev is None:
        energy_gev = float(10 ** rng.uniform(4.5, 6.0))
    detector = detector or built_in_detector()
    true_ice = (ice or built_in_ice()).scaled(*np.exp(settings.ice_error * rng.normal(size=2)))
    direction = -np.array(
        [
            math.sin(zenith) * math.cos(azimuth),
            math.sin(zenith) * math.sin(azimuth),
            math.cos(zenith),
        ]
    )
    vertex = _impact(rng, direction)
    start_ns = 0.35 * settings.window_ns
    dom, time_ns = _photoelectrons(
        rng, detector.xyz_m, vertex, direction, start_ns, energy_gev, true_ice
    )
    pulses = _pulses(rng, detector, dom, time_ns, settings)
    truth = Reco(
        "truth", zenith, azimuth, (float(vertex[0]), float(vertex[1]), float(vertex[2])), start_ns,
        energy_gev=float(energy_gev),
    )  # fmt: skip
    header = EventHeader(
        run=1, event=int(seed), subrun=0, sub_event=0, stream="simulation",
        start=Time(start_utc, scale="utc"),
    )  # fmt: skip
    return Event(
        header=header, pulses=pulses, geometry=detector, recos={}, truth=truth,
        kind="own-simulation", message={}, source=f"simulated with seed {seed}",
    )  # fmt: skip


def simulate_useful_track(seed: int, min_doms: int = 30, **options: Any) -> Event:
    """Make events from `seed`, `seed` + 1e6, ... until one has enough DOMs after cleaning.

    Parameters
    ----------
    seed
        The first seed.
    min_doms
        DOMs that cleaning has to leave.
    **options
        As for :func:`simulate_track`.
    """
    from daybreak.neutrino.cleaning import clean

    for attempt in range(200):
        event = simulate_track(seed + 1_000_000 * attempt, **options)
        if clean(event).n_doms >= min_doms:
            return replace(event, header=replace(event.header, event=int(seed)))
    raise ValueError(f"no track with {min_doms} DOMs in 200 attempts: the energy is too low")


def _impact(rng: np.random.Generator, direction: Floats) -> Floats:
    """Point of nearest approach to the centre, evenly spread over a disc of 450 m."""
    helper = np.array([1.0, 0, 0]) if abs(direction[0]) < 0.9 else np.array([0, 1.0, 0])
    u = np.cross(direction, helper)
    u /= np.linalg.norm(u)
    radius, angle = 450.0 * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
    return np.asarray(radius * (math.cos(angle) * u + math.sin(angle) * np.cross(direction, u)))


def cascades(
    rng: np.random.Generator, energy_gev: float, step_m: float = 15.0
) -> tuple[Floats, Floats]:
    """Energies (GeV) and places (m along the track) of the cascades of a muon.

    Half of the mean loss b E goes in steps with dn/dv ~ 1/v (as in bremsstrahlung), half with
    dn/dv ~ 1/v^2 (as in pair production), v from 1e-4 to 1. Losses below 1 GeV are left out: their
    light is little beside that of the others.

    Parameters
    ----------
    rng
        The random numbers.
    energy_gev
        Of the muon in GeV, where the path begins.
    step_m
        Length in m over which its energy is taken as constant.

    Returns
    -------
    energies, places : numpy.ndarray
        In GeV and in m along the track, each of shape (n_cascades,).
    """
    v_min = 1e-4
    log_range = -math.log(v_min)
    hard = 0.5 * LOSS_B_M / (1 - v_min) * log_range * step_m
    soft = 0.5 * LOSS_B_M / log_range * (1 / v_min - 1) * step_m
    energies, places, energy = [], [], energy_gev
    for at in np.arange(-_PATH_M, _PATH_M, step_m):
        v = np.concatenate(
            [
                v_min ** rng.uniform(size=rng.poisson(hard)),
                1 / (1 / v_min - rng.uniform(size=rng.poisson(soft)) * (1 / v_min - 1)),
            ]
        )
        lost = np.minimum(v, 0.95) * energy
        keep = lost > 1.0
        energies.append(lost[keep])
        places.append(at + step_m * rng.uniform(size=int(keep.sum())))
        energy = max(energy - LOSS_A_GEV_M * step_m - float(lost.sum()), 1.0)
    return np.concatenate(energies), np.concatenate(places)


def _mean_ice(ice: Ice, z_a: Any, z_b: Any) -> tuple[Floats, Floats]:
    """Mean scattering and absorption coefficients between two heights."""
    grid = ice.z0_m + 10.0 * np.arange(len(ice.table))
    apart = np.where(np.abs(z_b - z_a) < 1.0, 1.0, z_b - z_a)
    end = np.where(np.abs(z_b - z_a) < 1.0, z_a + 1.0, z_b)
    out = []
    for column in (1, 3):
        low, high = (np.interp(z, grid, ice.table[:, column]) for z in (z_a, end))
        out.append((high - low) / apart)
    return out[0], out[1]


def _diffusion(b: Floats, a: Floats) -> tuple[Floats, Floats]:
    """Propagation length and the length lambda_c that joins straight and diffuse light (m)."""
    length_p = np.sqrt(1 / (3 * a * b))
    return length_p, 1 / (3 * b * np.exp(-a / b))


def _acceptance(cos_eta: Floats, distance_b: Floats) -> Floats:
    """Relative efficiency for light that starts with this z component; scattering washes it out."""
    return np.asarray(1 + 0.7 * cos_eta * np.exp(-0.5 * distance_b))


def _photoelectrons(
    rng: np.random.Generator, xyz: Floats, vertex: Floats, direction: Floats, start_ns: float,
    energy_gev: float, ice: Ice,
) -> tuple[NDArray[np.intp], Floats]:  # fmt: skip
    """DOM and true arrival time of each photoelectron of the track."""
    doms: list[NDArray[np.intp]] = []
    times: list[Floats] = []
    near, arrive, light = _muon_light(xyz, vertex, direction, ice)
    _add(rng, doms, times, near, start_ns + arrive, light)
    tree = cKDTree(xyz)
    for energy, at in zip(*cascades(rng, energy_gev), strict=True):
        place = vertex + at * direction
        reach = min(_REACH_M, 60.0 + 30.0 * math.log(max(energy, 1.0)))
        around = np.array(tree.query_ball_point(place, reach), dtype=np.intp)
        if len(around):
            arrive, light = _cascade_light(xyz[around] - place, place[2], direction, energy, ice)
            _add(rng, doms, times, around, start_ns + at / C + arrive, light)
    if not doms:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    return np.concatenate(doms), np.concatenate(times)


@dataclass(frozen=True, eq=False)
class _Light:
    """Mean photoelectrons per DOM, and what their delays follow: effective distance (m), ice."""

    mean: Floats
    d_eff: Floats
    b: Floats
    a: Floats


def _muon_light(
    xyz: Floats, vertex: Floats, direction: Floats, ice: Ice
) -> tuple[NDArray[np.intp], Floats, _Light]:
    """DOMs near the track, time of the Cherenkov front there (ns), and light of the bare muon."""
    offset = xyz - vertex
    along = offset @ direction
    across = offset - along[:, None] * direction
    rho = np.maximum(np.linalg.norm(across, axis=1), 0.3)
    near = np.flatnonzero((rho < _REACH_M) & (np.abs(along) < _PATH_M))
    along, across, rho = along[near], across[near], rho[near]
    emitted = xyz[near, 2] - rho / SIN_C * (COS_C * direction[2]) - across[:, 2]
    b, a = _mean_ice(ice, emitted, xyz[near, 2])
    length_p, length_c = _diffusion(b, a)
    root = length_c / SIN_C * np.sqrt(2 / (math.pi * length_p))
    mean = PHOTONS_PER_M * PE_AREA_M2 / (2 * math.pi * SIN_C) * np.exp(-rho / length_p)
    mean /= root * np.sqrt(rho) * np.tanh(np.sqrt(rho) / root)
    cos_eta = COS_C * direction[2] + SIN_C * across[:, 2] / rho
    mean *= _acceptance(cos_eta, rho * b)
    return near, (along + KAPPA * rho) / C, _Light(mean, _d_eff(rho, cos_eta), b, a)


def _cascade_light(
    path: Floats, z_m: float, direction: Floats, energy_gev: float, ice: Ice
) -> tuple[Floats, _Light]:
    """Time of straight light from a cascade (ns) along paths (n, 3) from it, and the light."""
    distance = np.maximum(np.linalg.norm(path, axis=1), 0.5)
    b, a = _mean_ice(ice, z_m * np.ones(len(path)), path[:, 2] + z_m)
    length_p, length_c = _diffusion(b, a)
    mean = energy_gev * PHOTONS_PER_GEV * PE_AREA_M2 / (4 * math.pi) * np.exp(-distance / length_p)
    mean /= length_c * distance * np.tanh(distance / length_c)
    cos_eta = path[:, 2] / distance
    mean *= forwardness(path @ direction / distance)
    mean *= _acceptance(cos_eta, distance * b)
    d_eff = CASCADE_SHAPE * _d_eff(distance, cos_eta)
    return distance * N_GROUP / C, _Light(mean, d_eff, b, a)


def forwardness(cos_angle: Any) -> Floats:
    """Light of a cascade by the angle to its direction, relative to the mean over the sphere.

    ``a exp(b |cos theta - cos theta_c|^c) + d`` with the constants for electrons of Raedel
    and Wiebusch 2013 (Astropart. Phys. 44, 102; arXiv:1210.5140).

    Parameters
    ----------
    cos_angle
        Cosine of the angle, of any shape.

    Returns
    -------
    numpy.ndarray
        Of the shape of `cos_angle`.
    """
    peak = np.exp(-6.02527 * np.abs(np.asarray(cos_angle) - COS_C) ** 0.29887)
    return np.asarray((4.27033 * peak - 0.00103) / _FORWARD_MEAN)


def _d_eff(distance: Floats, cos_eta: Floats) -> Floats:
    """Effective distance of the Pandel function (m), Ahrens et al. 2004."""
    return np.asarray(0.84 * distance + 3.1 - 3.9 * cos_eta + 4.6 * cos_eta**2)


def _add(
    rng: np.random.Generator, doms: list[NDArray[np.intp]], times: list[Floats],
    dom: NDArray[np.intp], arrive: Floats, light: _Light,
) -> None:  # fmt: skip
    """Draw photoelectrons with Pandel delays."""
    n = rng.poisson(np.minimum(light.mean, _MAX_PE))
    if not n.any():
        return
    shape = np.repeat(light.d_eff * light.b / 1.33, n)
    scale = np.repeat(1 / (light.b / 22.3 + C / N_GROUP * light.a), n)
    doms.append(np.repeat(dom, n))
    times.append(np.repeat(arrive, n) + rng.gamma(shape) * scale)


def _pulses(
    rng: np.random.Generator, detector: Geometry, dom: NDArray[np.intp], time_ns: Floats,
    settings: TrackSettings,
) -> Pulses:  # fmt: skip
    """Add noise, smear times and charges, merge what is close, mark local coincidence."""
    n_noise = rng.poisson(settings.noise_hz * 1e-9 * settings.window_ns * len(detector))
    dom = np.concatenate([dom, rng.integers(0, len(detector), n_noise)])
    time_ns = np.concatenate(
        [
            time_ns + settings.jitter_ns * rng.normal(size=len(time_ns)),
            rng.uniform(0, settings.window_ns, n_noise),
        ]
    )
    charge = np.clip(rng.normal(1.0, 0.3, len(time_ns)), 0.1, None)
    inside = (time_ns >= 0) & (time_ns < settings.window_ns)
    order = np.lexsort((time_ns[inside], dom[inside]))
    dom, time_ns, charge = dom[inside][order], time_ns[inside][order], charge[inside][order]
    new = np.ones(len(dom), bool)
    new[1:] = (np.diff(dom) != 0) | (np.diff(time_ns) > settings.merge_ns)
    pulse = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(dom)) - 1
    flags = np.where(_coincident(detector, dom[first], time_ns[first]), LC | ATWD | FADC, FADC)
    return Pulses.from_columns(
        detector.string[dom[first]], detector.om[dom[first]], time_ns[first],
        np.bincount(pulse, weights=charge), time_ns[last] - time_ns[first] + 8.0, flags,
    )  # fmt: skip


def _coincident(detector: Geometry, dom: NDArray[np.intp], time_ns: Floats) -> NDArray[np.bool_]:
    """Whether one of the two DOMs above or below has a pulse within 1 us."""
    far = 1e7
    line = (detector.string[dom] * 100.0 + detector.om[dom]) * far + time_ns
    ordered = np.sort(line)
    out = np.zeros(len(dom), bool)
    for step in (-2, -1, 1, 2):
        low = np.searchsorted(ordered, line + step * far - 1000.0)
        high = np.searchsorted(ordered, line + step * far + 1000.0)
        out |= high > low
    return out
