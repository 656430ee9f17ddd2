"""The one way of a request under disturbance: kills at random moments, many requests, status.

``python -m benchmarks.lifecycle [--kills 50] [--requests 1000]`` simulates a night and an event,
kills analyses and scans of them with SIGKILL, SIGTERM or Ctrl-C at random moments, lets the same
command go on, and compares what they have left with an undisturbed run; then it fills an inbox and
times ``daybreak status``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.tables import ROOT, markdown, publish, stamp

sys.path[:0] = [str(ROOT / "tests" / "engine")]
from checker import check, marked  # noqa: E402

DAYBREAK = str(Path(sys.executable).with_name("daybreak"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LIMIT_S = 120.0
STATUS_LIMIT_S = 0.5


def _environment(home: Path, mark: str = "") -> dict[str, str]:
    return os.environ | {"DAYBREAK_HOME": str(home), "DAYBREAK_TRIAL_MARK": mark}


def _run(words: list[str], home: Path) -> float:
    start = time.monotonic()
    done = subprocess.run(
        [DAYBREAK, *words], env=_environment(home), capture_output=True, text=True, timeout=LIMIT_S
    )
    if done.returncode:
        raise SystemExit(f"{words}: {done.stderr}")
    return time.monotonic() - start


def _analysis_left(out: Path) -> dict[str, str]:
    """Every result of an analysis, by name, as its digest."""
    files = [*sorted((out / "results").glob("*.ecsv")), *sorted(out.glob("results.json"))]
    files += [out / "results" / "maps.fits", out / "report.html"]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _scan_left(out: Path) -> dict[str, Any]:
    """What a scan has found; how long it took and in how many goes does not count."""
    found = json.loads((out / "results.json").read_text())
    return {key: found[key] for key in ("best_fit", "minima", "contours", "complete", "labels")}


def trials(kind: str, words: list[str], left: Any, count: int, work: Path) -> dict[str, Any]:
    """Disturb a command `count` times; what was found."""
    home, rng, findings = work / f"home-{kind}", random.Random(20261127), []
    whole = work / f"{kind}-whole"
    lasts = _run([*words, "-o", str(whole)], home)
    wanted, hits, repairs = left(whole), 0, []
    for number in range(count):
        out, mark = work / f"{kind}-{number}", f"{kind}-{number}-{os.getpid()}"
        driver = subprocess.Popen(
            [DAYBREAK, *words, "-o", str(out)],
            env=_environment(home, mark),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(rng.uniform(0.0, 0.98 * lasts))
        driver.send_signal(rng.choice(SIGNALS))
        _, errors = driver.communicate(timeout=LIMIT_S)
        hits += driver.returncode != 0
        trouble = ["a traceback"] if "Traceback" in errors else []
        end = time.monotonic() + 10
        while (alive := list(marked(mark))) and time.monotonic() < end:
            time.sleep(0.1)
        trouble += [f"process {pid} is left" for pid, _ in alive]
        repairs.append(_run([*words, "-o", str(out)], home))
        if left(out) != wanted:
            trouble.append("other results than undisturbed")
        trouble += check(out, home=home)
        findings += [f"{kind} {number}: {text}" for text in trouble]
        print(f"{kind} {number}: {'; '.join(trouble) or 'the same'}", flush=True)
    return {
        "kind": kind,
        "undisturbed_s": lasts,
        "stopped": hits,
        "trials": count,
        "median repair s": sorted(repairs)[len(repairs) // 2] if repairs else 0.0,
        "findings": findings,
    }


def status_of(count: int, work: Path) -> float:
    """Seconds of a whole ``daybreak status`` with so many requests of both kinds."""
    from daybreak.ledger.inbox import Inbox
    from daybreak.requests.analysis.request import analysis_request
    from daybreak.requests.scan.request import scan_request

    home = work / "home-status"
    with Inbox(home) as inbox:
        for number in range(count):
            out = work / "none" / str(number)
            if number % 2:
                request: Any = scan_request(work / f"event{number}.json", out=out)
            else:
                request = analysis_request("Crab", store=work, out=out)
            info = request.info()
            inbox.submit(info)
            inbox.note(info.id, {"DONE": 12})
    spent = []
    for _ in range(5):
        spent.append(_run(["status"], home))
    return sorted(spent)[2]


def main(argv: list[str] | None = None) -> int:
    """1 if a requirement is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="daybreak-lifecycle-") as name:
        work = Path(name)
        seconds = status_of(options.requests, work)
        _run(["demo", "-o", str(work / "demo")], work / "home")
        event = work / "track.json"
        _run(
            ["simulate", "event", "--seed", "3", "--energy", "1e5", "-o", str(event)], work / "home"
        )
        store = ["analyse", "virtual_crab", "--store", str(work / "demo" / "store")]
        found = [
            trials("analysis", store, _analysis_left, options.kills, work),
            trials("scan", ["scan", str(event)], _scan_left, options.kills, work),
        ]
    rows = [
        [f["kind"], f"{f['undisturbed_s']:.1f}", f"{f['stopped']} of {f['trials']}",
         f"{f['median repair s']:.1f}", str(len(f["findings"]))]
        for f in found
    ]  # fmt: skip
    text = markdown(
        ["request", "undisturbed (s)", "ended by the signal", "going on (s, median)", "findings"],
        rows,
    )
    said = f"`daybreak status` of {options.requests} requests of both kinds: {seconds:.2f} s."
    numbers = {"status_s": seconds, "trials": found}
    publish("lifecycle", f"{text}\n\n{said}\n\n{stamp()}", numbers)
    findings = [text for f in found for text in f["findings"]]
    print("\n".join([text, said, *findings]))
    return 1 if findings or seconds > STATUS_LIMIT_S else 0


if __name__ == "__main__":
    raise SystemExit(main())
