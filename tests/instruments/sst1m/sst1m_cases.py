"""Small raw files, ways to damage them, and what came of reading the damaged ones."""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from daybreak.errors import RunDataError
from daybreak.instruments.sst1m.raw import open_raw, write_raw


def small_events(n: int = 24, n_pixels: int = 24, n_samples: int = 20, seed: int = 1) -> dict:
    """Arrays of events as `write_raw` takes them."""
    rng = np.random.default_rng(seed)
    return {
        "telescope": 21,
        "event_id": np.arange(n) + 1000,
        "array_event_id": np.arange(n) + 7,
        "time_ns": 1_700_000_000_000_000_000 + np.cumsum(rng.integers(1, 10**7, n)),
        "bits": rng.choice([1, 8], n),
        "waveforms": rng.integers(180, 260, (n, n_pixels, n_samples)).astype(np.uint16),
        "baselines": rng.integers(190 * 16, 210 * 16, (n, n_pixels)).astype(np.uint16),
    }


def write_small(path: Path, **changes) -> dict:
    events = small_events(**{k: changes.pop(k) for k in ("n", "seed") if k in changes})
    write_raw(path, **events, target="Crab,W1,83.63,22.01", tile_rows=changes.pop("tile_rows", 6))
    return events


def joined(raw, size: int = 100) -> dict[str, np.ndarray]:
    """All chunks of a file as one."""
    chunks = list(raw.chunks(size))
    if not chunks:
        return {}
    names = list(chunks[0].__dataclass_fields__)
    return {n: np.concatenate([getattr(c, n) for c in chunks]) for n in names}


def damage(data: bytes, rng: random.Random, start: int = 0) -> tuple[str, bytes]:
    """One of the ways in which files are damaged, and the damaged bytes."""
    kind = rng.choice(
        ["cut", "flip one", "flip some", "header", "swap", "zeros", "repeat", "insert", "remove"]
    )
    out = bytearray(data)
    size = len(data)
    place = rng.randrange(size)
    if kind == "cut":
        out = out[:place]
    elif kind == "flip one":
        out[place] ^= 1 << rng.randrange(8)
    elif kind == "flip some":
        for _ in range(rng.randrange(2, 40)):
            out[rng.randrange(size)] = rng.randrange(256)
    elif kind == "header":
        for _ in range(rng.randrange(1, 4)):
            out[rng.randrange(min(size, 17280))] = rng.choice(b"0123456789TF 'AZ")
    elif kind == "swap":
        length = rng.choice([512, 2880, 4096])
        a, b = sorted(rng.randrange(size) for _ in range(2))
        length = min(length, b - a, size - b)
        out[a : a + length], out[b : b + length] = data[b : b + length], data[a : a + length]
    elif kind == "zeros":
        length = rng.choice([16, 512, 4096])
        out[place : place + length] = bytes(len(out[place : place + length]))
    elif kind == "repeat":
        length = rng.choice([512, 2880])
        out[place:place] = data[place : place + length]
    elif kind == "insert":
        out[place:place] = rng.randbytes(rng.randrange(1, 64))
    else:
        del out[place : place + rng.randrange(1, 64)]
    return kind, bytes(out)


@dataclass
class Outcomes:
    """What came of reading damaged files."""

    ends: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    unnoticed: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def add(self, what: str, path: Path, truth: dict[str, np.ndarray]) -> None:
        """Read one file; its events are compared with those of the sound file."""
        begin = time.monotonic()
        try:
            self.ends[self._read(what, path, truth)] += 1
        except RunDataError as error:
            assert str(path) in str(error)
            self.ends["named error"] += 1
        except Exception as error:
            self.faults.append(f"{what}: {type(error).__name__}: {error}")
        self.slowest_s = max(self.slowest_s, time.monotonic() - begin)

    def _read(self, what: str, path: Path, truth: dict[str, np.ndarray]) -> str:
        raw = open_raw(path)
        got = joined(raw)
        same = bool(got) and all(
            got[n].shape[1:] == truth[n].shape[1:] and _rows_in(got, truth, n) for n in truth
        )
        told = bool(raw.notes) or raw.tally.n_skipped or raw.tally.n_back
        whole = raw.tally.n_read == len(truth["event_id"]) and raw.n_events == raw.tally.n_read
        if not got:
            return "no event left, said so"
        if same and whole:
            return "all events, right"
        if told and same:
            return "some events, right, the rest counted"
        if told:
            return "some values wrong, damage said"
        if raw.checksum_holds() is not True:
            return "values wrong, told by the checksum alone"
        self.unnoticed.append(what)
        return "values wrong, unnoticed"


def _rows_in(got: dict, truth: dict, name: str) -> bool:
    """Each event that was given is that of the sound file with the same number."""
    place = {int(e): k for k, e in enumerate(truth["event_id"])}
    rows = [place.get(int(e), -1) for e in got["event_id"]]
    return -1 not in rows and np.array_equal(got[name], truth[name][rows])


def run_cases(sources: list[Path], count: int, seed: int, first: int = 0) -> Outcomes:
    """Damage the sources in turn and read them."""
    truths = [joined(open_raw(path)) for path in sources]
    for truth in truths:
        truth.pop("index")
    contents = [path.read_bytes() for path in sources]
    found = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "SST1M1_20231115_0007.fits.fz"
        for number in range(first, first + count):
            rng = random.Random(f"{seed}:{number}")
            which = number % len(sources)
            kind, data = damage(contents[which], rng)
            path.write_bytes(data)
            found.add(f"case {number}, {sources[which].name}, {kind}", path, truths[which])
    return found


def peak_mib() -> float:
    """Largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
