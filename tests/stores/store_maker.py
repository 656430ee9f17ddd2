"""Small DL3 stores made by hand, byte by byte: fast, and independent of what they test."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 2880
HDUS = (
    ("events", "events", "EVENTS"),
    ("gti", "gti", "GTI"),
    ("aeff", "aeff_2d", "AEFF"),
)


def card(key: str, value: Any) -> bytes:
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, int | float):
        text = f"{value!r:>20}"
    else:
        text = f"'{value:<8}'"
    return f"{key:<8}= {text}".ljust(80).encode()


def pad(data: bytes, fill: bytes = b"\0") -> bytes:
    return data + fill * (-len(data) % BLOCK)


def header(cards: Iterable[tuple[str, Any]]) -> bytes:
    return pad(b"".join([card(*c) for c in cards] + [b"END".ljust(80)]), b" ")


PRIMARY = header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0)])


def bintable(name: str, columns: dict[str, tuple[str, np.ndarray]], keys: dict[str, Any]) -> bytes:
    """A binary table; columns by name as (TFORM, values in big-endian or bytes)."""
    dtype = [(f"f{i}", v.dtype, v.shape[1:]) for i, (_f, v) in enumerate(columns.values())]
    count = len(next(iter(columns.values()))[1]) if columns else 0
    rows = np.zeros(count, dtype=dtype)
    for i, (_form, values) in enumerate(columns.values()):
        rows[f"f{i}"] = values
    cards = [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2)]
    cards += [("NAXIS1", rows.dtype.itemsize), ("NAXIS2", count), ("PCOUNT", 0), ("GCOUNT", 1)]
    cards += [("TFIELDS", len(columns)), ("EXTNAME", name)]
    for i, (column, (form, _values)) in enumerate(columns.items(), start=1):
        cards += [(f"TTYPE{i}", column), (f"TFORM{i}", form)]
    return header([*cards, *keys.items()]) + pad(rows.tobytes())


@dataclass
class Run:
    obs_id: int
    events: int = 20
    ontime: float = 1680.0
    livetime: float = 1580.0
    target: str = "Crab"
    ra: float = 83.63
    dec: float = 22.01
    tstart: float = 1.0e8
    path: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def event_keys(self) -> dict[str, Any]:
        keys = {
            "HDUCLASS": "GADF",
            "HDUCLAS1": "EVENTS",
            "OBS_ID": self.obs_id,
            "TSTART": self.tstart,
            "TSTOP": self.tstart + self.ontime,
            "MJDREFI": 51910,
            "MJDREFF": 0.000742870370370241,
            "TIMESYS": "TT",
            "ONTIME": self.ontime,
            "LIVETIME": self.livetime,
            "DEADC": 0.94,
            "OBJECT": self.target,
            "RA_OBJ": self.ra,
            "DEC_OBJ": self.dec,
            "RA_PNT": self.ra,
            "DEC_PNT": self.dec + 0.5,
            "ALT_PNT": 50.0,
            "AZ_PNT": 180.0,
        }
        return {**keys, **self.extra}


def dl3_bytes(run: Run, *, irf: bool = True, noise: int = 0) -> bytes:
    """One run's file: EVENTS, GTI and (unless shared) an effective area."""
    rng = np.random.default_rng(run.obs_id)
    events = {
        "EVENT_ID": ("K", np.arange(run.events, dtype=">i8")),
        "TIME": ("D", np.sort(rng.uniform(0, run.ontime, run.events)).astype(">f8")),
        "RA": ("E", np.full(run.events, run.ra, ">f4")),
        "DEC": ("E", np.full(run.events, run.dec, ">f4")),
        "ENERGY": ("E", rng.pareto(2.0, run.events).astype(">f4")),
    }
    gti = {"START": ("D", np.array([run.tstart], ">f8"))}
    gti["STOP"] = ("D", np.array([run.tstart + run.ontime], ">f8"))
    out = PRIMARY + bintable("EVENTS", events, run.event_keys())
    out += bintable("GTI", gti, {"HDUCLAS1": "GTI"})
    if irf:
        out += irf_bytes(noise, run.obs_id)
    return out


def irf_bytes(noise: int = 0, seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).bytes(max(noise, 80))
    area = {"EFFAREA": (f"{len(values)}B", np.frombuffer(values, "u1")[None, :])}
    keys = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "EFF_AREA", "HDUCLAS4": "AEFF_2D"}
    return bintable("AEFF", area, keys)


def text(values: Sequence[str], width: int = 0) -> tuple[str, np.ndarray]:
    encoded = np.array([v.encode() for v in values] or [b""], dtype="S")[: len(values)]
    width = max(width, encoded.dtype.itemsize)
    return f"{width}A", encoded.astype(f"S{width}")


def obs_table(runs: Sequence[Run], keys: dict[str, Any] | None = None) -> bytes:
    columns = {
        "OBS_ID": ("K", np.array([r.obs_id for r in runs], ">i8")),
        "RA_PNT": ("E", np.array([r.ra for r in runs], ">f4")),
        "DEC_PNT": ("E", np.array([r.dec + 0.5 for r in runs], ">f4")),
        "OBJECT": text([r.target for r in runs], 12),
        "ONTIME": ("D", np.array([r.ontime for r in runs], ">f8")),
        "LIVETIME": ("D", np.array([r.livetime for r in runs], ">f8")),
        "TSTART": ("D", np.array([r.tstart for r in runs], ">f8")),
        "TSTOP": ("D", np.array([r.tstart + r.ontime for r in runs], ">f8")),
        "EVENT_COUNT": ("K", np.array([r.events for r in runs], ">i8")),
    }
    keys = keys or {"MJDREFI": 51910, "MJDREFF": 0.000742870370370241, "TIMESYS": "TT"}
    return PRIMARY + bintable("OBS_INDEX", columns, keys)


def hdu_table(rows: Sequence[tuple[Any, str, str, str, str, str, int]]) -> bytes:
    """Rows are (OBS_ID, type, class, FILE_DIR, FILE_NAME, HDU_NAME, SIZE)."""
    parts = list(zip(*rows, strict=True)) or [()] * 7
    columns = {"OBS_ID": ("K", np.array(parts[0], ">i8"))}
    for i, name in enumerate(("HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")):
        columns[name] = text(parts[i + 1])
    columns["SIZE"] = ("K", np.array(parts[6], ">i8"))
    return PRIMARY + bintable("HDU_INDEX", columns, {"HDUCLAS1": "INDEX"})


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, 1, mtime=0) if path.name.endswith(".gz") else data)


def make_runs(count: int, first: int = 20000, **keys: Any) -> list[Run]:
    return [
        Run(first + i, events=10 + i % 7, tstart=1.0e8 + 2000.0 * i, **keys) for i in range(count)
    ]


def make_store(
    root: Path,
    runs: Sequence[Run] | int,
    *,
    master: dict[str, Any] | bool = True,
    name: str = "test",
    suffix: str = ".fits.gz",
    shared_irf: bool = False,
    noise: int = 0,
    folder: str = "data",
    prefix: str = "run",
    master_name: str = "master.json",
) -> list[Run]:
    """Write a store and return its runs."""
    runs = make_runs(runs) if isinstance(runs, int) else list(runs)
    rows: list[tuple[Any, ...]] = []
    for run in runs:
        run.path = f"{folder}/{prefix}_{run.obs_id:06d}{suffix}".lstrip("/")
        put(root / run.path, dl3_bytes(run, irf=not shared_irf, noise=noise))
        size = (root / run.path).stat().st_size
        where, file = run.path.rpartition("/")[::2]
        for kind, cls, hdu in HDUS:
            if shared_irf and kind == "aeff":
                rows.append((run.obs_id, kind, cls, "irf", f"shared{suffix}", hdu, 0))
            else:
                rows.append((run.obs_id, kind, cls, where, file, hdu, size))
    if shared_irf:
        put(root / "irf" / f"shared{suffix}", PRIMARY + irf_bytes(noise))
    put(root / "obs-index.fits.gz", obs_table(runs))
    put(root / "hdu-index.fits.gz", hdu_table(rows))
    if master:
        entry = {"name": name, "hduindx": "hdu-index.fits.gz", "obsindx": "obs-index.fits.gz"}
        if isinstance(master, dict):
            entry.update(master)
        content = json.dumps({"datasets": [entry], "comment": "kept"}, indent=1)
        (root / master_name).write_text(content)
    return runs


def make_large_store(root: Path, count: int) -> None:
    """Many small runs, quickly: one compressed file per run, from a template."""
    runs = make_runs(count)
    template = dl3_bytes(Run(10_000_000, events=5))
    (root / "data").mkdir(parents=True)
    rows = []
    for run in runs:
        data = template.replace(f"{10_000_000:>20}".encode(), f"{run.obs_id:>20}".encode())
        data = data.replace(f"{1.0e8!r:>20}".encode(), f"{run.tstart!r:>20}".encode(), 1)
        run.events = 5
        name = f"run_{run.obs_id:06d}.fits.gz"
        (root / "data" / name).write_bytes(gzip.compress(data, 1, mtime=0))
        rows += [(run.obs_id, *hdu[:2], "data", name, hdu[2], 0) for hdu in (*HDUS, *HDUS[2:])]
    put(root / "obs-index.fits.gz", obs_table(runs))
    put(root / "hdu-index.fits.gz", hdu_table(rows))


def tree(root: Path) -> dict[str, bytes]:
    """Content of a store by path, without what Daybreak keeps beside it."""
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and ".daybreak" not in p.parts
    }


def index_runs(root: Path) -> list[int]:
    """OBS_IDs of the observation index, read with Astropy."""
    from astropy.table import Table

    return [int(i) for i in Table.read(root / "obs-index.fits.gz", hdu=1)["OBS_ID"]]


def index_rows(root: Path) -> list[tuple[int, str, str]]:
    from astropy.table import Table

    table = Table.read(root / "hdu-index.fits.gz", hdu=1)
    return [(int(r["OBS_ID"]), str(r["HDU_TYPE"]), str(r["FILE_NAME"])) for r in table]


def verify_files(path: Any, **options: Any) -> Any:
    """Verify a store of this module's files: sound, and nothing that could be analysed."""
    from daybreak.stores.verbs import verify_store

    return verify_store(path, content=False, **options)
