"""Is an output folder consistent? What must hold after any fault, told as a list of findings.

An empty list means that all is well. Nothing here uses the ledger's own code to read the ledger:
a fault there would hide itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from daybreak.ledger.request import RequestState
from daybreak.ledger.step import StepState
from daybreak.ledger.transitions import REQUEST, STEP

_OPEN = ("SUBMITTED", "RUNNING")


def check(
    out: Path,
    *,
    finished: bool = True,
    mark: str = "",
    jobs: Iterable[str] = (),
    home: Path | None = None,
) -> list[str]:
    """Everything that is wrong with an output folder that nobody works in.

    Parameters
    ----------
    out
        Output folder.
    finished
        The last driver went through the whole plan: nothing may be left open.
    mark
        Text in the environment of the driver, which all that it starts inherits.
    jobs
        Cluster jobs of the request that are still there.
    home
        Folder of the inbox, if there is one.
    """
    path = out / ".daybreak" / "ledger.sqlite"
    findings = []
    if path.exists():
        with closing(sqlite3.connect(path, timeout=10)) as db:
            db.row_factory = sqlite3.Row
            findings += damage(db)
            if not db.execute("PRAGMA user_version").fetchone()[0] and not finished:
                return findings  # the driver ended before it had made the tables, all at once
            findings += illegal(db)
            findings += attempts(db, finished)
            findings += products(db, out)
            if finished:
                findings += unfinished(db)
    elif finished:
        findings.append("there is no ledger")
    if home is not None and (home / "inbox.sqlite").exists():
        with closing(sqlite3.connect(home / "inbox.sqlite", timeout=10)) as db:
            db.row_factory = sqlite3.Row
            findings += damage(db)
            findings += arrivals(db, out, finished)
    if finished:
        findings += leftovers(out)
    if mark:
        findings += [f"process {pid} is left: {what}" for pid, what in marked(mark)]
    findings += [f"cluster job {job} is left" for job in jobs]
    return findings


def damage(db: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds."""
    said = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    return said + [f"foreign key of {row[0]}" for row in db.execute("PRAGMA foreign_key_check")]


def illegal(db: sqlite3.Connection) -> list[str]:
    """Changes of state that may not be, and states that no change led to."""
    findings = []
    now: dict[tuple[str, str | None], str] = {}
    for row in db.execute("SELECT * FROM transitions ORDER BY id"):
        who, name = (row["request"], row["step"]), row["step"]
        before = now.get(who, StepState.PENDING.value)
        if row["old"] != before:
            findings.append(f"{name}: {row['old']} -> {row['new']}, but it was {before}")
        if StepState(row["new"]) not in STEP[StepState(row["old"])]:
            findings.append(f"{name}: {row['old']} -> {row['new']} is not allowed")
        now[who] = row["new"]
    for row in db.execute("SELECT request, name, state FROM steps"):
        last = now.get((row["request"], row["name"]), StepState.PENDING.value)
        if last != row["state"]:
            findings.append(f"{row['name']} is {row['state']}, its last change says {last}")
    return findings


def arrivals(db: sqlite3.Connection, out: Path, finished: bool) -> list[str]:
    """Requests of the inbox whose folder this is: legal changes, nobody's name left on them."""
    findings = []
    for row in db.execute("SELECT * FROM requests WHERE out=?", (str(out),)).fetchall():
        name, now = f"request {row['id']}", ""
        for change in db.execute(
            "SELECT * FROM transitions WHERE request=? ORDER BY id", (row["id"],)
        ):
            old, new = change["old"], change["new"]
            if old != now:
                findings.append(f"{name}: {old} -> {new}, but it was {now}")
            if old and RequestState(new) not in REQUEST[RequestState(old)]:
                findings.append(f"{name}: {old} -> {new} is not allowed")
            now = new
        if now != row["state"]:
            findings.append(f"{name} is {row['state']}, not so its last change")
        if finished and row["state"] in ("RECEIVED", "RUNNING"):
            findings.append(f"{name} is {row['state']}, nobody drives it")
        if finished and row["driver_pid"]:
            findings.append(f"{name} still names driver {row['driver_pid']}")
    return findings


def attempts(db: sqlite3.Connection, finished: bool) -> list[str]:
    """Attempts that do not fit their step, or that did what had been done."""
    findings = []
    done: Counter[tuple[str, str]] = Counter()
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    states = {(r["request"], r["name"]): r for r in db.execute("SELECT * FROM steps")}
    last = {}
    for row in db.execute("SELECT * FROM attempts ORDER BY request, step, number"):
        who = (row["request"], row["step"])
        numbers[who].append(row["number"])
        last[who] = row
        if row["state"] == "DONE":
            done[row["step"], row["key"]] += 1
        if row["state"] in _OPEN and (finished or states[who]["state"] not in _OPEN):
            findings.append(f"{row['step']}: attempt {row['number']} has no end")
        if row["ended"] and row["ended"] < row["submitted"] - 1:
            findings.append(f"{row['step']}: attempt {row['number']} ended before it began")
        if row["state"] == "FAILED" and not (row["kind"] and row["reason"]):
            findings.append(f"{row['step']}: attempt {row['number']} failed without a reason")
    findings += [f"{step}: done {n} times" for (step, _), n in done.items() if n > 1]
    for who, found in numbers.items():
        if found != list(range(1, len(found) + 1)):
            findings.append(f"{who[1]}: attempts are numbered {found}")
        step = states[who]
        if step["state"] in _OPEN and last[who]["state"] not in _OPEN:
            findings.append(f"{who[1]} is {step['state']}, its last attempt is not")
    return findings


def products(db: sqlite3.Connection, out: Path) -> list[str]:
    """Products of steps that are done: each is there, whole, and in the table of products."""
    findings = []
    table = {r["path"]: r for r in db.execute("SELECT * FROM products")}
    for row in db.execute("SELECT name, outputs FROM steps WHERE state='DONE'"):
        for name, digest in json.loads(row["outputs"]).items():
            path = out / name
            found = sha256(path / ".manifest.json" if path.is_dir() else path)
            if not found:
                findings.append(f"{row['name']} is done, but {name} is not there")
            elif found != digest:
                findings.append(f"{row['name']} is done, but {name} is not what it made")
            if name not in table or table[name]["digest"] != digest:
                findings.append(f"{name} is not in the table of products as it is")
    return findings


def unfinished(db: sqlite3.Connection) -> list[str]:
    """Steps and requests that a driver that has ended left open."""
    return [
        f"{row['name']} is {row['state']}"
        for row in db.execute("SELECT name, state FROM steps WHERE state IN (?,?)", _OPEN)
    ]


def leftovers(out: Path) -> list[str]:
    """Half-written files, notes, the engine's own files."""
    findings = [f"half-written: {p.relative_to(out)}" for p in out.rglob(".*.partial-*")]
    for name in ("attempts", "engine"):
        folder = out / ".daybreak" / name
        if folder.is_dir():
            findings += [f"left: {p.relative_to(out)}" for p in folder.rglob("*")]
    return findings


def marked(mark: str) -> Iterator[tuple[int, str]]:
    """Processes of this host with a text in their environment, and their command lines."""
    sought = mark.encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if sought in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                yield int(folder.name), " ".join(words).strip()


def sha256(path: Path) -> str:
    """Of a file; '' if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def files(out: Path) -> dict[str, str]:
    """Products of an output folder, name to digest; logs and the ledger left out."""
    return {
        str(path.relative_to(out)): sha256(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.suffix != ".log" and ".daybreak" not in path.parts
    }
