"""Run one step in this process: the function that workers call."""

from __future__ import annotations

import errno
import logging
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from daybreak.engine.attempt import here, limited, peak_mb, reset_peak, write_note
from daybreak.errors import DaybreakError, InputChangedError, OutputError
from daybreak.ledger.failure import FailureKind, kind_of
from daybreak.ledger.step import StepSkipped, StepState, StepStopped
from daybreak.products.atomic import atomic_path, output_error
from daybreak.products.digest import file_digest
from daybreak.products.folder import atomic_folder, list_files, write_manifest

_LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


@contextmanager
def step_log(path: Path | None) -> Iterator[logging.Logger]:
    """Everything that is logged, and every warning, goes to the log beside the product.

    Parameters
    ----------
    path
        The log file, written anew; None: logging stays as it is.

    Yields
    ------
    logging.Logger
        For the step's own messages.
    """
    logger = logging.getLogger()
    if path is None:
        yield logger
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    old_handlers, old_level = logger.handlers[:], logger.level
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("once")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield logger
    finally:
        logging.captureWarnings(False)
        logger.handlers, logger.level = old_handlers, old_level
        handler.close()


@contextmanager
def thread_log(path: Path | None) -> Iterator[logging.Logger]:
    """What this thread logs with Daybreak's own loggers goes to the log beside the product, too.

    Other threads of the process are not disturbed.

    Parameters
    ----------
    path
        The log file; None: none.

    Yields
    ------
    logging.Logger
        For the step's own messages.
    """
    logger = logging.getLogger("daybreak.step")
    if path is None:
        yield logger
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    me = threading.get_ident()
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    handler.addFilter(lambda record: record.thread == me)
    ours, old_level = logging.getLogger("daybreak"), logging.getLogger("daybreak").level
    ours.addHandler(handler)
    if not ours.isEnabledFor(logging.INFO):
        ours.setLevel(logging.INFO)
    try:
        yield logger
    finally:
        ours.removeHandler(handler)
        ours.setLevel(old_level)
        handler.close()


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = output_error(Path(error.filename or "a temporary file"), error)
    if isinstance(error, MemoryError):
        kind = FailureKind.MEMORY
        reason = "the step asked for more memory than it may have (MemoryError)"
        return {"kind": kind.value, "reason": reason, "error": "MemoryLimitError", "exit_code": 22}
    if isinstance(error, DaybreakError):
        return {
            "kind": kind_of(error).value,
            "reason": error.what,
            "hint": error.hint,
            "error": type(error).__name__,
            "exit_code": error.exit_code,
        }
    return {
        "kind": FailureKind.CODE.value,
        "reason": f"{type(error).__name__}: {error}",
        "hint": "This is a fault of the program or of unusual data: see the step's log.",
        "error": "EngineError",
        "exit_code": 9,
    }


def fingerprint(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of change in ns of a file; None if it is not there.

    Parameters
    ----------
    path
        Of the file.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _check_inputs(expected: Mapping[str, Any]) -> None:
    """Raise if a file that the step reads is not the one that the plan was made for."""
    for name, size_and_time in expected.items():
        now = fingerprint(Path(name))
        if now is None:
            raise InputChangedError(f"{name} has vanished", "Put it back, then resume.")
        if list(now) != list(size_and_time):
            raise InputChangedError(
                f"{name} has changed since the plan was made",
                "Run the command again: it plans with the file as it is now.",
            )


def execute(payload: Mapping[str, Any], host: Any = None) -> dict[str, Any]:
    """Run a step's function on temporary names, rename its outputs, say how it ended.

    Never raises: errors come back as data, so that they survive any transport. A step that takes
    more memory or time than it may have takes its worker with it; the note says why.

    Parameters
    ----------
    payload
        ``name``, ``function``, ``inputs``, ``outputs``, ``params``, ``log`` (paths as text); also
        ``note`` (where to write how it goes), ``key``, ``memory_mb``, ``walltime_s`` and
        ``expected`` (input to size and time of change).
    host
        For a step beside the driver (:class:`daybreak.engine.hosted.Host`): its function gets it
        as a fourth argument. Its limits of memory and time are not held, as they are the driver's.

    Returns
    -------
    dict
        ``state``, ``seconds``, ``outputs`` (path to SHA-256) or the failure; ``host``, ``job``,
        ``peak_mb``.
    """
    start = time.perf_counter()
    note = Path(payload["note"]) if payload.get("note") else None
    begun = {
        **here(),
        "key": payload.get("key", ""),
        "started": time.time(),
        "memory_mb": payload.get("memory_mb", 0),
        "walltime_s": payload.get("walltime_s", 0),
    }
    if note is not None:
        write_note(note, begun)

    def announce(outputs: Mapping[str, str]) -> None:
        if note is not None:
            made = {
                "state": StepState.DONE.value,
                "outputs": dict(outputs),
                "seconds": time.perf_counter() - start,
                "host": begun["host"],
                "job": begun["job"],
            }
            write_note(note, {**begun, "made": made})

    if host is None:
        reset_peak()
    with limited(note if host is None else None, begun):
        result = _execute(payload, start, announce, host)
    result["seconds"] = time.perf_counter() - start
    result.update(host=begun["host"], job=begun["job"], peak_mb=round(peak_mb(), 1))
    if note is not None:
        write_note(note, {**begun, "ended": time.time(), "result": result})
    return result


def _execute(
    payload: Mapping[str, Any],
    start: float,
    announce: Callable[[Mapping[str, str]], None],
    host: Any,
) -> dict[str, Any]:
    inputs = {
        key: Path(value) if isinstance(value, str) else [Path(v) for v in value]
        for key, value in payload["inputs"].items()
    }
    outputs = {key: Path(value) for key, value in payload["outputs"].items()}
    log = Path(payload["log"]) if payload.get("log") else None
    result: dict[str, Any] = {"state": StepState.DONE.value, "outputs": {}}
    try:
        with (step_log if host is None else thread_log)(log) as logger:
            try:
                logger.info("step %s: %s", payload["name"], payload["function"])
                _check_inputs(payload.get("expected", {}))
                made = _call(payload, inputs, outputs, announce, host)
                result["outputs"] = made
                logger.info("done in %.2f s", time.perf_counter() - start)
            except StepSkipped as skipped:
                logger.info("skipped: %s", skipped)
                result.update(state=StepState.SKIPPED.value, reason=str(skipped))
            except StepStopped as stopped:
                logger.info("stopped: %s", stopped)
                result.update(state=StepState.PENDING.value, reason=str(stopped))
            except Exception as error:
                logger.error("failed\n%s", traceback.format_exc())
                result.update(state=StepState.FAILED.value, **_failure(error))
    except OSError as error:
        failure = output_error(Path(error.filename or str(log)), error)
        result.update(state=StepState.FAILED.value, **_failure(failure))
    return result


def _call(
    payload: Mapping[str, Any],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Path],
    announce: Callable[[Mapping[str, str]], None],
    host: Any = None,
) -> dict[str, str]:
    """Run the function; announces the digests of the outputs before they get their names.

    A worker that is lost after that has not worked in vain: who finds the outputs under their
    names, with these digests, knows that they are whole.
    """
    module, _, name = payload["function"].partition(":")
    target = getattr(import_module(module), name)
    folders, expected = set(payload.get("folders", ())), payload.get("expected", {})
    with ExitStack() as stack:
        partial = {
            key: stack.enter_context((atomic_folder if key in folders else atomic_path)(path))
            for key, path in outputs.items()
        }
        try:
            target(inputs, partial, dict(payload["params"]), *([] if host is None else [host]))
        except Exception:
            _check_inputs(expected)  # an input that vanished meanwhile is the better reason
            raise
        _check_inputs(expected)
        for key, path in partial.items():
            if not path.exists():
                raise OutputError(f"the step did not write {outputs[key].name}", "See its log.")
        made = {
            str(outputs[key]): write_manifest(path, list_files(path))
            if key in folders
            else file_digest(path)
            for key, path in partial.items()
        }
        announce(made)
    return made
