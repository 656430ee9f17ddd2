"""Engine profiles: what is known, what is refused, and what the message says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from astropy import units as u

from daybreak.config.engine import BUILT_IN, EngineProfile, PoolConfig, engine_names, load_engine
from daybreak.config.load import to_yaml
from daybreak.errors import ConfigError

SITE = """\
kind: slurm
address: 10.0.0.1
pools:
  default:
    partition: short
    account: foa
    qos: alert
    cores: 8
    memory: 32 GB
    walltime: 4 hour
    options: [--exclude=node7, --reservation=night]
    worker_init: ["module load python"]
  big-memory:
    cores: 4
    memory: 128 GiB
    worker_memory: 64 GiB
    walltime: 1 day
"""


@pytest.fixture()
def engines(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "daybreak" / "engines"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_built_in_profiles(name):
    profile = load_engine(name)
    assert profile.name == name == profile.kind and list(profile.pools) == ["default"]
    assert EngineProfile.model_validate(profile.model_dump(mode="json")) == profile


def test_local_is_the_default():
    assert load_engine(None).kind == "local" == load_engine().name


def test_a_named_file_and_a_path(engines):
    (engines / "site.yaml").write_text(SITE)
    profile = load_engine("site")
    assert profile == load_engine(engines / "site.yaml")
    assert profile.name == "site" and profile.kind == "slurm"
    assert list(profile.pools) == ["default", "big-memory"]
    default, big = profile.pools["default"], profile.pools["big-memory"]
    assert default.account == "foa" and default.walltime_s == 4 * 3600
    assert default.workers_per_node == 8 and default.worker_memory_mb == pytest.approx(4000)
    assert big.workers_per_node == 2 and big.walltime == 1 * u.day
    assert big.worker_memory_mb == pytest.approx(64 * 1024**3 / 1e6)
    assert engine_names()["site"] == engines / "site.yaml" and engine_names()["local"] is None


def test_a_file_may_take_the_place_of_a_built_in_name(engines):
    (engines / "slurm.yaml").write_text(SITE)
    assert load_engine("slurm").pools["default"].account == "foa"


def test_overrides_beat_the_file(engines):
    (engines / "site.yaml").write_text(SITE)
    profile = load_engine("site", overrides=["pools.default.account=other", "poll=2 s"])
    assert profile.pools["default"].account == "other" and profile.poll == 2 * u.s
    assert profile.pools["default"].partition == "short"
    same = load_engine("site", overrides={"pools": {"default": {"account": "other"}}})
    assert same.pools["default"].account == "other"


def test_a_profile_can_be_written_and_read_again(engines):
    profile = load_engine("slurm")
    (engines / "again.yaml").write_text(to_yaml(profile))
    assert load_engine("again") == profile


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: slrm\n", "site.yaml:1: kind"),
        ("kind: slurm\nretrys: 3\n", "site.yaml:2: unknown key 'retrys'; did you mean 'retries'"),
        (
            "kind: slurm\npools:\n  default:\n    cores: 2\n    acount: foa\n",
            "site.yaml:5: unknown key 'pools.default.acount'; did you mean 'account'",
        ),
        ("kind: slurm\npools:\n  a:\n    cores: 2\n    memory: 4\n", "the unit is missing"),
        ("kind: slurm\npools:\n  a:\n    cores: 2\n    memory: 4 min\n", "a unit like 'GB'"),
        ("kind: slurm\npools:\n  a:\n    cores: 2\n    memory: -4 GB\n", "above 0"),
        ("kind: slurm\npools:\n  a: {cores: 2, walltime: 0 min}\n", "above 0"),
        ("kind: slurm\npools:\n  a: {memory: 4 GB}\n", "pools.a.cores"),
        ("kind: slurm\npools:\n  A B: {cores: 2}\n", "small letters"),
        ("kind: slurm\npools:\n  a: {cores: 2, min_blocks: 3, max_blocks: 2}\n", "min_blocks"),
        ("kind: slurm\npools:\n  a: {cores: 2, worker_cores: 3}\n", "worker_cores is larger"),
        ("kind: kubernetes\npools:\n  a: {cores: 2, memory: 4 GB}\n", "image and memory"),
        ("kind: slurm\nports: [80, 90]\n", "1024 to 65535"),
        ("kind: slurm\npython: python3\n", "absolute path"),
        ("kind: slurm\nheartbeat: 20 s\n", "at least twice heartbeat"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(engines, text, said):
    (engines / "site.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_engine("site")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("slurm", "partition", "short; rm -rf ~"),
        ("slurm", "account", "foa\n#SBATCH --uid=0"),
        ("slurm", "qos", "$(id)"),
        ("slurm", "constraint", "a\nb"),
        ("slurm", "options", "--wrap=ls"),
        ("slurm", "options", "--account=other"),
        ("slurm", "options", "--exclude=n1\n#SBATCH --uid=0"),
        ("slurm", "options", "exclude=n1"),
        ("slurm", "options", "--exclude=n1 --uid=0"),
        ("slurm", "worker_init", "module load x\nsomething"),
        ("htcondor", "options", "executable = /bin/sh"),
        ("htcondor", "options", "RequestMemory = 4000"),
        ("htcondor", "options", "+X = 1\nqueue 100"),
        ("htcondor", "constraint", "True\nqueue 100"),
        ("local", "options", "--exclude=n1"),
    ],
)
def test_nothing_else_gets_into_a_job_description(kind, key, value):
    with pytest.raises(ConfigError):
        load_engine(kind, overrides={"pools": {"default": {key: value}}})


def test_an_unknown_engine_is_refused_with_the_nearest_name(engines):
    with pytest.raises(ConfigError, match="did you mean 'slurm'"):
        load_engine("slrum")
    with pytest.raises(ConfigError, match="can't read"):
        load_engine(engines / "absent.yaml")


def test_workers_of_a_node_follow_cores_and_memory():
    def count(**values):
        return PoolConfig(**values).workers_per_node

    assert count(cores=8) == 8
    assert count(cores=8, worker_cores=3) == 2
    assert count(cores=8, memory="16 GB", worker_memory="5 GB") == 3
    assert count() == 0
    assert PoolConfig(cores=2).worker_memory_mb == float("inf")


PAGE = Path(__file__).resolve().parents[2] / "docs" / "engine.md"
_BLOCK = re.compile(r"```\{code-block\} yaml\n:caption: (\S+)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(("name", "text"), _BLOCK.findall(PAGE.read_text(encoding="utf-8")))
def test_examples_of_the_page_are_profiles(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert load_engine(tmp_path / name).name == name.removesuffix(".yaml")


def test_the_page_names_every_key():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [*EngineProfile.model_fields, *PoolConfig.model_fields]
