"""An instrument with standard files needs a YAML file, and nothing else."""

from __future__ import annotations

import json

import pytest
import yaml
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from daybreak.simulate import simulate_night

DAWN = """\
    title: the telescope at Dawn Hill
    site: {longitude: 175 deg, latitude: 28.8 deg, height: 2200 m}
    recognise:
      words: [Dawn-7]
    analysis:
      regions:
        on_radius: 0.13 deg
      maps:
        enabled: false
      lightcurve:
        minutes: 3 min
      spectrum:
        models: [pl]
        energy_max: 40 TeV
    """


@pytest.fixture()
def store(tmp_path):
    """Three runs of another telescope."""
    folder = tmp_path / "store"
    simulate_night(folder, seed=41, n_runs=3, ontime=6 * u.min, sampler="direct")
    changed = 0
    for path in sorted((folder / "data").iterdir()):
        with fits.open(path, mode="update") as hdus:
            for hdu in hdus:
                if "TELESCOP" in hdu.header:
                    hdu.header["TELESCOP"] = "DAWN 7"
                    changed += 1
    assert changed >= 3
    return folder


def analyse(run, store, out, *options):
    code, _, errors = run("analyse", "Crab", "--store", str(store), "-o", str(out), *options)
    assert code == 0, errors
    config = yaml.safe_load((out / "config.yaml").read_text())
    nights = Table.read(out / "results" / "runs.ecsv", format="ascii.ecsv")["night"]
    return config, json.loads((out / "results.json").read_text()), set(nights)


def test_it_is_recognised_and_analysed_with_its_settings(
    own, here, store, run, tmp_path, monkeypatch
):
    monkeypatch.setattr("daybreak.runs.targets._sesame", lambda _: None)
    own.write("dawn7", DAWN)
    config, results, nights = analyse(run, store, tmp_path / "own")
    assert config["instrument"] == "dawn7"
    assert config["regions"]["on_radius"] == "0.13 deg"
    assert config["selection"]["site_longitude"] == "175 deg"
    assert results["counts"]["significance"] > 5
    assert nights == {"2024-12-06"}  # 00:30 UTC is 12:10 in the local mean time

    (own.folders["first"] / "dawn7.yaml").unlink()
    cheap = ["maps.enabled=false", "lightcurve.enabled=false", "spectrum.enabled=false"]
    options = [word for text in cheap for word in ("--set", text)]
    config, _, nights = analyse(run, store, tmp_path / "generic", *options)
    assert config["instrument"] == "generic" and config["regions"]["on_radius"] is None
    assert nights == {"2024-12-05"}
