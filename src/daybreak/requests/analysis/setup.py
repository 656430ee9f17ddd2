"""How the runs of an analysis are reduced: ON region, exclusion, axes, maps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from daybreak.config.analysis import AnalysisConfig
from daybreak.runs.catalogue import RunEntry, is_point_like
from daybreak.runs.targets import Target, known_source_of, known_sources
from daybreak.science.circle import Circle
from daybreak.science.exclusion import exclusion_circles

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
    on = on_radius_deg if np.isfinite(on_radius_deg) else _deg(regions.point_radius)
    if regions.exclusion_radius is not None:
        radius = _deg(regions.exclusion_radius)
    else:
        radius = max(_deg(regions.smallest_exclusion), on + _deg(regions.target_margin))
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
        margin=regions.known_margin,
        own=own,
    )


def reduction_setup(
    config: AnalysisConfig, position: SkyCoord, name: str, on_radius_deg: float, extended: bool
) -> Setup:
    """JSON-able parameters of :class:`daybreak.science.run.ReductionSetup`.

    Parameters
    ----------
    config
        The resolved configuration.
    position, name
        Of the target.
    on_radius_deg, extended
        See :class:`OnRegion`.
    """
    spectrum, maps = config.spectrum, config.maps
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
    """JSON-able parameters of :class:`daybreak.science.cube.CubeSetup`.

    Parameters
    ----------
    config
        The resolved configuration.
    setup
        How runs are reduced: ON region, exclusions and largest offset are the same.

    Returns
    -------
    dict
        Lengths in degrees, energies in TeV.
    """
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


@dataclass(frozen=True)
class OnRegion:
    """The ON region of an analysis with full-enclosure responses.

    Attributes
    ----------
    radius_deg
        Its radius.
    extended
        The source fills it: responses are averaged over it.
    why
        A sentence for the report if it was chosen by the source's known size; else empty.
    """

    radius_deg: float
    extended: bool
    why: str = ""


def on_region(config: AnalysisConfig, target: Target) -> OnRegion:
    """ON radius and kind of a source: as configured, or from its known size and the PSF.

    The radius of a source that is known to be extended is ``factor * size``, joined in quadrature
    with the radius for a point source. The factor is 2 where the size is the sigma of a Gaussian
    (95 % of a symmetric one in the plane lie within 2.4 sigma, 86 % within 2), 1 for a shell.

    Parameters
    ----------
    config
        The resolved configuration.
    target
        The target.
    """
    regions = config.regions
    source = known_source_of(target)
    size = source.radius_deg if source is not None else 0.0
    known = regions.source == "auto" and size >= _deg(regions.point_below)
    if regions.on_radius is not None:
        radius = _deg(regions.on_radius)
        wide = radius >= _deg(regions.extended_above)
        extended = regions.source == "extended" or (regions.source == "auto" and (wide or known))
        return OnRegion(radius, extended)
    if not known or source is None:
        return OnRegion(_deg(regions.point_radius), regions.source == "extended")
    factor = regions.shell_factor if source.shell else regions.sigma_factor
    radius = round(float(np.hypot(factor * size, _deg(regions.point_radius))), 2)
    what = "outer radius" if source.shell else "sigma"
    return OnRegion(
        radius,
        True,
        f"{source.name} is known to be extended ({what} {size:g} deg): taken as an extended source "
        f"with an ON radius of {radius:g} deg. Set regions.on_radius for another radius, or "
        "regions.source: point.",
    )


def run_radius_deg(region: OnRegion, run: RunEntry) -> float:
    """ON radius of a run in degrees; NaN where its responses bring their own (RAD_MAX).

    Parameters
    ----------
    region, run
        The ON region of full-enclosure runs, and the run.
    """
    return float("nan") if is_point_like(run) else region.radius_deg


def _deg(angle: u.Quantity) -> float:
    return float(angle.to_value("deg"))
