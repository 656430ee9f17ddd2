"""Files as observatories really write them: each kind of oddity, with the value that is right."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from daybreak.errors import RunDataError
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science.dl3.files import HduLocation
from daybreak.science.dl3.locate import with_hints
from daybreak.science.observation import Reading, load_run
from daybreak.science.reduce import reduce_run
from daybreak.science.run import ReductionSetup
from daybreak.science.systematics import livetime_shift
from daybreak.simulate import simulate_night

TT_LESS_UTC = 69.184  # s, since 2017


class Sound:
    """A run of 20 minutes, reduced as it is."""

    def __init__(self, folder):
        store = folder / "store"
        simulate_night(store, seed=6, n_runs=1, ontime=20 * u.min, sampler="direct")
        stage = first_stage(analysis_request("Crab", store=store, out=folder / "out"))
        (step,) = (s for s in stage.plan.steps if s.name.startswith("reduce-"))
        self.obs_id = step.params["obs_id"]
        self.hints = with_hints(step.params["hdus"])
        self.reading = Reading.from_dict(step.params["reading"])
        self.setup = replace(ReductionSetup.from_dict(step.params["setup"]), maps=None)
        self.path = self.hints["events"].path
        self.run = self.load(self.hints)
        self.reduced = reduce_run(self.run, self.setup)

    def load(self, hints, **reading):
        return load_run(self.obs_id, hints, replace(self.reading, **reading))

    def at(self, path) -> dict[str, HduLocation]:
        return {kind: replace(hint, path=path) for kind, hint in self.hints.items()}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return Sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture()
def changed(sound, tmp_path):
    """The run with its file changed by a function of its HDUs."""

    def make(change: Callable, hints=None, **reading):
        with fits.open(sound.path, memmap=False) as hdus:
            copy = fits.HDUList([h.copy() for h in hdus])
        change(copy)
        copy.writeto(tmp_path / "changed.fits", overwrite=True)
        places = sound.at(tmp_path / "changed.fits")
        return sound.load(hints(places) if hints else places, **reading)

    return make


def same(sound, run, *flags, text=""):
    """It gives what the sound run gives, and is flagged so and not otherwise."""
    assert [o.flag for o in run.oddities] == list(flags)
    assert text in " ".join(o.text for o in run.oddities)
    np.testing.assert_allclose(run.livetime_s, sound.run.livetime_s, rtol=1e-6)
    found = reduce_run(run, sound.setup)
    assert found.counts_on.tolist() == sound.reduced.counts_on.tolist()
    ours, theirs = (r.backgrounds["reflected"] for r in (found, sound.reduced))
    assert ours.counts_off.tolist() == theirs.counts_off.tolist()
    np.testing.assert_allclose(found.exposure_cm2_s, sound.reduced.exposure_cm2_s, rtol=1e-5)
    np.testing.assert_allclose(found.edisp, sound.reduced.edisp, rtol=1e-5, atol=1e-9)


def add_events(hdus, rows):
    """Append rows of the events to them."""
    events = hdus["EVENTS"]
    n = len(events.data)
    more = fits.BinTableHDU.from_columns(
        events.columns, nrows=n + len(rows), header=events.header, name="EVENTS"
    )
    for name in events.columns.names:
        more.data[name][n:] = events.data[name][rows]
    hdus[hdus.index_of("EVENTS")] = more
    return more.data[n:]


def test_the_run_as_it_is(sound):
    assert sound.run.oddities == () and len(sound.run.events) > 3000
    same(sound, sound.load(sound.hints))


# what the index says --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["psf", "aeff", "edisp", "bkg", "events", "gti"])
def test_a_wrong_class_or_name_in_the_index(sound, kind):
    hint = sound.hints[kind]
    if kind not in ("events", "gti"):
        wrong = sound.hints | {kind: replace(hint, hdu_class="psf_3gauss")}
        text = f"the index says {kind} is psf_3gauss, HDU {hint.hdu} is {hint.hdu_class}"
        same(sound, sound.load(wrong), "INDEX_WRONG", text=text)
    for name in ("NOWHERE", "AEFF" if kind != "aeff" else "PSF"):
        wrong = sound.hints | {kind: replace(hint, hdu=name)}
        text = f"the index says {kind} is HDU {name}, it is HDU {hint.hdu}"
        same(sound, sound.load(wrong), "INDEX_WRONG", text=text)
    lower = sound.hints | {kind: replace(hint, hdu=str(hint.hdu).lower())}
    same(sound, sound.load(lower))


def test_two_that_could_be_meant(sound, changed):
    def twice(hdus):
        hdus.append(hdus["AEFF"].copy())
        hdus[-1].name = "AEFF_HARD_CUTS"

    same(sound, changed(twice))
    with pytest.raises(RunDataError, match="that is not there, but AEFF, AEFF_HARD_CUTS"):
        changed(twice, lambda h: h | {"aeff": replace(h["aeff"], hdu="EFFECTIVE AREA")})


def test_hdus_without_names(sound, changed):
    def nameless(hdus):
        for hdu in hdus[1:]:
            del hdu.header["EXTNAME"]

    run = changed(nameless)
    same(sound, run, *["INDEX_WRONG"] * 6, text="it is HDU 1")


# times ---------------------------------------------------------------------------------------


def test_no_good_time_at_all(sound, changed):
    text = "TSTART to TSTOP taken as good time, 1200 s"

    def drop(hdus):
        del hdus["GTI"]

    same(sound, changed(drop), "NO_GTI", text=text)
    run = changed(drop, lambda h: {k: v for k, v in h.items() if k != "gti"})
    same(sound, run, "NO_GTI", text=text)

    def neither(hdus):
        drop(hdus)
        del hdus["EVENTS"].header["TSTART"]

    with pytest.raises(RunDataError, match="EVENTS: there is no GTI table, and TSTART and TSTOP"):
        changed(neither)


@pytest.mark.parametrize("hdu", ["EVENTS", "GTI"])
@pytest.mark.parametrize("key", ["MJDREFI", "MJDREFF"])
def test_one_time_reference_left_at_zero(sound, changed, hdu, key):
    """Of the two the one of our days is taken, whoever has it."""

    def zero(hdus):
        hdus[hdu].header[key] = 0

    run = changed(zero)
    same(sound, run, "TIME_REFERENCE")
    if key == "MJDREFI":
        assert abs(run.good_time.first.mjd - sound.run.good_time.first.mjd) < 1e-6


def test_leap_seconds_counted_in_one_table_only(sound, changed):
    def utc(hdus):
        hdus["EVENTS"].header["TIMESYS"] = "UTC"

    same(sound, changed(utc), "TIME_REFERENCE", text="69.184 s apart")


def test_leap_seconds_counted_in_both_tables(sound, changed):
    def utc(hdus):
        for hdu in ("EVENTS", "GTI"):
            hdus[hdu].header["TIMESYS"] = "utc"

    run = changed(utc)
    same(sound, run)
    late = (run.good_time.first - sound.run.good_time.first).to_value("s")
    assert late == pytest.approx(TT_LESS_UTC)


def test_events_of_another_night(sound, changed):
    def later(hdus):
        hdus["EVENTS"].data["TIME"] += 86400

    with pytest.raises(RunDataError) as caught:
        changed(later)
    said = caught.value.what
    assert f"all {sound.run.events_total} events lie outside the good time" in said
    assert sound.run.good_time.first.utc.iso[:16] in said, "the good time"
    assert (sound.run.good_time.first + 1 * u.day).utc.iso[:10] in said, "the events"


def _gti(start, stop, *others):
    """Set the intervals: fractions of the run."""

    def change(hdus):
        gti = hdus["GTI"]
        first, last = float(gti.data["START"][0]), float(gti.data["STOP"][0])
        table = fits.BinTableHDU.from_columns(
            gti.columns, nrows=1 + len(others), header=gti.header, name="GTI"
        )
        for row, (low, high) in enumerate([(start, stop), *others]):
            table.data["START"][row] = first + low * (last - first)
            table.data["STOP"][row] = first + high * (last - first)
        hdus[hdus.index_of("GTI")] = table

    return change


@pytest.mark.parametrize(
    ("intervals", "text"),
    [
        ([(0.5, 1.0), (0.0, 0.5)], "not in order"),
        ([(0.0, 0.7), (0.3, 1.0)], "overlap by 480 s"),
        ([(0.0, 1.0), (0.2, 0.4)], "overlap by 240 s"),
        ([(0.0, 1.0), (0.9, 0.8)], "1 of 2 intervals end before they start"),
        ([(0.0, 1.0), (np.nan, 0.8)], "1 of 2 intervals end before they start or have no times"),
        ([(0.0, 1.0), (5.0, 6.0)], "lie outside TSTART to TSTOP"),
        ([(-4.0, 9.0)], "lie outside TSTART to TSTOP"),
    ],
)
def test_good_time_that_can_not_be(sound, changed, intervals, text):
    """Live time is that of the union; what can't be is set aside; flagged."""
    same(sound, changed(_gti(*intervals[0], *intervals[1:])), "GTI_REPAIRED", text=text)


def test_good_time_in_pieces_is_nothing_odd(sound, changed):
    same(sound, changed(_gti(0.0, 0.25, (0.25, 0.5), (0.5, 1.0))))
    run = changed(_gti(0.0, 0.25, (0.5, 1.0)))
    assert [o.flag for o in run.oddities] == ["LIVETIME_DIFFERS"]
    assert run.events_outside_gti > 0
    assert livetime_shift([reduce_run(run, sound.setup)]) == 0, "LIVETIME is that of all"
    assert run.good_time.ontime_s == pytest.approx(0.75 * 1200)


def test_a_negative_interval_alone(changed):
    with pytest.raises(RunDataError, match=r"GTI: the GTI is empty \(none of its 1 intervals"):
        changed(_gti(1.0, 0.0))


@pytest.mark.parametrize("gaps", ["keep", "cut"])
def test_lost_time_that_the_good_time_does_not_know(sound, changed, gaps):
    """A quarter of the run without events, in the middle: noted, and taken out if wanted."""

    def stop(hdus):
        events = hdus["EVENTS"]
        time = events.data["TIME"]
        first = hdus["GTI"].data["START"][0]
        events.data = events.data[(time < first + 300) | (time > first + 600)]

    run = changed(stop, gaps=gaps)
    assert [o.flag for o in run.oddities] == ["GTI_WITHOUT_EVENTS"]
    assert "of 1200 s of good time hold no event" in run.oddities[0].text
    expected = 1200 if gaps == "keep" else 900
    assert run.good_time.ontime_s == pytest.approx(expected, abs=2)
    inside = run.good_time.holds(
        (run.events.time_mjd - run.good_time.reference.tt.mjd) * 86400, run.good_time.reference
    )
    assert inside.mean() > 0.999, "but for those on an edge, by rounding"
    assert run.events_outside_gti == 0


# live time -----------------------------------------------------------------------------------


def test_a_live_time_below_the_good_time(sound, changed):
    """Both figures are told, and the difference is part of the flux's systematic error."""

    def shorter(hdus):
        for key in ("ONTIME", "LIVETIME"):
            hdus["EVENTS"].header[key] *= 0.8

    run = changed(shorter)
    same(sound, run, "LIVETIME_DIFFERS", text=f"LIVETIME is {0.8 * run.livetime_s:.1f} s")
    reduced = reduce_run(run, sound.setup)
    assert reduced.info["livetime_header_s"] == pytest.approx(0.8 * sound.run.livetime_s)
    assert livetime_shift([reduced]) == pytest.approx(0.25)
    believed = changed(shorter, livetime="header")
    assert believed.livetime_s == pytest.approx(0.8 * sound.run.livetime_s)
    reduced = reduce_run(believed, sound.setup)
    np.testing.assert_allclose(
        reduced.exposure_cm2_s, 0.8 * sound.reduced.exposure_cm2_s, rtol=1e-6
    )
    assert livetime_shift([reduced]) == pytest.approx(-0.2)
    assert livetime_shift([sound.reduced]) == 0

    def none(hdus):
        del hdus["EVENTS"].header["LIVETIME"]

    same(sound, changed(none))
    with pytest.raises(RunDataError, match=r"quality\.livetime is header, and LIVETIME is missing"):
        changed(none, livetime="header")


# events --------------------------------------------------------------------------------------


def test_events_that_stand_twice(sound, changed):
    """Rows once more; the same event reconstructed anew; three times."""
    n = sound.run.events_total

    def rows(hdus):
        add_events(hdus, np.arange(n // 2))

    run = changed(rows)
    same(sound, run, "EVENTS_DOUBLED", text=f"{n // 2} of {n + n // 2} events")
    assert run.events_doubled == n // 2 and run.events_total == n + n // 2

    def anew(hdus):
        add_events(hdus, np.arange(100))["ENERGY"] *= 1.1

    same(sound, changed(anew), "EVENTS_DOUBLED", text="100 with the same EVENT_ID and TIME")

    def thrice(hdus):
        add_events(hdus, np.r_[np.arange(50), np.arange(50)])

    same(sound, changed(thrice), "EVENTS_DOUBLED", text=f"100 of {n + 100} events")


def test_event_numbers_that_begin_anew(sound, changed):
    """Sub-runs counted from 1: different events, all kept."""

    def anew(hdus):
        data = hdus["EVENTS"].data
        data["EVENT_ID"] = np.arange(len(data)) % 1000

    same(sound, changed(anew), "EVENT_IDS_REPEATED")

    def constant(hdus):
        hdus["EVENTS"].data["EVENT_ID"] = 7

    same(sound, changed(constant))


def test_column_names_in_lower_case(sound, changed):
    def lower(hdus):
        for hdu in hdus[1:]:
            for column in hdu.columns:
                column.name = column.name.lower()

    same(sound, changed(lower))


# pointing ------------------------------------------------------------------------------------


def test_a_drift_scan_that_tracked(sound, changed):
    def drift(hdus):
        header = hdus["EVENTS"].header
        header["OBS_MODE"] = "DRIFT"
        del header["RA_PNT"], header["DEC_PNT"]

    run = changed(drift)
    same(sound, run, "POINTING_ODD", text="OBS_MODE is DRIFT: the pointing is that of RA_PNT")
    alone = changed(drift, pointing=None)
    assert "that of ALT_PNT, AZ_PNT in the middle of the run" in alone.oddities[0].text
    np.testing.assert_allclose(alone.pointing, sound.run.pointing, atol=0.6)


def test_a_drift_scan_that_drifted(changed):
    """The sky went by, five degrees in 20 minutes."""

    def drift(hdus):
        events = hdus["EVENTS"]
        events.header["OBS_MODE"] = "DRIFT"
        time = events.data["TIME"] - events.data["TIME"].min()
        events.data["RA"] += time / 1200 * 5

    with pytest.raises(
        RunDataError, match=r"OBS_MODE is DRIFT and the events moved by [23]\.\d deg"
    ):
        changed(drift)


def test_file_and_index_point_elsewhere(sound, changed):
    place = sound.run.pointing[0], sound.run.pointing[1] + 1.0
    same(sound, changed(lambda hdus: None, pointing=place), "INDEX_WRONG", text="are 1.00 deg from")


# units, numbers, files -----------------------------------------------------------------------


def _unit(hdu, columns, unit, factor):
    def change(hdus):
        for name in columns.split():
            values = hdus[hdu].data[name] * np.float64(factor)
            hdus[hdu].data[name] = values
            hdus[hdu].columns[name].unit = unit

    return change


@pytest.mark.parametrize(
    ("hdu", "columns", "unit", "factor"),
    [
        ("EVENTS", "ENERGY", "GeV", 1e3),
        ("EVENTS", "ENERGY", "MeV", 1e6),
        ("EVENTS", "RA DEC", "rad", np.pi / 180),
        ("AEFF", "EFFAREA", "cm2", 1e4),
        ("AEFF", "EFFAREA", "cm**2", 1e4),
        ("AEFF", "EFFAREA", "km2", 1e-6),
        ("AEFF", "ENERG_LO ENERG_HI", "GeV", 1e3),
        ("AEFF", "THETA_LO THETA_HI", "rad", np.pi / 180),
        ("EDISP", "ENERG_LO ENERG_HI", "MeV", 1e6),
        ("PSF", "RPSF", "deg-2", (np.pi / 180) ** 2),
        ("PSF", "RAD_LO RAD_HI THETA_LO THETA_HI", "rad", np.pi / 180),
        ("PSF", "RAD_LO RAD_HI", "arcsec", 3600),
    ],
)
def test_other_units(sound, changed, hdu, columns, unit, factor):
    run = changed(_unit(hdu, columns, unit, factor))
    assert run.oddities == ()
    found = reduce_run(run, sound.setup)
    # single precision: an event on an edge may change sides
    assert abs(found.counts_on.sum() - sound.reduced.counts_on.sum()) <= 1
    np.testing.assert_allclose(found.exposure_cm2_s, sound.reduced.exposure_cm2_s, rtol=1e-5)
    np.testing.assert_allclose(found.edisp, sound.reduced.edisp, atol=1e-4)


@pytest.mark.parametrize(
    ("hdu", "columns", "factor", "message"),
    [
        ("AEFF", "EFFAREA", 1e4, "largest effective area is .* m2 by its unit"),
        ("EVENTS", "ENERGY", 1e6, "ENERGY: .* energies are below 0.1 GeV or above 10 PeV"),
        ("PSF", "RPSF", (np.pi / 180) ** 2, "the PSF holds 0.000305 of a source in place of 1"),
    ],
)
def test_numbers_that_belie_their_unit(sound, changed, hdu, columns, factor, message):
    unit = {"AEFF": "m2", "EVENTS": "TeV", "PSF": "sr-1"}[hdu]
    with pytest.raises(RunDataError, match=message):
        changed(_unit(hdu, columns, unit, factor))


def test_a_run_number_beyond_32_bits(sound, changed):
    number = 20_241_129_000_123

    def large(hdus):
        hdus["EVENTS"].header["OBS_ID"] = number

    sound_id, sound.obs_id = sound.obs_id, number
    try:
        run = changed(large)
        assert run.obs_id == number
        same(sound, run)
    finally:
        sound.obs_id = sound_id


@pytest.mark.parametrize("key", ["TELESCOP", "OBJECT", "ALT_PNT", "HDUCLAS1", "HDUVERS"])
def test_a_keyword_that_can_be_missed(sound, changed, key):
    def drop(hdus):
        hdus["EVENTS"].header.remove(key, ignore_missing=True)

    same(sound, changed(drop))


def test_responses_in_files_of_their_own(sound, tmp_path):
    """As in a calibration database, one of them with gzip and the others without."""
    hints = dict(sound.hints)
    with fits.open(sound.path, memmap=False) as hdus:
        for kind in ("aeff", "edisp", "psf", "bkg"):
            path = tmp_path / f"caldb_{kind}.fits"
            fits.HDUList([fits.PrimaryHDU(), hdus[kind.upper()].copy()]).writeto(path)
            if kind == "psf":
                path.with_suffix(".fits.gz").write_bytes(gzip.compress(path.read_bytes()))
                path = path.with_suffix(".fits.gz")
            hints[kind] = replace(hints[kind], path=path)
        events = tmp_path / "events.fits"
        fits.HDUList([fits.PrimaryHDU(), hdus["EVENTS"].copy(), hdus["GTI"].copy()]).writeto(events)
    for kind in ("events", "gti"):
        hints[kind] = replace(hints[kind], path=events)
    same(sound, sound.load(hints))
