"""``daybreak scan`` on an event of our own: products, resuming, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from astropy.io import fits

from daybreak.cli.main import main
from daybreak.errors import EventError, InterruptedByUser
from daybreak.report.scan.scan_results import scan_schema
from daybreak.requests.verbs import scan

NSIDES = (1, 8, 64)
DAYBREAK = str(Path(sys.executable).with_name("daybreak"))


def cli(*args: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(args))
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("event") / "event.json"
    assert cli("simulate", "event", "--seed", "3", "--energy", "100000", "-o", str(path)) == 0
    return path


@pytest.fixture(scope="module")
def whole(event: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    scan(event, out=out, nsides=NSIDES)
    return out


def results(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        (folder / "results.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    return loaded


def physics(folder: Path) -> dict[str, Any]:
    """What must not depend on how often a scan was stopped."""
    found = results(folder)
    for key in ("cpu_s", "wall_s", "work"):
        del found[key]
    for level in found["nsides"]:
        del level["cpu_s"]
    return found


@pytest.mark.parametrize("name", ["zenith", "azimuth"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_directions_that_are_no_numbers_are_refused(tmp_path: Path, capsys, name, value):
    code = cli("simulate", "event", f"--{name}", value, "-o", str(tmp_path / "e.json"))
    said = capsys.readouterr().err
    assert code in (2, 3) and name in said and "energy" not in said
    assert not list(tmp_path.iterdir())


def test_directions_all_the_way_round_are_one(tmp_path: Path):
    for degrees in ("-90", "270", "630"):
        path = tmp_path / f"e{degrees}.json"
        assert cli("simulate", "event", "--azimuth", degrees, "-o", str(path)) == 0
    one, two, three = (json.loads(p.read_text())["truth"] for p in sorted(tmp_path.iterdir()))
    assert one["azimuth_rad"] == pytest.approx(two["azimuth_rad"]) == np.radians(270)
    assert three["azimuth_rad"] == pytest.approx(np.radians(270))


def test_results_follow_the_schema_and_find_the_truth(whole: Path):
    found = results(whole)
    jsonschema.Draft202012Validator(scan_schema()).validate(found)
    assert found["complete"] is True
    assert found["truth"]["separation_deg"] < 1.0
    assert found["nch"] > 50
    assert found["best_fit"] == found["minima"][0]
    assert sum(level["pixels"] for level in found["nsides"]) == found["pixels"]
    assert 0 < found["contours"][0]["area_deg2"] < found["contours"][1]["area_deg2"]


def test_the_schema_is_valid_and_strict(whole: Path):
    jsonschema.Draft202012Validator.check_schema(scan_schema())
    found = results(whole)
    places = (found, found["event"], found["best_fit"], found["contours"][0], found["truth"])
    for place in places:
        place["surprise"] = 1
        with pytest.raises(jsonschema.ValidationError, match="surprise"):
            jsonschema.Draft202012Validator(scan_schema()).validate(found)
        del place["surprise"]


def test_every_product_is_there(whole: Path):
    names = {p.relative_to(whole).as_posix() for p in whole.rglob("*") if p.is_file()}
    assert {
        "results.json", "report.html", "circular.txt", "skymap.fits.gz", "skymap.multiorder.fits",
        "figures/scan_sky.svg", "figures/scan_zoom.svg", "figures/scan_profile.svg",
        "figures/event_view.svg", "results/context.json", "results/pixels.fits",
        "results/minima.ecsv", "results/contours.ecsv", "results/regions.ecsv",
        "results/levels.ecsv",
    } <= names  # fmt: skip
    assert not [name for name in names if ".partial-" in name]
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 4
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    circular = (whole / "circular.txt").read_text(encoding="utf-8")
    assert circular.startswith("*** SIMULATED EVENT: DO NOT SEND ***")
    assert f"RA: {results(whole)['best_fit']['ra_deg']:.2f}" in circular


def test_again_there_is_nothing_to_do(event: Path, whole: Path, capsys):
    before = (whole / "report.html").stat().st_mtime_ns
    assert cli("scan", str(event), "--nsides", "1,8,64", "-o", str(whole)) == 0
    said = capsys.readouterr().out
    assert "nothing to fit" in said
    assert "best fit: RA" in said
    assert (whole / "report.html").stat().st_mtime_ns == before


def test_a_lost_product_is_made_again_without_fits(event: Path, whole: Path):
    text = (whole / "circular.txt").read_bytes()
    (whole / "circular.txt").unlink()
    assert scan(event, out=whole, nsides=NSIDES).fitted == 0
    assert (whole / "circular.txt").read_bytes() == text


def test_other_contours_need_no_new_fits(event: Path, whole: Path, tmp_path: Path):
    wilks = results(whole)
    result = scan(event, out=whole, nsides=NSIDES, contours="millipede")
    assert result.fitted < wilks["pixels"] / 2  # wider contours may ask for more pixels
    assert result.results["contours"][1]["ts"] == 64.2
    assert "foreign-calibration" in [x["name"] for x in result.results["labels"]]
    again = scan(event, out=whole, nsides=NSIDES)
    assert again.fitted == 0
    assert again.results["contours"] == wilks["contours"]


def journal_size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.glob(".daybreak/work/pixels/pixels.bin"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_goes_on_to_the_same_result(
    event: Path, whole: Path, tmp_path: Path, number: int
):
    command = [DAYBREAK, "scan", str(event), "--nsides", "1,8,64", "-o", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while journal_size(tmp_path) < 20_000 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "results.json").exists()
    else:
        assert process.returncode == InterruptedByUser.exit_code, said
        assert "Traceback" not in said
        partial = results(tmp_path)
        jsonschema.Draft202012Validator(scan_schema()).validate(partial)
        assert partial["complete"] is False
        assert partial["labels"][0]["name"] == "partial"
        assert "NOT COMPLETE" in (tmp_path / "circular.txt").read_text(encoding="utf-8")
        with fits.open(tmp_path / "skymap.fits.gz") as hdus:
            assert hdus[1].header["COMPLETE"] is False
            assert np.nansum(hdus[1].data["PROB"]) == pytest.approx(1.0)
    done = subprocess.run(
        [*command, "--json"], env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    resumed = json.loads(done.stdout)
    assert resumed["work"]["resumed_pixels"] >= 200
    assert resumed["work"]["pixels_fitted_now"] > 0
    assert physics(tmp_path) == physics(whole)


def test_a_contained_event_is_refused(event: Path, tmp_path: Path, monkeypatch):
    from daybreak.neutrino import containment

    monkeypatch.setattr(containment, "containment", lambda event: "the event is contained: made up")
    with pytest.raises(EventError, match="made up") as caught:
        scan(event, out=tmp_path / "out", nsides=(1, 8))
    assert "--force" in caught.value.hint
    assert not (tmp_path / "out").exists()
    assert cli("scan", str(event), "-o", str(tmp_path / "out")) == EventError.exit_code
    result = scan(event, out=tmp_path / "out", nsides=(1, 8), force=True)
    assert result.results["labels"][0]["name"] == "contained"
    assert "made up" in result.results["labels"][0]["text"]
    assert "made up" in result.report.read_text(encoding="utf-8")
    assert "contained" in (tmp_path / "out" / "figures" / "scan_zoom.svg").read_text("utf-8")
    assert "ITS DIRECTION MEANS NOTHING" in (tmp_path / "out" / "circular.txt").read_text("utf-8")


def test_only_a_circle_is_labelled(event: Path, whole: Path, tmp_path: Path):
    best = results(whole)["best_fit"]
    around = (best["ra_deg"], best["dec_deg"], 5.0)
    result = scan(event, out=tmp_path, nsides=NSIDES, around=around)
    assert "region" in [label["name"] for label in result.results["labels"]]
    assert result.results["best_fit"] == best
    assert result.fitted < results(whole)["pixels"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--nsides", "1,7"], 3, "power of 2"),
        (["--nsides", "a"], 3, "no list of numbers"),
        (["--nsides", ""], 3, "no list of numbers"),
        (["--nsides", "64,8"], 3, "grow"),
        (["--around", "10", "95", "1"], 3, "dec_deg"),
        (["--around", "10", "20", "0"], 3, "scan.around.radius"),
        (["--workers", "-1"], 3, "engine.workers"),
        (["--engine", "moon"], 3, "no engine 'moon'"),
        (["--likelihood", "guess"], 3, "guess"),
        (["--contours", "guess"], 3, "'resimulation', 'wilks'"),
        (["--contours", "resimulation", "--likelihood", "dummy"], 3, "no calibration from"),
        (["--event", "7"], 13, "no event 7"),
        (["--event", "-1"], 13, "no event -1"),
    ],
)
def test_what_is_wrong_is_said(event: Path, tmp_path: Path, capsys, options, code, said):
    assert cli("scan", str(event), "-o", str(tmp_path / "out"), *options) == code
    message = capsys.readouterr().err
    assert message.startswith("daybreak: error:")
    assert said in message
    assert "Traceback" not in message
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_file_that_is_missing_or_no_event(tmp_path: Path, capsys):
    assert cli("scan", str(tmp_path / "none.json"), "-o", str(tmp_path / "out")) == 13
    (tmp_path / "text").write_text("hello")
    assert cli("scan", str(tmp_path / "text"), "-o", str(tmp_path / "out")) == 13
    assert "Traceback" not in capsys.readouterr().err


def test_two_scans_of_one_folder_do_not_mix(event: Path, tmp_path: Path):
    from daybreak.errors import OutputError
    from daybreak.products.lock import folder_lock

    with folder_lock(tmp_path), pytest.raises(OutputError, match="in use"):
        scan(event, out=tmp_path, nsides=(1,))


def test_every_key_of_the_schema_is_in_the_documentation():
    page = Path(__file__).resolve().parents[2] / "docs" / "scan-results.md"
    text = page.read_text(encoding="utf-8")

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name, entry in node.get("properties", {}).items():
                assert entry.get("description"), name
                assert f".{name}`" in text or f"`{name}`" in text, name
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(scan_schema())
