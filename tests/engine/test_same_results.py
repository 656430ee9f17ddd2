"""The same analysis gives the same products, byte for byte, wherever its steps run."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy import units as u
from checker import check, files
from slurm_fixtures import slurm  # noqa: F401 - a fixture

import daybreak
from daybreak.simulate import simulate_night

PROFILE = """\
kind: slurm
poll: 1 s
pools:
  default:
    partition: short
    cores: 1
    memory: 2500 MB
    walltime: 30 min
    min_blocks: 3
    max_blocks: 3
"""
#: the only product that may differ: it says how many workers there were
_OWN = {"config.yaml"}


def _products(out: Path) -> dict[str, str]:
    """Digests of all products; the folder is checked on the way."""
    assert check(out) == []
    found = {name: digest for name, digest in files(out).items() if name not in _OWN}
    tables = [name for name in found if name.endswith(".ecsv")]
    assert len(tables) > 8 and {"results.json", "report.html", "results/maps.fits"} <= set(found)
    return found


def _analyse(target: str, store: Path, out: Path, **engine) -> dict[str, str]:
    daybreak.analyse(target, store=store, out=out, options={"engine": engine}, strict=True)
    return _products(out)


@pytest.mark.realdata
@pytest.mark.slow
def test_the_crab_on_one_and_two_workers(hess_store, tmp_path):
    one = _analyse("crab", hess_store, tmp_path / "one", workers=1)
    assert _analyse("crab", hess_store, tmp_path / "two", workers=2) == one


@pytest.mark.realdata
@pytest.mark.slurm
@pytest.mark.slow
def test_the_crab_on_three_nodes(hess_store, tmp_path, slurm):  # noqa: F811
    _compare("crab", hess_store, tmp_path)


@pytest.mark.slurm
@pytest.mark.slow
def test_a_simulated_night_on_three_nodes(tmp_path, slurm):  # noqa: F811
    simulate_night(tmp_path / "store", seed=41, n_runs=3, ontime=6 * u.min, sampler="direct")
    _compare("virtual_crab", tmp_path / "store", tmp_path)


def _compare(target: str, store: Path, tmp_path: Path) -> None:
    """This machine against three nodes, all of which have to be used."""
    import sqlite3

    profile = tmp_path / "cluster.yaml"
    profile.write_text(PROFILE)
    here = _analyse(target, store, tmp_path / "here", workers=2)
    there = _analyse(target, store, tmp_path / "there", profile=str(profile))
    assert there == here
    with sqlite3.connect(tmp_path / "there" / ".daybreak" / "ledger.sqlite") as db:
        jobs = {row[0] for row in db.execute("SELECT job FROM attempts WHERE job != ''")}
    assert jobs, "no step ran in a job of Slurm"
