"""A store with odd files from end to end: analysed, said, found by verify, mended by index."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import daybreak
from daybreak.runs.catalogue import is_point_like, read_catalogue, telescope
from daybreak.simulate import defects
from daybreak.stores.verbs import index_store, verify_store

SETTINGS = ("spectrum.models=[pl]", "maps.enabled=false", "lightcurve.enabled=false")


def _rows(store, function):
    """Change rows of the HDU index; those for which the function is False are dropped."""
    path = store / defects.HDU_INDEX
    with fits.open(path) as hdus:
        table = hdus[1].copy()
    kept = np.array([function(row) is not False for row in table.data])
    table.data = table.data[kept]
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)


def _headers(store, hdu, **values):
    for path in store.rglob("daybreak_virtual*.fits.gz"):
        with fits.open(path, memmap=False) as hdus:
            copy = fits.HDUList([h.copy() for h in hdus])
        for key, value in values.items():
            copy[hdu].header[key] = value(copy[hdu].header[key]) if callable(value) else value
        copy.writeto(path, overwrite=True)


def _wrong_class(store):
    def change(row):
        if str(row["HDU_TYPE"]).strip() == "psf":
            row["HDU_CLASS"] = "psf_king"
        if str(row["HDU_TYPE"]).strip() == "aeff":
            row["HDU_NAME"] = "AREA"

    _rows(store, change)


def _no_gti_rows(store):
    _rows(store, lambda row: str(row["HDU_TYPE"]).strip() != "gti")


def _no_time_reference(store):
    _headers(store, "EVENTS", MJDREFI=0, MJDREFF=0)


def _short_livetime(store):
    _headers(store, "EVENTS", LIVETIME=lambda value: 0.8 * value)


@pytest.fixture(scope="module")
def sound(sound_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("sound") / "out"
    return daybreak.analyse("Crab", store=sound_store, out=out, settings=SETTINGS)


@pytest.fixture()
def store(sound_store, tmp_path):
    return defects.copy_store(sound_store, tmp_path / "store")


ODD = {
    "class": (_wrong_class, "INDEX_WRONG", "the index says psf is psf_king, HDU PSF is psf_table"),
    "gti": (_no_gti_rows, "INDEX_WRONG", "the index has no gti for this run, it was found in"),
    "time": (_no_time_reference, "TIME_REFERENCE", "100 % of the events lie outside the good time"),
    "live": (_short_livetime, "LIVETIME_DIFFERS", "DEADC times the good time is"),
}


@pytest.mark.parametrize("name", ODD)
def test_analysed_and_said(sound, store, tmp_path, name):
    """The numbers of the undisturbed store, in the table, on the page and in results.json; verify
    says the same in the same words."""
    change, flag, words = ODD[name]
    change(store)
    found = daybreak.analyse("Crab", store=store, out=tmp_path / "out", settings=SETTINGS)
    assert found.results["counts"] == sound.results["counts"]
    assert all(flag in row["flags"] for row in found.results["runs"])
    said = found.results["oddities"]
    assert {row["obs_id"] for row in said} == {1, 2, 3} and sound.results["oddities"] == []
    assert any(row["flag"] == flag and words in row["text"] for row in said)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Odd files" in page and words in page and "(2 more runs)" in page
    verified = {f.text.partition(": ")[2] for f in verify_store(store).findings if f.kind == "odd"}
    assert {row["text"] for row in said} <= verified


@pytest.mark.parametrize("name", ["class", "gti"])
def test_the_index_is_made_anew(store, name):
    ODD[name][0](store)
    before = verify_store(store)
    assert [f for f in before.findings if f.kind in ("odd", "hdu")]
    index_store(store, overwrite=True)
    after = verify_store(store)
    assert after.ok and not [f for f in after.findings if f.kind in ("odd", "hdu", "unusable")]


def test_a_live_time_that_is_believed(sound, store, tmp_path):
    """A fifth less live time is a quarter more flux; either way the other is a systematic error."""
    _short_livetime(store)
    found = {}
    for who in ("gti", "header"):
        run = daybreak.analyse(
            "Crab", store=store, out=tmp_path / who,
            settings=[*SETTINGS, f"quality.livetime={who}"],
        )  # fmt: skip
        rows = run.results["systematics"]["parameters"]
        found[who] = next(row for row in rows if row["parameter"] == "amplitude")
        live = [row["livetime_header"] / row["livetime"] for row in run.results["runs"]]
        assert live == pytest.approx([0.8 if who == "gti" else 1.0] * 3)
    assert found["header"]["value"] == pytest.approx(1.25 * found["gti"]["value"], rel=1e-3)
    assert found["gti"]["syst_livetime"] == pytest.approx(0.25 * found["gti"]["value"], rel=1e-3)
    assert found["gti"]["syst"] > 0.25 * found["gti"]["value"]
    parts = found["header"]["syst_livetime"] / found["header"]["value"]
    assert parts == pytest.approx(-0.2, rel=1e-3)


def test_verify_finds_what_an_analysis_would_leave_out(store, tmp_path):
    """In the same words, as an error."""
    _headers(store, "EVENTS", DEADC=7.0)
    found = [f for f in verify_store(store).errors if f.kind == "unusable"]
    assert [f.where for f in found] == ["run 1", "run 2", "run 3"]
    with pytest.raises(daybreak.errors.NoDataError) as caught:
        daybreak.analyse("Crab", store=store, out=tmp_path / "out", settings=SETTINGS)
    assert found[0].text in str(caught.value)
    assert verify_store(store, content=False).ok


def test_a_name_in_the_index_that_is_not_in_the_file(store):
    """Telescope and kind of responses are found by what the HDUs are."""
    before = [(telescope(run), is_point_like(run)) for run in read_catalogue(store).runs]

    def change(row):
        if str(row["HDU_TYPE"]).strip() in ("events", "aeff"):
            row["HDU_NAME"] = "X"

    _rows(store, change)
    runs = read_catalogue(store).runs
    assert [(telescope(run), is_point_like(run)) for run in runs] == before
    assert before[0][0]


def test_results_json_holds_the_oddities(store, tmp_path):
    _no_gti_rows(store)
    out = tmp_path / "out"
    daybreak.analyse("Crab", store=store, out=out, settings=SETTINGS)
    written = json.loads((out / "results.json").read_text())
    assert {tuple(row) for row in written["oddities"]} == {("obs_id", "flag", "text")}


def test_a_store_as_an_observatory_lays_it_out(sound, sound_store, tmp_path):
    """Run numbers of 14 digits, responses in a folder of their own and shared by all runs, some
    files with gzip and some without, no TELESCOP."""
    store = tmp_path / "archive" / "night"
    caldb = tmp_path / "archive" / "caldb" / "v1"
    caldb.mkdir(parents=True)
    defects.copy_store(sound_store, store)
    first = defects.run_file(store, 1)
    with fits.open(first, memmap=False) as hdus:
        for name in ("AEFF", "EDISP", "PSF", "BKG"):
            irf = fits.HDUList([fits.PrimaryHDU(), hdus[name].copy()])
            irf.writeto(caldb / f"{name.lower()}.fits{'.gz' if name == 'PSF' else ''}")
    new = {obs_id: 20_240_101_000_000 + obs_id for obs_id in (1, 2, 3)}
    for obs_id, number in new.items():
        path = defects.run_file(store, obs_id)
        with fits.open(path, memmap=False) as hdus:
            events = fits.HDUList([hdus[0].copy(), hdus["EVENTS"].copy(), hdus["GTI"].copy()])
        events["EVENTS"].header["OBS_ID"] = number
        events["EVENTS"].header.remove("TELESCOP", ignore_missing=True)
        events.writeto(path.with_name(f"{number}.fits{'.gz' if obs_id == 2 else ''}"))
        path.unlink()
    for name in (defects.OBS_INDEX, defects.HDU_INDEX):
        table = Table.read(store / name)
        table["OBS_ID"] = np.array([new[i] for i in table["OBS_ID"]], dtype=np.int64)
        if "HDU_TYPE" in table.colnames:
            rows = zip(table["HDU_TYPE"], table["OBS_ID"], strict=True)
            kinds = [(str(kind).strip(), number) for kind, number in rows]
            gz = {number: ".gz" * (number % 10 == 2) for number in new.values()}
            own = [kind in ("events", "gti") for kind, _ in kinds]
            table["FILE_DIR"] = [
                str(d) if o else "../caldb/v1" for d, o in zip(table["FILE_DIR"], own, strict=True)
            ]
            table["FILE_NAME"] = [
                f"{number}.fits{gz[number]}" if o else f"{kind}.fits{'.gz' * (kind == 'psf')}"
                for (kind, number), o in zip(kinds, own, strict=True)
            ]
        table.write(store / name, overwrite=True)
    instrument = sound.results["instrument"]  # nothing in the files tells it any more
    found = daybreak.analyse(
        "Crab", store=store, out=tmp_path / "out", settings=SETTINGS, instrument=instrument
    )
    runs = found.results["runs"]
    assert [run["obs_id"] for run in runs] == list(new.values())
    assert found.results["oddities"] == []
    own = {k: v for k, v in runs[0].items() if k != "obs_id"}
    assert own == {k: v for k, v in sound.results["runs"][0].items() if k != "obs_id"}
    assert len({run["threshold"] for run in runs}) == 1, "the responses of run 1"
