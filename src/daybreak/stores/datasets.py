"""Public data sets by name: where they are, how large, their SHA-256 and their terms."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from daybreak.errors import ConfigError, NoDataError, OutputError, StoreIntegrityError
from daybreak.products.atomic import commit, ensure_folder, output_error, remove_stale_partials
from daybreak.products.digest import file_digest
from daybreak.products.processes import alive
from daybreak.stores.paths import inside, resolve
from daybreak.stores.unpacking import unpack

_ATTEMPTS = 3


class _WrongFileError(Exception):
    """What came is not the known file."""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes
    ----------
    urls
        Tried in order.
    size, sha256
        None where we could not make sure of it.
    unpack
        It is an archive to be unpacked.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    unpack: bool = False


@dataclass(frozen=True)
class DataSet:
    """A public data set."""

    name: str
    title: str
    description: str
    page: str
    terms: str
    files: tuple[DataFile, ...]
    store: str = ""

    @property
    def verified(self) -> bool:
        """Whether the SHA-256 of every file is known."""
        return all(f.sha256 for f in self.files)

    @property
    def size(self) -> int | None:
        """Bytes of all files, None if one is unknown."""
        sizes = [f.size for f in self.files]
        return None if None in sizes else sum(s for s in sizes if s is not None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "size": self.size, "verified": self.verified}


@dataclass
class FetchResult:
    """What was fetched.

    Attributes
    ----------
    files
        Name to the SHA-256 that the file has.
    unverified
        Names of files whose SHA-256 is not known and was not compared.
    fetched, present
        Names of the files that were downloaded now, and that were here already.
    store
        Folder of the data store, if the set is one.
    """

    name: str
    folder: str
    terms: str
    files: dict[str, str] = field(default_factory=dict)
    unverified: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    unpacked: int = 0
    store: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def parse_registry(text: str, name: str = "datasets.yaml") -> dict[str, DataSet]:
    """Data sets of a registry file.

    Parameters
    ----------
    text
        YAML: name to its entry, as in ``datasets.yaml``.
    name
        What to call it in messages.

    Returns
    -------
    dict
        Name to data set.

    Raises
    ------
    ConfigError
        If it is not what it should be.
    """
    try:
        content = yaml.safe_load(text)
        found = {}
        for key, entry in content.items():
            files = tuple(
                DataFile(
                    resolve("", str(f["name"])),
                    tuple(str(u) for u in f["urls"]),
                    None if f.get("size") is None else int(f["size"]),
                    None if f.get("sha256") is None else str(f["sha256"]).lower(),
                    bool(f.get("unpack", False)),
                )
                for f in entry["files"]
            )
            texts = {k: str(entry.get(k, "")) for k in ("title", "description", "page", "terms")}
            found[str(key)] = DataSet(
                str(key), files=files, store=str(entry.get("store", "")), **texts
            )
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{name} is not a registry of data sets: {error}") from None
    return found


def known_datasets(registry: Path | None = None) -> dict[str, DataSet]:
    """The data sets that come with Daybreak, or those of another registry file.

    Parameters
    ----------
    registry
        Another YAML file.

    Returns
    -------
    dict
        Name to data set.

    Raises
    ------
    ConfigError
        If the file can't be read or is not a registry.
    """
    if registry is None:
        text = resources.files("daybreak.stores").joinpath("datasets.yaml").read_text("utf-8")
        return parse_registry(text)
    try:
        return parse_registry(registry.read_text("utf-8"), str(registry))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read the registry {registry}: {error}") from error


def _downloader(progress: Any) -> Any:
    import pooch

    return pooch.HTTPDownloader(
        progressbar=progress or False, timeout=60, headers={"Accept-Encoding": "identity"}
    )


@contextmanager
def _parts_folder(where: Path) -> Iterator[Path]:
    """A folder for what is being downloaded; those of killed processes are removed."""
    for old in where.glob(".fetch-*"):
        pid = old.name.partition("-")[2]
        if pid.isdigit() and not alive(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    folder = ensure_folder(where / f".fetch-{os.getpid()}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(file: DataFile, folder: Path, progress: Any) -> Path:
    """Fetch one file under a temporary name, check it and give it its own."""
    target = inside(Path(os.path.realpath(folder)), file.name)
    reasons: list[str] = []
    damaged = False
    with _parts_folder(folder) as parts:
        for url in [u for u in file.urls for _attempt in range(_ATTEMPTS)]:
            if any(reason.startswith(f"{url}: HTTP 4") for reason in reasons):
                continue
            try:
                found = _retrieve(url, file, parts, progress)
            except _WrongFileError as error:
                damaged = True
                reasons.append(f"{url}: {error}")
            except ConnectionError as error:
                reasons.append(f"{url}: {error}")
            except OSError as error:
                raise output_error(target, error) from error
            else:
                commit(found, target)
                return target
    text = f"can't fetch {file.name}:\n  " + "\n  ".join(dict.fromkeys(reasons))
    if damaged:
        raise StoreIntegrityError(text, "What the address gives is not the file that we know.")
    raise NoDataError(text, "Check the network (a proxy is taken from https_proxy) and try again.")


def _retrieve(url: str, file: DataFile, parts: Path, progress: Any) -> Path:
    import pooch

    import requests

    pooch.get_logger().setLevel(logging.CRITICAL)
    known = f"sha256:{file.sha256}" if file.sha256 else None
    part = parts / "part"
    part.unlink(missing_ok=True)
    try:
        pooch.retrieve(url, known, fname="part", path=parts, downloader=_downloader(progress))
    except ValueError:  # pooch's word for a wrong digest
        raise _WrongFileError("its SHA-256 is not the known one") from None
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "error"
        raise ConnectionError(f"HTTP {status}") from None
    except requests.RequestException as error:
        raise ConnectionError(type(error).__name__) from None
    size = part.stat().st_size
    if file.size is not None and size != file.size:
        raise _WrongFileError(f"{size} bytes instead of {file.size}")
    return part


def fetch_dataset(
    name: str,
    folder: str | Path | None = None,
    *,
    accept_unverified: bool = False,
    registry: Path | None = None,
    datasets: Mapping[str, DataSet] | None = None,
    progress: Any = None,
) -> FetchResult:
    """Fetch a public data set from its official address.

    Parameters
    ----------
    name
        As `known_datasets` lists it.
    folder
        Where to put it; a folder of the set's name by default.
    accept_unverified
        Also fetch files whose SHA-256 we don't know.
    registry, datasets
        Other data sets than those that come with Daybreak.
    progress
        A display as pooch takes it.

    Returns
    -------
    FetchResult
        Which files are here, with their SHA-256.

    Raises
    ------
    ConfigError
        If there is no set of that name, or it can't be verified and that was not accepted.
    NoDataError
        If no address answers.
    StoreIntegrityError
        If what came is not the known file.
    OutputError
        If it can't be written.
    """
    known = datasets if datasets is not None else known_datasets(registry)
    if name not in known:
        raise ConfigError(f"no data set {name!r} is known", f"Known: {', '.join(known)}.")
    chosen = known[name]
    unknown = [f.name for f in chosen.files if not f.sha256]
    if unknown and not accept_unverified:
        raise ConfigError(
            f"the SHA-256 of {', '.join(unknown)} is not known, so it can't be verified",
            "Give --accept-unverified to fetch it all the same; its digest is then reported.",
        )
    where = Path(folder) if folder is not None else Path(name)
    where = where.expanduser()
    if where.exists() and not where.is_dir():
        raise OutputError(f"{where} is a file", "Name a folder.")
    ensure_folder(where)
    remove_stale_partials(where)
    result = FetchResult(name, str(where), chosen.terms, unverified=unknown)
    for file in chosen.files:
        _fetch_file(file, where, result, progress)
    store = where / chosen.store if chosen.store else None
    if store is not None and store.is_dir():
        result.store = str(store)
    return result


def _fetch_file(file: DataFile, where: Path, result: FetchResult, progress: Any) -> None:
    stamp = where / f".{file.name}.unpacked"
    if file.unpack and stamp.is_file():
        digest = stamp.read_text(encoding="utf-8").strip()
        if file.sha256 in (None, digest):
            result.files[file.name] = digest
            result.present.append(file.name)
            return
    target = where / file.name
    before = target.is_file() and (file.sha256 is None or file_digest(target) == file.sha256)
    if target.is_file() and not before:
        target.unlink()
    path = _download(file, where, progress)
    digest = file_digest(path)
    result.files[file.name] = digest
    (result.present if before else result.fetched).append(file.name)
    if file.unpack:
        result.unpacked += unpack(path, where)
        stamp.write_text(digest + "\n", encoding="utf-8")
        path.unlink()
