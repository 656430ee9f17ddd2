"""Stores that are read over the network: web servers, sftp, and whatever fsspec opens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from daybreak.errors import StoreError
from daybreak.stores.source import (
    CHUNK,
    MissingSourceError,
    OnStat,
    Stat,
    StoreSource,
    TransientError,
)


class HttpSource(StoreSource):
    """A web server, through one kept-alive connection per thread.

    Parameters
    ----------
    url
        Of the store's folder.
    timeout_s
        Seconds without a byte after which a transfer has broken off.
    """

    workers = 16

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        self.url = url.split("?", 1)[0].split("#", 1)[0].rstrip("/")
        self.name = without_password(self.url)
        self.timeout_s = timeout_s
        self._local = threading.local()

    def _session(self) -> Any:
        session = getattr(self._local, "session", None)
        if session is None:
            import requests

            session = self._local.session = requests.Session()
            session.headers["Accept-Encoding"] = "identity"  # the files' own bytes
        return session

    def _ask(self, method: str, path: str) -> Any:
        import requests

        try:
            answer = self._session().request(
                method,
                f"{self.url}/{quote(path)}",
                stream=True,
                timeout=(10, self.timeout_s),
                allow_redirects=True,
            )
        except (requests.RequestException, OSError) as error:
            raise TransientError(f"{type(error).__name__}") from None
        if answer.status_code in {408, 425, 429} or answer.status_code >= 500:
            answer.close()
            raise TransientError(f"HTTP {answer.status_code}")
        if answer.status_code != 200:
            answer.close()
            raise MissingSourceError(f"HTTP {answer.status_code} {answer.reason}")
        return answer

    def stat(self, path: str) -> Stat | None:
        """See `StoreSource`."""
        for attempt in (1, 2, 3):
            try:
                answer = self._ask("HEAD", path)
            except MissingSourceError:
                return None
            except TransientError:
                if attempt == 3:
                    return None
                continue
            answer.close()
            return _http_stat(answer.headers)
        return None

    def chunks(self, path: str, on_stat: OnStat = None) -> Iterator[bytes]:
        """See `StoreSource`."""
        import urllib3

        import requests

        answer = self._ask("GET", path)
        stat = _http_stat(answer.headers)
        if on_stat is not None:
            on_stat(stat)
        seen = 0
        try:
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                seen += len(chunk)
                yield chunk
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            raise TransientError(f"{type(error).__name__} after {seen} bytes") from None
        finally:
            answer.close()
        if stat.size is not None and seen != stat.size:
            raise TransientError(f"{seen} bytes came instead of {stat.size}")


def _http_stat(headers: Mapping[str, str]) -> Stat:
    from email.utils import parsedate_to_datetime

    size, when = headers.get("Content-Length", ""), headers.get("Last-Modified")
    mtime = None
    if when:
        try:
            mtime = int(parsedate_to_datetime(when).timestamp()) * 1_000_000_000
        except (TypeError, ValueError, OverflowError):
            mtime = None
    return Stat(int(size) if size.isdigit() else None, mtime, precise=False)


class FsspecSource(StoreSource):
    """Anything else that fsspec opens: ``sftp:``, ``s3:``, ``memory:`` ...

    Parameters
    ----------
    url
        With its protocol.
    options
        Passed to the file system, e.g. ``{"known_hosts": ...}`` for sftp.
    """

    workers = 8

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.name = without_password(url)
        arguments = dict(options or {})
        if url.split("://", 1)[0].lower() in {"sftp", "ssh"}:
            _prefer_asyncssh(self.name)
            # sshfs itself would accept any host key; the empty tuple is asyncssh's own default,
            # the user's known_hosts
            arguments.setdefault("known_hosts", ())
        try:
            import fsspec

            self._fs, base = fsspec.core.url_to_fs(url, **arguments)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"can't open {self.name}: {error}",
                "Known without more: file, http, https; sftp with `pip install daybreak[sftp]`; "
                "others with the package that fsspec names.",
            ) from None
        except Exception as error:
            raise StoreError(
                f"can't reach {self.name}: {_reason(error)}",
                "Check the host, your key or password, and that the host is in known_hosts.",
            ) from None
        self._base = str(base).rstrip("/")

    def stat(self, path: str) -> Stat | None:
        """See `StoreSource`."""
        try:
            info = self._call(lambda: self._fs.info(f"{self._base}/{path}"))
        except (MissingSourceError, TransientError):
            return None
        if info.get("type") == "directory":
            return None
        size = info.get("size")
        return Stat(int(size) if size is not None else None, _mtime(info), precise=False)

    def chunks(self, path: str, on_stat: OnStat = None) -> Iterator[bytes]:
        """See `StoreSource`."""
        options = {"cache_type": "none"} if self._fs.protocol == "memory" else {}
        stream = self._call(lambda: self._fs.open(f"{self._base}/{path}", "rb", **options))
        with stream:
            if on_stat is not None:
                stat = self.stat(path)
                if stat is not None:
                    on_stat(stat)
            while chunk := self._call(lambda: stream.read(CHUNK)):
                yield bytes(chunk)

    def _call(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingSourceError("not there") from None
        except (PermissionError, IsADirectoryError) as error:
            raise MissingSourceError(_reason(error)) from None
        except Exception as error:
            if "no such file" in str(error).lower():
                raise MissingSourceError("not there") from None
            raise TransientError(_reason(error)) from None


def _reason(error: BaseException) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0]}" if text and text[0] else type(error).__name__


def _mtime(info: Mapping[str, Any]) -> int | None:
    for key in ("mtime", "LastModified", "last_modified", "created"):
        value: Any = info.get(key)
        if hasattr(value, "timestamp"):
            value = value.timestamp()
        if isinstance(value, int | float):
            return int(value) * 1_000_000_000
    return None


def _prefer_asyncssh(name: str) -> None:
    """Make sure that sftp goes through asyncssh, which can check the host's key."""
    try:
        import fsspec
        from sshfs import SSHFileSystem
    except ImportError:
        raise StoreError(
            f"can't open {name}: sftp needs the packages sshfs and asyncssh",
            "Install them with `pip install daybreak[sftp]`, or mount the folder and name that.",
        ) from None
    for each in ("sftp", "ssh"):
        fsspec.register_implementation(each, SSHFileSystem, clobber=True)


def without_password(url: str) -> str:
    """The URL as it may be shown: a password in it is replaced by dots.

    Parameters
    ----------
    url
        As the user gave it.

    Returns
    -------
    str
        The same URL if it has no password.
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:...@{host}"))
