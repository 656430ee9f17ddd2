"""Start Parsl's worker pool with workers that are forked from a process that has imported all.

Every worker that imports Gammapy on its own pays seconds of CPU time and some 200 MB. A fork
server imports the modules once; its children share them. Used as the pool's launch command::

    python -m daybreak.pipeline.workers PID FOLDER MODULE,MODULE… <arguments of Parsl's pool>

with the process id of the driver and the engine's scratch folder.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile

from daybreak.pipeline.lifeline import end_with_driver


def main() -> None:
    """Preload, then hand over to Parsl's own worker pool program."""
    driver, folder = int(sys.argv.pop(1)), sys.argv.pop(1)
    end_with_driver(driver, folder)
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    modules = [m for m in sys.argv.pop(1).split(",") if m]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(modules)
    from multiprocessing import forkserver

    forkserver.ensure_running()
    import parsl.multiprocessing

    parsl.multiprocessing.SpawnContext = context
    runpy.run_module(
        "parsl.executors.high_throughput.process_worker_pool", run_name="__main__", alter_sys=True
    )


if __name__ == "__main__":
    main()
