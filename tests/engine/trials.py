"""Faults at random moments while a plan of 60 steps runs, and what must hold after each."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trial_plan
from checker import check, files, marked, sha256

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
LIMIT_S = 120.0
ORPHAN_S = 30.0
DISK_FULL = 8
MARK = "DAYBREAK_TRIAL"
SIGNALS = {
    "driver SIGKILL": signal.SIGKILL,
    "driver SIGTERM": signal.SIGTERM,
    "driver SIGINT": signal.SIGINT,
}
LOCAL = (*SIGNALS, "worker", "interchange", "memory limit", "disk full")
SLURM = (*SIGNALS, "scancel", "node", "slurmctld", "worker", "interchange", "memory limit")
PROFILE = """
kind: slurm
heartbeat: 2 s
heartbeat_threshold: 8 s
poll: 1 s
pools:
  default:
    partition: short
    cores: 2
    memory: 1600 MB
    walltime: 60 min
    max_blocks: 3
"""


@dataclass
class Trial:
    """One disturbed run and its end.

    ``hit``: the fault came while the driver worked. ``recovery_s``: for a fault that ends the
    driver, the time from its restart to the end, less what an ideal machine of as many workers
    takes for the steps that were left; else the time of the run less that of an undisturbed one.
    ``attempts_lost``: attempts that did not end well. ``repeated``: steps that were run again
    though their product was there, whole. ``gone_s``: until the last process or job had gone.
    """

    kind: str
    hit: bool = False
    after_s: float = 0.0
    recovery_s: float = 0.0
    attempts_lost: int = 0
    repeated: int = 0
    gone_s: float = 0.0
    findings: list[str] = field(default_factory=list)
    note: str = ""


@dataclass
class Bench:
    """Where and how trials run; `reference` is an undisturbed run's products.

    ``slurm`` is the throw-away Slurm of ``slurm_server``, None for this machine's own workers.
    """

    work: Path
    scale: float = 1.0
    workers: int = 6
    slurm: object | None = None
    reference: Mapping[str, str] = field(default_factory=dict)
    undisturbed_s: float = 0.0
    hungry_s: float = 0.0

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        self.profile = self.work / "cluster.yaml"
        self.profile.write_text(PROFILE)

    def environment(self, mark: str) -> dict[str, str]:
        """Of a driver."""
        base = dict(self.slurm.environment if self.slurm is not None else os.environ)
        (self.work / "t").mkdir(exist_ok=True)
        return base | {
            "TMPDIR": str(self.work / "t"),
            MARK: mark,
            "DAYBREAK_HOME": str(self.work / "state"),
            "OMP_NUM_THREADS": "1",
            "SPT_NOENV": "1",  # processes that set their title shall keep their environment
            "PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE}",
        }

    def start(self, out: Path, mark: str, hungry: str = "") -> subprocess.Popen:
        """Start a driver; what it prints goes beside its folder."""
        command = [sys.executable, str(HERE / "trial_plan.py"), str(out)]
        command += ["--workers", str(self.workers), "--scale", str(self.scale)]
        command += ["--hungry", hungry] if hungry else []
        command += ["--engine", str(self.profile)] if self.slurm is not None else []
        with self.said(out).open("ab") as stream:
            return subprocess.Popen(
                command,
                env=self.environment(mark),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def said(self, out: Path) -> Path:
        """What the drivers of a folder printed."""
        return self.work / f"{out.name}.said"

    def jobs(self) -> list[str]:
        """Cluster jobs of drivers that are there."""
        if self.slurm is None:
            return []
        there = self.slurm.jobs("daybreak-trial-")
        # cancelled, but its node does not answer: Slurm waits for it
        return sorted(job for job, state in there.items() if state != "COMPLETING")

    def rehearse(self, times: int = 3) -> None:
        """Undisturbed runs: their products, and the median of their times."""
        self.undisturbed_s = self._rehearsal(times, "")
        if self.slurm is None:
            self.hungry_s = self.undisturbed_s

    def _rehearsal(self, times: int, hungry: str) -> float:
        spent = []
        for n in range(times):
            out = self.work / f"reference-{n}"
            mark = uuid.uuid4().hex
            began = time.monotonic()
            driver = self.start(out, mark, hungry)
            if driver.wait(LIMIT_S):
                raise RuntimeError(self.said(out).read_text()[-2000:])
            spent.append(time.monotonic() - began)
            gone(self, mark)
            findings = check(out, mark=mark, jobs=self.jobs(), home=self.work / "state")
            found = files(out)
            if findings or (self.reference and found != self.reference):
                raise RuntimeError(f"an undisturbed run is not right: {findings}")
            self.reference = found
            shutil.rmtree(out)
        return sorted(spent)[len(spent) // 2]


def gone(bench: Bench, mark: str) -> float:
    """Wait until nothing of a driver is left; seconds, at most ORPHAN_S."""
    began = time.monotonic()
    while time.monotonic() - began < ORPHAN_S:
        if not list(marked(mark)) and not bench.jobs():
            break
        time.sleep(0.05)
    return time.monotonic() - began


def _parents(mark: str) -> dict[int, tuple[int, str]]:
    """Processes with a mark: parent and command line."""
    out = {}
    for pid, what in marked(mark):
        with contextlib.suppress(OSError, IndexError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            out[pid] = (int(stat[1]), what)
    return out


def worker_pids(mark: str) -> list[int]:
    """Processes that run steps: children of a fork server that have none themselves."""
    tree = _parents(mark)
    servers = {pid for pid, (_, what) in tree.items() if "forkserver" in what}
    children = {pid for pid, (parent, _) in tree.items() if parent in servers}
    return sorted(children - {parent for parent, _ in tree.values()})


def interchange_pids(mark: str) -> list[int]:
    """Processes of the interchange."""
    return [pid for pid, (_, what) in _parents(mark).items() if "interchange" in what]


def until(driver: subprocess.Popen, ready: Callable[[], list[int]], limit_s: float) -> list[int]:
    """Wait for something to be there; empty if the driver ended or time is over."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and driver.poll() is None:
        if found := ready():
            return found
        time.sleep(0.02)
    return []


def run_trial(bench: Bench, kind: str, rng: random.Random, number: int) -> Trial:
    """One fault of a kind at a random moment; then the plan is brought to its end and checked."""
    out = bench.work / f"trial-{number}"
    trial = Trial(kind)
    hungry = ""
    if kind == "memory limit":
        hungry = rng.choice(list(trial_plan.graph()))
    mark = uuid.uuid4().hex
    with disk(out if kind == "disk full" else None) as filler:
        began = time.monotonic()
        driver = bench.start(out, mark, hungry)
        trial.after_s = rng.uniform(0.0, 0.98 * bench.undisturbed_s)
        try:
            _disturb(bench, trial, driver, mark, rng, filler)
            code = driver.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            trial.findings.append(f"the driver did not end in {LIMIT_S:.0f} s")
            os.killpg(driver.pid, signal.SIGKILL)
            code = driver.wait()
        except BaseException:
            driver.kill()
            driver.wait()
            gone(bench, mark)
            raise
        spent = time.monotonic() - began
        filler(False)  # SQLite can't even read its file where it finds no room for an index
        _after_driver(bench, trial, mark, out)
        if kind not in SIGNALS and "Traceback" in bench.said(out).read_text(errors="replace"):
            trial.findings.append("the driver ended with a traceback")
        if kind in SIGNALS or kind == "disk full":
            _resume(bench, trial, out, code)
        else:
            trial.recovery_s = spent - bench.undisturbed_s
            if code:
                trial.findings.append(f"exit code {code}")
        _judge(bench, trial, out, hungry)
        if trial.findings:
            keep = bench.work / f"kept-{number}"
            shutil.copytree(out, keep, dirs_exist_ok=True)
            trial.findings.append(f"see {keep} and {bench.said(out)}")
    if not trial.findings:
        shutil.rmtree(out, ignore_errors=True)
        bench.said(out).unlink(missing_ok=True)
    return trial


def _disturb(
    bench: Bench,
    trial: Trial,
    driver: subprocess.Popen,
    mark: str,
    rng: random.Random,
    filler: Callable[[bool], None],
) -> None:
    """Wait for the moment, then do it; `hit` says whether the driver was still at work."""
    if trial.kind == "memory limit":
        trial.hit = True
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.wait(trial.after_s)
    if driver.poll() is not None:
        return
    if trial.kind in SIGNALS:
        driver.send_signal(SIGNALS[trial.kind])
        trial.hit = True
    elif trial.kind == "disk full":
        filler(True)
        trial.hit = True
    elif trial.kind in ("worker", "interchange"):
        seek = worker_pids if trial.kind == "worker" else interchange_pids
        if found := until(driver, lambda: seek(mark), 10):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(found), signal.SIGKILL)
                trial.hit = True
    else:
        _disturb_cluster(bench, trial, driver, rng)


def _disturb_cluster(
    bench: Bench, trial: Trial, driver: subprocess.Popen, rng: random.Random
) -> None:
    slurm = bench.slurm
    if trial.kind == "scancel":
        if found := until(driver, bench.jobs, 10):
            slurm.run("scancel", rng.choice(found))
            trial.hit = True
    elif trial.kind == "node":
        node = rng.choice(["n1", "n2", "n3"])
        trial.note = node
        trial.hit = True
        slurm.kill_node(node)
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(LIMIT_S / 2)
        slurm.start_node(node)
    elif trial.kind == "slurmctld":
        trial.hit = True
        if rng.random() < 0.5:
            trial.note = "frozen"
            server = slurm.processes["slurmctld"]
            server.send_signal(signal.SIGSTOP)
            time.sleep(20)
            server.send_signal(signal.SIGCONT)
        else:
            trial.note = "killed"
            slurm.kill("slurmctld")
            time.sleep(20)
            slurm.start_controller()
            slurm.wait_for_nodes()
    else:
        raise ValueError(trial.kind)


def _after_driver(bench: Bench, trial: Trial, mark: str, out: Path) -> None:
    """What must hold as soon as the driver has gone, before anything is resumed."""
    trial.gone_s = gone(bench, mark)
    trial.findings += check(
        out, finished=False, mark=mark, jobs=bench.jobs(), home=bench.work / "state"
    )
    wrong = {n for n, d in files(out).items() if ".partial-" not in n and n in bench.reference
             and d != bench.reference[n]}  # fmt: skip
    trial.findings += [f"{name} has its own name and is not whole" for name in sorted(wrong)]


def _resume(bench: Bench, trial: Trial, out: Path, code: int) -> None:
    """The same command again."""
    there = {
        name.removesuffix(".bin"): (out / name).stat().st_ino
        for name, digest in bench.reference.items()
        if (out / name).is_file() and sha256(out / name) == digest
    }
    left = [name for name in trial_plan.graph() if name not in there]
    mark = uuid.uuid4().hex
    began = time.monotonic()
    driver = bench.start(out, mark)
    try:
        again = driver.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        trial.findings.append(f"the resumed driver did not end in {LIMIT_S:.0f} s")
        os.killpg(driver.pid, signal.SIGKILL)
        again = driver.wait()
    except BaseException:
        driver.kill()
        driver.wait()
        gone(bench, mark)
        raise
    spent = time.monotonic() - began
    trial.recovery_s = spent - trial_plan.ideal_s(left, bench.workers, bench.scale)
    trial.note = f"ended with {code}, {len(left)} left"
    if again:
        trial.findings.append(f"the resumed driver ended with exit code {again}")
    if trial.kind == "disk full" and code not in (0, DISK_FULL):
        trial.findings.append(f"the full disk ended the driver with exit code {code}")
    made_anew = [n for n, inode in there.items() if (out / f"{n}.bin").stat().st_ino != inode]
    trial.repeated = len(made_anew)
    trial.findings += [f"{name} was whole and was made again" for name in made_anew]
    gone(bench, mark)
    trial.findings += check(out, mark=mark, jobs=bench.jobs(), home=bench.work / "state")


def _judge(bench: Bench, trial: Trial, out: Path, hungry: str) -> None:
    """What must hold at the end."""
    trial.findings += check(out, home=bench.work / "state")
    scratch = list((bench.work / "t").iterdir())
    if trial.kind != "node":  # nobody can tidy up after a node that lost its power but its next job
        trial.findings += [f"left in the temporary folder: {path.name}" for path in scratch]
    for path in scratch:
        shutil.rmtree(path, ignore_errors=True)
    found = files(out)
    if found != bench.reference:
        differ = sorted(n for n in {*found, *bench.reference} if found.get(n) !=
                        bench.reference.get(n))  # fmt: skip
        trial.findings.append(f"products differ from the undisturbed run's: {differ[:5]}")
    database = out / ".daybreak" / "ledger.sqlite"
    if not database.exists():
        return
    with contextlib.closing(sqlite3.connect(database)) as db:
        rows = db.execute("SELECT step, number, state, kind, memory_mb FROM attempts").fetchall()
    trial.attempts_lost = sum(state != "DONE" for _, _, state, _, _ in rows)
    if hungry:
        mine = [(kind, memory) for step, _, _, kind, memory in sorted(rows) if step == hungry]
        if [kind for kind, _ in mine] != ["memory", ""] or not mine[0][1] < mine[-1][1]:
            trial.findings.append(f"{hungry} took too much memory, its attempts: {mine}")


@contextmanager
def disk(out: Path | None) -> Iterator[Callable[[bool], None]]:
    """A small file system of its own for a folder; the function fills it and frees it."""
    if out is None:
        yield lambda _full: None
        return
    out.mkdir()
    size = ["-o", "size=24m"]
    subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", str(out)], check=True)
    ballast = out / ".daybreak-ballast"

    def fill(full: bool) -> None:
        if not full:
            ballast.unlink(missing_ok=True)
            return
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while stream.write(b"\0" * size):
                        pass

    try:
        yield fill
    finally:
        subprocess.run(["umount", str(out)], check=True)
        with contextlib.suppress(OSError):
            out.rmdir()


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a file system (for a full disk)."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    probe = folder / "mount-probe"
    probe.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(probe)], capture_output=True
    )
    if done.returncode == 0:
        subprocess.run(["umount", str(probe)], check=True)
    probe.rmdir()
    return done.returncode == 0


def describe(trial: Trial) -> str:
    """One line, for whoever watches."""
    return json.dumps(vars(trial))
