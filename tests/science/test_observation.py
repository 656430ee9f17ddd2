"""Each defect of a run's file is named with the file, or put right and flagged."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from daybreak.config.analysis import QualityConfig
from daybreak.errors import RunDataError
from daybreak.runs.catalogue import read_catalogue
from daybreak.science.dl3.files import HduLocation
from daybreak.science.gammapy_run import gammapy_observation
from daybreak.science.observation import Reading, load_run
from daybreak.science.quality import run_flags
from daybreak.science.reduce import reduce_run
from daybreak.simulate import defects, simulate_night

BAD, GOOD = 1, 2
FILE = "daybreak_virtual_000001.fits.gz"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    store = tmp_path_factory.mktemp("sound") / "store"
    simulate_night(store, seed=31, n_runs=2, ontime=3 * u.min, sampler="direct")
    return store


@pytest.fixture()
def store(sound, tmp_path):
    return defects.copy_store(sound, tmp_path / "store")


def _load(store, obs_id=BAD, *, with_index=True):
    runs = {r.obs_id: r for r in read_catalogue(store).runs}
    place = runs[obs_id].ra_pnt_deg, runs[obs_id].dec_pnt_deg
    hdus = {k: HduLocation(k, h.hdu_class, h.path, h.hdu) for k, h in runs[obs_id].hdus.items()}
    return load_run(obs_id, hdus, Reading(pointing=place if with_index else None))


REFUSED = {
    "truncated file": "truncated or damaged",
    "truncated FITS": "truncated or damaged",
    "damaged gzip": "truncated or damaged",
    "not FITS": "truncated or damaged",
    "empty file": "truncated or damaged",
    "missing file": "it is not there",
    "no EVENTS HDU": r"no HDU 'EVENTS' \(events\)",
    "no AEFF HDU": r"no HDU 'AEFF' \(aeff\)",
    "no EDISP HDU": r"no HDU 'EDISP' \(edisp\)",
    "no PSF HDU": r"no HDU 'PSF' \(psf\)",
    "no BKG HDU": r"no HDU 'BKG' \(bkg\)",
    "NaN in AEFF": "values of aeff are not finite",
    "NaN in BKG": "values of bkg are not finite",
    "empty GTI": "the GTI is empty",
    "GTI of no length": "the GTI is empty",
    "no livetime": r"the livetime is zero \(DEADC is 0\)",
    "wrong OBS_ID": "the index says run 1, the file says OBS_ID 999999",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_files_name(store, name):
    defects.RUN_DEFECTS[name](store, BAD)
    with pytest.raises(RunDataError, match=REFUSED[name]) as caught:
        _load(store)
    assert caught.value.what.startswith(FILE)
    assert caught.value.hint and caught.value.exit_code == 7
    assert _load(store, GOOD).events_total > 100


USED = {
    "negative AEFF": ("IRF_REPAIRED", ("aeff",)),
    "negative EDISP": ("IRF_REPAIRED", ("edisp",)),
    "negative PSF": ("IRF_REPAIRED", ("psf",)),
    "negative BKG": ("IRF_REPAIRED", ("bkg",)),
    "NaN energies": ("EVENTS_BAD", ()),
    "NaN positions": ("EVENTS_BAD", ()),
    "no events": ("NO_EVENTS", ()),
    "events after GTI": ("EVENTS_OUTSIDE_GTI", ()),
    "no background response": ("NO_BACKGROUND_IRF", ()),
    "no GTI HDU": ("NO_GTI", ()),
    "doubled index rows": (None, ()),
    "BKG all zero": ("RESPONSE_ODD", ()),
}


@pytest.mark.parametrize("name", USED)
def test_used_with_a_flag(store, night, name):
    sound_events = _load(store).events_total
    defects.RUN_DEFECTS[name](store, BAD)
    run = _load(store)
    flag, repaired = USED[name]
    assert run.repaired == repaired
    observation = gammapy_observation(run)
    for kind in ("aeff", "edisp", "psf", "bkg"):
        irf = getattr(observation, kind)
        assert irf is None or np.all(irf.data >= 0)
        assert kind not in run.irfs or np.all(run.irfs[kind].values >= 0)
    events = run.events
    assert np.isfinite(events.energy_tev).all() and np.isfinite(events.ra_deg).all()
    assert len(events) + run.events_bad + run.events_outside_gti == run.events_total
    if name == "events after GTI":
        assert run.events_outside_gti == 50
    if name.startswith("NaN"):
        assert run.events_bad == -(-sound_events // 10)
    reduced = reduce_run(run, night.setup)
    flags = run_flags(reduced.info, QualityConfig())
    assert (flag in flags) if flag else not set(flags) & {"IRF_REPAIRED", "EVENTS_BAD"}
    for array in (reduced.counts_on, reduced.exposure_cm2_s, reduced.edisp):
        assert np.isfinite(array).all()
    assert reduced.exposure_cm2_s.min() >= 0 and reduced.edisp.min() >= 0
    for image in reduced.maps.values():
        assert np.isfinite(image).all()


def test_every_defect_has_its_test():
    other = {"no index rows"}
    assert set(REFUSED) | set(USED) | other == set(defects.RUN_DEFECTS)


@pytest.mark.parametrize("kind", ["events", "gti", "aeff", "edisp", "psf", "bkg"])
def test_an_hdu_missing_from_the_index_is_found_in_the_file(store, kind):
    run = read_catalogue(store).runs[0]
    hdus = {k: HduLocation(k, h.hdu_class, h.path, h.hdu) for k, h in run.hdus.items() if k != kind}
    found, whole = load_run(BAD, hdus), _load(store)
    assert found.hdus == whole.hdus and len(found.events) == len(whole.events)
    assert found.livetime_s == whole.livetime_s
    assert [o.flag for o in found.oddities] == ["INDEX_WRONG"]
    assert f"no {kind} for this run" in found.oddities[0].text


@pytest.mark.parametrize("kind", ["EVENTS", "AEFF", "EDISP"])
def test_an_hdu_that_is_neither_in_the_index_nor_in_the_file(store, kind):
    run = read_catalogue(store).runs[0]
    defects.drop_hdu(store, BAD, kind)
    hdus = {
        k: HduLocation(k, h.hdu_class, h.path, h.hdu)
        for k, h in run.hdus.items()
        if k != kind.lower()
    }
    with pytest.raises(RunDataError, match=f"run 1: the index has no {kind.lower()} HDU, nor"):
        load_run(BAD, hdus)


def test_a_point_source_needs_a_psf(store, night):
    defects.drop_irf(store, BAD, "PSF")
    with pytest.raises(RunDataError, match="run 1: no PSF"):
        reduce_run(_load(store), night.setup)


def test_an_unknown_kind_of_response(store):
    run = read_catalogue(store).runs[0]
    hdus = {
        k: HduLocation(k, "aeff_99d" if k == "aeff" else h.hdu_class, h.path, h.hdu)
        for k, h in run.hdus.items()
    }
    assert [o.flag for o in load_run(BAD, hdus).oddities] == ["INDEX_WRONG"]


@pytest.mark.parametrize(
    ("hdu", "key", "value", "flag"),
    [
        ("EVENTS", "MJDREFI", None, "TIME_REFERENCE"),
        ("EVENTS", "MJDREFI", "soon", "TIME_REFERENCE"),
        ("GTI", "MJDREFI", None, "TIME_REFERENCE"),
        ("EVENTS", "RA_PNT", None, "POINTING_ODD"),
        ("EVENTS", "RA_PNT", "north", "POINTING_ODD"),
        ("EVENTS", "DEADC", None, "HEADER_ODD"),
        ("EVENTS", "DEADC", "some", "HEADER_ODD"),
        ("EVENTS", "DEADC", 1.5, ""),
    ],
)
def test_a_header_without_what_is_needed(store, hdu, key, value, flag):
    sound = _load(store)
    path = defects.run_file(store, BAD)
    with fits.open(path, memmap=False) as hdus:
        copy = fits.HDUList([h.copy() for h in hdus])
    if value is None:
        del copy[hdu].header[key]
    else:
        copy[hdu].header[key] = value
    copy.writeto(path, overwrite=True)
    if not flag:
        with pytest.raises(RunDataError, match=f"{FILE}, {hdu}: {key} is "):
            _load(store)
        return
    run = _load(store)
    assert flag in [o.flag for o in run.oddities]
    assert len(run.events) == len(sound.events) and run.livetime_s == sound.livetime_s
    np.testing.assert_allclose(run.pointing, sound.pointing, atol=1e-4)
    if key == "RA_PNT":  # without the index, by altitude and azimuth, which are means over the run
        other = _load(store, with_index=False)
        assert "ALT_PNT, AZ_PNT in the middle of the run" in other.oddities[0].text
        np.testing.assert_allclose(other.pointing, sound.pointing, atol=0.5)


def test_columns_that_are_missing(store):
    path = defects.run_file(store, BAD)
    for hdu, column in (("EVENTS", "ENERGY"), ("GTI", "STOP"), ("AEFF", "EFFAREA")):
        with fits.open(path, memmap=False) as hdus:
            copy = fits.HDUList([h.copy() for h in hdus])
        kept = fits.ColDefs([c for c in copy[hdu].columns if c.name != column])
        lame = fits.BinTableHDU.from_columns(kept, header=copy[hdu].header, name=hdu)
        fits.HDUList([lame if h.name == hdu else h for h in copy]).writeto(path, overwrite=True)
        with pytest.raises(RunDataError, match=FILE):
            _load(store)
        copy.writeto(path, overwrite=True)
    assert _load(store).events_total
