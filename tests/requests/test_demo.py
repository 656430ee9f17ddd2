from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import daybreak
from daybreak.cli import demo as command
from daybreak.cli.main import app
from daybreak.errors import OutputError, PartialResultError
from daybreak.ledger.step import StepResult, StepState
from daybreak.requests import demo as module
from daybreak.requests.demo import DEFAULT_SEED, Comparison, DemoResult, compare, power_law_flux

TRUTH = {
    "amplitude": {"value": 3.45e-11, "unit": "1 / (TeV s cm2)"},
    "index": {"value": 2.6, "unit": ""},
    "reference": {"value": 1.0, "unit": "TeV"},
}


def results(reference: float = 1.0) -> dict[str, object]:
    return {
        "spectrum": {
            "models": [
                {
                    "model": "pl",
                    "reference_tev": reference,
                    "parameters": [
                        {"name": "index", "value": 2.7, "error": 0.05},
                        {"name": "amplitude", "value": 3.3e-11, "error": 1.5e-12},
                    ],
                }
            ],
            "integral_flux": {
                "e_min_tev": 1.0,
                "e_max_tev": 100.0,
                "flux": 2e-11,
                "flux_err": None,
            },
        }
    }


def test_the_flux_of_a_power_law_is_its_integral() -> None:
    # int_1^100 3.45e-11 E^-2.6 dE = 3.45e-11 (1 - 100^-1.6) / 1.6
    expected = 3.45e-11 * (1 - 100**-1.6) / 1.6
    assert power_law_flux(TRUTH, 1, 100) == pytest.approx(expected, rel=1e-12)
    other = TRUTH | {
        "amplitude": {"value": 3.45e-11 * 2**-2.6},
        "reference": {"value": 2.0},
    }
    assert power_law_flux(other, 1, 100) == pytest.approx(expected, rel=1e-12)


def test_a_comparison_counts_errors_from_the_truth() -> None:
    assert Comparison("x", "", 2.0, 1.0, 0.5).pull == -2.0
    assert math.isnan(Comparison("x", "", 2.0, 1.0, 0.0).pull)


def test_compare_moves_the_truth_to_the_reference_energy() -> None:
    phi, gamma, flux = compare(results(), TRUTH)
    assert (phi.truth, gamma.truth) == (3.45e-11, 2.6)
    assert phi.pull == pytest.approx(-1.0)
    assert gamma.pull == pytest.approx(2.0)
    assert flux.truth == pytest.approx(power_law_flux(TRUTH, 1, 100))
    assert math.isnan(flux.pull)
    assert compare(results(2.0), TRUTH)[0].truth == pytest.approx(3.45e-11 * 2**-2.6)


def test_compare_without_a_spectrum_is_empty() -> None:
    assert compare({"spectrum": None}, TRUTH) == ()


def test_command_and_function_have_the_same_default_seed() -> None:
    assert command._DEFAULT_SEED == DEFAULT_SEED


def test_an_analysis_that_failed_in_part_is_an_error_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failed = StepResult("maps", StepState.FAILED, reason="out of ink")

    def analyse(tag: str, *, out: Path, **_: object) -> SimpleNamespace:
        name = "Virtual Crab" if tag == "virtual_crab" else "Blank field"
        counts = {"significance": None, "livetime_h": 1.0}
        block = results() if tag == "virtual_crab" else {}
        block |= {"target": {"name": name}, "counts": counts, "detected": False, "runs": []}
        return SimpleNamespace(
            folder=out,
            report=out / "report.html",
            results=block,
            failed=[failed] if tag == "blank_field" else [],
            cached=False,
        )

    def simulate(folder: Path, *_: object) -> bool:
        (folder / "store").mkdir(parents=True)
        text = json.dumps({"sources": {"Virtual Crab": {"spectrum": TRUTH}}})
        (folder / "store" / "truth.json").write_text(text)
        return True

    monkeypatch.setattr(module, "analyse", analyse)
    monkeypatch.setattr(module, "_simulate", simulate)
    with pytest.raises(PartialResultError, match="blank, maps: out of ink"):
        daybreak.demo(tmp_path / "a")
    run = CliRunner().invoke(app, ["demo", "-o", str(tmp_path / "b")])
    assert isinstance(run.exception, PartialResultError)
    assert "Blank field: not detected, n/a sigma" in run.output


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(OutputError):
        daybreak.demo(tmp_path / "demo")
    assert (tmp_path / "demo").read_text() == "mine"


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, list[str]]:
    seen: list[str] = []
    result = daybreak.demo(
        tmp_path_factory.mktemp("demo") / "out",
        seed=3,
        progress=lambda e: (
            seen.append(f"{e.result.name} {e.ended}/{e.total}") if e.result else None
        ),
    )
    return result, seen


@pytest.mark.slow
def test_demo_finds_what_was_injected(demonstration: tuple[DemoResult, list[str]]) -> None:
    result, _ = demonstration
    assert [item.name for item in result.comparisons] == [
        "phi(1 TeV)",
        "Gamma",
        "flux 1 to 100 TeV",
    ]
    assert all(abs(item.pull) < 4 for item in result.comparisons)
    assert result.source.results["detected"]
    assert not result.blank.results["detected"]
    assert abs(result.blank.results["counts"]["significance"]) < 4
    assert result.limit is not None
    assert 0 < result.limit.flux < 0.1 * result.limit.source_flux
    assert result.source.report.is_file()
    assert result.blank.report.is_file()
    assert not result.failed


@pytest.mark.slow
def test_demo_reports_progress(demonstration: tuple[DemoResult, list[str]]) -> None:
    _, seen = demonstration
    assert "simulate run 8 8/8" in seen
    assert any(text.startswith("crab-like: reduce-1 ") for text in seen)
    assert any(text.startswith("blank: spectrum ") for text in seen)


@pytest.mark.slow
def test_demo_again_does_nothing(demonstration: tuple[DemoResult, list[str]]) -> None:
    result, _ = demonstration
    run = CliRunner().invoke(app, ["demo", "-o", str(result.folder), "--seed", "3"])
    assert run.exit_code == 0
    assert "nothing to do: everything was there" in run.output
    assert "phi(1 TeV)" in run.output
    assert str(result.blank.report) in run.output.replace("\n", "")
    run = CliRunner().invoke(app, ["demo", "-o", str(result.folder), "--seed", "3", "--json"])
    block = json.loads(run.output)
    assert block["simulated"] is False
    assert block["comparisons"][0]["truth"] == 3.45e-11
    assert block["failed"] == []


@pytest.mark.slow
def test_demo_mends_a_damaged_store(demonstration: tuple[DemoResult, list[str]]) -> None:
    result, _ = demonstration
    victim = next((result.store / "data").iterdir())
    whole = victim.read_bytes()
    victim.write_bytes(whole[:1000])
    again = daybreak.demo(result.folder, seed=3)
    assert again.simulated
    assert victim.read_bytes() == whole
    assert again.source.cached
