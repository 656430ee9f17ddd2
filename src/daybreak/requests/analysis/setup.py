"""How the runs of an analysis are reduced: ON region, exclusion, axes, maps."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from daybreak.config.analysis import AnalysisConfig
from daybreak.runs.catalogue import RunEntry, is_point_like
from daybreak.runs.targets import known_sources
from daybreak.science.circle import Circle
from daybreak.science.exclusion import exclusion_circles

_DEFAULT_RADIUS_DEG = 0.1
_PSF_MARGIN_DEG = 0.2
_SMALLEST_EXCLUSION_DEG = 0.4
_TARGET_MARGIN_DEG = 0.2

Setup = dict[str, Any]


def _edges(low: float, high: float, per_decade: int) -> tuple[float, ...]:
    """Logarithmic edges, as many as Gammapy's ``from_energy_bounds(per_decade=True)`` makes."""
    n_bins = int(np.ceil(np.log10(high / low) * per_decade))
    return tuple(float(x) for x in np.geomspace(low, high, n_bins + 1))


def _exclusion(
    config: AnalysisConfig, position: SkyCoord, name: str, on_radius_deg: float
) -> list[Circle]:
    """Circles kept out of the background: the target, known neighbours, the user's own."""
    regions = config.regions
    on = on_radius_deg if np.isfinite(on_radius_deg) else _DEFAULT_RADIUS_DEG
    if regions.exclusion_radius is not None:
        radius = float(regions.exclusion_radius.to_value("deg"))
    else:
        radius = max(_SMALLEST_EXCLUSION_DEG, on + _TARGET_MARGIN_DEG)
    known = [s for s in known_sources() if s.detected] if regions.exclude_known else []
    own = []
    for region in regions.exclude:
        ra, dec, radius_deg = (
            float(getattr(region, k).to_value("deg")) for k in ("ra", "dec", "radius")
        )
        own.append(Circle(ra, dec, radius_deg, region.name or "configured"))
    return exclusion_circles(
        Circle(float(position.ra.deg), float(position.dec.deg), radius, name),
        [Circle(s.ra_deg, s.dec_deg, s.radius_deg, s.name) for s in known],
        reach=config.maps.max_offset + config.selection.max_offset,
        margin=_PSF_MARGIN_DEG * u.deg,
        own=own,
    )


def reduction_setup(
    config: AnalysisConfig, position: SkyCoord, name: str, on_radius_deg: float
) -> Setup:
    """JSON-able parameters of :class:`daybreak.science.run.ReductionSetup`."""
    spectrum, maps = config.spectrum, config.maps
    extended = bool(on_radius_deg >= config.regions.extended_above.to_value("deg"))
    theta_max = float(config.theta2.max.to_value("deg"))
    if np.isfinite(on_radius_deg):
        theta_max = max(theta_max, 1.6 * on_radius_deg)
    exclude = _exclusion(config, position, name, on_radius_deg)
    map_setup = None
    if maps.enabled:
        map_setup = {
            "width_deg": float(maps.width.to_value("deg")),
            "pixel_deg": float(maps.pixel.to_value("deg")),
            "ring_inner_deg": float(maps.ring_inner.to_value("deg")),
            "ring_width_deg": float(maps.ring_width.to_value("deg")),
        }
        inner = max(map_setup["ring_inner_deg"], exclude[0].radius_deg + 0.1 if extended else 0.0)
        map_setup["ring_inner_deg"] = inner
    edges2 = np.linspace(0, theta_max**2, config.theta2.n_bins + 1)
    return {
        "on": asdict(Circle(float(position.ra.deg), float(position.dec.deg), on_radius_deg, name)),
        "extended": extended,
        "exclude": [asdict(circle) for circle in exclude],
        "energy_edges_tev": _edges(
            spectrum.energy_min.to_value("TeV"),
            spectrum.energy_max.to_value("TeV"),
            spectrum.bins_per_decade,
        ),
        "true_edges_tev": _edges(
            spectrum.true_min.to_value("TeV"),
            spectrum.true_max.to_value("TeV"),
            spectrum.true_bins_per_decade,
        ),
        "threshold": spectrum.threshold,
        "aeff_fraction": spectrum.aeff_fraction,
        "background": config.regions.background,
        "fov_method": config.regions.fov_method,
        "n_off": config.regions.n_off,
        "min_distance_deg": float(config.regions.min_distance.to_value("deg")),
        "theta2_edges_deg2": tuple(float(x) for x in edges2),
        "theta2_max_off": config.theta2.max_off,
        "max_offset_deg": float(maps.max_offset.to_value("deg")),
        "max_theta_deg": float(config.quality.max_theta.to_value("deg")),
        "site_longitude_deg": float(config.selection.site_longitude.to_value("deg")),
        "maps": map_setup,
    }


def cube_setup(config: AnalysisConfig, setup: Setup) -> Setup:
    """JSON-able parameters of :class:`daybreak.science.cube.CubeSetup`."""
    fit, spectrum = config.fit3d, config.spectrum
    return {
        "on": setup["on"],
        "exclude": setup["exclude"],
        "width_deg": float(fit.width.to_value("deg")),
        "pixel_deg": float(fit.pixel.to_value("deg")),
        "energy_edges_tev": _edges(
            spectrum.energy_min.to_value("TeV"),
            spectrum.energy_max.to_value("TeV"),
            fit.bins_per_decade,
        ),
        "true_edges_tev": _edges(
            spectrum.true_min.to_value("TeV"),
            spectrum.true_max.to_value("TeV"),
            fit.bins_per_decade,
        ),
        "max_offset_deg": setup["max_offset_deg"],
    }


def on_radius_deg(config: AnalysisConfig, run: RunEntry) -> float:
    """ON radius in degrees; NaN where the run's IRFs bring their own (RAD_MAX)."""
    if is_point_like(run):
        return float("nan")
    if config.regions.on_radius is not None:
        return float(config.regions.on_radius.to_value("deg"))
    return _DEFAULT_RADIUS_DEG
