"""Web servers on the loopback that are slow, break off, truncate and flip bits."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Behaviour:
    """What goes wrong, with which probability."""

    latency: float = 0.0
    drop: float = 0.0  # the connection breaks in the middle of the body
    refuse: float = 0.0  # HTTP 503
    truncate: float = 0.0  # a short body with a Content-Length that fits it
    flip: float = 0.0  # one bit is wrong
    no_length: bool = False
    encoding: str = ""  # a Content-Encoding, as misconfigured servers send for .gz
    html_for_missing: bool = False  # a page with status 200, as login portals send
    only: str = ""  # only for paths that contain this
    seed: int = 1
    requests: list[tuple[str, str]] = field(default_factory=list)
    at_once: int = 0  # requests that are being answered
    most_at_once: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_args: object) -> None:
        pass

    def _find(self) -> Path | None:
        path = self.server.root / unquote(urlsplit(self.path).path).lstrip("/")
        return path if path.is_file() else None

    def _page(self, status: int, text: bytes = b"no") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
        self.wfile.flush()

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        how = self.server.behaviour
        with self.server.mutex:
            how.requests.append((self.command, self.path))
            dice = [self.server.random.random() for _ in range(5)]
            how.at_once += 1
            how.most_at_once = max(how.most_at_once, how.at_once)
        time.sleep(how.latency)
        with self.server.mutex:
            how.at_once -= 1
        path = self._find()
        if path is None:
            if how.html_for_missing:
                return self._page(200, b"<html>please log in</html>")
            return self._page(404)
        faulty = how.only in self.path
        if faulty and dice[0] < how.refuse:
            return self._page(503)
        data = path.read_bytes()
        if faulty and dice[1] < how.truncate:
            data = data[: int(len(data) * dice[4])]
        if faulty and data and dice[2] < how.flip:
            at = int(len(data) * dice[4])
            data = data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]
        self.send_response(200)
        if not how.no_length:
            self.send_header("Content-Length", str(len(data)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        if how.encoding:
            self.send_header("Content-Encoding", how.encoding)
        self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.end_headers()
        if self.command == "HEAD":
            return None
        if faulty and dice[3] < how.drop:
            self.wfile.write(data[: int(len(data) * dice[4])])
            self.wfile.flush()
            self.close_connection = True
            return None
        self.wfile.write(data)
        self.wfile.flush()
        return None


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, root: Path, behaviour: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root, self.behaviour = root, behaviour
        self.random, self.mutex = random.Random(behaviour.seed), threading.Lock()

    def handle_error(self, *_args: object) -> None:
        pass


@contextlib.contextmanager
def serving(root: Path, behaviour: Behaviour | None = None) -> Iterator[str]:
    """URL of a server for a folder, for as long as the context lasts."""
    server = FaultyServer(root, behaviour or Behaviour())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def sequential_copy(url: str, paths: list[str], dest: Path) -> float:
    """As csiactcopy works on a mounted remote, one file after the other; how long it took (s)."""
    import requests

    started = time.perf_counter()
    session = requests.Session()
    for path in paths:
        target = dest / path
        target.parent.mkdir(parents=True, exist_ok=True)
        session.head(f"{url}/{path}")
        target.write_bytes(session.get(f"{url}/{path}").content)
    return time.perf_counter() - started
