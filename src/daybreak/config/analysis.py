"""The configuration of an analysis from DL3 to results.

Every field has a unit where one is due and a default that suits an imaging Cherenkov telescope;
instrument profiles (``daybreak/instruments/profiles``) override the defaults.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from astropy import units as u
from astropy.time import Time
from pydantic import Field, field_validator, model_validator

from daybreak.config.base import Angle, Duration, Energy, Frozen, Size

_MOST_PIXELS = 4000
_MOST_CUBE_PIXELS = 400
_SHORTEST_BIN = 1 * u.s


class ExcludedRegion(Frozen):
    """A circle on the sky that is kept out of every background estimate."""

    name: str = ""
    ra: Angle
    dec: Angle
    radius: Size


class SelectionConfig(Frozen):
    """Which runs of the store are used."""

    night: str | None = Field(None, description="civil date of the evening, YYYY-MM-DD")
    start: str | None = Field(None, description="first time (UTC, ISO 8601)")
    stop: str | None = Field(None, description="last time (UTC, ISO 8601)")
    runs: tuple[int, ...] = Field((), description="observation ids; empty: all")
    max_offset: Angle = Field("2.5 deg", description="largest offset of target from pointing")
    max_zenith: Angle = Field("90 deg", description="largest zenith angle of a run")
    min_livetime: Duration = Field("1 min", description="shortest livetime of a run")
    site_longitude: Angle = Field(
        "0 deg",
        description="east longitude: says which night a run belongs to; usually the profile's site",
    )
    blank_offset: Angle = Field("0.5 deg", description="offset of test positions in blank fields")

    @field_validator("night")
    @classmethod
    def _is_night(cls, value: str | None) -> str | None:
        if value not in (None, "yesterday"):
            try:
                return date.fromisoformat(str(value)).isoformat()
            except ValueError:
                raise ValueError(
                    "expected the date of the evening as YYYY-MM-DD, or 'yesterday'"
                ) from None
        return value

    @field_validator("start", "stop")
    @classmethod
    def _is_time(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                Time(value, scale="utc")
            except ValueError:
                raise ValueError(
                    "expected a time (UTC) such as 2026-11-21 or 2026-11-21T22:00:00"
                ) from None
        return value


class RegionConfig(Frozen):
    """ON region, OFF regions and what is excluded from them."""

    on_radius: Size | None = Field(
        None, description="ON radius; none: from the source's known size, or RAD_MAX"
    )
    source: Literal["auto", "point", "extended"] = Field(
        "auto", description="what the source is taken for; auto: as the built-in table has it"
    )
    point_radius: Size = Field(
        "0.1 deg", description="ON radius of a point source; the PSF's part of an extended one's"
    )
    sigma_factor: float = Field(
        2.0, gt=0, description="ON radius of a Gaussian source, in sigma, before the PSF's part"
    )
    shell_factor: float = Field(
        1.0, gt=0, description="ON radius of a shell, in outer radii, before the PSF's part"
    )
    point_below: Size = Field("0.03 deg", description="known sources smaller than this are points")
    extended_above: Size = Field(
        "0.2 deg", description="from this ON radius on, the source is taken as extended"
    )
    exclusion_radius: Size | None = Field(
        None,
        description="around the target; none: ON radius + target_margin, or more",
    )
    smallest_exclusion: Size = Field(
        "0.4 deg", description="least radius that is excluded around the target"
    )
    target_margin: Size = Field(
        "0.2 deg", description="added to the ON radius for the exclusion around the target"
    )
    known_margin: Size = Field(
        "0.2 deg", description="added to the size of known sources that are excluded, for the PSF"
    )
    exclude_known: bool = Field(True, description="exclude the other sources of the built-in table")
    exclude: tuple[ExcludedRegion, ...] = ()
    background: Literal["auto", "reflected", "fov"] = "auto"
    fov_method: Literal["scale", "surface"] = Field(
        "surface",
        description="how the background model is fitted to a run outside the excluded circles: its "
        "height in each energy bin, or also a plane and a curvature over the field",
    )
    n_off: int = Field(0, ge=0, le=100, description="number of OFF regions; 0: as many as fit")
    min_distance: Angle = Field("0 deg", description="smallest gap between ON and OFF regions")


class Theta2Config(Frozen):
    """Binning of the theta² histogram."""

    max: Size = Field("0.4472 deg", description="theta at the right edge (0.2 deg²)")
    n_bins: int = Field(20, ge=2, le=400)
    max_off: int = Field(12, ge=1, description="most OFF positions of the theta² plot")


class MapConfig(Frozen):
    """Sky maps."""

    enabled: bool = True
    width: Size = Field("4 deg", description="full width of the square map")
    pixel: Size = "0.02 deg"
    correlation_radius: Size = "0.1 deg"
    max_offset: Size = Field("2 deg", description="events and acceptance beyond are dropped")
    ring_inner: Size = "0.5 deg"
    ring_width: Size = "0.3 deg"
    methods: tuple[Literal["ring", "fov"], ...] = ("ring", "fov")

    @model_validator(mode="after")
    def _drawable(self) -> MapConfig:
        if self.width / self.pixel > _MOST_PIXELS:
            raise ValueError(f"width over pixel: at most {_MOST_PIXELS} pixels a side")
        return self


class SpectrumConfig(Frozen):
    """Energy axes, models and flux points."""

    enabled: bool = True
    energy_min: Energy = Field("0.1 TeV", description="lower edge of the reconstructed axis")
    energy_max: Energy = Field("100 TeV", description="upper edge of the reconstructed axis")
    bins_per_decade: int = Field(24, ge=3, le=50)
    true_min: Energy = "0.05 TeV"
    true_max: Energy = "150 TeV"
    true_bins_per_decade: int = Field(20, ge=5, le=100)
    fit_min: Energy | None = Field(None, description="none: the energy threshold")
    fit_max: Energy | None = None
    threshold: Literal["header", "aeff", "none"] = Field(
        "header", description="energy threshold: LO_THRES, a fraction of peak area, or none"
    )
    aeff_fraction: float = Field(0.1, gt=0, lt=1)
    reference: Energy | None = Field(None, description="E0 of the fits; none: a round energy")
    models: tuple[Literal["pl", "lp", "ecpl"], ...] = ("pl", "lp", "ecpl")
    assumed_index: float = Field(2.6, description="index for upper limits without a detection")
    points_per_decade: int = Field(6, ge=1, le=30)
    point_edges: tuple[Energy, ...] = Field(
        (), description="edges of the flux points, snapped to the axis; empty: points_per_decade"
    )
    min_off_counts: float = Field(
        5.0,
        ge=0,
        description="energy bins are merged until each has these OFF counts, for flux points and "
        "light curves (the W statistic is biased near zero); 0: never",
    )
    n_sigma_ul: float = Field(2.0, gt=0, description="upper limits at Delta TS = n_sigma_ul²")
    ul_below_sigma: float = Field(2.0, description="points below are drawn as upper limits")
    detection_sigma: float = Field(5.0, gt=0)
    fit_above_sigma: float = Field(3.0, description="spectral shape is fitted from here on")
    model_choice_sigma: float = Field(
        3.0, description="a curved model is chosen when it is better than the power law by this"
    )
    systematics: bool = Field(
        True, description="measure the background's systematic error and what it does to the fit"
    )


class LightCurveConfig(Frozen):
    """Light curves."""

    enabled: bool = True
    energy_min: Energy | None = Field(None, description="none: above the highest run threshold")
    energy_max: Energy | None = None
    minutes: Duration = Field("10 min", description="width of the short bins")
    bayesian_p0: float = Field(0.01, gt=0, lt=1, description="false-alarm rate of a change point")

    @field_validator("minutes")
    @classmethod
    def _long_enough(cls, value: u.Quantity) -> u.Quantity:
        if value < _SHORTEST_BIN:
            raise ValueError(f"expected at least {_SHORTEST_BIN}")
        return value


class Fit3DConfig(Frozen):
    """Three-dimensional fit: position, extension and spectrum at once."""

    enabled: bool = Field(False, description="also fit counts over sky and energy")
    models: tuple[Literal["point", "disk", "gauss"], ...] = Field(
        ("point", "disk", "gauss"), min_length=1, description="spatial models that are compared"
    )
    spectrum: Literal["pl", "lp"] = Field("pl", description="power law or log-parabola")
    stack: bool = Field(
        True,
        description="fit the stacked runs; false: all runs at once, each with a norm and a tilt of "
        "its background",
    )
    width: Size = Field("4 deg", description="full width of the square field")
    pixel: Size = Field("0.02 deg", description="well below the width of the PSF")
    bins_per_decade: int = Field(10, ge=3, le=50, description="of both energy axes")
    choice_sigma: float = Field(
        3.0, ge=0, description="an extended model is chosen from this significance of its extension"
    )

    @model_validator(mode="after")
    def _fits_memory(self) -> Fit3DConfig:
        if self.width / self.pixel > _MOST_CUBE_PIXELS:
            raise ValueError(f"width over pixel: at most {_MOST_CUBE_PIXELS} pixels a side")
        return self


class QualityConfig(Frozen):
    """Limits beyond which a run is flagged (it stays in the analysis), and whom to believe."""

    livetime: Literal["gti", "header"] = Field(
        "gti", description="live time where two differ: good time times DEADC, or LIVETIME"
    )
    gaps: Literal["keep", "cut"] = Field(
        "keep", description="good time without events though many are expected: count it or not"
    )
    min_background_ratio: float = Field(0.7, gt=0)
    max_background_ratio: float = Field(1.4, gt=0)
    min_live_fraction: float = Field(0.8, gt=0, le=1)
    max_rate_change: float = Field(
        4.0, gt=0, description="sigma of a trend of the background rate within a run"
    )
    max_theta: Angle = Field("5 deg", description="events farther from the pointing are counted")
    max_off_width: float = Field(
        1.2, gt=0, description="width of the OFF pixels' significance from which a note warns"
    )
    extended_sigma: float = Field(
        4.0,
        gt=0,
        description="excess around a point source, in sigma above the PSF's",
    )
    extended_excess: float = Field(
        0.2, ge=0, description="and its share of the ON excess beyond what the PSF leaves there"
    )


class EngineConfig(Frozen):
    """How the steps are run; none of it changes a product."""

    profile: str = Field(
        "local", min_length=1, description="engine profile: a name, or the path of its file"
    )
    workers: int = Field(0, ge=0, description="workers at most; 0: what the profile gives")


class ReportConfig(Frozen):
    """What is drawn and written."""

    formats: tuple[Literal["svg", "png", "pdf"], ...] = ("svg",)


class AnalysisConfig(Frozen):
    """The whole configuration of ``daybreak analyse``."""

    instrument: str = "auto"
    selection: SelectionConfig = SelectionConfig()
    regions: RegionConfig = RegionConfig()
    theta2: Theta2Config = Theta2Config()
    maps: MapConfig = MapConfig()
    spectrum: SpectrumConfig = SpectrumConfig()
    lightcurve: LightCurveConfig = LightCurveConfig()
    fit3d: Fit3DConfig = Fit3DConfig()
    quality: QualityConfig = QualityConfig()
    engine: EngineConfig = EngineConfig()
    report: ReportConfig = ReportConfig()

    def of_products(self) -> dict[str, Any]:
        """JSON-able settings that products depend on: all but where the steps run."""
        return self.model_dump(mode="json", exclude={"engine"})

    @model_validator(mode="after")
    def _ordered(self) -> AnalysisConfig:
        spectrum = self.spectrum
        for low, high, what in (
            (spectrum.energy_min, spectrum.energy_max, "spectrum.energy_min/energy_max"),
            (spectrum.true_min, spectrum.true_max, "spectrum.true_min/true_max"),
            (spectrum.fit_min, spectrum.fit_max, "spectrum.fit_min/fit_max"),
            (self.lightcurve.energy_min, self.lightcurve.energy_max, "lightcurve.energy_min/max"),
        ):
            if low is not None and high is not None and not low < high:
                raise ValueError(f"{what}: the lower edge must be below the upper edge")
        return self
