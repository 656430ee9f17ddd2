"""A virtual Cherenkov-telescope array: parametric instrument response on GADF axes.

The tables that :func:`full_enclosure_irfs` and :func:`point_like_irfs` make *are* the truth of the
simulation: the samplers draw from them and they are written into each run's file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u
from gammapy.irf import (
    PSF3D,
    Background3D,
    EffectiveAreaTable2D,
    EnergyDispersion2D,
    RadMax2D,
)
from gammapy.maps import MapAxis
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

Array = NDArray[np.float64]

TELESCOPE = "DAYBREAK-VIRTUAL"
_TRIGGER_SLOPE = 8.0
_MIGRA_MIN, _MIGRA_MAX, _MIGRA_BINS = 0.2, 3.0, 140


@dataclass(frozen=True)
class VirtualInstrument:
    """Parameters of the virtual array; all forms are this project's own.

    Attributes
    ----------
    area : Quantity
        Effective area at high energy on the axis.
    energy_threshold : Quantity
        Energy written as ``LO_THRES``: below it the analysis should not look.
    energy_trigger : Quantity
        Energy where the trigger is 50 % efficient.
    energy_half : Quantity
        Energy where the selection cuts leave half of `area`.
    area_slope : float
        Slope of the rise of the area around `energy_half`.
    area_offset : Quantity
        Gaussian width of the area's fall with the offset from the pointing.
    resolution : float
        Energy resolution at high energy: width of ln(E_reco / E_true).
    bias : float
        Mean of ln(E_reco / E_true) at 0.1 TeV; falls as 1 / E.
    r68_min, r68_100gev : Quantity
        68 % containment radius on the axis at high energy and at 0.1 TeV.
    psf_tail, psf_tail_width : float
        Fraction of events in the wider of the two Gaussians, and its width over the narrow one's.
    background : Quantity
        Background rate on the axis at 1 TeV if all were triggered.
    background_index : float
        Spectral index of the background.
    background_offset : Quantity
        Gaussian width of the background's fall with the offset.
    fov_radius : Quantity
        No event is recorded beyond.
    dead_time : float
        Fraction of the ontime in which the array is blind.
    longitude, latitude, altitude : Quantity
        The site (GADF ``GEOLON``, ``GEOLAT``, ``ALTITUDE``).
    """

    area: u.Quantity = 3e5 * u.m**2
    energy_threshold: u.Quantity = 0.15 * u.TeV
    energy_trigger: u.Quantity = 0.1 * u.TeV
    energy_half: u.Quantity = 1.5 * u.TeV
    area_slope: float = 2.0
    area_offset: u.Quantity = 1.6 * u.deg
    resolution: float = 0.15
    bias: float = 0.06
    r68_min: u.Quantity = 0.05 * u.deg
    r68_100gev: u.Quantity = 0.1 * u.deg
    psf_tail: float = 0.12
    psf_tail_width: float = 2.5
    background: u.Quantity = 200 / (u.TeV * u.s * u.sr)
    background_index: float = 2.7
    background_offset: u.Quantity = 1.2 * u.deg
    fov_radius: u.Quantity = 2.5 * u.deg
    dead_time: float = 0.05
    longitude: u.Quantity = -17.9 * u.deg
    latitude: u.Quantity = 28.8 * u.deg
    altitude: u.Quantity = 2200 * u.m

    def parameters(self) -> dict[str, Any]:
        """All parameters, quantities as text with their units."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {k: str(v) if isinstance(v, u.Quantity) else v for k, v in values.items()}

    def trigger_efficiency(self, energy: u.Quantity) -> Array:
        """Efficiency of the trigger, 1 / (1 + (E_trigger / E)^8); same shape as `energy`.

        Parameters
        ----------
        energy
            True energy, of any shape.
        """
        ratio = (self.energy_trigger / energy).to_value("")
        return np.asarray(1 / (1 + ratio**_TRIGGER_SLOPE))

    def effective_area(self, energy: u.Quantity, offset: u.Quantity) -> u.Quantity:
        """Effective area before a directional cut.

        A(E, o) = A0 eps(E) / (1 + (E_half / E)^s) exp(-o^2 / (2 w^2)); broadcasts.

        Parameters
        ----------
        energy
            True energy.
        offset
            From the pointing.
        """
        ratio = (self.energy_half / energy).to_value("")
        cuts = 1 / (1 + ratio**self.area_slope)
        fall = np.exp(-0.5 * (offset / self.area_offset).to_value("") ** 2)
        return self.area * self.trigger_efficiency(energy) * cuts * fall

    def log_migration(self, energy: u.Quantity) -> tuple[Array, Array]:
        """Mean and width of ln(E_reco / E_true), which is normal; shapes of `energy`.

        The mean is b (0.1 TeV / E); the width is s sqrt(1 + 0.1 TeV / E).

        Parameters
        ----------
        energy
            True energy, of any shape.

        Returns
        -------
        mean, width : numpy.ndarray
            Of the shape of `energy`.
        """
        ratio = (0.1 * u.TeV / energy).to_value("")
        return np.asarray(self.bias * ratio), np.asarray(self.resolution * np.sqrt(1 + ratio))

    def r68(self, energy: u.Quantity, offset: u.Quantity) -> u.Quantity:
        """68 % containment radius; broadcasts.

        r(E, o) = r_min sqrt(1 + k (0.1 TeV / E)^0.8) (1 + 0.06 (o / deg)^2), with k such that
        r(0.1 TeV, 0) is ``r68_100gev``.

        Parameters
        ----------
        energy
            True energy.
        offset
            From the pointing.
        """
        k = (self.r68_100gev / self.r68_min).to_value("") ** 2 - 1
        narrow = np.sqrt(1 + k * (0.1 * u.TeV / energy).to_value("") ** 0.8)
        return self.r68_min * narrow * (1 + 0.06 * offset.to_value("deg") ** 2)

    def psf_sigma(self, energy: u.Quantity, offset: u.Quantity) -> u.Quantity:
        """Width of the narrow Gaussian of the point spread function; broadcasts.

        Parameters
        ----------
        energy
            True energy.
        offset
            From the pointing.
        """
        return self.r68(energy, offset) / _r68_over_sigma(self.psf_tail, self.psf_tail_width)

    def containment(self, radius: u.Quantity, energy: u.Quantity, offset: u.Quantity) -> Array:
        """Fraction of a point source's events within an angle from it; broadcasts.

        Parameters
        ----------
        radius
            The angle.
        energy
            True energy.
        offset
            From the pointing.
        """
        scaled = (radius / self.psf_sigma(energy, offset)).to_value("")
        return _containment(scaled, self.psf_tail, self.psf_tail_width)

    def rad_max(self, energy: u.Quantity) -> u.Quantity:
        """Directional cut of the point-like files: 1.25 times the 68 % radius on the axis.

        Parameters
        ----------
        energy
            Reconstructed energy, of any shape.

        Returns
        -------
        Quantity
            An angle, of the shape of `energy`.
        """
        return 1.25 * self.r68(energy, 0 * u.deg)

    def background_rate(self, energy: u.Quantity, offset: u.Quantity) -> u.Quantity:
        """Background per reconstructed energy, ontime and solid angle; broadcasts.

        B(E, o) = B0 (E / TeV)^-g eps(E) / (1 + (0.5 TeV / E)) exp(-o^2 / (2 w^2)).

        Parameters
        ----------
        energy
            Reconstructed energy.
        offset
            From the pointing.

        Returns
        -------
        Quantity
            In 1 / (TeV s sr).
        """
        x = energy.to_value("TeV")
        spectrum = x**-self.background_index / (1 + 0.5 / x)
        fall = np.exp(-0.5 * (offset / self.background_offset).to_value("") ** 2)
        return self.background * self.trigger_efficiency(energy) * spectrum * fall


def _containment(scaled: Any, tail: float, width: float) -> Array:
    """Containment of two concentric Gaussians within `scaled` narrow sigmas."""
    square = np.asarray(scaled) ** 2 / 2
    return 1 - (1 - tail) * np.exp(-square) - tail * np.exp(-square / width**2)


@lru_cache(maxsize=32)
def _r68_over_sigma(tail: float, width: float) -> float:
    def excess(scaled: float) -> float:
        return float(_containment(scaled, tail, width)) - 0.68

    return float(brentq(excess, 0.1, 10 * width))


def _true_axis(per_decade: int) -> MapAxis:
    return MapAxis.from_energy_bounds(
        "0.03 TeV", "150 TeV", per_decade, per_decade=True, name="energy_true"
    )


def _offset_axis(values: Any) -> MapAxis:
    return MapAxis.from_nodes(values, unit="deg", name="offset", interp="lin")


def _meta(instrument: VirtualInstrument, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    meta = {
        "TELESCOP": TELESCOPE,
        "INSTRUME": "VIRTUAL",
        "LO_THRES": float(instrument.energy_threshold.to_value("TeV")),
        "HI_THRES": 100.0,
    }
    return {**meta, **(extra or {})}


def _migration_shares(instrument: VirtualInstrument, energy: u.Quantity) -> tuple[MapAxis, Array]:
    """Share of events in each migra bin, shape (energy, migra), summing to 1."""
    axis = MapAxis.from_bounds(_MIGRA_MIN, _MIGRA_MAX, nbin=_MIGRA_BINS, name="migra")
    mean, width = instrument.log_migration(energy)
    edges = np.log(axis.edges.value)
    below = norm.cdf((edges - mean[:, None]) / width[:, None])
    share = np.diff(below, axis=1)
    return axis, share / share.sum(axis=1, keepdims=True)


def _edisp(
    instrument: VirtualInstrument, energy: MapAxis, offset: MapAxis, accepted: Array | None = None
) -> tuple[EnergyDispersion2D, Array]:
    """Energy dispersion; with `accepted` (energy, migra, offset) folded in, and its sums."""
    migra, share = _migration_shares(instrument, energy.center)
    share = np.repeat(share[:, :, None], offset.nbin, axis=2)
    if accepted is not None:
        share = share * accepted
    kept = share.sum(axis=1)
    density = share / kept[:, None, :] / migra.bin_width.value[:, None]
    irf = EnergyDispersion2D(
        axes=[energy, migra, offset],
        data=density,
        is_pointlike=accepted is not None,
        meta=_meta(instrument),
    )
    return irf, kept


def _background(instrument: VirtualInstrument) -> Background3D:
    energy = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", 10, per_decade=True, name="energy")
    half = instrument.fov_radius.to_value("deg") + 0.5
    lon = MapAxis.from_bounds(-half, half, nbin=40, unit="deg", name="fov_lon")
    lat = MapAxis.from_bounds(-half, half, nbin=40, unit="deg", name="fov_lat")
    offset = np.hypot(lon.center[:, None], lat.center[None, :])
    data = instrument.background_rate(energy.center[:, None, None], offset[None])
    return Background3D(
        axes=[energy, lon, lat],
        data=data.to_value("MeV-1 s-1 sr-1"),
        unit="MeV-1 s-1 sr-1",
        meta=_meta(instrument, {"FOVALIGN": "RADEC"}),
    )


def _psf(instrument: VirtualInstrument, offset: MapAxis) -> PSF3D:
    energy = _true_axis(10)
    rad = MapAxis.from_bounds(0, 0.6, nbin=120, unit="deg", name="rad")
    sigma = instrument.psf_sigma(energy.center[:, None, None], offset.center[None, :, None])
    edges = (rad.edges / sigma).to_value("")
    inside = _containment(edges, instrument.psf_tail, instrument.psf_tail_width)
    solid = 2 * np.pi * np.diff(-np.cos(rad.edges.to_value("rad")))
    data = np.diff(inside, axis=2) / solid
    return PSF3D(axes=[energy, offset, rad], data=data, unit="sr-1", meta=_meta(instrument))


@lru_cache(maxsize=8)
def full_enclosure_irfs(instrument: VirtualInstrument) -> dict[str, Any]:
    """Instrument response without a directional cut.

    Parameters
    ----------
    instrument
        Its functions are tabulated.

    Returns
    -------
    dict
        ``aeff`` (energy_true, offset) in m2, ``edisp`` (energy_true, migra, offset), ``psf``
        (energy_true, offset, rad) in sr-1, ``bkg`` (energy, fov_lon, fov_lat) in MeV-1 s-1 sr-1
        and FoV coordinates aligned with RA and Dec, as Gammapy's objects. They are cached: don't
        change them.
    """
    offset = _offset_axis([0.0, 0.5, 1.0, 1.5, 2.0, instrument.fov_radius.to_value("deg")])
    energy = _true_axis(20)
    area = instrument.effective_area(energy.center[:, None], offset.center[None, :])
    aeff = EffectiveAreaTable2D(
        axes=[energy, offset], data=area.to_value("m2"), unit="m2", meta=_meta(instrument)
    )
    edges = _offset_axis([0.0, instrument.fov_radius.to_value("deg")])
    edisp, _ = _edisp(instrument, _true_axis(10), edges)
    return {
        "aeff": aeff,
        "edisp": edisp,
        "psf": _psf(instrument, offset),
        "bkg": _background(instrument),
    }


def _accepted(
    instrument: VirtualInstrument, rad_max: RadMax2D, energy: MapAxis, offset: MapAxis
) -> Array:
    """Share of events within the directional cut, shape (energy, migra, offset).

    The cut is a function of the *reconstructed* energy and constant within its bins.
    """
    migra, _ = _migration_shares(instrument, energy.center)
    true = energy.center[:, None, None]
    cut_axis = rad_max.axes["energy"]
    index = cut_axis.coord_to_idx(true * migra.center[None, :, None], clip=True)
    cut = rad_max.quantity[:, 0][index]
    return instrument.containment(cut, true, offset.center[None, None, :])


@lru_cache(maxsize=8)
def point_like_irfs(instrument: VirtualInstrument) -> dict[str, Any]:
    """Instrument response with the energy-dependent directional cut folded in.

    With the cut t(E') on the direction, C the containment of the point spread function and R the
    energy dispersion, A'(E) = A(E) int R(E'|E) C(t(E'), E) dE', and R' is R C, normalised.

    Parameters
    ----------
    instrument
        Its functions are tabulated.

    Returns
    -------
    dict
        ``aeff``, ``edisp`` (both point-like) and ``rad_max`` (energy, offset) in deg.
    """
    full = full_enclosure_irfs(instrument)
    reco = MapAxis.from_energy_bounds("0.03 TeV", "150 TeV", 10, per_decade=True, name="energy")
    offset = full["aeff"].axes["offset"]
    cut = instrument.rad_max(reco.center).to_value("deg")
    cut = np.repeat(cut[:, None], offset.nbin, axis=1)
    rad_max = RadMax2D(axes=[reco, offset], data=cut, unit="deg", meta=_meta(instrument))
    coarse, fine = _true_axis(10), full["aeff"].axes["energy_true"]
    edisp, _ = _edisp(instrument, coarse, offset, _accepted(instrument, rad_max, coarse, offset))
    _, kept = _edisp(instrument, fine, offset, _accepted(instrument, rad_max, fine, offset))
    aeff = EffectiveAreaTable2D(
        axes=[fine, offset],
        data=full["aeff"].quantity.to_value("m2") * kept,
        unit="m2",
        is_pointlike=True,
        meta=_meta(instrument),
    )
    return {"aeff": aeff, "edisp": edisp, "rad_max": rad_max}
