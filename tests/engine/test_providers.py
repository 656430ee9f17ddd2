"""Job descriptions: what Parsl's providers make of a profile."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from daybreak.config.engine import load_engine
from daybreak.engine.schedulers.jobs import JobState, SchedulerRefused, SchedulerUnavailable
from daybreak.engine.schedulers.providers import (
    ProviderJobs,
    SlurmJobs,
    condor_provider,
    kubernetes_provider,
    walltime_text,
)
from daybreak.errors import EngineError

LST = {
    "pools": {
        "default": {
            "partition": "short", "account": "foa", "qos": "alert", "constraint": "avx2",
            "cores": 8, "memory": "16 GB", "walltime": "90.5 min", "nodes": 2,
            "options": ["--exclude=node7"], "worker_init": ["module load python/3.11"],
        }
    }
}  # fmt: skip


def _program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture()
def programs(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def _slurm(tmp_path, **pool):
    profile = load_engine("slurm", overrides={"pools": {"default": pool}} if pool else LST)
    folder = tmp_path / "jobs"
    folder.mkdir(exist_ok=True)
    return SlurmJobs(profile.pools["default"], "default", "daybreak-t-default", folder, 5.0)


def test_a_slurm_script_says_all_that_the_profile_says(tmp_path, programs):
    _program(programs, "sbatch", 'cp "$1" "$1.seen"; echo Submitted batch job 17')
    assert _slurm(tmp_path).submit("the-command --with=arguments", 3) == "17"
    (seen,) = (tmp_path / "jobs").glob("*.seen")
    lines = seen.read_text().splitlines()
    for option in (
        "--partition=short", "--account=foa", "--qos=alert", "--constraint=avx2", "--nodes=2",
        "--time=91", "--mem=15259M", "--cpus-per-task=8", "--no-requeue", "--exclude=node7",
        "--ntasks-per-node=1",
    ):  # fmt: skip
        assert f"#SBATCH {option}" in lines, option
    assert not [line for line in lines if "exclusive" in line]
    assert [line for line in lines if line.startswith("#SBATCH --job-name=daybreak-t-default-3.")]
    assert lines.index("module load python/3.11") < lines.index("export PARSL_CORES=8")
    assert "srun" in seen.read_text(), "one worker pool on each of the two nodes"


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("echo sbatch: error: invalid partition specified: x >&2; exit 1", SchedulerRefused),
        ("echo sbatch: error: Unable to contact slurm controller >&2; exit 1",
         SchedulerUnavailable),
        ("echo something else", SchedulerUnavailable),
    ],
)  # fmt: skip
def test_what_sbatch_answers(tmp_path, programs, program, error):
    _program(programs, "sbatch", program)
    with pytest.raises(error):
        _slurm(tmp_path).submit("x", 0)


def test_states_come_from_one_question(tmp_path, programs):
    b = "\\037"
    rows = [
        f"1{b}RUNNING{b}None{b}daybreak-t-default-0.1",
        f"2{b}PENDING{b}Priority{b}daybreak-t-default-1.1",
        f"3{b}TIMEOUT{b}TimeLimit{b}daybreak-t-default-2.1", f"4{b}RUNNING{b}None{b}somebody",
    ]  # fmt: skip
    _program(programs, "squeue", "printf '" + "\\n".join(rows) + "\\n'")
    states = _slurm(tmp_path).states(["1", "2", "3", "5"])
    assert {k: (v.state, v.reason) for k, v in states.items()} == {
        "1": (JobState.RUNNING, "RUNNING"),
        "2": (JobState.PENDING, "Priority"),
        "3": (JobState.ENDED, "TIMEOUT"),
        "5": (JobState.GONE, "no longer known to Slurm"),
    }


@pytest.mark.parametrize(
    ("walltime", "text"),
    [("90.5 min", "01:31:00"), ("1 day", "24:00:00"), ("20 s", "00:01:00"), ("1 hour", "01:00:00")],
)
def test_walltimes_are_rounded_up(walltime, text):
    profile = load_engine("slurm", overrides={"pools": {"default": {"walltime": walltime}}})
    assert walltime_text(profile.pools["default"]) == text


ICECUBE = {
    "pools": {
        "default": {
            "account": "realtime", "cores": 4, "memory": "8 GB", "walltime": "2 hour",
            "constraint": 'OpSysAndVer == "AlmaLinux9" && TARGET.has_avx2',
            "options": ['+SingularityImage = "/cvmfs/images/python.sif"', "priority = 10"],
        }
    }
}  # fmt: skip


def _condor(tmp_path, programs):
    _program(
        programs, "condor_submit",
        'cp "$1" "$1.seen"; echo "Submitting job(s)."; echo "1 job(s) submitted to cluster 42."',
    )  # fmt: skip
    pool = load_engine("htcondor", overrides=ICECUBE).pools["default"]
    folder = tmp_path / "jobs"
    folder.mkdir()
    jobs = ProviderJobs(condor_provider(pool, "daybreak-t-default", folder), "default", 5.0)
    job = jobs.submit("the-command", 0)
    (seen,) = folder.glob("*.seen")
    return jobs, job, seen.read_text()


def test_an_htcondor_description_says_all_that_the_profile_says(tmp_path, programs):
    jobs, job, text = _condor(tmp_path, programs)
    assert job == "42.0"
    for line in (
        'requirements            = OpSysAndVer == "AlmaLinux9" && TARGET.has_avx2',
        '+projectname            = "realtime"', "RequestCpus = 4", "RequestMemory = 7630",
        '+JobBatchName = "daybreak-t-default"', "priority = 10",
        '+SingularityImage = "/cvmfs/images/python.sif"',
    ):  # fmt: skip
        assert line in text.splitlines(), line
    _program(programs, "condor_q", "echo 42.0 2")
    assert jobs.states([job])[job].state is JobState.RUNNING
    (script,) = (tmp_path / "jobs").glob("*.script")
    assert "the-command" in script.read_text() and "PARSL_CORES=4" in script.read_text()


@pytest.mark.peer
def test_htcondor_itself_reads_the_description(tmp_path, programs):
    htcondor2 = pytest.importorskip("htcondor2", reason="the package htcondor is not installed")
    _, _, text = _condor(tmp_path, programs)
    submit = htcondor2.Submit(text)
    assert submit["RequestCpus"] == "4" and submit["RequestMemory"] == "7630"
    assert submit["requirements"] == 'OpSysAndVer == "AlmaLinux9" && TARGET.has_avx2'
    assert submit["priority"] == "10" and submit["universe"] == "vanilla"
    assert "7200" in submit["periodic_remove"]


KUBE_CONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: x}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


def _pods():
    pool = {"image": "registry.example/daybreak:1", "namespace": "gamma", "cores": 4,
            "memory": "8 GB", "volumes": ["data:/data"], "service_account": "runner"}  # fmt: skip
    return load_engine("kubernetes", overrides={"pools": {"default": pool}}).pools["default"]


def test_kubernetes_needs_its_package_or_a_cluster(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    with pytest.raises(EngineError, match=r"package 'kubernetes'|can't be used"):
        kubernetes_provider(_pods(), "daybreak-t-default")


def test_a_pod_says_all_that_the_profile_says(monkeypatch, tmp_path):
    kubernetes = pytest.importorskip("kubernetes")
    (tmp_path / "config").write_text(KUBE_CONFIG)
    monkeypatch.setattr(
        kubernetes.config, "load_kube_config",
        lambda load=kubernetes.config.load_kube_config: load(str(tmp_path / "config")),
    )  # fmt: skip
    provider = kubernetes_provider(_pods(), "daybreak-t-default")
    made = []

    def create(**values):
        made.append(values)
        return values["body"]

    monkeypatch.setattr(provider.kube_client, "create_namespaced_pod", create)
    jobs = ProviderJobs(provider, "default", 5.0)
    job = jobs.submit("the-command", 0)
    (values,) = made
    assert values["namespace"] == "gamma"
    container = values["body"].spec.containers[0]
    assert container.image == "registry.example/daybreak:1"
    assert container.resources.requests == container.resources.limits
    assert container.resources.limits == {"cpu": "4.0", "memory": "7630Mi"}
    assert "the-command" in container.args[1] and "PARSL_CORES=4" in container.args[1]
    assert values["body"].metadata.name.startswith("daybreak-t-default")
    assert values["body"].spec.service_account_name == "runner"
    assert [m.mount_path for m in container.volume_mounts] == ["/data"]
    assert jobs.states([job])[job].state in (JobState.RUNNING, JobState.PENDING)
