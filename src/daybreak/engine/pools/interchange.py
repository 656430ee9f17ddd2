"""Parsl's interchange, ended with the driver that started it. Called with the driver's pid."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

from daybreak.engine.pools.driver_watch import wait_for_end
from daybreak.engine.pools.lean_parsl import import_lean

_PROGRAM = "parsl.executors.high_throughput.interchange"


def _watch(pid: int) -> None:
    wait_for_end(pid)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    driver = int(sys.argv.pop(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which ends this
    threading.Thread(target=_watch, args=(driver,), name="driver-watch", daemon=True).start()
    import_lean(_PROGRAM)
    del sys.modules[_PROGRAM]
    runpy.run_module(_PROGRAM, run_name="__main__", alter_sys=True)
