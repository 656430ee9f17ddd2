"""The real command line in a process of its own, with both sub-apps registered."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

HERE = Path(__file__).resolve()
SRC = HERE.parents[2] / "src"


def environment(**more: str) -> dict[str, str]:
    paths = [str(SRC), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "100", **more}


def run(
    *args: object, cwd: Path | None = None, timeout: float = 120, **env: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE), *(str(arg) for arg in args)]
    return subprocess.run(
        command, cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=timeout
    )


def main() -> None:
    """Register what the main module of this checkout may not register yet."""
    for name in ("analyse", "figures"):
        try:
            importlib.import_module(f"daybreak.cli.{name}")
        except ModuleNotFoundError:
            stub = types.ModuleType(f"daybreak.cli.{name}")
            setattr(stub, name, lambda: None)
            sys.modules[stub.__name__] = stub
            setattr(importlib.import_module("daybreak.cli"), name, stub)
    from daybreak.cli import data, store
    from daybreak.cli.main import app
    from daybreak.cli.main import main as real_main

    names = {group.name for group in app.registered_groups}
    for name, sub in (("store", store.app), ("data", data.app)):
        if name not in names:
            app.add_typer(sub, name=name)
    real_main()


if __name__ == "__main__":
    main()
