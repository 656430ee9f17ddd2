"""Whole way from camera data to DL1: ``daybreak make dl1`` and ctapipe-process on the same file.

``python -m benchmarks.dl1 FILE.simtel.zst [--times 60]``: the events of a sim_telarray file are
repeated, so that start-up does not count for everything. CPU time of each program as a user starts
it, and less what it takes for the file as it is (start-up, imports, compiled kernels).
"""

from __future__ import annotations

import argparse
import gzip
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import zstandard

from benchmarks.tables import markdown, publish, stamp

#: objects of eventio that belong to an event: shower, array event, what follows it
_FIRST, _LAST = (2020, 2021), (2020, 2021, 2010, 2026, 1204)


def repeated(path: Path, out: Path, times: int) -> None:
    """Write a sim_telarray file with its events repeated."""
    packed = path.read_bytes()
    if path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(packed).read()
    else:
        raw = gzip.decompress(packed) if path.suffix == ".gz" else packed
    objects, at = [], 0
    while at + 16 <= len(raw):
        word, length = (int.from_bytes(raw[at + i : at + i + 4], "little") for i in (4, 12))
        extended = bool(word >> 17 & 1)
        size = length & 0x3FFFFFFF
        if extended:
            size |= (int.from_bytes(raw[at + 16 : at + 20], "little") & 0xFFF) << 30
        whole = 16 + 4 * extended + size
        objects.append((word & 0xFFFF, raw[at : at + whole]))
        at += whole
    first = next(i for i, (kind, _) in enumerate(objects) if kind in _FIRST)
    last = max(i for i, (kind, _) in enumerate(objects) if kind in _LAST)
    parts = [data for _, data in objects]
    with out.open("wb") as stream:
        stream.write(b"".join(parts[:first]))
        for _ in range(times):
            stream.write(b"".join(parts[first : last + 1]))
        stream.write(b"".join(parts[last + 1 :]))


def cpu(*command: object) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(args: list[str] | None = None) -> int:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--times", type=int, default=60)
    given = parser.parse_args(args)
    binary = Path(sys.executable).parent
    rows, numbers = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        long, short = folder / "long.simtel", folder / "short.simtel"
        repeated(given.file, long, given.times)
        repeated(given.file, short, 1)
        ours = [binary / "daybreak", "make", "dl1", "-o", folder / "dl1"]
        theirs = [binary / "ctapipe-process", "-q", "--overwrite", "-o", folder / "c.h5", "-i"]
        cpu(*ours, short)  # kernels
        for title, command in (("ctapipe-process", theirs), ("daybreak make dl1", ours)):
            (folder / "dl1" / "short.dl1.h5").unlink(missing_ok=True)
            start, whole = cpu(*command, short), cpu(*command, long)
            numbers[title] = {"one": start, "all": whole, "events": whole - start}
            rows.append([title, f"{start:.1f}", f"{whole:.1f}", f"{whole - start:.1f}"])
    a, b = (numbers[k]["events"] for k in ("ctapipe-process", "daybreak make dl1"))
    head = ["CPU s", "once", f"{given.times} times", "difference"]
    text = f"Ratio of the differences: {a / b:.1f}. {given.file.name}. {stamp()}"
    publish("dl1", "\n".join([markdown(head, rows), "", text]), numbers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
