from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from astropy.table import Table

from daybreak.report.analysis.results_json import build_results, schema, write_results

DOCS = Path(__file__).resolve().parents[2] / "docs" / "results-json.md"


def test_schema_itself_is_valid():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_results_follow_the_schema(made, tmp_path):
    path = tmp_path / "results.json"
    write_results(made.results, path)
    loaded = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(schema()).validate(loaded)
    assert loaded == build_results(made.results)


def test_a_key_that_the_schema_lacks_is_refused(make):
    results = build_results(make("crab").results)
    for place in (results, results["counts"], results["runs"][0], results["light_curves"]["run"]):
        place["surprise"] = 1
        with pytest.raises(jsonschema.ValidationError, match="surprise"):
            jsonschema.Draft202012Validator(schema()).validate(results)
        del place["surprise"]


def test_numbers_are_those_of_the_tables(make):
    made = make("crab")
    results = build_results(made.results)
    runs = Table.read(made.results / "runs.ecsv")
    points = Table.read(made.results / "flux_points.ecsv")
    assert [run["n_on"] for run in results["runs"]] == list(runs["n_on"])
    assert results["counts"]["significance"] == pytest.approx(37.4, abs=0.1)
    found = [point["dnde"] for point in results["spectrum"]["flux_points"]["points"]]
    assert found == list(points["dnde"])
    assert results["spectrum"]["chosen"] == "pl"
    model = results["spectrum"]["models"][0]
    errors = {p["name"]: p["error"] for p in model["parameters"]}
    diagonal = np.sqrt(np.diag(model["covariance"]["matrix"]))
    assert diagonal == pytest.approx([errors[name] for name in model["covariance"]["parameters"]])
    assert results["quality_flags"][0] == {
        "obs_id": 23544,
        "flag": "background rate 37 % below its IRF",
    }
    assert results["runs_left_out"][0]["reason"].startswith("livetime")


def test_what_was_not_measured_is_null(make):
    results = build_results(make("nans").results)
    assert results["runs"][0]["significance"] is None
    assert results["maps"]["ring"]["off_width"] is None
    assert results["spectrum"]["flux_points"]["points"][2]["norm"] is None
    assert build_results(make("rad_max").results)["counts"]["theta2_cut_deg2"] is None


def test_what_was_not_made_is_null_with_the_reason(make):
    results = build_results(make("no_spectrum").results)
    assert results["spectrum"] is None
    assert set(results["light_curves"].values()) == {None}
    assert results["failures"][0]["step"] == "spectrum"
    assert build_results(make("no_maps").results)["maps"] is None


def test_upper_limit_only_without_a_detection(make):
    assert build_results(make("crab").results)["flux_upper_limit"] is None
    results = make("no_detection").results
    total = Table.read(results / "spectrum_models.ecsv", format="ascii.ecsv").meta["total"]
    limit = build_results(results)["flux_upper_limit"]
    assert limit["flux_ul"] == total["flux_ul"] > 0


def _keys(node):
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for value in node.values():
            yield from _keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from _keys(value)


def test_every_key_is_documented():
    text = DOCS.read_text(encoding="utf-8")
    missing = [k for k in set(_keys(schema())) if f".{k}`" not in text and f"`{k}`" not in text]
    assert missing == []


def test_every_key_of_the_schema_says_what_it_is():
    def walk(node, path):
        if isinstance(node, dict):
            for name, entry in node.get("properties", {}).items():
                if "$ref" not in entry:
                    assert entry.get("description"), f"{path}.{name}"
            for key, value in node.items():
                walk(value, f"{path}.{key}")

    walk(schema(), "")
