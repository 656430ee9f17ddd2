"""Steps made of a function's name and file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from daybreak.ledger.step import Step


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
