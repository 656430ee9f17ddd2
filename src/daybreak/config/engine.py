"""Engine profiles: where the steps of a plan run, and how much of what each pool gives.

A profile is ``local``, ``slurm``, ``htcondor`` or ``kubernetes``, or a YAML file that starts from
one of them. What it says goes into job descriptions, so every text is checked to be one word of
a known form; nothing of it passes a shell, except ``worker_init``, which is meant to be shell.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from astropy import units as u
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from daybreak.config.base import Frozen, Memory, PositiveDuration
from daybreak.config.load import Layer, build, file_layer, settings_layer
from daybreak.errors import ConfigError

Kind = Literal["local", "slurm", "htcondor", "kubernetes"]
KINDS: tuple[Kind, ...] = ("local", "slurm", "htcondor", "kubernetes")

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:@|&*()\[\]=/+-]*")
_SLURM_OPTION = re.compile(r"--([a-z][a-z0-9-]*)(=[A-Za-z0-9_.,:/@+%=*\[\]()|&-]+)?")
_CONDOR_OPTION = re.compile(r"(\+?[A-Za-z_][A-Za-z0-9_]*)\s*=\s*([^\s][^\n\r$\x00]*)")

#: options of sbatch that the profile's own keys or the engine set
_SLURM_OURS = {
    "account": "account", "partition": "partition", "qos": "qos", "constraint": "constraint",
    "time": "walltime", "mem": "memory", "mem-per-cpu": "memory", "cpus-per-task": "cores",
    "nodes": "nodes", "job-name": "", "output": "", "error": "", "wrap": "", "ntasks": "",
    "ntasks-per-node": "", "array": "", "parsable": "", "wait": "", "chdir": "", "requeue": "",
}  # fmt: skip
#: commands of a submit description that the profile's own keys or the engine set
_CONDOR_OURS = {
    "requestcpus": "cores", "request_cpus": "cores", "requestmemory": "memory",
    "request_memory": "memory", "requirements": "constraint", "+projectname": "account",
    "executable": "", "arguments": "", "universe": "", "queue": "", "output": "", "error": "",
    "log": "", "environment": "", "transfer_input_files": "", "machine_count": "",
    "leave_in_queue": "", "batch_name": "", "jobbatchname": "", "+jobbatchname": "",
}  # fmt: skip


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError("expected one word of letters, digits and _.,:@|&*()[]=/+-")
    return value


def _lines(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _shell_line(value: str) -> str:
    if any(ord(c) < 32 and c != "\t" for c in value):
        raise ValueError("expected one line of shell")
    return value


Word = Annotated[str, AfterValidator(_word)]
ShellLines = Annotated[
    tuple[Annotated[str, AfterValidator(_shell_line)], ...], BeforeValidator(_lines)
]
Options = Annotated[tuple[str, ...], BeforeValidator(_lines)]


class PoolConfig(Frozen):
    """One kind of job of a profile: how large it is, how many there may be, how many workers.

    A block is one job of the scheduler. On each of its nodes there are as many workers as its
    cores and memory hold; a worker runs one step at a time.
    """

    cores: int = Field(
        default=0, ge=0, description="Cores per node to ask for. 0 (local only): all that are free."
    )
    memory: Memory | None = Field(
        default=None,
        description="Memory per node to ask for, e.g. 16 GB. Local default: what is free.",
    )
    worker_cores: int = Field(default=1, ge=1, description="Cores per worker.")
    worker_memory: Memory | None = Field(
        default=None,
        description="Memory per worker: no step that needs more runs here. Default: the node's "
        "memory divided by the workers its cores give.",
    )
    walltime: PositiveDuration = Field(
        default=u.Quantity(60, "min"), description="Walltime of a job. Not used by local."
    )
    nodes: int = Field(default=1, ge=1, le=1000, description="Nodes per job.")
    min_blocks: int = Field(default=0, ge=0, description="Jobs to keep while the plan runs.")
    max_blocks: int = Field(default=4, ge=1, le=1000, description="Jobs at most at a time.")
    partition: Word | None = Field(default=None, description="Slurm partition.")
    account: Word | None = Field(
        default=None, description="Account (Slurm) or accounting group's project (HTCondor)."
    )
    qos: Word | None = Field(default=None, description="Slurm quality of service.")
    constraint: str | None = Field(
        default=None,
        description="Slurm: node features. HTCondor: the requirements expression.",
    )
    options: Options = Field(
        default=(),
        description="More options of the scheduler. Slurm: --name=value. HTCondor: name = value.",
    )
    worker_init: ShellLines = Field(
        default=(), description="Lines of shell run on the node first, e.g. module load."
    )
    image: Word | None = Field(default=None, description="Kubernetes: the container image.")
    namespace: Word = Field(default="default", description="Kubernetes: the namespace.")
    service_account: Word | None = Field(
        default=None, description="Kubernetes: the service account of the pods."
    )
    volumes: tuple[Word, ...] = Field(
        default=(), description="Kubernetes: persistent volume claims, as claim:/folder."
    )

    @model_validator(mode="after")
    def _check(self) -> PoolConfig:
        if self.min_blocks > self.max_blocks:
            raise ValueError("min_blocks is larger than max_blocks")
        if self.cores and self.worker_cores > self.cores:
            raise ValueError("worker_cores is larger than cores")
        if (
            self.memory is not None
            and self.worker_memory is not None
            and self.worker_memory > self.memory
        ):
            raise ValueError("worker_memory is larger than memory")
        if self.constraint is not None and any(c in self.constraint for c in "\n\r\0$"):
            raise ValueError("constraint: expected one line without '$'")
        for volume in self.volumes:
            if not re.fullmatch(r"[a-z0-9.-]+:/[A-Za-z0-9_./-]*", volume):
                raise ValueError(f"volumes: expected claim:/folder, got {volume!r}")
        return self

    @property
    def workers_per_node(self) -> int:
        """Workers that the node's cores and memory hold; 0 where the machine decides (local)."""
        if not self.cores:
            return 0
        count = self.cores // self.worker_cores
        if self.memory is not None and self.worker_memory is not None:
            count = min(count, int((self.memory / self.worker_memory).to_value("")))
        return max(count, 1)

    @property
    def worker_memory_mb(self) -> float:
        """Memory that a step can have, in MB (10⁶ bytes); infinite where nothing is said."""
        if self.worker_memory is not None:
            return float(self.worker_memory.to_value("MB"))
        if self.memory is None:
            return float("inf")
        return float(self.memory.to_value("MB")) / max(self.workers_per_node, 1)

    @property
    def walltime_s(self) -> int:
        """Walltime of a job in seconds."""
        return int(self.walltime.to_value("s"))


def _check_option(kind: Kind, option: str) -> str:
    """What is wrong with a further option of the scheduler; empty if nothing is."""
    if kind == "slurm":
        match, ours = _SLURM_OPTION.fullmatch(option), _SLURM_OURS
        form = "--name=value, e.g. --exclude=node7"
    elif kind == "htcondor":
        match, ours = _CONDOR_OPTION.fullmatch(option), _CONDOR_OURS
        form = 'name = value, e.g. +SingularityImage = "/cvmfs/image"'
    else:
        return f"a {kind} engine takes no options"
    if match is None:
        return f"expected {form}, got {option!r}"
    name = match.group(1).lower()
    if name in ours:
        key = ours[name]
        return f"{option!r}: use the key {key!r}" if key else f"{option!r}: the engine sets that"
    return ""


class EngineProfile(Frozen):
    """Where the steps of a plan run."""

    name: str = Field(default="local", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    kind: Kind = Field(default="local", description="What gives the workers.")
    pools: dict[str, PoolConfig] = Field(
        default={"default": PoolConfig()},
        description="Pools by label. A step goes to the smallest one that fits it.",
    )
    scratch: Path | None = Field(
        default=None,
        description="Folder that this host and all nodes see, for the engine's own files. "
        "Default: .daybreak in the output folder.",
    )
    address: Word | None = Field(
        default=None,
        description="Address of this host as the nodes reach it. Default: all that it has.",
    )
    ports: tuple[int, int] = Field(
        default=(54000, 55000), description="Ports of this host that the nodes may connect to."
    )
    python: Annotated[str, AfterValidator(_shell_line)] = Field(
        default=sys.executable,
        description="Python interpreter on the nodes. Default: the one that runs now.",
    )
    retries: int = Field(
        default=2,
        ge=0,
        le=20,
        description="Times a step whose worker or node was lost is run again.",
    )
    memory_retries: int = Field(
        default=2, ge=0, le=10, description="Times a step that ran out of memory gets more."
    )
    memory_factor: float = Field(
        default=2.0, gt=1, le=10, description="How much more memory each time."
    )
    heartbeat: PositiveDuration = Field(
        default=u.Quantity(5, "s"), description="How often nodes say that they are alive."
    )
    heartbeat_threshold: PositiveDuration = Field(
        default=u.Quantity(25, "s"), description="After this silence a node is lost."
    )
    poll: PositiveDuration = Field(
        default=u.Quantity(5, "s"), description="How often the scheduler is asked about the jobs."
    )
    idle: PositiveDuration = Field(
        default=u.Quantity(2, "min"),
        description="After this time without work a job is given back.",
    )
    scheduler_wait: PositiveDuration = Field(
        default=u.Quantity(6, "hour"),
        description="How long to wait for a scheduler that can't be reached.",
    )

    @model_validator(mode="after")
    def _check(self) -> EngineProfile:
        if not self.pools:
            raise ValueError("pools: at least one is needed")
        if self.ports[0] >= self.ports[1] or self.ports[0] < 1024 or self.ports[1] > 65535:
            raise ValueError("ports: expected two numbers from 1024 to 65535, the smaller first")
        if self.heartbeat_threshold < 2 * self.heartbeat:
            raise ValueError("heartbeat_threshold has to be at least twice heartbeat")
        if not Path(self.python).is_absolute():
            raise ValueError("python: expected an absolute path")
        for label, pool in self.pools.items():
            if not _LABEL.fullmatch(label):
                raise ValueError(f"pools: {label!r}: expected small letters, digits and '-'")
            if self.kind != "local" and not pool.cores:
                raise ValueError(f"pools.{label}.cores: a cluster's pool needs a number above 0")
            if self.kind == "kubernetes" and (pool.image is None or pool.memory is None):
                raise ValueError(f"pools.{label}: Kubernetes needs image and memory")
            for option in pool.options:
                if problem := _check_option(self.kind, option):
                    raise ValueError(f"pools.{label}.options: {problem}")
        return self


_CLUSTER_POOL = {"cores": 2, "memory": "4 GB", "walltime": "1 hour", "max_blocks": 4}
#: the profiles that are built in
BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "local": {"name": "local", "kind": "local", "heartbeat": "2 s"},
    "slurm": {"name": "slurm", "kind": "slurm", "pools": {"default": _CLUSTER_POOL}},
    "htcondor": {"name": "htcondor", "kind": "htcondor", "pools": {"default": _CLUSTER_POOL}},
    "kubernetes": {
        "name": "kubernetes",
        "kind": "kubernetes",
        "pools": {"default": {**_CLUSTER_POOL, "image": "daybreak"}},
    },
}


def engines_folder() -> Path:
    """The user's folder of engine profiles."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "daybreak" / "engines"


def engine_names() -> dict[str, Path | None]:
    """Names of the known profiles; the file of each, None for those that are built in."""
    names: dict[str, Path | None] = dict.fromkeys(BUILT_IN)
    folder = engines_folder()
    if folder.is_dir():
        for path in sorted(folder.glob("*.yaml")):
            names[path.stem] = path
    return names


def _find(name_or_path: str | Path | None) -> tuple[str, Path | None]:
    if name_or_path is None:
        return "local", None
    text = str(name_or_path)
    if "/" in text or text.endswith((".yaml", ".yml")):
        return Path(text).stem, Path(text)
    known = engine_names()
    if text not in known:
        import difflib

        near = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(
            f"there is no engine {text!r}; {advice}",
            f"Give the path of a YAML file, or put {text}.yaml into {engines_folder()}.",
        )
    return text, known[text]


def _overrides_layer(overrides: Mapping[str, Any] | Iterable[str]) -> Layer:
    if isinstance(overrides, Mapping):
        return Layer("command line", dict(overrides))
    return settings_layer(overrides, "command line", "pools.default.account=foa")


def load_engine(
    name_or_path: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | Iterable[str] = (),
) -> EngineProfile:
    """Load an engine profile.

    Parameters
    ----------
    name_or_path
        A built-in name (``local``, ``slurm``, ``htcondor``, ``kubernetes``), the name of a file
        in ``$XDG_CONFIG_HOME/daybreak/engines``, or the path of a YAML file. None: ``local``.
    overrides
        Nested settings, or ``key.key=value`` texts; beat the file.

    Returns
    -------
    EngineProfile
        Frozen and complete.

    Raises
    ------
    ConfigError
        For an unknown name, an unreadable file, unknown keys or bad values, with file and line.
    """
    name, path = _find(name_or_path)
    layers = [] if path is None else [file_layer(path)]
    layers.append(_overrides_layer(overrides))
    kind = "local" if path is not None else name
    for layer in layers:
        kind = str(layer.values.get("kind", kind))
    base = dict(BUILT_IN.get(kind, BUILT_IN["local"]))
    if any(layer.values.get("pools") for layer in layers[:-1]):
        base.pop("pools", None)  # the file's pools are all there are
    base["name"] = name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) else "file"
    return build(EngineProfile, [Layer("built in", base), *layers])[0]
