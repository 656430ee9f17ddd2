"""From a request to a plan: the steps of an analysis, from DL3 files to the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.sections import declare
from daybreak.ledger.step import Plan, Resources, Step
from daybreak.products.digest import value_digest
from daybreak.requests.analysis.facts import plan_notes, report_facts
from daybreak.requests.analysis.request import AnalysisRequest
from daybreak.requests.analysis.setup import (
    Setup,
    cube_setup,
    on_region,
    reduction_setup,
    run_radius_deg,
)
from daybreak.runs.catalogue import RunEntry
from daybreak.runs.select import Selection, blank_position
from daybreak.runs.targets import Target

_STEPS = "daybreak.requests.analysis.steps"
#: modules that nearly every step of an analysis imports
PRELOAD = tuple(
    f"{_STEPS}.{name}"
    for name in (
        *("reduce", "counts", "maps", "spectrum", "lightcurve", "systematics", "context"),
        *("figures", "results", "page"),
    )
)
#: what each step reads of the configuration, beside its parameters
_READS = {
    "counts": ("regions.background", "quality", "spectrum.detection_sigma"),
    "maps": ("maps.methods", "maps.correlation_radius"),
    "spectrum": ("spectrum",),
    "lightcurve": (
        *("lightcurve", "spectrum.n_sigma_ul", "spectrum.ul_below_sigma"),
        "spectrum.min_off_counts",
    ),
    "systematics": ("spectrum.fit_min", "spectrum.fit_max"),
    "fit3d": (
        *("fit3d", "maps.correlation_radius", "spectrum.reference", "spectrum.assumed_index"),
        "spectrum.fit_above_sigma",
    ),
    "context": ("regions.background", "quality.max_off_width"),
    "figures": ("report.formats",),
}
_PAGE_DATA = ("report/common/templates", "report/analysis/templates")
_TABLES = {
    "runs": "runs.ecsv",
    "left_out": "runs_left_out.ecsv",
    "oddities": "oddities.ecsv",
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
    "systematics": "systematics.ecsv",
    "fit3d": "fit3d_models.ecsv",
    "residuals": "fit3d_residuals.fits",
}


@dataclass(frozen=True)
class Layout:
    """What the steps of one analysis share.

    Attributes
    ----------
    config
        The resolved configuration.
    out
        Output folder.
    setup
        How runs are reduced.
    digest
        Digest of the whole configuration, for provenance.
    """

    config: AnalysisConfig
    out: Path
    setup: Setup
    digest: str

    def table(self, name: str) -> Path:
        """The file of a result table.

        Parameters
        ----------
        name
            A key of the result tables, such as ``theta2`` or ``lc_night``.
        """
        return self.out / "results" / _TABLES[name]

    def step(self, name: str, function: str = "", **values: Any) -> Step:
        """A step with the settings that it declares.

        Parameters
        ----------
        name, function
            Of the step; and of its module and the function in it, empty: as `name`.
        **values
            Other fields of the step.
        """
        function = function or name
        return Step(
            name=name,
            function=f"{_STEPS}.{function}:{function}",
            config=declare(self.config, _READS.get(function, ())),
            provenance={"config_digest": self.digest},
            **values,
        )


def plan_analysis(
    request: AnalysisRequest,
    config: AnalysisConfig,
    target: Target,
    selection: Selection,
    notes: Sequence[str] = (),
) -> Plan:
    """Lay out the steps of an analysis, up to the report.

    Parameters
    ----------
    request
        What is wanted.
    config
        The resolved configuration.
    target
        The resolved target.
    selection
        The chosen runs.
    notes
        Sentences for the report.
    """
    region = on_region(config, target)
    radii = [run_radius_deg(region, run) for run in selection.runs]
    finite = [r for r in radii if np.isfinite(r)]
    radius = finite[0] if finite else float("nan")
    position = SkyCoord(0, 0, unit="deg") if target.blank_fields else target.position
    extended = region.extended and bool(finite)
    setup = reduction_setup(config, position, target.name, radius, extended)
    if target.blank_fields:
        setup["exclude"] = setup["exclude"][:1]
    layout = Layout(config, request.out, setup, value_digest(config.of_products()))
    reduce_steps = [
        _reduce_step(layout, run, target, run_radius)
        for run, run_radius in zip(selection.runs, radii, strict=True)
    ]
    runs = tuple(step.outputs["run"] for step in reduce_steps)
    science = _science_steps(layout, runs, _counts_params(selection))
    cubes: list[Step] = []
    if config.fit3d.enabled and not target.blank_fields:
        cubes, fit = _fit3d_steps(layout, reduce_steps)
        science.append(fit)
    made = tuple(sorted(path for step in science for path in step.outputs.values()))
    facts = {
        "notes": [*notes, *plan_notes(config, radii, setup, region)],
        "facts": report_facts(request, config.instrument, target, radius),
    }
    context = layout.step(
        "context",
        inputs={"summary": layout.out / "runs" / "summary.json", "made": made},
        outputs={"context": layout.out / "results" / "context.json"},
        params={"setup": setup} | facts,
        label="context",
        tolerant=True,
    )
    return Plan((*reduce_steps, *cubes, *science, context, *_report_steps(layout, context, made)))


def _reduce_step(layout: Layout, run: RunEntry, target: Target, radius: float) -> Step:
    setup = layout.setup
    if target.blank_fields:
        place = blank_position(run, layout.config.selection.blank_offset)
        setup = reduction_setup(layout.config, place, "test position", radius, setup["extended"])
    elif not np.isfinite(radius) and np.isfinite(setup["on"]["radius_deg"]):
        setup = setup | {"on": setup["on"] | {"radius_deg": radius}, "extended": False}
    return layout.step(
        f"reduce-{run.obs_id}",
        "reduce",
        inputs={"files": tuple(run.files)},
        outputs={"run": layout.out / "runs" / f"run_{run.obs_id:06d}.fits"},
        params={
            "obs_id": run.obs_id,
            "hdus": [
                {"kind": k, "hdu_class": h.hdu_class, "path": str(h.path), "hdu": h.hdu}
                for k, h in sorted(run.hdus.items())
            ],
            "reading": _reading(layout.config, run),
            "setup": setup,
        },
        label=f"reduce run {run.obs_id}",
        required=False,
    )


def _reading(config: AnalysisConfig, run: RunEntry) -> dict[str, Any]:
    """JSON-able parameters of :class:`daybreak.science.observation.Reading`."""
    place = run.ra_pnt_deg, run.dec_pnt_deg
    return {
        "livetime": config.quality.livetime,
        "gaps": config.quality.gaps,
        "pointing": list(place) if np.isfinite(place).all() else None,
    }


def _counts_params(selection: Selection) -> dict[str, Any]:
    return {
        "left_out": [asdict(item) for item in selection.left_out],
        "runs": {
            f"reduce-{run.obs_id}": {"obs_id": run.obs_id, "file": run.files[0].name}
            for run in selection.runs
        },
    }


def _science_steps(
    layout: Layout, runs: tuple[Path, ...], counts_params: dict[str, Any]
) -> list[Step]:
    config, folder = layout.config, layout.out / "runs"
    summary, model = folder / "summary.json", folder / "model.json"
    params = {"setup": layout.setup}
    inputs: dict[str, Path | tuple[Path, ...]] = {"runs": runs, "summary": summary}
    counted = ("runs", "left_out", "oddities", "theta2", "cumulative", "regions", "exclusion")
    steps = [
        layout.step(
            "counts",
            inputs={"runs": runs},
            outputs={k: layout.table(k) for k in counted} | {"summary": summary},
            params=params | counts_params,
            label="counts, theta², run table",
            tolerant=True,
        )
    ]
    optional: dict[str, Any] = {"tolerant": True, "required": False}
    if config.maps.enabled:
        outputs = {k: layout.table(k) for k in ("maps", "significance")}
        steps.append(
            layout.step(
                "maps", inputs=inputs, outputs=outputs, params=params, label="sky maps", **optional
            )
        )
    if config.spectrum.enabled:
        outputs = {k: layout.table(k) for k in ("models", "butterfly", "flux_points")}
        outputs |= {"counts": layout.table("spectrum_counts"), "model": model}
        label = "spectrum and flux points"
        steps.append(
            layout.step("spectrum", inputs=inputs, outputs=outputs, label=label, **optional)
        )
    inputs = inputs | {"model": model}
    if config.spectrum.enabled and config.spectrum.systematics:
        steps.append(
            layout.step(
                "systematics",
                inputs=inputs | {"models": layout.table("models")},
                outputs={"systematics": layout.table("systematics")},
                label="systematic error of the background",
                **optional,
            )
        )
    if config.spectrum.enabled and config.lightcurve.enabled:
        outputs = {k: layout.table(f"lc_{k}") for k in ("run", "night", "minutes")}
        steps.append(
            layout.step(
                "lightcurve", inputs=inputs, outputs=outputs, label="light curves", **optional
            )
        )
    return steps


def _fit3d_steps(layout: Layout, reduce_steps: Sequence[Step]) -> tuple[list[Step], Step]:
    """A cube per run, and the fit to all of them."""
    cube = {"cube": cube_setup(layout.config, layout.setup)}
    cubes = [
        layout.step(
            f"cube-{step.params['obs_id']}",
            "cube",
            inputs={**step.inputs, **step.outputs},
            outputs={"cube": layout.out / "runs" / f"cube_{step.params['obs_id']:06d}.fits.gz"},
            params={key: step.params[key] for key in ("obs_id", "hdus", "reading")} | cube,
            label=f"cube of run {step.params['obs_id']}",
            required=False,
            resources=Resources(memory_mb=2000),
        )
        for step in reduce_steps
    ]
    fit = layout.step(
        "fit3d",
        inputs={
            "cubes": tuple(step.outputs["cube"] for step in cubes),
            "summary": layout.out / "runs" / "summary.json",
        },
        outputs={k: layout.table(k) for k in ("fit3d", "residuals")},
        params=cube,
        label="three-dimensional fit",
        tolerant=True,
        required=False,
        resources=Resources(memory_mb=3000, walltime_min=120),
    )
    return cubes, fit


def _report_steps(layout: Layout, context: Step, made: tuple[Path, ...]) -> list[Step]:
    """Steps from result tables to figures, ``results.json`` and the page."""
    out, results = layout.out, layout.out / "results"
    tables = tuple(path for path in made if path.parent == results)
    inputs: dict[str, Path | tuple[Path, ...]] = {**context.outputs, "tables": tables}
    figures = layout.step(
        "figures",
        inputs=inputs,
        outputs={"figures": out / "figures"},
        folders=frozenset({"figures"}),
        label="figures",
        tolerant=True,
    )
    report = {"report": {"config_digest": layout.digest}}
    return [
        figures,
        layout.step(
            "results",
            inputs=inputs,
            outputs={"results": out / "results.json"},
            params=report,
            label="results.json",
            tolerant=True,
        ),
        layout.step(
            "report",
            "page",
            inputs={**inputs, **figures.outputs},
            outputs={"report": out / "report.html"},
            params=report,
            data=_PAGE_DATA,
            lists_kept=True,
            label="report",
            tolerant=True,
        ),
    ]
