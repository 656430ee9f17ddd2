"""What is injected: spectra, shapes on the sky and flares of virtual sources."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.modeling.models import (
    DiskSpatialModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpatialModel,
    LogParabolaSpectralModel,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
    SpatialModel,
    SpectralModel,
)
from numpy.typing import NDArray

from daybreak.errors import ConfigError

Array = NDArray[np.float64]
FLUX_UNIT = u.Unit("cm-2 s-1 TeV-1")


@dataclass(frozen=True)
class Spectrum:
    """Differential flux of a source.

    ``pl``: N0 (E/E0)^-G; ``lp``: N0 (E/E0)^(-G - b ln(E/E0)); ``ecpl``: N0 (E/E0)^-G exp(-E/Ec).

    Attributes
    ----------
    kind : {"pl", "lp", "ecpl"}
    amplitude : Quantity
        N0, per area, time and energy.
    index : float
        G.
    reference : Quantity
        E0.
    beta : float
        b, with the natural logarithm; only for ``lp``.
    cutoff : Quantity or None
        Ec; only for ``ecpl``.
    """

    amplitude: u.Quantity
    index: float
    reference: u.Quantity = 1 * u.TeV
    kind: Literal["pl", "lp", "ecpl"] = "pl"
    beta: float = 0.0
    cutoff: u.Quantity | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("pl", "lp", "ecpl"):
            raise ConfigError(
                f"unknown kind of spectrum {self.kind!r}", "Use 'pl', 'lp' or 'ecpl'."
            )
        if (self.kind == "ecpl") != (self.cutoff is not None):
            raise ConfigError("an 'ecpl' spectrum, and no other, has a cut-off energy", "")

    def __call__(self, energy: u.Quantity) -> u.Quantity:
        """Differential flux at `energy`, in cm-2 s-1 TeV-1, same shape."""
        x = (energy / self.reference).to_value("")
        exponent = -self.index - (self.beta * np.log(x) if self.kind == "lp" else 0.0)
        cut = np.exp(-(energy / self.cutoff).to_value("")) if self.cutoff is not None else 1.0
        return self.amplitude.to(FLUX_UNIT) * x**exponent * cut

    def to_gammapy(self) -> SpectralModel:
        """The same as a spectral model of Gammapy."""
        common = {"amplitude": self.amplitude.to(FLUX_UNIT), "reference": self.reference}
        if self.kind == "lp":
            return LogParabolaSpectralModel(alpha=self.index, beta=self.beta, **common)
        if self.cutoff is not None:
            return ExpCutoffPowerLawSpectralModel(
                index=self.index, lambda_=1 / self.cutoff, **common
            )
        return PowerLawSpectralModel(index=self.index, **common)

    def parameters(self) -> dict[str, Any]:
        """Parameters that count for this kind, each with value and unit."""
        names = {"pl": (), "lp": ("beta",), "ecpl": ("cutoff",)}[self.kind]
        found: dict[str, Any] = {"kind": self.kind}
        for name in ("amplitude", "index", "reference", *names):
            value = getattr(self, name)
            if isinstance(value, u.Quantity):
                value = value.to(FLUX_UNIT) if name == "amplitude" else value
                found[name] = {"value": float(value.value), "unit": value.unit.to_string()}
            else:
                found[name] = {"value": float(value), "unit": ""}
        return found


@dataclass(frozen=True)
class Flare:
    """A change of a source's flux with time, counted from the first run's start.

    ``step``: the flux is multiplied by `factor` from `start` for `duration`. ``exponential``: the
    flux jumps by `factor` at `start` and falls back to 1 as exp(-(t - start) / `duration`).

    Attributes
    ----------
    start : Quantity
        Time of the jump after the start of the field's first run.
    duration : Quantity
        Length of the step, or the decay time.
    factor : float
        Flux at the jump over the quiet flux; not below 0.
    kind : {"step", "exponential"}
    """

    start: u.Quantity
    duration: u.Quantity
    factor: float
    kind: Literal["step", "exponential"] = "step"

    def __call__(self, seconds: Array) -> Array:
        """Flux over the quiet flux at `seconds` after the field's first run's start."""
        since = np.asarray(seconds, dtype=float) - self.start.to_value("s")
        length = self.duration.to_value("s")
        if self.kind == "step":
            shape = ((since >= 0) & (since < length)).astype(float)
        else:
            shape = np.where(since >= 0, np.exp(-np.clip(since, 0, None) / length), 0.0)
        return np.asarray(1 + (self.factor - 1) * shape)


@dataclass(frozen=True)
class Source:
    """A virtual gamma-ray source.

    Attributes
    ----------
    name : str
    position : SkyCoord
    spectrum : Spectrum
    shape : {"point", "gaussian", "disk"}
    size : Quantity
        Gaussian sigma, or radius of the disk; 0 for a point.
    flare : Flare or None
    """

    name: str
    position: SkyCoord
    spectrum: Spectrum
    shape: Literal["point", "gaussian", "disk"] = "point"
    size: u.Quantity = 0 * u.deg
    flare: Flare | None = None

    def __post_init__(self) -> None:
        if self.shape not in ("point", "gaussian", "disk"):
            raise ConfigError(
                f"unknown shape {self.shape!r} of source {self.name}",
                "Use 'point', 'gaussian' or 'disk'.",
            )
        if (self.shape == "point") != (self.size.to_value("deg") == 0):
            raise ConfigError(
                f"source {self.name}: a point has size 0, every other shape more", "Set size."
            )

    @property
    def extent(self) -> u.Quantity:
        """Radius beyond which next to nothing of the source lies."""
        return {"point": 0.0, "gaussian": 4.0, "disk": 1.0}[self.shape] * self.size

    def spatial_model(self) -> SpatialModel:
        """The shape as a spatial model of Gammapy."""
        place = {"lon_0": self.position.icrs.ra, "lat_0": self.position.icrs.dec, "frame": "icrs"}
        if self.shape == "gaussian":
            return GaussianSpatialModel(sigma=self.size, **place)
        if self.shape == "disk":
            return DiskSpatialModel(r_0=self.size, **place)
        return PointSpatialModel(**place)

    def to_gammapy(self) -> SkyModel:
        """The source, without its flare, as a sky model of Gammapy."""
        return SkyModel(
            spectral_model=self.spectrum.to_gammapy(),
            spatial_model=self.spatial_model(),
            name=self.name,
        )

    def parameters(self) -> dict[str, Any]:
        """What is injected, ready for JSON."""
        flare = None
        if self.flare is not None:
            flare = {
                k: str(v) if isinstance(v, u.Quantity) else v for k, v in asdict(self.flare).items()
            }
        return {
            "name": self.name,
            "ra_deg": float(self.position.icrs.ra.deg),
            "dec_deg": float(self.position.icrs.dec.deg),
            "shape": self.shape,
            "size_deg": float(self.size.to_value("deg")),
            "spectrum": self.spectrum.parameters(),
            "flare": flare,
        }


def crab_like(
    name: str = "Virtual Crab",
    position: SkyCoord | None = None,
    scale: float = 1.0,
    flare: Flare | None = None,
) -> Source:
    """A point source as bright as the Crab Nebula: this project's own virtual truth.

    phi(1 TeV) = 3.45e-11 cm-2 s-1 TeV-1 with index 2.6.

    Parameters
    ----------
    name
        Of the source.
    position
        None: the Crab's.
    scale
        Times the Crab's flux.
    flare
        None: steady.
    """
    if position is None:
        position = SkyCoord(83.6331, 22.0145, unit="deg", frame="icrs")
    spectrum = Spectrum(amplitude=scale * 3.45e-11 * FLUX_UNIT, index=2.6)
    return Source(name=name, position=position, spectrum=spectrum, flare=flare)
