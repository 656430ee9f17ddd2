"""Which runs are taken, and the reason for each that is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time
from hypothesis import example, given
from hypothesis import strategies as st

from daybreak.config.analysis import SelectionConfig
from daybreak.errors import ConfigError, NoDataError, TargetError
from daybreak.runs.catalogue import Catalogue, HduEntry, RunEntry
from daybreak.runs.select import blank_position, check_night, read_run_list, select_runs
from daybreak.runs.targets import Target

TARGET = Target("Crab", 83.6331, 22.0145, "test")


@pytest.fixture()
def run(tmp_path):
    """Function: a good run whose file is there, with changes."""

    def make(obs_id: int = 1, **values) -> RunEntry:
        path = tmp_path / f"run_{obs_id}.fits"
        path.write_bytes(b"")
        entry = RunEntry(
            obs_id=obs_id,
            ra_pnt_deg=83.6331,
            dec_pnt_deg=22.5145,
            zenith_deg=40.0,
            ontime_s=1680.0,
            livetime_s=1600.0,
            start=Time("2004-12-04T22:00:00") + obs_id * u.h,
            stop=Time("2004-12-04T22:28:00") + obs_id * u.h,
            object="Crab",
            target_name="Crab",
            tag="crab",
            target_offset_deg=0.5,
            ra_obj_deg=83.63,
            dec_obj_deg=22.01,
            hdus={"events": HduEntry("events", "events", path, "EVENTS")},
        )
        return replace(entry, **values)

    return make


def _select(entries, target=TARGET, unindexed=(), longitude=0.0, **config):
    catalogue = Catalogue(Path("store"), tuple(entries), tuple(unindexed))
    return select_runs(catalogue, target, SelectionConfig(**config), longitude)


def _ids(selection):
    return [r.obs_id for r in selection.runs]


def _reasons(selection):
    return {x.obs_id: x.reason for x in selection.left_out}


def test_good_runs_in_order_of_time(run):
    selection = _select([run(1, start=Time("2004-12-09")), run(2), run(3)])
    assert _ids(selection) == [2, 3, 1] and not selection.left_out


@pytest.mark.parametrize(
    ("values", "config", "reason"),
    [
        ({"zenith_deg": 61.2}, {"max_zenith": "60 deg"}, "zenith angle 61.2 deg above 60 deg"),
        ({"livetime_s": 59.0}, {}, "livetime 59 s below 60 s"),
        ({}, {"night": "2004-12-05"}, "taken in the night of 2004-12-04"),
        ({}, {"start": "2004-12-05"}, "ends before 2004-12-05T00:00:00.000"),
        ({}, {"stop": "2004-12-04T22:59"}, "starts after 2004-12-04T22:59:00.000"),
        ({"start": None, "stop": None}, {"night": "2004-12-04"}, "its time is unknown"),
        ({"hdus": {}}, {}, "the HDU index has no row for this run"),
    ],
)
def test_every_run_left_out_has_its_reason(run, values, config, reason):
    good = run(2, start=Time("2004-12-05T20:00:00"), stop=Time("2004-12-05T20:28:00"))
    if config.get("night") == "2004-12-04" or "stop" in config:
        good = run(2, start=Time("2004-12-04T21:00:00"), stop=Time("2004-12-04T21:28:00"))
    selection = _select([run(1, **values), good], **config)
    assert _ids(selection) == [2]
    assert reason in _reasons(selection)[1]


def test_unknown_values_do_not_exclude(run):
    nan = float("nan")
    selection = _select([run(1, zenith_deg=nan, livetime_s=nan, start=None, stop=None)])
    assert _ids(selection) == [1]


def test_a_missing_file_is_left_out_while_reading(run):
    gone = run(1)
    gone.files[0].unlink()
    (left,) = _select([gone, run(2)]).left_out
    assert (left.obs_id, left.stage, left.file) == (1, "reading", "run_1.fits")
    assert "run_1.fits, which is missing" in left.reason


def test_files_outside_the_index_are_named(run):
    (left,) = _select([run(1)], unindexed=[Path("data/run_9.fits.gz")]).left_out
    assert left.obs_id == -1 and left.file == "run_9.fits.gz" and "not in its index" in left.reason


def test_runs_elsewhere_are_not_listed_unless_asked_for(run):
    far = run(2, ra_pnt_deg=120.0)
    assert _select([run(1), far]).left_out == ()
    selection = _select([run(1), far, run(3)], runs=[1, 2, 77])
    assert _ids(selection) == [1]
    reasons = _reasons(selection)
    assert reasons[77] == "not in the store's index"
    assert reasons[2].startswith("target 3") and "above 2.5 deg" in reasons[2]
    assert reasons[3] == "not in the run list"


def test_a_tag_takes_its_own_runs_only(run):
    tagged = replace(TARGET, tag="crab")
    other = run(2, tag="offdata")
    assert _ids(_select([run(1), other], tagged)) == [1]
    selection = _select([run(1), other], tagged, runs=[1, 2])
    assert "'offdata', not 'crab'" in _reasons(selection)[2]


def test_blank_fields_take_every_pointing_of_the_tag(run):
    nan = float("nan")
    target = Target("offdata", nan, nan, "test", "crab", blank_fields=True)
    runs = [run(1), run(2, ra_pnt_deg=200.0, dec_pnt_deg=-70.0), run(3, tag="x")]
    assert _ids(_select(runs, target)) == [1, 2]


def test_the_offset_limit(run):
    near = run(1, dec_pnt_deg=22.0145 + 2.4)
    assert _ids(_select([near, run(2)])) == [1, 2]
    assert _ids(_select([near, run(2)], max_offset="1 deg")) == [2]


def test_a_run_without_a_pointing_is_not_near(run):
    assert _ids(_select([run(1, ra_pnt_deg=float("nan")), run(2)])) == [2]


def test_outside_every_field(run):
    with pytest.raises(TargetError, match="outside the field of view of all 2 runs") as caught:
        _select([run(1), run(2)], Target("Vega", 279.2, 38.8, "test"))
    assert "selection.max_offset" in caught.value.hint


def test_no_run_at_all(run):
    with pytest.raises(TargetError):
        _select([])
    with pytest.raises(NoDataError, match="run 5: not in the store's index") as caught:
        _select([run(1)], runs=[5])
    assert caught.value.exit_code == 6
    with pytest.raises(NoDataError, match="livetime"):
        _select([run(1, livetime_s=1.0)])


def test_the_night_follows_the_sites_longitude(run):
    time = Time("2004-12-05T11:30:00")
    evening = run(1, start=time, stop=time + 20 * u.min)
    assert _ids(_select([evening], night="2004-12-04")) == [1]
    assert _ids(_select([evening], night="2004-12-05", longitude=16.5)) == [1]


def test_times_come_from_the_file_where_the_index_has_none(run, monkeypatch):
    times = Time("2004-12-04T22:00:00"), Time("2004-12-04T22:28:00")
    monkeypatch.setattr("daybreak.runs.select.header_times", lambda _: times)
    selection = _select([run(1, start=None, stop=None)], night="2004-12-04")
    assert _ids(selection) == [1]


def test_nights():
    assert check_night("2024-02-29") == "2024-02-29"
    assert date.today() - date.fromisoformat(check_night("yesterday")) <= timedelta(days=1)
    for text in ("2023-02-29", "20", "04.12.2004", "", "tomorrow"):
        with pytest.raises(ConfigError, match="is not a night"):
            check_night(text)


@pytest.mark.parametrize(
    ("dec", "north"), [(20.0, True), (-89.9, True), (88.8, False), (90, False)]
)
def test_test_positions_of_blank_fields(run, dec, north):
    pointing = SkyCoord(10.0, dec, unit="deg")
    place = blank_position(run(1, ra_pnt_deg=10.0, dec_pnt_deg=dec), 0.5 * u.deg)
    assert place.separation(pointing).deg == pytest.approx(0.5, abs=1e-9)
    assert (place.dec.deg > dec) == north


def test_run_lists(tmp_path):
    path = tmp_path / "runs.txt"
    path.write_text("# Crab\n23523  Crab wobble\n\n  23526 # good\n23523\n  # done\n")
    assert read_run_list(path) == (23523, 23526)
    path.write_text("night,OBS_ID\n2004-12-05,23523\n2004-12-06,23526\n")
    assert read_run_list(path) == (23523, 23526), "a table, as 'daybreak store list' writes it"
    for text, line in (("23523\nabc\n", 2), ("\n\n1.5\n", 3)):
        path.write_text(text)
        with pytest.raises(ConfigError, match=rf"runs\.txt:{line}: expected a run number"):
            read_run_list(path)
    for text in ("OBS_ID\nx7\n", "9" * 5000):
        path.write_text(text)
        with pytest.raises(ConfigError, match="is not a whole number"):
            read_run_list(path)
    path.write_text("# none\n\n")
    with pytest.raises(ConfigError, match="names no run"):
        read_run_list(path)
    with pytest.raises(ConfigError, match="can't read the run list"):
        read_run_list(tmp_path / "no.txt")
    with pytest.raises(ConfigError, match="can't read the run list"):
        read_run_list(tmp_path)
    path.write_bytes(b"\xff\xfe1\n")
    with pytest.raises(ConfigError, match="is not a text file"):
        read_run_list(path)


@given(st.text(max_size=60) | st.text(alphabet="0123456789 #\n\t-x", max_size=40))
@example("9" * 5000)
@example("١٢\n")
@example("1\f2\x0b3\x1c4\u20285\n")
@example("1_000\n")
def test_any_text_is_a_run_list_or_a_config_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("list") / "runs.txt"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        runs = read_run_list(path)
    except ConfigError as error:
        assert str(path) in error.what
    else:
        assert runs and len(set(runs)) == len(runs)
        assert all(isinstance(r, int) for r in runs)


@given(
    st.lists(
        st.tuples(st.floats(0, 359), st.floats(-89, 89), st.floats(0, 80), st.floats(0, 3000)),
        max_size=8,
    ),
    st.sets(st.integers(1, 9)),
    st.floats(0.1, 5),
)
def test_every_asked_run_is_taken_or_has_one_reason(values, asked, max_offset):
    runs = [
        RunEntry(
            number, ra, dec, zenith, live, live, None, None, "", "", "", np.nan, np.nan, np.nan,
            hdus={"events": HduEntry("events", "events", Path(__file__), "EVENTS")},
        )
        for number, (ra, dec, zenith, live) in enumerate(values, 1)
    ]  # fmt: skip
    config = {"runs": sorted(asked), "max_offset": f"{max_offset} deg", "max_zenith": "60 deg"}
    try:
        selection = _select(runs, **config)
    except (NoDataError, TargetError):
        return
    taken, left = _ids(selection), [x.obs_id for x in selection.left_out]
    assert not set(taken) & set(left)
    assert len(set(left)) == len(left)
    if asked:
        assert set(taken) | set(left) >= asked and set(taken) <= asked
