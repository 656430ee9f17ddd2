"""Which step made what: a record per step, so that a repeated command does only the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daybreak.errors import OutputError
from daybreak.pipeline.step import Step, StepResult, StepState
from daybreak.products.atomic import write_text
from daybreak.products.digest import code_digest, file_digest, value_digest

_FORMAT = 1


class Records:
    """The records of one output folder.

    Parameters
    ----------
    root
        The output folder; records lie in its ``.daybreak/steps``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".daybreak" / "steps"
        self._digests: dict[Path, str] = {}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, computed once per run of the program; '' if it is not there."""
        if path not in self._digests:
            try:
                self._digests[path] = file_digest(path)
            except FileNotFoundError:
                return ""
            except OSError as error:
                raise OutputError(
                    f"can't read {path}: {error.strerror}", "Check the file's permissions."
                ) from error
        return self._digests[path]

    def key(self, step: Step, upstream: Mapping[str, Any] | None = None) -> str:
        """SHA-256 over the code's version, the parameters and the digests of the inputs."""
        return value_digest(
            {
                "format": _FORMAT,
                "code": code_digest(),
                "function": step.function,
                "params": dict(step.params),
                "upstream": dict(upstream or {}),
                "inputs": [self.digest(path) for path in step.input_files()],
                "outputs": sorted(p.name for p in step.outputs.values()),
            }
        )

    def finished(self, step: Step, key: str) -> StepResult | None:
        """The result of an earlier run, if its key is the same and its products are whole."""
        try:
            record = json.loads(self._path(step.name).read_text(encoding="utf-8"))
            if record["key"] != key or record["state"] not in ("DONE", "SKIPPED"):
                return None
            outputs = {str(k): str(v) for k, v in record["outputs"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if record["state"] == "DONE":
            for path in step.outputs.values():
                relative = self._relative(path)
                if relative not in outputs or self.digest(path) != outputs[relative]:
                    self._digests.pop(path, None)
                    return None
        return StepResult(
            name=step.name,
            state=StepState(record["state"]),
            reason=str(record.get("reason", "")),
            cached=True,
            seconds=float(record.get("seconds", 0.0)),
            outputs=outputs,
        )

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def store(self, step: Step, key: str, result: StepResult) -> None:
        """Write the record of a step that ended."""
        for path in step.outputs.values():
            self._digests.pop(path, None)
            if str(path) in result.outputs:
                self._digests[path] = result.outputs[str(path)]
        outputs = {self._relative(Path(k)): v for k, v in result.outputs.items()}
        record = asdict(result) | {"key": key, "outputs": outputs, "state": result.state.value}
        record.pop("cached")
        write_text(self._path(step.name), json.dumps(record, indent=1, sort_keys=True))

    def forget_outputs(self, step: Step) -> None:
        """Remove products of an earlier run of a step that now failed or was skipped."""
        for path in step.outputs.values():
            path.unlink(missing_ok=True)
            self._digests.pop(path, None)
