"""Draw the events of a run: straight from the response tables, or through Gammapy's sampler.

Both draw from the same tables and agree within the statistics (a test holds them together). The
direct way costs a hundredth of the time and is there for toy studies of many nights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord, offset_by
from numpy.typing import NDArray

from daybreak.simulate.instrument import VirtualInstrument, full_enclosure_irfs
from daybreak.simulate.sources import Array, Flare, Source

_FLARE_STEPS_PER_SECOND = 10


@dataclass(frozen=True)
class Exposure:
    """What the samplers need to know of a run.

    Attributes
    ----------
    obs_id : int
    pointing : SkyCoord
        Direction of the field of view's centre.
    start : float
        Seconds from the start of the field's first run.
    ontime : float
        Seconds.
    """

    obs_id: int
    pointing: SkyCoord
    start: float
    ontime: float


@dataclass(frozen=True)
class Events:
    """Events of a run, all arrays of shape (n_events,).

    Attributes
    ----------
    seconds
        Time after the start of the run.
    ra, dec
        Reconstructed direction in deg, ICRS.
    energy
        Reconstructed energy in TeV.
    mc_id
        0 for background, else 1 + the index of the source.
    """

    seconds: Array
    ra: Array
    dec: Array
    energy: Array
    mc_id: NDArray[np.int16]

    def take(self, index: NDArray[Any]) -> Events:
        """Some of the events.

        Parameters
        ----------
        index
            Positions, or a mask of shape (n_events,).
        """
        return Events(
            self.seconds[index],
            self.ra[index],
            self.dec[index],
            self.energy[index],
            self.mc_id[index],
        )

    @staticmethod
    def join(parts: Sequence[Events]) -> Events:
        """One event list of many, unsorted.

        Parameters
        ----------
        parts
            At least one.
        """
        return Events(
            np.concatenate([p.seconds for p in parts]),
            np.concatenate([p.ra for p in parts]),
            np.concatenate([p.dec for p in parts]),
            np.concatenate([p.energy for p in parts]),
            np.concatenate([p.mc_id for p in parts]),
        )


def make_events(seconds: Array, ra: Array, dec: Array, energy: Array, mc_id: int) -> Events:
    """Events that all come from one origin.

    Parameters
    ----------
    seconds
        Time after the start of the run, shape (n,).
    ra, dec
        Reconstructed direction in deg, shape (n,); right ascensions are brought into 0..360.
    energy
        Reconstructed energy in TeV, shape (n,).
    mc_id
        Of the origin, as in :class:`Events`.
    """
    return Events(
        np.asarray(seconds, dtype=float),
        np.asarray(ra, dtype=float) % 360.0,
        np.asarray(dec, dtype=float),
        np.asarray(energy, dtype=float),
        np.full(len(ra), mc_id, dtype=np.int16),
    )


def offsets(events: Events, pointing: SkyCoord) -> Array:
    """Angle between the events and the pointing in deg, shape (n_events,).

    Parameters
    ----------
    events
        Their directions count.
    pointing
        Centre of the field of view.
    """
    return separation_deg(events.ra, events.dec, pointing.icrs.ra.deg, pointing.icrs.dec.deg)


def separation_deg(ra: Any, dec: Any, ra_0: float, dec_0: float) -> Array:
    """Great-circle distance (haversine) in deg; broadcasts.

    Parameters
    ----------
    ra, dec
        Directions in deg.
    ra_0, dec_0
        Where the distance is counted from, in deg.
    """
    lat, lat_0 = np.radians(dec), np.radians(dec_0)
    half = np.sin((lat - lat_0) / 2) ** 2
    half = half + np.cos(lat) * np.cos(lat_0) * np.sin(np.radians(np.asarray(ra) - ra_0) / 2) ** 2
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(half))))


def in_order(events: Events, exposure: Exposure, instrument: VirtualInstrument) -> Events:
    """Events within the field of view, by time.

    Parameters
    ----------
    events
        All that were drawn.
    exposure
        Its pointing counts.
    instrument
        Its ``fov_radius`` counts.
    """
    inside = offsets(events, exposure.pointing) < instrument.fov_radius.to_value("deg")
    kept = events.take(inside)
    return kept.take(np.argsort(kept.seconds, kind="stable"))


def flare_profile(flare: Flare, exposure: Exposure) -> tuple[Array, Array]:
    """Flux of a flare during a run, relative to the quiet flux.

    Parameters
    ----------
    flare
        The flare, timed from the start of the field's first run.
    exposure
        Times of the run.

    Returns
    -------
    edges : numpy.ndarray
        Of steps of 0.1 s, in seconds after the run's start, shape (n + 1,).
    flux : numpy.ndarray
        Within the steps, shape (n,).
    """
    n_steps = max(1, round(exposure.ontime * _FLARE_STEPS_PER_SECOND))
    edges = np.linspace(0, exposure.ontime, n_steps + 1)
    return edges, flare(exposure.start + (edges[1:] + edges[:-1]) / 2)


def mean_flux_factor(source: Source, exposure: Exposure) -> float:
    """Mean of the flux during the run over the quiet flux.

    Parameters
    ----------
    source
        1 without a flare.
    exposure
        Times of the run.
    """
    if source.flare is None:
        return 1.0
    return float(flare_profile(source.flare, exposure)[1].mean())


def sample_seconds(rng: Any, n: int, source: Source | None, exposure: Exposure) -> Array:
    """Arrival times of events in seconds after the run's start, shape (n,).

    Parameters
    ----------
    rng
        NumPy's generator, new or old.
    n
        How many.
    source
        Its flare shapes the times; None: evenly spread, as background.
    exposure
        Times of the run.
    """
    uniform = np.asarray(rng.uniform(size=n))
    if source is None or source.flare is None:
        return uniform * exposure.ontime
    edges, flux = flare_profile(source.flare, exposure)
    cumulative = np.concatenate([[0.0], np.cumsum(flux)])
    return np.asarray(np.interp(uniform * cumulative[-1], cumulative, edges))


@lru_cache(maxsize=4)
def _background_cells(instrument: VirtualInstrument) -> tuple[Array, Array, Array, Array]:
    """Cumulative rate in s-1 over (ln energy, lon, lat) cells, and the cells' edges."""
    bkg = full_enclosure_irfs(instrument)["bkg"]
    axis = bkg.axes["energy"]
    ln_edges = np.linspace(
        np.log(axis.edges[0].to_value("TeV")),
        np.log(axis.edges[-1].to_value("TeV")),
        3 * axis.nbin + 1,
    )
    radius = instrument.fov_radius.to_value("deg")
    fov = np.linspace(-radius, radius, 81)
    mid, energy = (fov[1:] + fov[:-1]) / 2, np.exp((ln_edges[1:] + ln_edges[:-1]) / 2)
    rate = bkg.evaluate(
        energy=energy[:, None, None] * u.TeV,
        fov_lon=mid[None, :, None] * u.deg,
        fov_lat=mid[None, None, :] * u.deg,
    )
    area = np.radians(fov[1] - fov[0]) ** 2 * np.cos(np.radians(mid))
    width = energy * (ln_edges[1] - ln_edges[0])
    counts = rate.to_value("TeV-1 s-1 sr-1") * width[:, None, None] * area[None, None, :]
    return np.cumsum(counts), ln_edges, fov, mid


def sample_background(
    rng: np.random.Generator, exposure: Exposure, instrument: VirtualInstrument
) -> Events:
    """Background of a run, drawn cell by cell from the background table; ontime counts.

    Parameters
    ----------
    rng
        The random numbers.
    exposure
        Pointing and times of the run.
    instrument
        Its response is used.
    """
    cumulative, ln_edges, fov, mid = _background_cells(instrument)
    n = int(rng.poisson(cumulative[-1] * exposure.ontime))
    cell = np.searchsorted(cumulative, rng.uniform(0, cumulative[-1], n))
    i_energy, i_lon, i_lat = np.unravel_index(cell, (len(ln_edges) - 1, len(mid), len(mid)))
    ln_energy = ln_edges[i_energy] + rng.uniform(size=n) * (ln_edges[1] - ln_edges[0])
    lon = fov[i_lon] + rng.uniform(size=n) * (fov[1] - fov[0])
    lat = fov[i_lat] + rng.uniform(size=n) * (fov[1] - fov[0])
    lon, lat = np.radians(lon), np.radians(lat)
    distance = np.arccos(np.cos(lon) * np.cos(lat))
    angle = np.arctan2(np.sin(lon) * np.cos(lat), np.sin(lat))
    ra, dec = _moved(exposure.pointing, angle, distance)
    seconds = sample_seconds(rng, n, None, exposure)
    return make_events(seconds, ra, dec, np.exp(ln_energy), 0)


def _moved(origin: SkyCoord, angle: Any, distance: Any) -> tuple[Array, Array]:
    """Directions (deg) at `distance` from `origin` at position `angle`, both in rad."""
    ra, dec = offset_by(
        origin.icrs.ra, origin.icrs.dec, Angle(angle, unit="rad"), Angle(distance, unit="rad")
    )
    return np.asarray(ra.deg), np.asarray(dec.deg)


def _true_positions(rng: np.random.Generator, source: Source, n: int) -> tuple[Array, Array]:
    """True directions of `n` photons in deg."""
    size = source.size.to_value("rad")
    if source.shape == "gaussian":
        distance = size * np.sqrt(-2 * np.log1p(-rng.uniform(size=n)))
    else:
        distance = size * np.sqrt(rng.uniform(size=n))
    return _moved(source.position, rng.uniform(0, 2 * np.pi, n), distance)


def _smeared(
    rng: np.random.Generator, ra: Array, dec: Array, sigma: Array, instrument: VirtualInstrument
) -> tuple[Array, Array]:
    """Directions (deg) after the point spread function with narrow width `sigma` (rad)."""
    n = len(ra)
    wide = rng.uniform(size=n) < instrument.psf_tail
    sigma = sigma * np.where(wide, instrument.psf_tail_width, 1.0)
    distance = sigma * np.sqrt(-2 * np.log1p(-rng.uniform(size=n)))
    return _moved(SkyCoord(ra, dec, unit="deg"), rng.uniform(0, 2 * np.pi, n), distance)


@lru_cache(maxsize=64)
def _largest_area(
    instrument: VirtualInstrument, nearest: float, farthest: float
) -> tuple[Array, Array, Array]:
    """Edges in ln(E / TeV), cell centres (TeV) and largest area (cm2) between two offsets."""
    aeff = full_enclosure_irfs(instrument)["aeff"]
    axis = aeff.axes["energy_true"]
    edges = np.linspace(
        np.log(axis.center[0].to_value("TeV")), np.log(axis.center[-1].to_value("TeV")), 601
    )
    energy = np.exp((edges[1:] + edges[:-1]) / 2)
    grid = np.linspace(nearest, farthest, 1 if nearest == farthest else 40)
    area = aeff.evaluate(energy_true=energy[:, None] * u.TeV, offset=grid[None, :] * u.deg)
    return edges, energy, area.to_value("cm2").max(axis=1)


def sample_source(
    rng: np.random.Generator,
    source: Source,
    mc_id: int,
    exposure: Exposure,
    instrument: VirtualInstrument,
) -> Events:
    """Gamma rays of one source: drawn for the largest area it sees, thinned to the area there.

    Parameters
    ----------
    rng
        The random numbers.
    source
        Where it is, its shape, spectrum and flare.
    mc_id
        Of its events, as in :class:`Events`.
    exposure
        Pointing and times of the run.
    instrument
        Its response is used.
    """
    place, pointing = source.position.icrs, exposure.pointing.icrs
    distance = float(separation_deg(place.ra.deg, place.dec.deg, pointing.ra.deg, pointing.dec.deg))
    extent = source.extent.to_value("deg")
    edges, energy, area = _largest_area(instrument, max(0.0, distance - extent), distance + extent)
    live = exposure.ontime * (1 - instrument.dead_time) * mean_flux_factor(source, exposure)
    flux = source.spectrum(energy * u.TeV).to_value("cm-2 s-1 TeV-1")
    counts = np.cumsum(flux * energy * (edges[1] - edges[0]) * area * live)
    n = int(rng.poisson(counts[-1]))
    cell = np.searchsorted(counts, rng.uniform(0, counts[-1], n))
    true = np.exp(edges[cell] + rng.uniform(size=n) * (edges[1] - edges[0])) * u.TeV
    ra, dec = _true_positions(rng, source, n)
    offset = separation_deg(ra, dec, pointing.ra.deg, pointing.dec.deg) * u.deg
    if extent > 0 and n > 0:
        aeff = full_enclosure_irfs(instrument)["aeff"]
        here = aeff.evaluate(energy_true=true, offset=offset).to_value("cm2")
        kept = rng.uniform(size=n) * area[cell] < here
        true, ra, dec, offset = true[kept], ra[kept], dec[kept], offset[kept]
    mean, width = instrument.log_migration(true)
    reco = true.value * np.exp(rng.normal(mean, width))
    sigma = instrument.psf_sigma(true, offset).to_value("rad")
    ra, dec = _smeared(rng, ra, dec, sigma, instrument)
    seconds = sample_seconds(rng, len(ra), source, exposure)
    return make_events(seconds, ra, dec, reco, mc_id)


def sample_direct(
    seed: np.random.SeedSequence,
    exposure: Exposure,
    sources: Sequence[Source],
    instrument: VirtualInstrument,
) -> Events:
    """All events of a run within the field of view, by time, drawn from the tables.

    Parameters
    ----------
    seed
        Of the run.
    exposure
        Pointing and times of the run.
    sources
        What shines there.
    instrument
        Its response is used.
    """
    rng = np.random.default_rng(seed)
    parts = [sample_background(rng, exposure, instrument)]
    for index, source in enumerate(sources):
        parts.append(sample_source(rng, source, index + 1, exposure, instrument))
    return in_order(Events.join(parts), exposure, instrument)
