"""``daybreak.demo``: a simulated night, analysed and compared with what was injected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daybreak.engine.control import Control
from daybreak.engine.hosted import Host
from daybreak.engine.progress import Progress, ProgressEvent
from daybreak.engine.run import run_plan
from daybreak.engine.stop import StopToken
from daybreak.errors import PartialResultError
from daybreak.ledger.step import Place, Plan, Step, StepResult, StepState, StepStopped
from daybreak.products.lock import folder_lock
from daybreak.requests.analysis.kind import AnalysisResult
from daybreak.requests.run import raise_for
from daybreak.requests.verbs import analyse

DEFAULT_SEED = 20261121
SOURCE = "Virtual Crab"
BLANK = "Blank field"
_FOLDERS = {SOURCE: "crab-like", BLANK: "blank"}
_TAGS = {SOURCE: "virtual_crab", BLANK: "blank_field"}
_RUNS_PER_FIELD = 4
_FIRST_START = "2024-12-06T00:30:00"
_BLANK_START = "2024-12-06T02:30:00"
_BLANK_RA_DEG, _BLANK_DEC_DEG = 120.0, 30.0  # 15 deg from every source of the built-in table


@dataclass(frozen=True)
class Comparison:
    """A measured value beside the injected one.

    Attributes
    ----------
    name
        What it is.
    unit
        Of all three numbers.
    truth
        What was injected.
    value, error
        What the analysis found, with its 1 sigma error.
    """

    name: str
    unit: str
    truth: float
    value: float
    error: float

    @property
    def pull(self) -> float:
        """How many errors the value is above the truth."""
        return (self.value - self.truth) / self.error if self.error > 0 else float("nan")


@dataclass(frozen=True)
class Limit:
    """The upper limit on the flux of the blank field, 1/(cm2 s); the truth is 0.

    Attributes
    ----------
    flux
        The limit.
    e_min_tev, e_max_tev
        Energy range.
    n_sigma
        The fit's statistic is ``n_sigma`` squared above its minimum there.
    source_flux
        Injected flux of the Crab-like source in the same range.
    """

    flux: float
    e_min_tev: float
    e_max_tev: float
    n_sigma: float
    source_flux: float


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration left in its folder.

    Attributes
    ----------
    folder
        Output folder.
    store
        The simulated DL3 store, with ``truth.json``.
    source, blank
        The two analyses.
    comparisons
        Results on the source beside the truth.
    limit
        Upper limit of the blank field; None if there is none.
    simulated
        False if the store of an earlier run could be kept.
    """

    folder: Path
    store: Path
    source: AnalysisResult
    blank: AnalysisResult
    comparisons: tuple[Comparison, ...]
    limit: Limit | None
    simulated: bool

    @property
    def cached(self) -> bool:
        """Nothing had to be done."""
        return not self.simulated and self.source.cached and self.blank.cached

    @property
    def failed(self) -> list[StepResult]:
        """Steps of both analyses that failed."""
        return [*self.source.failed, *self.blank.failed]


def demo(
    out: Path | str = "demo",
    *,
    seed: int = DEFAULT_SEED,
    workers: int = 0,
    progress: Progress | None = None,
    strict: bool = True,
    stop: StopToken | None = None,
) -> DemoResult:
    """Simulate a night of a virtual telescope, analyse it, compare with the injected truth.

    Four runs on a source as bright as the Crab Nebula and four on a blank field are simulated
    into ``out/store``; their analyses lie in ``out/crab-like`` and ``out/blank``. What is already
    there and unchanged is not made again.

    Parameters
    ----------
    out
        Output folder.
    seed
        Of the simulation; the same seed gives the same night.
    workers
        Local workers; 0: one per core.
    progress
        Told of each run simulated and each step of the analyses, as for :func:`daybreak.analyse`.
    strict
        Raise :class:`~daybreak.errors.PartialResultError` if a step of an analysis failed, after
        everything else is done.
    stop
        Asks for an early end.

    Returns
    -------
    DemoResult
        Both analyses, and how far their results are from the truth.

    Raises
    ------
    ConfigError, OutputError, EngineError, PartialResultError
        See :mod:`daybreak.errors`.
    """
    folder = Path(out).resolve()
    stop = stop or StopToken()
    with folder_lock(folder):
        simulated = _simulate(folder, seed, progress, stop)
        results = {}
        for name, sub in _FOLDERS.items():
            results[name] = analyse(
                _TAGS[name],
                store=folder / "store",
                out=folder / sub,
                options={"engine": {"workers": workers}},
                progress=_labelled(progress, sub),
                stop=stop,
            )
    truth = json.loads((folder / "store" / "truth.json").read_text(encoding="utf-8"))
    spectrum = truth["sources"][SOURCE]["spectrum"]
    result = DemoResult(
        folder=folder,
        store=folder / "store",
        source=results[SOURCE],
        blank=results[BLANK],
        comparisons=compare(results[SOURCE].results, spectrum),
        limit=_limit(results[BLANK].results, spectrum),
        simulated=simulated,
    )
    if strict:
        raise_for_failures(result)
    return result


def raise_for_failures(result: DemoResult) -> None:
    """Raise what says which steps of the demonstration failed, if any did.

    Parameters
    ----------
    result
        Both of its analyses are looked at.

    Raises
    ------
    PartialResultError
        Naming them.
    """
    failed = [
        f"  {analysis.folder.name}, {step.name}: {step.reason}"
        for analysis in (result.source, result.blank)
        for step in analysis.failed
    ]
    if failed:
        lines = "\n".join(failed)
        raise PartialResultError(
            f"the demonstration is done, but without:\n{lines}",
            f"Please report it, with the logs beside the products in {result.folder}.",
        )


def _labelled(progress: Progress | None, label: str) -> Progress | None:
    if progress is None:
        return None

    def call(event: ProgressEvent) -> None:
        if event.result is not None:
            event = replace(
                event, result=replace(event.result, name=f"{label}: {event.result.name}")
            )
        progress(event)

    return call


def _simulate(folder: Path, seed: int, progress: Progress | None, stop: StopToken) -> bool:
    """Make the store unless an earlier run's is whole; say whether it was made."""
    step = Step(
        name="simulate",
        function=f"{__name__}:simulate",
        inputs={},
        outputs={"store": folder / "store"},
        folders=frozenset({"store"}),
        params={"seed": seed},
        place=Place.DRIVER,
    )
    plan = Plan((step,))

    def tell(event: ProgressEvent) -> None:
        if progress is not None and event.detail is not None:
            done, of = event.detail
            progress(ProgressEvent(done, of, StepResult(f"simulate run {done}", StepState.DONE)))

    results = run_plan(plan, folder, control=Control(stop=stop, progress=tell))
    raise_for(plan, results)
    return not results["simulate"].cached


def simulate(
    inputs: Mapping[str, Any], outputs: Mapping[str, Path], params: Mapping[str, Any], host: Host
) -> None:
    """Write the store of the demonstration's night, with its truth.

    Parameters
    ----------
    inputs
        None are read.
    outputs
        ``store``, the folder.
    params
        ``seed`` of the random numbers.
    host
        Hears of each run, and says when to stop.

    Raises
    ------
    StepStopped
        If it has to end early.
    """
    from astropy.coordinates import SkyCoord

    from daybreak.simulate import Field, crab_like, simulate_store

    def report(done: int, of: int) -> None:
        if host.stop.requested:
            raise StepStopped(f"stopped after {done} runs")
        host.report((done, of))

    source = crab_like(SOURCE)
    place = SkyCoord(_BLANK_RA_DEG, _BLANK_DEC_DEG, unit="deg")
    fields = [
        Field(SOURCE, source.position, (source,), _TAGS[SOURCE], _RUNS_PER_FIELD),
        Field(BLANK, place, (), _TAGS[BLANK], _RUNS_PER_FIELD, start=_BLANK_START),
    ]
    simulate_store(outputs["store"], fields, seed=int(params["seed"]), progress=report)


def power_law_flux(spectrum: Mapping[str, Any], low_tev: float, high_tev: float) -> float:
    """Integral flux of an injected power law, 1/(cm2 s).

    Parameters
    ----------
    spectrum
        ``spectrum`` of a source in ``truth.json``.
    low_tev, high_tev
        Energy range.
    """
    amplitude, index, reference = _power_law(spectrum)
    slope = 1.0 - index
    powers: float = (high_tev / reference) ** slope - (low_tev / reference) ** slope
    return amplitude * reference * powers / slope


def _power_law(spectrum: Mapping[str, Any]) -> tuple[float, float, float]:
    """Amplitude (1/(cm2 s TeV)), index and reference energy (TeV) of the truth."""
    amplitude, index, reference = (
        float(spectrum[key]["value"]) for key in ("amplitude", "index", "reference")
    )
    return amplitude, index, reference


def compare(results: Mapping[str, Any], spectrum: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """Results of an analysis beside the injected power law.

    Parameters
    ----------
    results
        Content of ``results.json``.
    spectrum
        ``spectrum`` of the source in ``truth.json``.

    Returns
    -------
    tuple of Comparison
        phi at the fit's reference energy, the index, the flux of the chosen model above 1 TeV;
        empty without a spectrum.
    """
    found = results.get("spectrum") or {}
    amplitude, index, reference = _power_law(spectrum)
    rows = []
    for model in found.get("models", ()):
        if model["model"] != "pl":
            continue
        by_name = {p["name"]: p for p in model["parameters"]}
        at = float(model["reference_tev"])
        phi = amplitude * (at / reference) ** -index
        for key, name, unit, truth in (
            ("amplitude", f"phi({at:g} TeV)", "cm-2 s-1 TeV-1", phi),
            ("index", "Gamma", "", index),
        ):
            value, error = by_name[key]["value"], by_name[key]["error"]
            rows.append(Comparison(name, unit, truth, _number(value), _number(error)))
    flux = found.get("integral_flux")
    if flux is not None:
        low, high = float(flux["e_min_tev"]), float(flux["e_max_tev"])
        name = f"flux {low:g} to {high:g} TeV"
        truth = power_law_flux(spectrum, low, high)
        value, error = _number(flux["flux"]), _number(flux["flux_err"])
        rows.append(Comparison(name, "cm-2 s-1", truth, value, error))
    return tuple(rows)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _limit(results: Mapping[str, Any], spectrum: Mapping[str, Any]) -> Limit | None:
    found = results.get("flux_upper_limit")
    if not found:
        return None
    low, high = float(found["e_min_tev"]), float(found["e_max_tev"])
    source_flux = power_law_flux(spectrum, low, high)
    return Limit(_number(found["flux_ul"]), low, high, _number(found["n_sigma_ul"]), source_flux)


__all__ = ["Comparison", "DemoResult", "Limit", "compare", "demo", "power_law_flux"]
