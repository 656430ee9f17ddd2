"""What a run's responses say about an analysis: exposure, dispersion, threshold, background.

Two ways give the same numbers: :class:`GridResponse` from plain tables, and, for responses that
it does not cover, Gammapy (:mod:`daybreak.science.gammapy_response`).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from daybreak.errors import RunDataError
from daybreak.science.circle import Circle
from daybreak.science.dl3.values import finite_number, number_of
from daybreak.science.irf import Irf, IrfAxis, fill_empty_bins, padded
from daybreak.science.irf_integrals import contained, power_law_integrals, rad_max_at
from daybreak.science.observation import LoadedRun
from daybreak.science.run import BoolArray, FloatArray, ReductionSetup
from daybreak.science.sphere import offsets_deg, separation_deg
from daybreak.science.tangent import TangentPlane

#: pixels over which extended responses are averaged, and by what each is divided for its weight
REGION_PIXEL_DEG = 0.1
_FINER = 10
_SMALLEST_KERNEL = 1e-8
_SEARCH_STEPS = 100


class RunResponse(Protocol):
    """The responses of a run for one set-up of a reduction."""

    def exposure_cm2_s(self) -> FloatArray:
        """Effective area times livetime per true energy bin.

        For a point source in a circle also times the share of it that lies in the circle.
        """

    def kernel(self) -> FloatArray:
        """Energy dispersion, shape (true, reconstructed)."""

    def safe_mask(self) -> tuple[BoolArray, str]:
        """Reconstructed energy bins above the threshold, and the method used."""

    def containment(self, radius_deg: float, energy_tev: FloatArray) -> FloatArray:
        """Share of a point source at the ON position within a radius, shape (energies,).

        Parameters
        ----------
        radius_deg
            The radius, degrees.
        energy_tev
            True energies, TeV, shape (n,).
        """

    def rad_max_deg(
        self, energy_tev: FloatArray, ra_deg: float, dec_deg: float, *, nearest: bool = False
    ) -> FloatArray:
        """ON radius by energy at a place, shape (energies,).

        Parameters
        ----------
        energy_tev
            Reconstructed energies, TeV, shape (n,).
        ra_deg, dec_deg
            The place, degrees.
        nearest
            Take the nearest node, as for single events, in place of interpolating.
        """

    def background_on(self) -> FloatArray:
        """Background counts in the ON region per reconstructed energy bin."""

    def background_map(
        self, plane: TangentPlane, edges_tev: FloatArray, *, beyond: bool = False
    ) -> FloatArray:
        """Background counts, shape (energy bins, ny, nx).

        Parameters
        ----------
        plane
            The pixels.
        edges_tev
            Energy bins, TeV, shape (n + 1,).
        beyond
            A background by offset goes on flat for a bin beyond its last one.
        """


def region_pixels(on: Circle) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Pixels that an ON region covers, as Gammapy averages over it.

    Parameters
    ----------
    on
        The region.

    Returns
    -------
    tuple of numpy.ndarray
        Right ascension, declination (degrees), share of the pixel inside, solid angle (sr).
    """
    n = 2 * int(np.ceil(on.radius_deg / REGION_PIXEL_DEG))
    plane = TangentPlane(on.ra_deg, on.dec_deg, REGION_PIXEL_DEG, n, n)
    fine = TangentPlane(on.ra_deg, on.dec_deg, REGION_PIXEL_DEG / _FINER, n * _FINER, n * _FINER)
    place = np.arange(n * _FINER) - (n * _FINER - 1) / 2
    radius = on.radius_deg / fine.scale_deg(on.ra_deg, on.dec_deg)
    inside = np.hypot(place[:, None], place[None, :]) < radius
    share = inside.reshape(n, _FINER, n, _FINER).mean(axis=(1, 3))
    used = share > 0
    ra, dec = plane.centers()
    return ra[used], dec[used], share[used], plane.solid_angle_sr()[used]


def energy_bins(edges_tev: FloatArray, low_tev: float | None, high_tev: float | None) -> BoolArray:
    """Bins that lie wholly between two energies.

    Parameters
    ----------
    edges_tev
        Edges of the bins, shape (n + 1,).
    low_tev, high_tev
        The energies; None for no limit.
    """
    inside = np.ones(len(edges_tev) - 1, dtype=bool)
    if low_tev is not None:
        inside &= edges_tev[:-1] >= low_tev
    if high_tev is not None:
        inside &= edges_tev[1:] <= high_tev
    return inside


def rise_tev(energy_tev: FloatArray, values: FloatArray, level: float) -> float:
    """Where values first rise above a level, between nodes by a power law.

    Gammapy's search: among 100 steps from the first positive value on, the first in which the
    level is crossed; without one, the energy of the first positive value.

    Parameters
    ----------
    energy_tev
        Ascending, shape (n,).
    values
        Not negative, shape (n,), some of them positive.
    level
        Positive.
    """
    x = np.log(energy_tev)
    y = np.log(np.clip(values, np.finfo(float).tiny, np.inf)) - np.log(level)
    first = int(np.flatnonzero(values > 0)[0])
    steps = np.linspace(x[first], x[-1], _SEARCH_STEPS + 1)
    sign = np.sign(np.interp(steps, x, y))
    changes = np.flatnonzero(sign[:-1] != sign[1:])
    if not changes.size:
        return float(energy_tev[first])
    low, high = steps[changes[0]], steps[changes[0] + 1]
    corner = np.concatenate([[low], x[(x > low) & (x < high)], [high]])
    height = np.interp(corner, x, y)
    k = int(np.flatnonzero(np.sign(height[:-1]) != np.sign(height[1:]))[0])
    share = -height[k] / (height[k + 1] - height[k])
    return float(np.exp(corner[k] + share * (corner[k + 1] - corner[k])))


def header_threshold_tev(low: object, lowest_tev: float) -> float | None:
    """The threshold that a header gives; None if it gives none above the first bin.

    Parameters
    ----------
    low
        ``LO_THRES``.
    lowest_tev
        Lower edge of the first bin.
    """
    value = finite_number(low)
    return value if value is not None and value > lowest_tev else None


class GridResponse:
    """The responses from plain tables.

    Parameters
    ----------
    run
        A run all of whose responses are covered.
    setup
        How it is reduced.
    """

    def __init__(self, run: LoadedRun, setup: ReductionSetup) -> None:
        self.run, self.setup = run, setup
        self.edges = IrfAxis.from_edges("energy", setup.energy_edges_tev, log=True).edges
        true = IrfAxis.from_edges("energy_true", setup.true_edges_tev, log=True)
        self.true_centers = true.nodes
        self.offset_deg = self._offset(setup.on.ra_deg, setup.on.dec_deg)
        bkg = run.irfs.get("bkg")
        self.background: Irf | None = fill_empty_bins(bkg) if bkg is not None else None

    def _offset(self, ra_deg: float, dec_deg: float) -> float:
        run = self.run
        return float(separation_deg(ra_deg, dec_deg, run.ra_pnt_deg, run.dec_pnt_deg))

    def exposure_cm2_s(self) -> FloatArray:
        """See :class:`RunResponse`.

        Raises
        ------
        RunDataError
            If a point source needs a PSF and there is none.
        """
        run, on = self.run, self.setup.on
        circle = bool(np.isfinite(on.radius_deg))
        if circle and self.setup.extended:
            ra, dec, share, _ = region_pixels(on)
            offsets = separation_deg(ra, dec, run.ra_pnt_deg, run.dec_pnt_deg)
            area = np.average(
                run.irfs["aeff"].at(self.true_centers, offsets), axis=1, weights=share
            )
        else:
            area = run.irfs["aeff"].at(self.true_centers, self.offset_deg)[:, 0]
        exposure: FloatArray = area * 1e4 * run.livetime_s
        if circle and not self.setup.extended:
            exposure = exposure * self.containment(on.radius_deg, self.true_centers)
        return exposure

    def kernel(self) -> FloatArray:
        """See :class:`RunResponse`."""
        irf = self.run.irfs["edisp"]
        _, migra, offset = irf.axes
        table, _ = irf.scaled_at(self.true_centers, migra.nodes, self.offset_deg)
        values = np.clip(table[:, :, 0], 0, None)
        if not offset.covers(self.offset_deg):
            values = np.zeros_like(values)
        steps = np.cumsum(values * np.diff(migra.edges), axis=1)
        total = steps.max(axis=1, keepdims=True)
        share = np.divide(steps, total, out=np.zeros_like(steps), where=total > 0)
        share = np.concatenate([np.zeros((len(share), 1)), share], axis=1)
        ratio = self.edges[None, :] / self.true_centers[:, None]
        below = np.array([np.interp(r, migra.edges, s) for r, s in zip(ratio, share, strict=True)])
        matrix: FloatArray = np.clip(np.diff(below, axis=1), 0, None)
        matrix[matrix < _SMALLEST_KERNEL] = 0
        return matrix

    def safe_mask(self) -> tuple[BoolArray, str]:
        """See :class:`RunResponse`."""
        setup, aeff = self.setup, self.run.irfs["aeff"]
        method = setup.threshold
        low = header_threshold_tev(aeff.header.get("LO_THRES"), self.edges[0])
        if method == "header" and low is None:
            method = "aeff"
        if method == "none":
            return np.ones(len(self.edges) - 1, dtype=bool), "none"
        if method == "header":
            high = number_of(aeff.header, "HI_THRES", 1e-9, np.inf)
            return energy_bins(self.edges, low, high), method
        exposure = self.exposure_cm2_s()
        if not np.any(exposure > 0):
            return np.zeros(len(self.edges) - 1, dtype=bool), method
        level = setup.aeff_fraction * float(exposure.max())
        return energy_bins(self.edges, rise_tev(self.true_centers, exposure, level), None), method

    def containment(self, radius_deg: float, energy_tev: FloatArray) -> FloatArray:
        """See :class:`RunResponse`.

        Raises
        ------
        RunDataError
            If there is no PSF.
        """
        psf = self.run.irfs.get("psf")
        if psf is None:
            raise RunDataError(
                f"run {self.run.obs_id}: no PSF, so the share of a point source in the ON region "
                "is unknown",
                "Make the run's DL3 file again with its PSF.",
            )
        return contained(psf, radius_deg, self.offset_deg, energy_tev)

    def rad_max_deg(
        self, energy_tev: FloatArray, ra_deg: float, dec_deg: float, *, nearest: bool = False
    ) -> FloatArray:
        """See :class:`RunResponse`."""
        irf = self.run.irfs.get("rad_max")
        if irf is None:
            return np.full(len(energy_tev), self._fixed_rad_max_deg())
        offset = self._offset(ra_deg, dec_deg)
        return rad_max_at(irf, energy_tev, offset, nearest_node=nearest)

    def _fixed_rad_max_deg(self) -> float:
        """One cut for all energies: a word in the header of a response."""
        for kind in ("aeff", "edisp"):
            value = number_of(self.run.irfs[kind].header, "RAD_MAX", 1e-9, 10.0)
            if value is not None:
                return value
        raise RunDataError(
            f"run {self.run.obs_id}: its responses are point-like, but there is no RAD_MAX, "
            "neither as a table nor as a word in their headers",
            "Make the run's DL3 file again with the directional cut that was applied.",
        )

    def background_on(self) -> FloatArray:
        """See :class:`RunResponse`."""
        on, run = self.setup.on, self.run
        if not np.isfinite(on.radius_deg):
            return np.zeros(len(self.edges) - 1)
        if self.setup.extended:
            ra, dec, share, angle = region_pixels(on)
            weight = share * angle
        else:
            ra, dec = np.array([on.ra_deg]), np.array([on.dec_deg])
            weight = np.array([np.pi * np.radians(on.radius_deg) ** 2])
        rate = self._rate(ra, dec, self.edges, beyond=False)
        counts: FloatArray = (rate * weight).sum(axis=1) * run.good_time.ontime_s
        return counts

    def background_map(
        self, plane: TangentPlane, edges_tev: FloatArray, *, beyond: bool = False
    ) -> FloatArray:
        """See :class:`RunResponse`."""
        ra, dec = plane.centers()
        rate = self._rate(ra.ravel(), dec.ravel(), edges_tev, beyond=beyond)
        rate *= plane.solid_angle_sr().ravel() * self.run.good_time.ontime_s
        return rate.reshape(-1, plane.ny, plane.nx)

    def _rate(
        self, ra_deg: FloatArray, dec_deg: FloatArray, edges_tev: FloatArray, *, beyond: bool
    ) -> FloatArray:
        """Background per solid angle and time, 1/(s sr), integrated over energy bins.

        Shape (energy bins, places). Between two edges it is a power law of the energy.
        """
        irf, run = self.background, self.run
        assert irf is not None
        points: tuple[FloatArray, ...]
        if irf.kind == "bkg_2d":
            irf = padded(irf, "offset") if beyond else irf
            points = (separation_deg(ra_deg, dec_deg, run.ra_pnt_deg, run.dec_pnt_deg),)
        else:
            east, north = offsets_deg(ra_deg, dec_deg, run.ra_pnt_deg, run.dec_pnt_deg)
            mirrored = irf.header.get("FOVALIGN") == "REVERSE_LON_RADEC"
            points = (east if mirrored else -east, north)
        return power_law_integrals(irf, edges_tev, points)
