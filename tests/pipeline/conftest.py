"""Steps made of a function's name and file names."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from daybreak.errors import EngineError
from daybreak.pipeline.execute import execute
from daybreak.pipeline.step import Step


class HerePools:
    """Pools that run steps in this process, where the workers are not what is tested."""

    largest_mb = 4000

    def __init__(self):
        self.trouble = None
        self.ends = {}
        self.taken = []

    def label_for(self, resources):
        if resources.memory_mb > self.largest_mb:
            raise EngineError(f"a step needs {resources.memory_mb} MB of memory")
        return "here"

    def capacity(self, label):
        return 1

    def health(self):
        return self.trouble

    def job_of(self, note):
        return self.ends.get(note.get("job"))

    def run(self, payload):
        return execute(payload)

    def submit(self, function, payload, *, label, priority=0):
        assert function == "daybreak.pipeline.execute:execute"
        self.taken.append((payload["name"], payload["memory_mb"]))
        future: Future = Future()
        try:
            future.set_result(self.run(payload))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture()
def here(monkeypatch):
    """Run steps in this process; the pools, so that a test can make them fail."""
    pools = HerePools()

    @contextmanager
    def open_pools(*_, **__):
        yield pools

    monkeypatch.setattr("daybreak.pipeline.engine.open_pools", open_pools)
    return pools


@pytest.fixture()
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture()
def step(root: Path):
    """Function: a step that runs one of the sample functions."""

    def make(name: str, function: str = "write", inputs=(), outputs=None, **values) -> Step:
        made = outputs if outputs is not None else (f"{name}.txt",)
        names = ("out", *(f"out{i}" for i in range(1, len(made))))
        return Step(
            name=name,
            function=f"sample_steps:{function}",
            inputs={f"in{i}": root / item for i, item in enumerate(inputs)},
            outputs={key: root / item for key, item in zip(names, made, strict=True)},
            **values,
        )

    return make
