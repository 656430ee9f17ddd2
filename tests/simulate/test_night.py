"""Whole nights: what is written, that it is reproducible, and that the truth comes back."""

from __future__ import annotations

import filecmp
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from gammapy.data import DataStore
from gammapy.datasets import Datasets, SpectrumDataset
from gammapy.makers import (
    ReflectedRegionsBackgroundMaker,
    SafeMaskMaker,
    SpectrumDatasetMaker,
    WobbleRegionsFinder,
)
from gammapy.maps import MapAxis, RegionGeom
from gammapy.modeling import Fit
from gammapy.modeling.models import PowerLawSpectralModel, SkyModel
from regions import CircleSkyRegion, PointSkyRegion

from daybreak.errors import ConfigError, OutputError, ProductError
from daybreak.products.atomic import PARTIAL_MARK
from daybreak.simulate import (
    Field,
    Flare,
    VirtualInstrument,
    crab_like,
    read_truth,
    simulate_night,
    simulate_store,
)
from daybreak.simulate.instrument import full_enclosure_irfs, point_like_irfs


def _same(a, b):
    names = [p.relative_to(a) for p in sorted(a.rglob("*")) if p.is_file()]
    assert names == [p.relative_to(b) for p in sorted(b.rglob("*")) if p.is_file()]
    return all(filecmp.cmp(a / n, b / n, shallow=False) for n in names)


@pytest.mark.parametrize("sampler", ["gammapy", "direct"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, sampler):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate_night(tmp_path / name, seed=seed, n_runs=2, sampler=sampler)
    assert _same(tmp_path / "a", tmp_path / "b")
    assert not _same(tmp_path / "a", tmp_path / "c")


def test_another_process_gives_the_same_bytes(tmp_path, two_runs):
    code = (
        "import sys; from pathlib import Path; from daybreak.simulate import simulate_night; "
        "simulate_night(Path(sys.argv[1]), seed=13, n_runs=2, sampler='direct')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True)
    assert _same(two_runs, tmp_path / "again")


def _events(store, obs_id):
    with fits.open(store / "data" / f"daybreak_virtual_{obs_id:06d}.fits.gz") as hdus:
        return hdus["EVENTS"].data.copy()


def test_a_run_depends_on_its_number_alone(tmp_path, two_runs):
    """Run 2 is the same whether it's simulated with run 1 or in another store without it."""
    south = crab_like().position.directional_offset_by(180 * u.deg, 0.5 * u.deg)
    one = Field("Virtual Crab", south, [crab_like()], n_runs=1, wobble=0 * u.deg)
    simulate_store(tmp_path / "alone", [one], seed=13, first_obs_id=2, sampler="direct")
    alone, with_other = _events(tmp_path / "alone", 2), _events(two_runs, 2)
    for column in ("RA", "DEC", "ENERGY", "MC_ID"):
        np.testing.assert_array_equal(alone[column], with_other[column])


def test_gammapy_reads_the_store(night):
    store, truth = night
    data_store = DataStore.from_dir(store)
    observations = data_store.get_observations(required_irf="full-enclosure")
    assert [int(o.obs_id) for o in observations] == [1, 2, 3, 4]
    irfs = full_enclosure_irfs(VirtualInstrument())
    for observation, row in zip(observations, truth.runs, strict=True):
        assert len(observation.events.table) == row.n_background + sum(row.n_source.values())
        assert observation.observation_live_time_duration.to_value("s") == pytest.approx(1596)
        assert observation.gti.time_sum.to_value("s") == pytest.approx(1680)
        start = observation.gti.time_start[0].utc
        assert abs((start - type(start)(row.start_utc, scale="utc")).to_value("s")) < 1e-2
        time = observation.events.time
        assert time[0] >= observation.gti.time_start[0]
        assert time[-1] <= observation.gti.time_stop[0]
        assert observation.observatory_earth_location.lat.deg == pytest.approx(28.8, abs=0.2)
        for name in ("aeff", "edisp", "psf", "bkg"):
            read = getattr(observation, name)
            np.testing.assert_allclose(
                read.quantity, irfs[name].quantity.astype(np.float32), rtol=1e-6
            )
            assert read.axes.names == irfs[name].axes.names
        assert observation.aeff.meta["LO_THRES"] == 0.15


def test_headers_and_index_agree(night):
    store, _ = night
    with fits.open(store / "obs-index.fits.gz") as hdus:
        index = hdus[1].data.copy()
        assert hdus[1].header["HDUCLAS2"] == "OBS"
    assert list(index["TARGET_TAG"]) == ["virtual_crab"] * 4
    np.testing.assert_allclose(index["TARGET_OFFSET"], 0.5, rtol=1e-6)
    assert ((index["ZEN_PNT"] > 0) & (index["ZEN_PNT"] < 40)).all()
    for row in index:
        with fits.open(store / "data" / f"daybreak_virtual_{row['OBS_ID']:06d}.fits.gz") as hdus:
            header, events = hdus["EVENTS"].header, hdus["EVENTS"].data
            assert header["TELESCOP"] == "DAYBREAK-VIRTUAL"
            assert hdus[0].header["CREATOR"].startswith("daybreak ")
            assert hdus[0].header["DBSTEP"] == "simulate"
            assert all(hdu.header["OBS_ID"] == row["OBS_ID"] for hdu in hdus[1:])
            for key in ("OBS_ID", "RA_PNT", "DEC_PNT", "TSTART", "TSTOP", "LIVETIME", "DEADC"):
                assert header[key] == row[key]
            assert len(events) == row["EVENT_COUNT"]
            assert (events["EVENT_ID"] == np.arange(1, len(events) + 1)).all()
            assert (np.diff(events["TIME"]) >= 0).all()


def test_sizes_in_the_index_are_those_in_the_file(night):
    with fits.open(night[0] / "hdu-index.fits.gz") as hdus:
        rows = hdus[1].data.copy()
    for row in rows:
        with fits.open(night[0] / row["FILE_DIR"] / row["FILE_NAME"]) as hdus:
            assert hdus[row["HDU_NAME"]].filebytes() == row["SIZE"]


def test_altitude_is_that_of_astropy(night):
    """Against astropy's own transformation, with no table from the network."""
    from astropy.coordinates import AltAz, EarthLocation
    from astropy.time import Time
    from astropy.utils import iers

    _, truth = night
    with fits.open(night[0] / "obs-index.fits.gz") as hdus:
        row = hdus[1].data[0]
    run = truth.runs[0]
    place = EarthLocation.from_geodetic(-17.9 * u.deg, 28.8 * u.deg, 2200 * u.m)
    with iers.conf.set_temp("auto_download", False):
        middle = Time(run.start_utc) + run.ontime_s / 2 * u.s
        altaz = SkyCoord(run.ra_pnt_deg, run.dec_pnt_deg, unit="deg").transform_to(
            AltAz(obstime=middle, location=place)
        )
    assert row["ALT_PNT"] == pytest.approx(altaz.alt.deg, abs=0.4)


def test_pointings_alternate_around_the_target(night):
    _, truth = night
    crab = crab_like().position
    offsets = [
        crab.spherical_offsets_to(SkyCoord(r.ra_pnt_deg, r.dec_pnt_deg, unit="deg"))
        for r in truth.runs
    ]
    north = [round(o[1].deg, 2) for o in offsets]
    east = [round(o[0].deg, 2) for o in offsets]
    np.testing.assert_allclose(north, [0.5, -0.5, 0, 0], atol=0.011)
    np.testing.assert_allclose(east, [0, 0, 0.5, -0.5], atol=0.011)


def test_truth_is_written_and_read_back(night):
    store, truth = night
    assert read_truth(store) == truth
    values = json.loads((store / "truth.json").read_text())
    amplitude = values["sources"]["Virtual Crab"]["spectrum"]["amplitude"]
    assert amplitude["value"] == pytest.approx(3.45e-11)
    assert u.Unit(amplitude["unit"]) == u.Unit("cm-2 s-1 TeV-1")
    (store.parent / "truth.json").write_text("{}")
    with pytest.raises(ProductError, match="not the truth"):
        read_truth(store.parent)


def _fit(store, point_like):
    """Amplitude over truth and index, each with its error, by plain Gammapy."""
    place = crab_like().position
    required = "point-like" if point_like else "full-enclosure"
    region = PointSkyRegion(place) if point_like else CircleSkyRegion(place, 0.11 * u.deg)
    reco = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 10, per_decade=True, name="energy")
    true = MapAxis.from_energy_bounds(
        "0.05 TeV", "100 TeV", 20, per_decade=True, name="energy_true"
    )
    empty = SpectrumDataset.create(RegionGeom.create(region, axes=[reco]), energy_axis_true=true)
    spectrum = SpectrumDatasetMaker(
        selection=["counts", "exposure", "edisp"], containment_correction=not point_like
    )
    finder = {"region_finder": WobbleRegionsFinder(3)} if point_like else {}
    background = ReflectedRegionsBackgroundMaker(**finder)
    mask = SafeMaskMaker(methods=["aeff-default"])
    datasets = Datasets()
    for obs in DataStore.from_dir(store).get_observations(required_irf=required):
        dataset = spectrum.run(empty.copy(name=str(obs.obs_id)), obs)
        datasets.append(mask.run(background.run(dataset, obs), obs))
    stacked = datasets.stack_reduce()
    model = PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1", index=2.0, reference="1 TeV")
    stacked.models = [SkyModel(model)]
    Fit().run([stacked])
    scale = 3.45e-11
    return (
        model.amplitude.value / scale,
        model.amplitude.error / scale,
        model.index.value,
        model.index.error,
    )


def test_the_injected_spectrum_comes_back(night):
    phi, phi_error, index, index_error = _fit(night[0], point_like=False)
    assert phi_error < 0.07
    assert abs(phi - 1) < 3 * phi_error
    assert abs(index - 2.6) < 3 * index_error


def test_the_injected_spectrum_comes_back_from_point_like_data(point_like_night):
    store, truth = point_like_night
    assert truth.point_like
    observations = DataStore.from_dir(store).get_observations(required_irf="point-like")
    assert len(observations) == 4
    assert len(DataStore.from_dir(store).get_observations(required_irf="full-enclosure")) == 0
    observation = observations[0]
    assert observation.aeff.is_pointlike and observation.edisp.is_pointlike
    expected = point_like_irfs(VirtualInstrument())["rad_max"].quantity.astype(np.float32)
    np.testing.assert_allclose(observation.rad_max.quantity, expected, rtol=1e-6)
    phi, phi_error, index, index_error = _fit(store, point_like=True)
    assert abs(phi - 1) < 3 * phi_error
    assert abs(index - 2.6) < 3 * index_error


def test_a_blank_night_has_only_background(tmp_path):
    truth = simulate_night(tmp_path, seed=1, n_runs=1, blank=True, sampler="direct")
    assert truth.sources == {} and truth.runs[0].n_source == {}
    assert truth.runs[0].tag == "blank_field"
    assert (_events(tmp_path, 1)["MC_ID"] == 0).all()


def test_a_store_of_two_fields(tmp_path):
    flare = Flare(start=5 * u.min, duration=5 * u.min, factor=3)
    fields = [
        Field("Virtual Crab", crab_like().position, [crab_like(flare=flare)], n_runs=2),
        Field("Nothing", SkyCoord(70, 10, unit="deg"), tag="blank", n_runs=1, ontime=5 * u.min),
    ]
    done = []
    truth = simulate_store(
        tmp_path,
        fields,
        seed=1,
        first_obs_id=100,
        sampler="direct",
        progress=lambda i, n: done.append((i, n)),
    )
    assert [r.obs_id for r in truth.runs] == [100, 101, 102]
    assert [r.tag for r in truth.runs] == ["virtual_crab", "virtual_crab", "blank"]
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert truth.sources["Virtual Crab"]["flare"]["factor"] == 3
    assert read_truth(tmp_path) == truth
    assert len(DataStore.from_dir(tmp_path).obs_table) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "magic"}, "unknown sampler"),
        ({"start": "2024-12-06T13:00:00"}, "above the virtual site's horizon"),
        ({"n_runs": 0}, "at least one run"),
        ({"ontime": 0 * u.min}, "at least one run"),
        ({"sources": [crab_like(), crab_like(scale=2)]}, "two different sources"),
        ({"start": "yesterday"}, "start"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_can_not_be_simulated_is_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        simulate_night(tmp_path / "store", **{"seed": 1, **options})
    assert not (tmp_path / "store").exists()


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't write"):
        simulate_night(tmp_path / "file", seed=1, n_runs=1)


def test_nothing_half_written_stays(tmp_path, two_runs, monkeypatch):
    """The disk fills up in the second run: the first stays whole, no temporary file is left."""
    import daybreak.simulate.store as module

    store = tmp_path / "store"
    real, calls = module.gzip.GzipFile, []

    def full_disk(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "gzip", SimpleNamespace(GzipFile=full_disk))
    with pytest.raises(OutputError, match="No space left"):
        simulate_night(store, seed=13, n_runs=2, sampler="direct")
    left = [p.name for p in store.rglob("*") if p.is_file()]
    assert left == ["daybreak_virtual_000001.fits.gz"]
    assert not any(PARTIAL_MARK in name for name in left)
    assert filecmp.cmp(store / "data" / left[0], two_runs / "data" / left[0], shallow=False)
    shutil.rmtree(store)


def test_an_earlier_simulation_is_replaced_whole(tmp_path, two_runs):
    simulate_night(tmp_path, seed=5, n_runs=3, sampler="direct")
    simulate_night(tmp_path, seed=13, n_runs=2, sampler="direct")
    assert _same(tmp_path, two_runs)


def test_a_store_that_is_not_a_simulation_is_left_alone(tmp_path, two_runs):
    shutil.copytree(two_runs, tmp_path / "store")
    (tmp_path / "store" / "truth.json").unlink()
    with pytest.raises(OutputError, match="not a simulation"):
        simulate_night(tmp_path / "store", seed=1, n_runs=1)
    assert len(list((tmp_path / "store" / "data").iterdir())) == 2
