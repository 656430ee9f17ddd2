"""Parsl's interchange, ended with the driver that started it."""

from __future__ import annotations

import runpy

from daybreak.pipeline.lifeline import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    runpy.run_module(
        "parsl.executors.high_throughput.interchange", run_name="__main__", alter_sys=True
    )
