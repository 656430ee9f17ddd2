"""Nothing outlives its driver: helpers end when the process that started them is gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from daybreak.errors import EngineError
from daybreak.products.processes import alive

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent of this process dies (Linux only)."""
    parent = os.getppid()
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def wait_for_end(pid: int) -> None:
    """Return when a process of this host has ended.

    Parameters
    ----------
    pid
        Of the process.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (OSError, AttributeError):
        while alive(pid):
            time.sleep(1)
        return
    with os.fdopen(handle) as stream:
        select.select([stream], [], [])


def end_with_driver(pid: int, folder: str) -> None:
    """Kill this process's whole group when the driver is gone, however it went.

    Parameters
    ----------
    pid
        The driver, on this host.
    folder
        The engine's scratch folder, removed as the driver no longer can.
    """
    _own_group()

    def watch() -> None:
        wait_for_end(pid)
        end_group(folder)

    threading.Thread(target=watch, name="driver-watch", daemon=True).start()


def end_group(folder: str) -> NoReturn:
    """Remove a folder and kill this process's whole group, this process included.

    Parameters
    ----------
    folder
        The one to remove; empty: none.
    """
    for _ in range(3):  # others of the group may still write to it
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            break
    os.killpg(0, signal.SIGKILL)
    raise SystemExit(1)


def _own_group() -> None:
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)


class Link:
    """A port at which far processes can see that this one lives: they hold a connection.

    Nothing is ever read from it. When this process ends, however it does, the kernel closes the
    connections, and :func:`end_with_link` at the other end acts within a moment.

    Parameters
    ----------
    ports
        The first and last port to try.
    """

    def __init__(self, ports: tuple[int, int]) -> None:
        self._held: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        start = random.SystemRandom().randint(*ports)
        span = ports[1] - ports[0] + 1
        for offset in range(span):
            self.port = ports[0] + (start - ports[0] + offset) % span
            try:
                self._socket.bind(("", self.port))
                break
            except OSError:
                continue
        else:
            raise EngineError(
                f"none of the ports {ports[0]} to {ports[1]} is free",
                "Set 'ports' in the engine's profile.",
            )
        self._socket.listen(256)
        threading.Thread(target=self._accept, name="link", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._held.append(connection)

    def close(self) -> None:
        """Let go: whoever holds a connection ends."""
        for each in (self._socket, *self._held):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def end_with_link(addresses: str, folder: str) -> None:
    """Kill this process's whole group when the driver at the other end of the link is gone.

    Parameters
    ----------
    addresses
        ``host:port`` of the driver's :class:`Link`, several with commas; empty: no link.
    folder
        Removed at the end.
    """
    _own_group()
    if not addresses:
        return
    link, refused = None, False
    for address in addresses.split(","):
        host, _, port = address.rpartition(":")
        try:
            link = socket.create_connection((host, int(port)), timeout=5)
            break
        except ConnectionRefusedError:
            refused = True
        except OSError:
            continue  # a firewall: the heartbeats have to do
    if link is None:
        if refused:
            shutil.rmtree(folder, ignore_errors=True)
            raise SystemExit("daybreak: the driver of this job has ended")
        return
    link.settimeout(None)
    for option, value in (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10)):
        level = socket.SOL_SOCKET if option.startswith("SO_") else socket.IPPROTO_TCP
        if hasattr(socket, option):
            link.setsockopt(level, getattr(socket, option), value)

    def watch() -> None:
        with contextlib.suppress(OSError):
            while link.recv(1):
                pass
        end_group(folder)

    threading.Thread(target=watch, name="driver-watch", daemon=True).start()


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that everything is put in order at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    old = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back Ctrl-C while the end is written down."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
