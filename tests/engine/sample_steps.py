"""Functions of steps for the tests; the workers import them by name."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

from daybreak.errors import OutputError, RunDataError
from daybreak.ledger.step import StepSkipped


def write(inputs, outputs, params):
    """Join the inputs' texts and the parameter."""
    text = str(params.get("text", ""))
    for value in inputs.values():
        for path in value if isinstance(value, list) else [value]:
            text += Path(path).read_text()
    for path in outputs.values():
        path.write_text(text)


def note_pid(inputs, outputs, params):
    outputs["out"].write_text(str(os.getpid()))


def slow(inputs, outputs, params):
    outputs["out"].write_text("half")
    if params.get("started"):
        Path(params["started"]).write_text(str(os.getpid()))
    time.sleep(params.get("seconds", 0.5))
    outputs["out"].write_text("done")


def tell_upstream(inputs, outputs, params):
    upstream = params["upstream"]
    lines = [f"{name} {how['state']} {how['reason']}" for name, how in sorted(upstream.items())]
    outputs["out"].write_text("\n".join([*lines, f"inputs {sorted(inputs)}"]))


def fail(inputs, outputs, params):
    next(iter(outputs.values())).write_text("half")
    raise ValueError("a number is odd")


def refuse(inputs, outputs, params):
    raise RunDataError("file.fits: damaged", "Copy it again.")


def skip(inputs, outputs, params):
    next(iter(outputs.values())).write_text("half")
    raise StepSkipped("nothing to make")


def nothing(inputs, outputs, params):
    """Forget to write."""


def full(inputs, outputs, params):
    path = next(iter(outputs.values()))
    path.write_text("half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def full_elsewhere(inputs, outputs, params):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/scratch/tmp")


def output_refused(inputs, outputs, params):
    raise OutputError("no room", "Make some.")


def interrupt(inputs, outputs, params):
    raise KeyboardInterrupt


def die(inputs, outputs, params):
    os.kill(os.getpid(), signal.SIGKILL)


def warn(inputs, outputs, params):
    import logging
    import warnings

    logging.getLogger("some.library").info("said in passing")
    warnings.warn("beware of this", UserWarning, stacklevel=1)
    next(iter(outputs.values())).write_text("x")


def vanish_input(inputs, outputs, params):
    inputs["one"].unlink()
    raise FileNotFoundError(errno.ENOENT, "No such file", str(inputs["one"]))


def change_input(inputs, outputs, params):
    inputs["one"].write_text("changed meanwhile")
    outputs["out"].write_text("made of two halves")


def no_memory(inputs, outputs, params):
    raise MemoryError


def hold(inputs, outputs, params):
    """Take memory and time."""
    block = bytearray(int(params["mb"] * 1e6))
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(params.get("seconds", 20))
    outputs["out"].write_text(str(len(block)))


def hoard(inputs, outputs, params):
    """Take more and more."""
    blocks = []
    for _ in range(60):
        blocks.append(bytearray(b"x") * 100_000_000)
        time.sleep(0.3)


def _first(mark):
    """Whether this is the first time."""
    path = Path(mark)
    first = not path.exists()
    path.touch()
    return first


def hold_first(inputs, outputs, params):
    """Take more memory the first time than later."""
    first = _first(params["mark"])
    hold(inputs, outputs, {"mb": params["mb"] if first else 1, "seconds": 3 if first else 0})


def die_first(inputs, outputs, params):
    """Lose the worker the first time."""
    first = _first(params["mark"])
    if first:
        die(inputs, outputs, params)
    outputs["out"].write_text("second time")
