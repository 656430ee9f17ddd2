"""Verify a store: every file of every index row, and the index against the files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daybreak.errors import StoreError
from daybreak.products.fits_headers import DamagedFileError
from daybreak.stores.build import IndexResult, fits_files, hdu_class
from daybreak.stores.choose import plain_name
from daybreak.stores.commit import JOURNAL, recover
from daybreak.stores.content import content_findings
from daybreak.stores.fits import FileChecker, Hdu
from daybreak.stores.layout import Dataset, Index, datasets_of, load_index
from daybreak.stores.merge import convert_times
from daybreak.stores.opening import open_source
from daybreak.stores.record import SUMS, FileRecord, StoreFolder, parse_sums, sums_text
from daybreak.stores.repair import repair_index, require_writable
from daybreak.stores.source import CHUNK, LocalSource
from daybreak.stores.table import run_key
from daybreak.stores.transfer import looks_like_fits

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes
    ----------
    severity
        ``error``: data are missing, damaged or not what the index says. ``warning``: the data
        are sound, but something about them is untidy.
    kind
        ``missing``, ``damaged``, ``digest``, ``hdu``, ``obs_id``, ``time``, ``target``, ``size``,
        ``extra``, ``duplicate``, ``orphan``, ``path``, ``index``; ``unusable`` (an analysis would
        leave the run out) or ``odd`` (it would flag the run), in the words of the analysis.
    where
        File or run.
    text
        What is wrong.
    """

    severity: str
    kind: str
    where: str
    text: str


@dataclass
class VerifyResult:
    """What a verification found.

    Attributes
    ----------
    files, size_bytes
        How much was read.
    digests
        How many files were compared with a recorded SHA-256.
    """

    path: str
    datasets: list[str] = field(default_factory=list)
    runs: int = 0
    files: int = 0
    size_bytes: int = 0
    digests: int = 0
    findings: list[Finding] = field(default_factory=list)
    repaired: list[IndexResult] = field(default_factory=list)
    sums_written: str = ""

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [f for f in self.findings if f.severity == ERROR]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ok": self.ok}


@dataclass
class _File:
    size: int
    sha256: str
    hdus: list[Hdu]
    damage: str = ""
    missing: bool = False


def _read(path: Path) -> _File:
    """Everything about one file in one pass."""
    sha, checker, size, damage = hashlib.sha256(), FileChecker(), 0, ""
    is_fits = looks_like_fits(path.name)
    try:
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                sha.update(chunk)
                if is_fits and not damage:
                    try:
                        checker.feed(chunk)
                    except DamagedFileError as error:
                        damage = str(error)
        if is_fits and not damage:
            checker.finish()
    except DamagedFileError as error:
        damage = str(error)
    except (FileNotFoundError, NotADirectoryError):
        return _File(0, "", [], missing=True)
    except OSError as error:
        return _File(size, "", [], damage=error.strerror or str(error))
    return _File(size, sha.hexdigest(), checker.walker.hdus, damage)


class _Verifier:
    def __init__(self, root: Path, result: VerifyResult, content: bool) -> None:
        self.root, self.result, self.content = root, result, content
        self.records: dict[str, FileRecord] = StoreFolder(root).records()
        try:
            self.sums = parse_sums((root / SUMS).read_bytes())
        except OSError:
            self.sums = {}
        self.digests: dict[str, str] = {}

    def note(self, severity: str, kind: str, where: str, text: str) -> None:
        self.result.findings.append(Finding(severity, kind, where, text))

    def dataset(self, dataset: Dataset, index: Index, on_file: Callable[[int], None]) -> set[str]:
        """Verify one dataset; returns the files that it refers to."""
        for run, why in index.unsafe.items():
            self.note(ERROR, "path", f"run {run}", why)
        paths = list(dict.fromkeys(p for p in index.hdu_paths if p))
        files = {}
        with ThreadPoolExecutor(4) as pool:
            for path, found in zip(
                paths, pool.map(lambda p: _read(self.root / p), paths), strict=True
            ):
                files[path] = found
                self._file(path, found)
                on_file(found.size)
        self._rows(index, files)
        self._runs(index, files)
        if self.content:
            broken = {p for p, f in files.items() if f.missing or f.damage}
            for finding in content_findings(self.root, index, broken):
                self.note(*finding)
        self.result.runs += len(index.runs)
        self.result.datasets.append(dataset.name)
        return set(paths)

    def _file(self, path: str, found: _File) -> None:
        if found.missing:
            return self.note(ERROR, "missing", path, "is in the index and not on disk")
        self.result.files += 1
        self.result.size_bytes += found.size
        self.digests[path] = found.sha256
        if found.damage:
            self.note(ERROR, "damaged", path, found.damage)
        wanted = self.sums.get(path) or (
            self.records[path].sha256 if path in self.records else None
        )
        if wanted is not None and found.sha256:
            self.result.digests += 1
            if wanted != found.sha256:
                where = SUMS if path in self.sums else "the manifest"
                self.note(ERROR, "digest", path, f"its SHA-256 is not the one in {where}")
        return None

    def _rows(self, index: Index, files: dict[str, _File]) -> None:
        names = index.hdu.texts("HDU_NAME")
        claimed = index.hdu.floats("SIZE")
        seen: set[tuple[str, ...]] = set()
        wrong: dict[str, str] = {}
        kinds = zip(index.hdu.texts("HDU_TYPE"), index.hdu.texts("HDU_CLASS"), strict=True)
        for i, (kind, cls) in enumerate(kinds):
            run, path, name = index.hdu_runs[i], index.hdu_paths[i], names[i]
            key = (run, kind, cls, path, name.upper())
            if key in seen:
                self.note(WARNING, "duplicate", f"run {run}", f"HDU row {kind}/{cls} stands twice")
            seen.add(key)
            found = files.get(path)
            if found is None or found.missing or found.damage:
                continue
            hdu = next((h for h in found.hdus if h.name == name.upper()), None)
            if name and hdu is None and found.hdus:
                self.note(ERROR, "hdu", path, f"has no HDU {name!r}, which run {run} needs")
            if np.isfinite(claimed[i]) and claimed[i] >= 0:
                good = {found.size} | (hdu.sizes() if hdu else set())
                if int(claimed[i]) not in good:
                    wrong.setdefault(path, f"{int(claimed[i])} in the row of {name or kind}")
        if wrong:
            path, text = next(iter(wrong.items()))
            self.note(
                WARNING,
                "size",
                f"{len(wrong)} files",
                f"SIZE in the index is wrong, e.g. {path}: {text}, {files[path].size} on disk",
            )

    def _runs(self, index: Index, files: dict[str, _File]) -> None:
        with_rows = set(index.hdu_runs)
        counts: dict[str, int] = {}
        for run in index.obs_runs:
            counts[run] = counts.get(run, 0) + 1
        for run, count in counts.items():
            if count > 1:
                self.note(WARNING, "duplicate", f"run {run}", "stands twice in the index")
            if run not in with_rows:
                self.note(ERROR, "orphan", f"run {run}", "is in the index and has no files")
        for run in sorted(with_rows - set(counts)):
            self.note(WARNING, "orphan", f"run {run}", "has files and no observation row")
        self._headers(index, files)

    def _headers(self, index: Index, files: dict[str, _File]) -> None:
        """Index rows against the EVENTS header of their file."""
        starts = {key: index.obs.floats(key) for key in ("TSTART", "TSTOP")}
        objects = index.obs.texts("OBJECT")
        rows = {run: i for i, run in reversed(list(enumerate(index.obs_runs)))}
        other: dict[str, str] = {}
        for run, paths in index.files.items():
            i = rows.get(run)
            header = _events_header(paths, files)
            if i is None or header is None:
                continue
            there = header.get("OBS_ID")
            if there is not None and run_key(str(there)) != run:
                self.note(ERROR, "obs_id", f"run {run}", f"its EVENTS header says OBS_ID {there}")
            self._times(run, header, index, {key: float(v[i]) for key, v in starts.items()})
            name = str(header.get("OBJECT") or "")
            if name and objects[i] and plain_name(name) != plain_name(objects[i]):
                other[run] = f"{objects[i]!r} in the index, {name!r} in EVENTS"
        if other:
            run, text = next(iter(other.items()))
            self.note(
                WARNING, "target", f"{len(other)} runs", f"OBJECT differs, e.g. {run}: {text}"
            )

    def _times(
        self, run: str, header: dict[str, Any], index: Index, claimed: dict[str, float]
    ) -> None:
        for key, there in claimed.items():
            column, value = index.obs.column(key), header.get(key)
            if column is None or not isinstance(value, int | float) or not np.isfinite(there):
                continue
            try:
                here = float(convert_times(np.array([float(value)]), header, index.obs.meta)[0])
            except StoreError as error:
                return self.note(WARNING, "time", f"run {run}", error.what)
            single = column.dtype.itemsize < 8
            if abs(here - there) > (abs(here) * 2e-7 + 1e-3 if single else 0.01):
                text = f"{key}: {there:.3f} in the index, {here:.3f} in EVENTS"
                self.note(ERROR, "time", f"run {run}", text)
        return None

    def extras(self, known: set[str]) -> None:
        """Files that no index row refers to."""
        extra = [path for path in fits_files(self.root) if path not in known]
        for path in extra[:20]:
            self.note(WARNING, "extra", path, "is not in the index")
        if len(extra) > 20:
            self.note(WARNING, "extra", f"{len(extra) - 20} more files", "are not in the index")


def _events_header(paths: tuple[str, ...], files: dict[str, _File]) -> dict[str, Any] | None:
    for path in paths:
        for hdu in files[path].hdus if path in files else ():
            if hdu_class(hdu) == ("events", "events"):
                return hdu.header
    return None


def verify_store(
    path: str | Path,
    *,
    dataset: str | None = None,
    repair: bool = False,
    write_sums: bool = False,
    content: bool = True,
    on_file: Callable[[int], None] | None = None,
) -> VerifyResult:
    """Verify a local store.

    Parameters
    ----------
    path
        Folder or master file.
    dataset
        Only this one.
    repair
        Rebuild the index files from the FITS headers, then verify.
    write_sums
        Write the digests of all sound files to ``SHA256SUMS``, as ``sha256sum`` does.
    content
        Also read each run as an analysis does.
    on_file
        Called with the size of each file that was read.

    Returns
    -------
    VerifyResult
        Also if something is wrong: look at ``ok``.

    Raises
    ------
    StoreError
        If there is no store, or it is not local.
    """
    source, master = open_source(path)
    if not isinstance(source, LocalSource):
        raise StoreError(f"{source.name} is not a folder", "Copy the store, then verify the copy.")
    root = Path(source.root)
    result = VerifyResult(str(path))
    _recover_if_needed(root)
    if repair:
        result.repaired = _repair(source, master, dataset)
    datasets = [d for d in datasets_of(source, master) if dataset in (None, d.name)]
    if not datasets:
        raise StoreError(f"{source.name} has no dataset {dataset!r}")
    verifier = _Verifier(root, result, content)
    known = _all_datasets(verifier, source, datasets, on_file or (lambda _size: None))
    if dataset is None:
        verifier.extras(known)
    if write_sums:
        result.sums_written = _write_sums(root, verifier)
    return result


def _all_datasets(
    verifier: _Verifier,
    source: LocalSource,
    datasets: list[Dataset],
    on_file: Callable[[int], None],
) -> set[str]:
    """Verify the datasets; returns the files that they refer to."""
    known: set[str] = set()
    for each in datasets:
        if not each.available:
            verifier.note(ERROR, "index", each.name, each.problem)
            continue
        try:
            index = load_index(source, each)
        except StoreError as error:
            verifier.note(ERROR, "index", each.name, error.what)
            continue
        known |= verifier.dataset(each, index, on_file)
    return known


def _recover_if_needed(root: Path) -> None:
    store = StoreFolder(root)
    if (store.own / JOURNAL).exists() and os.access(store.own, os.W_OK):
        with store.lock():
            recover(store)


def _repair(source: LocalSource, master: str | None, name: str | None) -> list[IndexResult]:
    store = StoreFolder(Path(source.root))
    require_writable(store.root)
    try:
        datasets = [d for d in datasets_of(source, master) if name in (None, d.name)]
    except StoreError:
        if master is not None or (store.root / "master.json").exists():
            raise
        datasets = []
    if len(datasets) > 1:
        raise StoreError(
            "the store has several datasets, and headers don't say which run belongs to which",
            "Name one with --dataset.",
        )
    return [repair_index(store, datasets[0] if datasets else Dataset(store.root.name))]


def _write_sums(root: Path, verifier: _Verifier) -> str:
    bad = {f.where for f in verifier.result.errors}
    good = {path: sha for path, sha in verifier.digests.items() if path not in bad and sha}
    store = StoreFolder(root)
    store.prepare()
    with store.lock():
        store.replace(root / SUMS, sums_text(good).encode())
    return str(root / SUMS)
