"""Copies over HTTP and sftp, from servers that are slow and that fail."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Behaviour, serving
from store_maker import index_runs, make_store, tree, verify_files

from daybreak.errors import StoreError
from daybreak.stores.opening import open_source
from daybreak.stores.remote import without_password
from daybreak.stores.verbs import copy_store, list_store


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_http_copy_is_identical_and_the_next_moves_nothing(source: Path, tmp_path: Path) -> None:
    (source / "README.txt").write_text("terms")
    how = Behaviour()
    with serving(source, how) as url:
        first = copy_store(url, tmp_path / "dest")
        assert first.complete and first.documents == ["README.txt"]
        assert tree(tmp_path / "dest") == tree(source)
        how.requests.clear()
        second = copy_store(url + "/master.json", tmp_path / "dest")
        assert (second.copied, second.present) == (0, 9)
        assert not [path for verb, path in how.requests if verb == "GET" and "run_" in path]


def test_http_with_sums_asks_for_no_file_twice(source: Path, tmp_path: Path) -> None:
    verify_files(source, write_sums=True)
    how = Behaviour()
    with serving(source, how) as url:
        assert copy_store(url, tmp_path / "dest").checks["sha256"] == 9
        how.requests.clear()
        copy_store(url, tmp_path / "dest")
        assert not [path for _verb, path in how.requests if "run_" in path]


@pytest.mark.parametrize(
    "how",
    [
        Behaviour(drop=0.3),
        Behaviour(refuse=0.3),
        Behaviour(truncate=0.3),
        Behaviour(flip=0.3),
        Behaviour(truncate=0.3, no_length=True),
        Behaviour(drop=0.15, refuse=0.1, truncate=0.1, flip=0.1),
    ],
    ids=["drop", "refuse", "truncate", "flip", "no-length", "all"],
)
def test_faulty_servers(tmp_path: Path, how: Behaviour) -> None:
    make_store(tmp_path / "source", 30)
    dest = tmp_path / "dest"
    with serving(tmp_path / "source", how) as url:
        for _ in range(4):
            try:
                result = copy_store(url, dest)
            except StoreError:
                continue  # an index or the master file itself could not be had
            assert verify_files(dest).ok
            assert len(index_runs(dest)) == 30 - len(result.datasets[0].incomplete_runs)
            if result.complete:
                break
    how.drop = how.refuse = how.truncate = how.flip = 0.0
    with serving(tmp_path / "source", how) as url:
        assert copy_store(url, dest).complete
    assert content(dest) == content(tmp_path / "source")


def content(root: Path) -> dict[str, bytes]:
    """What the files hold: a flipped bit in a deflate stream can mean the same data."""
    return {p: gzip.decompress(d) if p.endswith(".gz") else d for p, d in tree(root).items()}


def test_flips_are_seen_by_sums(tmp_path: Path) -> None:
    make_store(tmp_path / "source", 30)
    verify_files(tmp_path / "source", write_sums=True)
    with serving(tmp_path / "source", Behaviour(flip=0.3, only="run_")) as url:
        while not copy_store(url, tmp_path / "dest").complete:
            pass
    there = tree(tmp_path / "source")
    del there["SHA256SUMS"]
    assert tree(tmp_path / "dest") == there


def test_content_encoding_of_a_misconfigured_server(source: Path, tmp_path: Path) -> None:
    with serving(source, Behaviour(encoding="x-gzip")) as url:
        assert copy_store(url, tmp_path / "dest").complete
    assert tree(tmp_path / "dest") == tree(source)


def test_login_page_instead_of_a_file(source: Path, tmp_path: Path) -> None:
    (source / "data/run_020002.fits.gz").unlink()
    with serving(source, Behaviour(html_for_missing=True)) as url:
        result = copy_store(url, tmp_path / "dest")
    assert "no FITS header" in result.failed["data/run_020002.fits.gz"]
    assert len(index_runs(tmp_path / "dest")) == 8


def test_listing_of_a_remote_store(source: Path) -> None:
    with serving(source) as url:
        info = list_store(url).datasets[0]
    assert (info.observations, info.counted, info.size_bytes) == (9, False, None)
    assert info.events == sum(10 + i % 7 for i in range(9))


def test_nothing_answers(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        copy_store("http://127.0.0.1:9/", tmp_path / "dest")
    with pytest.raises(StoreError, match="gopher9"):
        copy_store("gopher9://somewhere/x", tmp_path / "dest")


def test_latency_is_hidden(tmp_path: Path) -> None:
    """By asking for many files at once; ``python -m benchmarks.stores --only http`` measures it."""
    make_store(tmp_path / "source", 60)
    slow = Behaviour(latency=0.1)
    with serving(tmp_path / "source", slow) as url:
        assert copy_store(url, tmp_path / "dest").complete
    assert slow.most_at_once >= 5
    assert tree(tmp_path / "dest") == tree(tmp_path / "source")


def test_file_url_and_other_fsspec(source: Path, tmp_path: Path) -> None:
    assert copy_store(f"file://{source}", tmp_path / "dest").complete
    assert tree(tmp_path / "dest") == tree(source)
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(source), "/store9", recursive=True)
    assert copy_store("memory://store9", tmp_path / "other").complete
    assert tree(tmp_path / "other") == tree(source)
    assert copy_store("memory://store9", tmp_path / "other").copied == 0


def test_password_is_not_shown() -> None:
    assert "secret" not in without_password("sftp://me:secret@host:22/x")
    assert without_password("https://host/x") == "https://host/x"
    assert "secret" not in open_source("https://me:secret@host/x")[0].name


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    asyncssh = pytest.importorskip("asyncssh", reason="needs daybreak[sftp]")
    pytest.importorskip("sshfs", reason="needs daybreak[sftp]")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("host", "user", "stranger"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
    return folder


def known_hosts(keys: Path, port: int, name: str = "host") -> str:
    path = keys / f"known_hosts_{name}_{port}"
    path.write_text(f"[127.0.0.1]:{port} {(keys / f'{name}.pub').read_text()}")
    return str(path)


@pytest.fixture
def sftp_port(keys: Path) -> Iterator[int]:
    """An asyncssh server in a thread of its own."""
    import asyncio
    import threading

    import asyncssh

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[str(keys / "host")],
            authorized_client_keys=str(keys / "user.pub"),
            sftp_factory=True,
        )

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    yield server.get_port()

    async def end() -> None:
        server.close()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def sftp_options(keys: Path, port: int, host: str = "host") -> dict[str, object]:
    return {
        "known_hosts": known_hosts(keys, port, host),
        "client_keys": [str(keys / "user")],
        "username": "someone",
    }


def test_sftp(source: Path, tmp_path: Path, keys: Path, sftp_port: int) -> None:
    url = f"sftp://127.0.0.1:{sftp_port}{source}"
    options = sftp_options(keys, sftp_port)
    assert copy_store(url, tmp_path / "dest", options=options).complete
    assert tree(tmp_path / "dest") == tree(source)
    assert copy_store(url, tmp_path / "dest", options=options).copied == 0
    (source / "data/run_020001.fits.gz").unlink()
    result = copy_store(url, tmp_path / "other", options=options)
    assert result.failed == {"data/run_020001.fits.gz": "not there"}


def test_sftp_with_another_host_key_is_refused(
    source: Path, tmp_path: Path, keys: Path, sftp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    url = f"sftp://127.0.0.1:{sftp_port}{source}"
    options = sftp_options(keys, sftp_port, "stranger")
    with pytest.raises(StoreError, match="can't reach"):
        copy_store(url, tmp_path / "dest", options=options)
    del options["known_hosts"]  # the user's own file, which knows nobody
    with pytest.raises(StoreError, match="can't reach"):
        copy_store(url, tmp_path / "dest", options=options)


def _sshd() -> str | None:
    return os.environ.get("DAYBREAK_TEST_SSHD") or shutil.which(
        "sshd", path=os.environ.get("PATH", "") + ":/usr/sbin"
    )


@pytest.fixture
def run_sshd() -> Iterator[None]:
    """The folder that Debian's sshd insists on, as its init script makes it."""
    folder = Path("/run/sshd")
    if folder.is_dir() or os.geteuid() != 0:
        yield
        return
    folder.mkdir(mode=0o755)
    yield
    folder.rmdir()


@pytest.mark.skipif(_sshd() is None, reason="no sshd on this host (Debian: openssh-server)")
@pytest.mark.usefixtures("run_sshd")
def test_sftp_from_openssh(source: Path, tmp_path: Path, keys: Path) -> None:
    import socket

    program = str(_sshd())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys / 'host'}\nStrictModes no\n"
        f"AuthorizedKeysFile {keys / 'user.pub'}\nPidFile {tmp_path / 'pid'}\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    (keys / "host").chmod(0o600)
    server = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE)
    try:
        options = sftp_options(keys, port) | {"username": os.environ.get("USER", "root")}
        for attempt in range(50):
            try:
                result = copy_store(
                    f"sftp://127.0.0.1:{port}{source}", tmp_path / "dest", options=options
                )
                break
            except StoreError:
                if attempt == 49 or server.poll() is not None:
                    raise
                time.sleep(0.1)
        assert result.complete
        assert tree(tmp_path / "dest") == tree(source)
    finally:
        server.terminate()
        server.wait(10)
