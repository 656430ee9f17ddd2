"""Public data sets: known by name, fetched from a server, checked, unpacked safely."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from daybreak_cli import run
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Behaviour, serving
from store_maker import make_store

from daybreak.errors import ConfigError, DaybreakError, NoDataError, StoreIntegrityError
from daybreak.stores.datasets import fetch_dataset, known_datasets, parse_registry
from daybreak.stores.unpacking import unpack


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def registry(path: Path, url: str, file: Path, **more: object) -> Path:
    data = file.read_bytes()
    entry = {
        "name": file.name,
        "urls": [f"{url}/{file.name}"],
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **more,
    }
    content = {
        "thing": {"title": "A thing", "terms": "be kind", "store": "store", "files": [entry]}
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    make_store(tmp_path / "build/store", 5)
    (tmp_path / "web").mkdir()
    with tarfile.open(tmp_path / "web/thing.tar.gz", "w:gz") as tarred:
        tarred.add(tmp_path / "build/store", "store")
    return tmp_path / "web/thing.tar.gz"


def test_fetch_unpack_list(tmp_path: Path, archive: Path) -> None:
    how = Behaviour()
    with serving(tmp_path / "web", how) as url:
        known = registry(tmp_path / "r.yaml", url, archive, unpack=True)
        result = fetch_dataset("thing", tmp_path / "out", registry=known)
        assert (result.fetched, result.unpacked, result.unverified) == (["thing.tar.gz"], 8, [])
        assert result.terms == "be kind"
        how.requests.clear()
        again = fetch_dataset("thing", tmp_path / "out", registry=known)
        assert (again.fetched, again.present) == ([], ["thing.tar.gz"])
        assert how.requests == []
        done = run("data", "fetch", "thing", "-o", tmp_path / "cli", "--registry", known)
        assert done.returncode == 0, done.stderr
        assert "verified" in done.stdout and "be kind" in done.stdout
    done = run("store", "list", result.store)
    assert "observations   5" in done.stdout
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".fetch")]


def test_wrong_digest_and_size(tmp_path: Path, archive: Path) -> None:
    with serving(tmp_path / "web") as url:
        for more in ({"sha256": "0" * 64}, {"size": 5}):
            known = registry(tmp_path / "r.yaml", url, archive, **more)
            with pytest.raises(StoreIntegrityError):
                fetch_dataset("thing", tmp_path / "out", registry=known)
            assert [p.name for p in (tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize(
    "how",
    [
        Behaviour(drop=0.5, seed=3),
        Behaviour(truncate=0.5, seed=3),
        Behaviour(flip=0.5, seed=3),
        Behaviour(refuse=0.5, seed=3),
    ],
)
def test_faulty_server(tmp_path: Path, archive: Path, how: Behaviour) -> None:
    with serving(tmp_path / "web", how) as url:
        known = registry(tmp_path / "r.yaml", url, archive)
        for _attempt in range(10):
            try:
                result = fetch_dataset("thing", tmp_path / "out", registry=known)
            except (NoDataError, StoreIntegrityError):
                continue
            break
    assert (tmp_path / "out/thing.tar.gz").read_bytes() == archive.read_bytes()
    assert result.files["thing.tar.gz"] == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_second_address_is_tried(tmp_path: Path, archive: Path) -> None:
    with serving(tmp_path / "web") as url:
        urls = [f"{url}/absent", "http://127.0.0.1:9/x", f"{url}/thing.tar.gz"]
        known = registry(tmp_path / "r.yaml", url, archive, urls=urls)
        assert fetch_dataset("thing", tmp_path / "out", registry=known).fetched
        known = registry(tmp_path / "r.yaml", url, archive, urls=urls[:2])
        with pytest.raises(NoDataError, match="HTTP 404"):
            fetch_dataset("thing", tmp_path / "other", registry=known)


def test_unknown_digest_must_be_accepted(tmp_path: Path, archive: Path) -> None:
    with serving(tmp_path / "web") as url:
        known = registry(tmp_path / "r.yaml", url, archive, sha256=None, size=None)
        with pytest.raises(ConfigError, match="not known"):
            fetch_dataset("thing", tmp_path / "out", registry=known)
        done = run(
            "data",
            "fetch",
            "thing",
            "-o",
            tmp_path / "out",
            "--registry",
            known,
            "--accept-unverified",
        )
        assert "not verified, sha256" in done.stdout


def test_damaged_local_file_is_fetched_again(tmp_path: Path, archive: Path) -> None:
    with serving(tmp_path / "web") as url:
        known = registry(tmp_path / "r.yaml", url, archive)
        fetch_dataset("thing", tmp_path / "out", registry=known)
        (tmp_path / "out/thing.tar.gz").write_bytes(b"short")
        result = fetch_dataset("thing", tmp_path / "out", registry=known)
    assert result.fetched == ["thing.tar.gz"]


def evil_tar(path: Path, info: tarfile.TarInfo, data: bytes = b"x") -> Path:
    with tarfile.open(path, "w") as tarred:
        info.size = len(data) if info.isreg() else 0
        tarred.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\x", "a\nx"])
def test_archives_do_not_lead_outside(tmp_path: Path, name: str) -> None:
    archive = evil_tar(tmp_path / "a.tar", tarfile.TarInfo(name))
    with pytest.raises(StoreIntegrityError):
        unpack(archive, tmp_path / "out")
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as z:
        z.writestr(name, "x")
    if "\\" not in name:
        with pytest.raises(StoreIntegrityError):
            unpack(zipped, tmp_path / "out")
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} <= {"a.tar", "a.zip"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_in_archives_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(StoreIntegrityError, match="plain file"):
        unpack(evil_tar(tmp_path / "a.tar", info), tmp_path / "out")


def test_truncated_archive(tmp_path: Path, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(StoreIntegrityError):
        unpack(archive, tmp_path / "out")


def test_the_registry_that_comes_with_us() -> None:
    known = known_datasets()
    assert {"hess-dl3-dr1", "icecube-geometry", "icecube-ice"} <= set(known)
    for each in known.values():
        assert each.terms and each.page.startswith("https://") and each.files
        for file in each.files:
            assert file.urls and all(url.startswith("https://") for url in file.urls)
            assert file.sha256 is None or len(file.sha256) == 64
    done = run("data", "list", "--json")
    assert {d["name"] for d in json.loads(done.stdout)} == set(known)
    assert "SHA-256 not known" in run("data", "list").stdout


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_rubbish_as_a_registry(text: str) -> None:
    try:
        parse_registry(text)
    except DaybreakError as error:
        assert error.exit_code == 3


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "a: {files: 3}",
        "a: {files: [{name: ../x, urls: []}]}",
        "- a",
        "\t:",
        "a: {files: [{name: x, urls: [u], size: big}]}",
    ],
)
def test_wrong_registries(text: str) -> None:
    with pytest.raises(DaybreakError):
        parse_registry(text)


def test_unknown_name() -> None:
    done = run("data", "fetch", "nothing")
    assert done.returncode == 3
    assert "hess-dl3-dr1" in done.stderr
    assert "Traceback" not in done.stderr
