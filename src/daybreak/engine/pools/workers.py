"""Start Parsl's worker pool with workers that are forked from a process that has imported all.

Every worker that imports Gammapy on its own pays seconds of CPU time and some 200 MB. A fork
server imports the modules once; its children share them. Used as the pool's launch command::

    python -m daybreak.engine.pools.workers --driver PID --folder DIR --preload A,B -- ARGUMENTS
    python -m daybreak.engine.pools.workers --link HOST:PORT,… --preload A,B -- ARGUMENTS

the first on the driver's own host, the second on a cluster's node; ARGUMENTS are those of Parsl's
pool; without any they are read from standard input, as a list in JSON. Either way this process
and its workers end when the driver does.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from daybreak.engine.pools.driver_watch import end_group, end_with_driver, end_with_link
from daybreak.engine.pools.scratch import make_scratch


def call(function: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine sends to a worker: a function to call.

    Parameters
    ----------
    function
        ``package.module:function``.
    payload
        Its argument.

    Returns
    -------
    dict
        The function's answer.
    """
    module, _, name = function.partition(":")
    result: dict[str, Any] = getattr(import_module(module), name)(payload)
    return result


def _job_id() -> str:
    """The scheduler's id of the job that this process is part of."""
    environment = os.environ
    if found := environment.get("SLURM_JOB_ID"):
        return found
    if found := environment.get("_CONDOR_JOB_AD"):
        try:
            with open(found, encoding="utf-8") as lines:  # noqa: PTH123 - a job's own small file
                ad = dict(line.strip().split(" = ", 1) for line in lines if " = " in line)
            return f"{ad['ClusterId']}.{ad['ProcId']}"
        except (OSError, KeyError, UnicodeDecodeError):
            return ""
    if "KUBERNETES_SERVICE_HOST" in environment:
        return environment.get("HOSTNAME", "")
    return ""


def main() -> None:
    """Preload, then hand over to Parsl's own worker pool program."""
    cut = sys.argv.index("--")
    parser = argparse.ArgumentParser(prog="daybreak.engine.pools.workers")
    parser.add_argument("--driver", type=int, default=0)
    parser.add_argument("--link", default="")
    parser.add_argument("--folder", default="")
    parser.add_argument("--preload", default="")
    options = parser.parse_args(sys.argv[1:cut])
    from daybreak.engine.pools import forking
    from daybreak.engine.pools.lean_parsl import import_lean

    arguments = sys.argv[cut + 1 :]
    if options.driver:
        folder = options.folder
        end_with_driver(options.driver, folder)
    else:
        base = tempfile.gettempdir()
        short = base if len(base) < 40 else "/tmp"  # noqa: S108 - mkdtemp makes a private folder
        folder = str(make_scratch("daybreak-node-", Path(short)))
        signal.signal(signal.SIGTERM, lambda *_: end_group(folder))  # how a scheduler ends a job
        forking.folder = folder
        end_with_link(options.link, folder)
    os.environ["DAYBREAK_JOB_ID"] = "" if options.driver else _job_id()
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    forking.start(options.preload)
    import_lean("parsl.executors.high_throughput.process_worker_pool")  # while there is time

    sys.argv[1:] = arguments or json.loads(sys.stdin.readline() or end_group(folder))
    try:
        runpy.run_module(
            "parsl.executors.high_throughput.process_worker_pool",
            run_name="__main__",
            alter_sys=True,
        )
    finally:
        if not options.driver:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
