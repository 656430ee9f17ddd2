"""From files to events, with all that a scan takes from them; and the commands to look at them."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import i3_writer as w
import numpy as np
import pytest

from daybreak.cli.main import main
from daybreak.errors import EventError, OutputError
from daybreak.neutrino import read_events
from daybreak.neutrino.event import Geometry, Pulses
from daybreak.neutrino.geometry import default_geometry


def _flat(series):
    return [(s, o, *p) for (s, o), pulses in sorted(series.items()) for p in pulses]


@pytest.mark.parametrize("name", ["e.i3", "e.i3.zst", "e.json", "gold-e.pkl"])
def test_one_event_from_every_form(tmp_path, name):
    path = tmp_path / name
    if ".i3" in name:
        w.write_i3(path)
    else:
        w.write_message(path, w.message(w.event_frames(), nch=5, reco={"q": {"zen": 1, "azi": 2}}))
    (event,) = read_events(path)
    assert (event.header.run, event.header.event) == (7, 3)
    assert event.header.start.isot == "2023-01-11T00:00:00.000"
    flat = _flat(w.track_series())
    dropped = next(i for i, row in enumerate(flat) if row[:2] == min(w.track_series())) + 1
    if len(w.track_series()[min(w.track_series())]) == 1:
        dropped -= 1
    del flat[dropped]
    assert event.pulses.time_ns.tolist() == [row[2] for row in flat]
    assert event.pulses.string.tolist() == [row[0] for row in flat]
    assert len(event.geometry) == 19 * 20
    fit = event.recos["SomeFit"]
    assert (fit.zenith_rad, fit.azimuth_rad, fit.logl, fit.ndof) == (1.1, 2.2, 123.5, 40)
    assert event.truth is None and event.cleaned is None and event.source == name
    if ".i3" not in name:
        assert event.kind == ("gold" if "gold" in name else "alert") and event.message["nch"] == 5
        assert (event.recos["q"].zenith_rad, math.isnan(event.recos["q"].time_ns)) == (1.0, True)


def test_simulation_has_its_truth_and_its_cleaned_series(tmp_path):
    frames = w.event_frames()
    series = {k: v[:1] for k, v in w.track_series().items() if v[0][3] == 7}
    frames[2] = (
        "P",
        w.frame(
            "P",
            {
                "I3EventHeader": w.header(),
                "InIcePulses": w.pulse_map(w.track_series()),
                "SRTInIcePulses": w.pulse_map(series),
                "I3MCTree": w.mc_tree([(13, 0.3), (-13, 0.4), (11, 0.6)]),
            },
        ),
    )
    (event,) = read_events(w.write_i3(tmp_path / "sim.i3", frames))
    assert event.kind == "simulation"
    assert (event.truth.zenith_rad, event.truth.energy_gev) == (0.4, 2e4)
    assert len(event.cleaned) == len(series) and "few-doms" in event.labels


def test_what_is_no_event_is_left_out(tmp_path):
    frames = w.event_frames()
    null = w.frame("P", {"I3EventHeader": w.header(stream="NullSplit"), "InIcePulses": b"x"})
    frames.insert(2, ("P", null))
    assert len(read_events(w.write_i3(tmp_path / "a.i3", frames))) == 1
    with pytest.raises(EventError, match="no physics event"):
        read_events(w.write_i3(tmp_path / "b.i3", frames[:3]))


def test_unknown_version_in_a_file_names_frame_and_key(tmp_path):
    frames = w.event_frames()
    frames[2] = ("P", w.frame("P", {"I3EventHeader": w.header(version=9), "InIcePulses": b""}))
    with pytest.raises(EventError, match=r"a\.i3: frame 2 \(P\), I3EventHeader .* version 9"):
        read_events(w.write_i3(tmp_path / "a.i3", frames))


@pytest.mark.parametrize("key", ["I3MCTree", "I3OMGeoMap", "I3EventHeader", "InIcePulses"])
def test_objects_of_another_class_under_a_known_key(tmp_path, key):
    windows = w.blob("I3TimeWindowSeries").begin("I3TimeWindowSeries", 1).enter("vector<window>")
    windows.put("I", 1).enter("I3TimeWindow", 1, True).base().put("2d", 1, 2)
    words = w.blob("I3MapStringDouble").begin("I3Map").enter("map").put("I", 1)
    words.enter("pair").text("a").put("d", 1.0)
    for strange in (bytes(windows.data), bytes(words.data)):
        objects = {"I3EventHeader": w.header(), "InIcePulses": w.pulse_map(w.track_series())}
        detector = {"I3OMGeoMap": w.om_geo_map(w.small_detector())}
        (detector if key in detector else objects)[key] = strange
        frames = [("G", w.frame("G", detector)), ("P", w.frame("P", objects))]
        with pytest.raises(EventError, match=rf"{key} is (a|no) "):
            read_events(w.write_i3(tmp_path / "a.i3", frames))


def test_masks_that_select_from_each_other(tmp_path):
    frames = w.event_frames()[:1]
    masks = {"SplitInIcePulses": w.pulse_mask("B", [[True]]), "B": w.pulse_mask("A", [[True]])}
    masks["A"] = w.pulse_mask("B", [[True]])
    frames.append(("P", w.frame("P", {"I3EventHeader": w.header(), **masks})))
    with pytest.raises(EventError, match="selects from itself"):
        read_events(w.write_i3(tmp_path / "a.i3", frames))


@pytest.mark.parametrize("time", [math.nan, math.inf, 1e300])
def test_impossible_times(tmp_path, time):
    frames = w.event_frames()[:1]
    series = w.track_series()
    series[1, 1] = [(time, 1.0, 8.0, 7)]
    objects = {"I3EventHeader": w.header(), "InIcePulses": w.pulse_map(series)}
    frames.append(("P", w.frame("P", objects)))
    with pytest.raises(EventError, match=r"spread over|not a finite"):
        read_events(w.write_i3(tmp_path / "a.i3", frames))


def test_a_geometry_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("DAYBREAK_GEOMETRY", raising=False)
    monkeypatch.chdir(tmp_path)
    path = w.write_i3(tmp_path / "a.i3", w.event_frames()[1:])
    with pytest.raises(EventError, match="--geometry"):
        read_events(path)
    gcd = w.write_i3(tmp_path / "gcd.i3.gz", w.event_frames()[:1])
    assert len(read_events(path, gcd=gcd)) == 1
    monkeypatch.setenv("DAYBREAK_GEOMETRY", str(gcd))
    assert len(default_geometry()) == 380
    small = Geometry("x", np.array([1], np.int16), np.array([1], np.int16), np.zeros((1, 3)))
    with pytest.raises(EventError, match="has no DOM"):
        read_events(path, geometry=small)


def test_pulses_are_put_in_order_and_can_be_selected():
    p = Pulses.from_columns([2, 1, 1], [1, 9, 9], [5, 7.0, 6], [1, 2, 4], [1, 1, 1], [7, 4, 7])
    assert p.time_ns.tolist() == [6, 7, 5] and (p.n_doms, p.qtot) == (2, 7.0)
    assert p.hlc.tolist() == [True, False, True] and len(p.select(p.hlc)) == 2
    with pytest.raises(EventError, match="differ in length"):
        Pulses.from_columns([1], [1], [1.0, 2], [1], [1], [1])
    assert len(Pulses.empty()) == 0


def test_show(tmp_path, capsys):
    path = w.write_i3(tmp_path / "a.i3.gz")
    with pytest.raises(SystemExit) as stop:
        main(["event", "show", str(path)])
    assert not stop.value.code
    text = capsys.readouterr().out
    assert "frame 2 (P): 5 objects" in text and "not decoded" in text
    assert "zenith 63.025" in text and "3 frames, all checksums good" in text
    with pytest.raises(SystemExit):
        main(["event", "show", str(path), "--json", "--streams", "P"])
    (line,) = capsys.readouterr().out.splitlines()
    found = {each["key"]: each for each in json.loads(line)["objects"]}
    assert found["SomeFit"]["type"] == "I3Particle" and found["SomeFit"]["bytes"] == 150


def test_show_an_event_of_our_own(tmp_path, capsys):
    from daybreak.neutrino.event_io import write_event

    (event,) = read_events(w.write_i3(tmp_path / "a.i3"))
    write_event(event, tmp_path / "own.json")
    for option in ([], ["--json"]):
        with pytest.raises(SystemExit) as stop:
            main(["event", "show", str(tmp_path / "own.json"), *option])
        text = capsys.readouterr().out
        assert not stop.value.code and "run 7, event 3" in text and "380 DOMs" in text


def test_show_goes_on_after_an_object_that_it_cannot_read(tmp_path, capsys):
    bad = {"Bad\x1b[31m": w.header(version=8), "Good": w.pod("I3Int", "i", 4)}
    with pytest.raises(SystemExit) as stop:
        main(["event", "show", str(w.write_i3(tmp_path / "a.i3", [("P", w.frame("P", bad))]))])
    text = capsys.readouterr().out
    assert not stop.value.code and "version 8" in text and "\x1b" not in text


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_view(tmp_path, capsys, ending):
    path = w.write_i3(tmp_path / "a.i3")
    with pytest.raises(SystemExit) as stop:
        main(["event", "view", str(path), "-o", str(tmp_path / f"e.{ending}")])
    assert not stop.value.code
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert (tmp_path / f"e.{ending}").read_bytes().startswith(head)
    assert "run 7, event 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["view", "a.i3", "-o", "e.gif"], OutputError.exit_code, "no picture"),
        (["view", "a.i3", "-o", "e.png", "--event", "4"], EventError.exit_code, "no event 4"),
        (["show", "none.i3"], EventError.exit_code, "no file"),
        (["show", "."], EventError.exit_code, "folder"),
        (["show", "text"], EventError.exit_code, "neither"),
    ],
)
def test_failures_of_the_commands(tmp_path, monkeypatch, capsys, arguments, code, says):
    w.write_i3(tmp_path / "a.i3")
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["event", *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == code and says in error and "Traceback" not in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.i3", "text"]


def test_the_command_in_a_process_of_its_own(tmp_path):
    path = w.write_i3(tmp_path / "a.i3", [("P", w.frame("P", {}, checksum=3))])
    run = subprocess.run(
        [sys.executable, "-m", "daybreak", "event", "show", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == EventError.exit_code and "checksum is wrong" in run.stderr
