"""What one run is reduced to: plain arrays with units in their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.science.circle import Circle

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ReductionSetup:
    """How runs are reduced; the same for all runs but for the ON position of blank fields.

    Attributes
    ----------
    on
        ON position; its radius is NaN where RAD_MAX gives it.
    extended
        The source fills the ON region: IRFs averaged over it, no point-source containment.
    exclude
        Circles kept out of the background.
    energy_edges_tev, true_edges_tev
        Edges of the reconstructed and the true energy axis.
    threshold
        ``header``, ``aeff`` or ``none``.
    aeff_fraction
        Fraction of the peak effective area for ``aeff``.
    background
        ``auto``, ``reflected`` or ``fov``.
    fov_method
        ``scale`` or ``surface``: how the background model is fitted to a run.
    n_off
        Number of OFF regions, 0 for as many as fit.
    min_distance_deg
        Smallest gap between OFF regions.
    theta2_edges_deg2
        Edges of the theta² histogram.
    theta2_max_off
        Most OFF positions of the theta² histogram.
    max_offset_deg
        Field of view used for maps and the FoV background.
    max_theta_deg
        Events beyond are counted as badly reconstructed.
    site_longitude_deg
        East longitude: says which night a run belongs to.
    maps
        Map settings (``width_deg``, ``pixel_deg``, ``ring_inner_deg``, ``ring_width_deg``), or
        None for no maps.
    """

    on: Circle
    extended: bool
    exclude: tuple[Circle, ...]
    energy_edges_tev: tuple[float, ...]
    true_edges_tev: tuple[float, ...]
    threshold: str
    aeff_fraction: float
    background: str
    fov_method: str
    n_off: int
    min_distance_deg: float
    theta2_edges_deg2: tuple[float, ...]
    theta2_max_off: int
    max_offset_deg: float
    max_theta_deg: float
    site_longitude_deg: float
    maps: Mapping[str, float] | None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReductionSetup:
        """Build from JSON-able values (step parameters).

        Parameters
        ----------
        values
            What the fields are made of, as JSON-able values.
        """
        known = dict(values)
        known["on"] = Circle(**known["on"])
        known["exclude"] = tuple(Circle(**c) for c in known["exclude"])
        for key in ("energy_edges_tev", "true_edges_tev", "theta2_edges_deg2"):
            known[key] = tuple(known[key])
        return cls(**known)


@dataclass(frozen=True)
class Background:
    """One background estimate of a run, in the terms of an ON/OFF measurement.

    Attributes
    ----------
    counts_off
        OFF counts per reconstructed energy bin.
    acceptance_on, acceptance_off
        Their ratio is alpha, per energy bin.
    off_time_mjd, off_energy_tev
        The OFF events (time as MJD in TT).
    """

    counts_off: FloatArray
    acceptance_on: FloatArray
    acceptance_off: FloatArray
    off_time_mjd: FloatArray
    off_energy_tev: FloatArray


@dataclass(frozen=True)
class Theta2Counts:
    """theta² histogram of a run: ON, OFF, and the number of OFF positions valid in each bin."""

    n_on: FloatArray
    n_off: FloatArray
    n_positions: FloatArray


@dataclass(frozen=True)
class NullRegions:
    """Counts and predicted background in regions like ON without the source.

    Attributes
    ----------
    angles_deg
        By how much ON was rotated around the pointing, shape (regions,).
    counts
        Shape (regions, energy bins).
    expected, off_counts
        By method (``fov``, ``reflected``): predicted background, and the counts that it is made
        of; same shape.
    """

    angles_deg: FloatArray
    counts: FloatArray
    expected: Mapping[str, FloatArray]
    off_counts: Mapping[str, FloatArray]


@dataclass(frozen=True)
class ReducedRun:
    """A run reduced to what all results need.

    Attributes
    ----------
    info
        Numbers and words of the run (JSON-able): ids, times, livetime, pointing, quality.
    energy_edges_tev, true_edges_tev
        Energy axes.
    counts_on
        ON counts per reconstructed energy bin (before the threshold).
    on_time_mjd, on_energy_tev
        The ON events.
    exposure_cm2_s
        Effective area times livetime per true energy bin.
    edisp
        Energy dispersion, shape (true, reconstructed).
    mask_safe
        Reconstructed energy bins above the threshold.
    gti_mjd
        Good time intervals, shape (n, 2), MJD in TT.
    backgrounds
        ``reflected`` and/or ``fov``.
    theta2
        theta² histogram, None where no OFF position fits.
    maps
        Images by name, shape (ny, nx); empty if none.
    regions
        (kind, circle) of pointing, ON and OFF regions.
    null
        What the background estimate gives where there is no source; None where it can't be told.
    """

    info: Mapping[str, Any]
    energy_edges_tev: FloatArray
    true_edges_tev: FloatArray
    counts_on: FloatArray
    on_time_mjd: FloatArray
    on_energy_tev: FloatArray
    exposure_cm2_s: FloatArray
    edisp: FloatArray
    mask_safe: BoolArray
    gti_mjd: FloatArray
    backgrounds: Mapping[str, Background]
    theta2: Theta2Counts | None
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    regions: tuple[tuple[str, Circle], ...] = ()
    null: NullRegions | None = None

    @property
    def obs_id(self) -> int:
        """Observation id."""
        return int(self.info["obs_id"])

    @property
    def livetime_s(self) -> float:
        """Livetime in seconds."""
        return float(self.info["livetime_s"])
