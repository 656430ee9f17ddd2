"""From a request to a plan: resolve the target, choose the runs, lay out the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from daybreak.config.analysis import AnalysisConfig
from daybreak.ledger.request import AnalysisRequest
from daybreak.ledger.step import Plan, Step
from daybreak.products.digest import value_digest
from daybreak.runs.catalogue import RunEntry, is_point_like
from daybreak.runs.select import Selection, blank_position
from daybreak.runs.targets import Target, known_sources

_STEPS = "daybreak.requests.analysis.steps"
_DEFAULT_RADIUS_DEG = 0.1
_PSF_MARGIN_DEG = 0.2
_SMALLEST_EXCLUSION_DEG = 0.4
_TARGET_MARGIN_DEG = 0.2

Setup = dict[str, Any]


@dataclass(frozen=True)
class AnalysisPlan:
    """A plan and what the report step and the caller need to know of it.

    Attributes
    ----------
    plan
        Steps up to the tables.
    tables
        Result files by name.
    context
        The file that says what all tables have in common.
    setup
        How runs are reduced.
    target, selection
        What was resolved and chosen.
    config_digest
        Digest of the resolved configuration.
    """

    plan: Plan
    tables: dict[str, Path]
    context: Path
    setup: Setup
    target: Target
    selection: Selection
    config_digest: str


def _edges(low: float, high: float, per_decade: int) -> tuple[float, ...]:
    """Logarithmic edges, as many as Gammapy's ``from_energy_bounds(per_decade=True)`` makes."""
    n_bins = int(np.ceil(np.log10(high / low) * per_decade))
    return tuple(float(x) for x in np.geomspace(low, high, n_bins + 1))


def _circle(ra: float, dec: float, radius: float, name: str) -> dict[str, Any]:
    return {"ra_deg": ra, "dec_deg": dec, "radius_deg": radius, "name": name}


def exclusion_circles(
    config: AnalysisConfig, position: SkyCoord, name: str, on_radius_deg: float
) -> list[dict[str, Any]]:
    """Circles kept out of the background: the target, known neighbours, the user's own."""
    regions = config.regions
    on = on_radius_deg if np.isfinite(on_radius_deg) else _DEFAULT_RADIUS_DEG
    if regions.exclusion_radius is not None:
        own = float(regions.exclusion_radius.to_value("deg"))
    else:
        own = max(_SMALLEST_EXCLUSION_DEG, on + _TARGET_MARGIN_DEG)
    out = [_circle(float(position.ra.deg), float(position.dec.deg), own, name)]
    reach = float(config.maps.max_offset.to_value("deg")) + float(
        config.selection.max_offset.to_value("deg")
    )
    if regions.exclude_known:
        sources = [s for s in known_sources() if s.detected]
        places = SkyCoord([s.ra_deg for s in sources], [s.dec_deg for s in sources], unit="deg")
        distance = places.separation(position).deg
        for source, away in zip(sources, distance, strict=True):
            radius = source.radius_deg + _PSF_MARGIN_DEG
            if own < away < reach + radius:
                out.append(_circle(source.ra_deg, source.dec_deg, radius, source.name))
    for region in regions.exclude:
        values = (float(getattr(region, k).to_value("deg")) for k in ("ra", "dec", "radius"))
        ra, dec, radius = values
        out.append(_circle(ra, dec, radius, region.name or "configured"))
    return out


def reduction_setup(
    config: AnalysisConfig, position: SkyCoord, name: str, on_radius_deg: float
) -> Setup:
    """JSON-able parameters of :class:`daybreak.science.run.ReductionSetup`."""
    spectrum, maps = config.spectrum, config.maps
    extended = bool(on_radius_deg >= config.regions.extended_above.to_value("deg"))
    theta_max = float(config.theta2.max.to_value("deg"))
    if np.isfinite(on_radius_deg):
        theta_max = max(theta_max, 1.6 * on_radius_deg)
    map_setup = None
    if maps.enabled:
        map_setup = {
            "width_deg": float(maps.width.to_value("deg")),
            "pixel_deg": float(maps.pixel.to_value("deg")),
            "ring_inner_deg": float(maps.ring_inner.to_value("deg")),
            "ring_width_deg": float(maps.ring_width.to_value("deg")),
        }
        excluded = float(exclusion_circles(config, position, name, on_radius_deg)[0]["radius_deg"])
        inner = max(map_setup["ring_inner_deg"], excluded + 0.1 if extended else 0.0)
        map_setup["ring_inner_deg"] = inner
    edges2 = np.linspace(0, theta_max**2, config.theta2.n_bins + 1)
    return {
        "on": _circle(float(position.ra.deg), float(position.dec.deg), on_radius_deg, name),
        "extended": extended,
        "exclude": exclusion_circles(config, position, name, on_radius_deg),
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
        "n_off": config.regions.n_off,
        "min_distance_deg": float(config.regions.min_distance.to_value("deg")),
        "theta2_edges_deg2": tuple(float(x) for x in edges2),
        "theta2_max_off": config.theta2.max_off,
        "max_offset_deg": float(maps.max_offset.to_value("deg")),
        "max_theta_deg": float(config.quality.max_theta.to_value("deg")),
        "site_longitude_deg": float(config.selection.site_longitude.to_value("deg")),
        "maps": map_setup,
    }


def on_radius_deg(config: AnalysisConfig, run: RunEntry) -> float:
    """ON radius in degrees; NaN where the run's IRFs bring their own (RAD_MAX)."""
    if is_point_like(run):
        return float("nan")
    if config.regions.on_radius is not None:
        return float(config.regions.on_radius.to_value("deg"))
    return _DEFAULT_RADIUS_DEG


def _reduce_step(
    run: RunEntry, setup: Setup, config: AnalysisConfig, out: Path, digest: str, target: Target
) -> Step:
    if target.blank_fields:
        place = blank_position(run, config.selection.blank_offset)
        setup = reduction_setup(config, place, "test position", setup["on"]["radius_deg"])
    return Step(
        name=f"reduce-{run.obs_id}",
        function=f"{_STEPS}:reduce",
        inputs={"files": tuple(run.files)},
        outputs={"run": out / "runs" / f"run_{run.obs_id:06d}.fits"},
        params={
            "obs_id": run.obs_id,
            "hdus": [
                {"kind": k, "hdu_class": h.hdu_class, "path": str(h.path), "hdu": h.hdu}
                for k, h in sorted(run.hdus.items())
            ],
            "setup": setup,
            "config_digest": digest,
        },
        label=f"reduce run {run.obs_id}",
        required=False,
    )


def _tables(out: Path) -> dict[str, Path]:
    names = {
        "runs": "runs.ecsv",
        "left_out": "runs_left_out.ecsv",
        "theta2": "theta2.ecsv",
        "cumulative": "cumulative.ecsv",
        "regions": "regions.ecsv",
        "exclusion": "exclusion.ecsv",
        "maps": "maps.fits",
        "significance": "map_significance.ecsv",
        "spectrum_counts": "spectrum_counts.ecsv",
        "models": "spectrum_models.ecsv",
        "butterfly": "butterfly.ecsv",
        "flux_points": "flux_points.ecsv",
        "lc_run": "lightcurve_run.ecsv",
        "lc_night": "lightcurve_night.ecsv",
        "lc_minutes": "lightcurve_minutes.ecsv",
    }
    return {key: out / "results" / name for key, name in names.items()}


def _science_steps(
    config: AnalysisConfig,
    out: Path,
    runs: tuple[Path, ...],
    common: dict[str, Any],
    counts_params: dict[str, Any],
) -> list[Step]:
    t = _tables(out)
    summary, model = out / "runs" / "summary.json", out / "runs" / "model.json"
    counted = ("runs", "left_out", "theta2", "cumulative", "regions", "exclusion")
    steps = [
        Step(
            name="counts",
            function=f"{_STEPS}:counts",
            inputs={"runs": runs},
            outputs={k: t[k] for k in counted} | {"summary": summary},
            params=common | counts_params,
            label="counts, theta², run table",
            tolerant=True,
        )
    ]
    if config.maps.enabled:
        steps.append(
            Step(
                name="maps",
                function=f"{_STEPS}:maps",
                inputs={"runs": runs, "summary": summary},
                outputs={k: t[k] for k in ("maps", "significance")},
                params=common,
                label="sky maps",
                tolerant=True,
                required=False,
            )
        )
    if config.spectrum.enabled:
        outputs = {
            "counts": t["spectrum_counts"],
            "models": t["models"],
            "butterfly": t["butterfly"],
            "flux_points": t["flux_points"],
            "model": model,
        }
        inputs: dict[str, Path | tuple[Path, ...]] = {"runs": runs, "summary": summary}
        steps.append(
            Step(
                name="spectrum",
                function=f"{_STEPS}:spectrum",
                inputs=inputs,
                outputs=outputs,
                params=common,
                label="spectrum and flux points",
                tolerant=True,
                required=False,
            )
        )
        if config.lightcurve.enabled:
            steps.append(
                Step(
                    name="lightcurve",
                    function=f"{_STEPS}:lightcurve",
                    inputs=inputs | {"model": model},
                    outputs={
                        "run": t["lc_run"],
                        "night": t["lc_night"],
                        "minutes": t["lc_minutes"],
                    },
                    params=common,
                    label="light curves",
                    tolerant=True,
                    required=False,
                )
            )
    return steps


def plan_analysis(
    request: AnalysisRequest, target: Target, selection: Selection, notes: Sequence[str] = ()
) -> AnalysisPlan:
    """Lay out the steps of an analysis.

    Parameters
    ----------
    request
        What is wanted.
    target
        The resolved target.
    selection
        The chosen runs.
    notes
        Sentences for the report.

    Returns
    -------
    AnalysisPlan
        With every step up to the tables of results.
    """
    config, out = request.config, request.out
    digest = value_digest(config.of_products())
    radius = on_radius_deg(config, selection.runs[0])
    position = SkyCoord(0, 0, unit="deg") if target.blank_fields else target.position
    setup = reduction_setup(config, position, target.name, radius)
    if target.blank_fields:
        setup["exclude"] = setup["exclude"][:1]
    reduce_steps = [_reduce_step(run, setup, config, out, digest, target) for run in selection.runs]
    runs = tuple(step.outputs["run"] for step in reduce_steps)
    common = {"config": config.of_products(), "config_digest": digest, "setup": setup}
    counts_params = {
        "left_out": [asdict(item) for item in selection.left_out],
        "files": {str(r.obs_id): r.files[0].name for r in selection.runs},
    }
    steps = [*reduce_steps, *_science_steps(config, out, runs, common, counts_params)]
    context = out / "results" / "context.json"
    made = {path for step in steps[len(reduce_steps) :] for path in step.outputs.values()}
    steps.append(
        Step(
            name="context",
            function=f"{_STEPS}:context",
            inputs={"summary": out / "runs" / "summary.json", "made": tuple(sorted(made))},
            outputs={"context": context},
            params=common
            | {
                "notes": [*notes, *_notes(config, radius, setup)],
                "facts": _facts(request, target, radius),
            },
            label="context",
            tolerant=True,
        )
    )
    return AnalysisPlan(Plan(tuple(steps)), _tables(out), context, setup, target, selection, digest)


def _notes(config: AnalysisConfig, radius: float, setup: Setup) -> list[str]:
    notes = []
    if not np.isfinite(radius) and config.regions.on_radius is not None:
        notes.append(
            "The IRFs are point-like: the ON radius is their RAD_MAX, the configured one is unused."
        )
    if setup["extended"]:
        notes.append(
            f"ON radius {radius:g} deg: taken as an extended source, IRFs averaged over the ON "
            "region, no correction for emission outside it."
        )
    if config.regions.exclude_known and len(setup["exclude"]) > 1:
        names = ", ".join(c["name"] for c in setup["exclude"][1:])
        notes.append(f"Known sources kept out of the background: {names}.")
    return notes


def _facts(request: AnalysisRequest, target: Target, radius: float) -> dict[str, Any]:
    finite = np.isfinite(target.ra_deg)
    return {
        "target": {
            "name": target.name,
            "requested": request.target,
            "ra_deg": target.ra_deg if finite else None,
            "dec_deg": target.dec_deg if finite else None,
            "resolved_by": target.resolved_by,
            "tag": target.tag,
            "blank_fields": target.blank_fields,
        },
        "instrument": request.config.instrument,
        "store": str(request.store),
        "on_region": f"circle of {radius:g} deg" if np.isfinite(radius) else "RAD_MAX of the IRFs",
        "attribution": _attribution(request.store),
    }


def _attribution(store: Path) -> str:
    """Terms that travel with the data: the store's README, where it has one."""
    for name in ("README.txt", "README.md", "README"):
        path = store / name
        if path.is_file() and path.stat().st_size < 20_000:
            return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""
