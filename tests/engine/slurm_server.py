"""A throw-away Slurm of three nodes on this host, from Debian's packages, in a private folder.

With accounting it has a database of its own and knows the account ``foa``; an unknown one is
refused then. Everything ends with :meth:`Slurm.stop`, or with the process that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "slurmctld", "slurmd", "munged")
DATABASE = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db")
NODES = ("n1", "n2", "n3")
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock
CredType=cred/munge
SlurmctldPort={ctld}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/log/slurmctld.log
StateSaveLocation={folder}/state
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SchedulerParameters=sched_interval=2,bf_interval=5,batch_sched_delay=0,sched_min_interval=100000
ReturnToService=2
SlurmdTimeout=10
InactiveLimit=0
KillWait=2
MinJobAge=60
MpiDefault=none
MessageTimeout=5
{accounting}
NodeName={first_node} NodeHostname={host} NodeAddr=127.0.0.1 Port={first_port} CPUs=2 RealMemory=6000
NodeName={second_node} NodeHostname={host} NodeAddr=127.0.0.1 Port={second_port} CPUs=2 RealMemory=6000
NodeName={third_node} NodeHostname={host} NodeAddr=127.0.0.1 Port={third_port} CPUs=2 RealMemory=6000
PartitionName=short Nodes=ALL Default=YES MaxTime=01:00:00 State=UP
PartitionName=long  Nodes=ALL Default=NO  MaxTime=1-00:00:00 State=UP
"""  # noqa: E501
PLAIN = "AccountingStorageType=accounting_storage/none"
STORED = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={folder}/munge/munge.sock
AccountingStorageEnforce=associations
"""
DBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql}
StorageUser=root
StorageLoc=slurm_acct_db
"""


def missing(accounting: bool = False) -> str:
    """Why Slurm can't be started here; empty if it can."""
    if os.geteuid() != 0:
        return "a throw-away Slurm needs root"
    wanted = PROGRAMS + (DATABASE if accounting else ())
    absent = [name for name in wanted if shutil.which(name, path=_PATH) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


class Slurm:
    """The servers, and what the tests do to them."""

    def __init__(self, accounting: bool) -> None:
        self.accounting = accounting
        self.folder = Path(tempfile.mkdtemp(prefix="dbslurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.host = socket.gethostname().split(".")[0]
        self.processes: dict[str, subprocess.Popen] = {}
        self.ports = {n: _free_port() for n in ("ctld", "dbd", "sql", *NODES)}
        self.environment = os.environ | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": _PATH,
        }

    # starting -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything; returns when three nodes are idle."""
        try:
            for name in ("munge", "log", "state", *(f"spool-{n}" for n in NODES)):
                (self.folder / name).mkdir(mode=0o755)
            self._write_configuration()
            self._start_munge()
            if self.accounting:
                self._start_database()
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            self.wait_for_nodes()
        except BaseException:
            self.stop()
            raise

    def _write_configuration(self) -> None:
        ports = self.ports
        accounting = STORED.format(folder=self.folder, **ports) if self.accounting else PLAIN
        text = CONF.format(
            folder=self.folder,
            host=self.host,
            ctld=ports["ctld"],
            accounting=accounting,
            first_node="n1",
            second_node="n2",
            third_node="n3",
            first_port=ports["n1"],
            second_port=ports["n2"],
            third_port=ports["n3"],
        )
        (self.folder / "slurm.conf").write_text(text)
        dbd = self.folder / "slurmdbd.conf"
        dbd.write_text(DBD_CONF.format(folder=self.folder, **ports))
        dbd.chmod(0o600)

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call of libc
            )

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        paths = {"socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={folder}/munge.{end}" for option, end in paths.items()]
        self._spawn("munged", "munged", "--foreground", "--force", f"--key-file={key}", *options)
        self._wait((folder / "munge.sock").exists, "munged")

    def _start_database(self) -> None:
        data = self.folder / "sql"
        data.mkdir()
        user = pwd.getpwuid(os.geteuid()).pw_name
        common = [f"--datadir={data}", f"--user={user}", "--no-defaults"]
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", *common[:2], "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            env=self.environment, capture_output=True, text=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        self._spawn(
            "mariadbd", "mariadbd", "--no-defaults", *common[:2], "--bind-address=127.0.0.1",
            f"--port={self.ports['sql']}", f"--socket={self.folder}/sql.sock",
            f"--pid-file={self.folder}/sql.pid", "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=8M", "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=0",
        )  # fmt: skip
        self._wait(lambda: self._answers("sql"), "mariadbd")
        self._spawn("slurmdbd", "slurmdbd", "-D")
        self._wait(lambda: self._answers("dbd"), "slurmdbd", 60)
        for entry in (
            ["cluster", "test"],
            ["account", "foa", "Description=alerts", "Organization=lst"],
            ["user", "root", "Account=foa"],
        ):
            self._wait(lambda e=entry: self._ran("sacctmgr", "-i", "add", *e), "sacctmgr", 30)

    def _answers(self, port: str) -> bool:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.connect(("127.0.0.1", self.ports[port]))
            return True
        return False

    def start_controller(self) -> None:
        self._spawn("slurmctld", "slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))

    def start_node(self, node: str) -> None:
        self._spawn(node, "slurmd", "-D", "-N", node, "-f", str(self.folder / "slurm.conf"))

    def wait_for_nodes(self, count: int = len(NODES)) -> None:
        def there() -> bool:
            for node in NODES:
                if node in self.run("sinfo", "--noheader", "--states=drain,down", "-N").stdout:
                    self.run("scontrol", "update", f"nodename={node}", "state=resume")
            shown = self.run("sinfo", "--noheader", "--Node", "--partition=short", "--format=%N %t")
            return (
                sum(line.endswith(("idle", "mix", "alloc")) for line in shown.stdout.split("\n"))
                >= count
            )

        self._wait(there, "the nodes", 90)

    def _wait(self, ready, what: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not ready():
            ended = [n for n, p in self.processes.items() if p.poll() is not None]
            if time.monotonic() > end or ended:
                logs = sorted((self.folder / "log").iterdir())
                tails = [f"{p.name}: {p.read_text(errors='replace')[-500:]}" for p in logs]
                raise RuntimeError(
                    f"{what}: not there after {seconds} s; ended: {ended}\n" + "\n".join(tails)
                )
            time.sleep(0.1)

    # using --------------------------------------------------------------------------------------

    def run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def _ran(self, *command: str) -> bool:
        return self.run(*command).returncode == 0

    def jobs(self, prefix: str = "daybreak-") -> dict[str, str]:
        """Jobs that wait or run: id to state."""
        shown = self.run("squeue", "--noheader", "--format=%i %T %j")
        assert shown.returncode == 0, shown.stderr
        rows = (line.split(None, 2) for line in shown.stdout.splitlines())
        return {job: state for job, state, name in rows if name.startswith(prefix)}

    def kill(self, name: str) -> None:
        """End a server at once: ``slurmctld``, ``n1``, …; a node's jobs go with it."""
        process = self.processes.pop(name)
        if name == "slurmctld":  # an outage that it survives: it writes its state down first
            process.terminate()
        else:
            process.kill()
        process.wait()

    def kill_node(self, node: str) -> None:
        """A node loses its power: the daemon and all that it runs."""
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                mine = environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if mine and environment.get("SLURMD_NODENAME") == node:
                    process.kill()
        self.kill(node)

    def clear(self) -> None:
        """Cancel what is left of a test."""
        self.run("scancel", "--me")

    def stop(self) -> None:
        """End everything and remove the folder."""
        import psutil

        if "slurmctld" in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    ["scancel", "--me"], env=self.environment, capture_output=True, timeout=5
                )
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in reversed(self.processes.values()):
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in psutil.process_iter():  # step daemons, and jobs that did not hear
            with contextlib.suppress(psutil.Error):
                if process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"] and (
                    "slurmstepd" in process.name() or "SLURM_JOB_ID" in process.environ()
                ):
                    process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
