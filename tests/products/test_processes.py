"""Who lives: ourselves, the dead, zombies, and processes of other users."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daybreak.engine.pools import driver_watch as lifeline
from daybreak.products.processes import alive

# as somebody who may not send signals to the process that is asked about
_AS_ANOTHER_USER = """
import os, sys
from daybreak.products.processes import alive
if os.getuid() == 0:
    os.setuid(65534)
pid = int(sys.argv[1])
try:
    os.kill(pid, 0)
    print("allowed", end=" ")
except PermissionError:
    print("forbidden", end=" ")
print("alive" if alive(pid) else "dead")
"""


@contextmanager
def _zombie() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


def _ask_as_another_user(pid: int) -> str:
    command = [sys.executable, "-c", _AS_ANOTHER_USER, str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_we_live_and_so_does_a_child_until_it_is_reaped():
    assert alive(os.getpid())
    with subprocess.Popen(["sleep", "60"]) as process:
        assert alive(process.pid)
        process.kill()
        process.wait()
        assert not alive(process.pid)


def test_a_zombie_is_dead():
    with _zombie() as pid:
        os.kill(pid, 0)  # to the kernel it is still there
        assert not alive(pid)


def test_a_process_of_another_user_lives():
    assert _ask_as_another_user(1) == "forbidden alive"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask as another user")
def test_a_zombie_of_another_user_is_dead():
    with _zombie() as pid:
        assert _ask_as_another_user(pid) == "forbidden dead"


@pytest.mark.parametrize("pid", [0, -1, 2**31, 10**30])
def test_what_is_no_process_id_is_dead(pid):
    assert not alive(pid)


def test_a_process_without_proc_is_taken_for_alive(monkeypatch):
    def absent(*_args, **_kwargs):
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.read_text", absent)
    assert alive(os.getpid())


def test_waiting_without_pidfd_ends_with_a_zombie(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.setattr(lifeline.time, "sleep", lambda _s: pytest.fail("a zombie was waited for"))
    with _zombie() as pid:
        lifeline.wait_for_end(pid)


def test_one_that_the_kernel_takes_down_is_dead():
    """Killed, its memory not yet given back: no code of it runs, though it is no zombie yet."""
    code = "b = bytearray(500_000_000)\nb[::4096] = b'1' * len(b[::4096])\ninput(print('up'))"
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-u", "-c", code], **options) as process:
        assert process.stdout.readline()
        assert alive(process.pid)
        process.kill()
        seen, state = [], ""
        while state != "Z":
            try:
                gone = not Path(f"/proc/{process.pid}/environ").read_bytes()
            except OSError:
                gone = True
            state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
            if gone:
                seen.append(alive(process.pid))
    assert seen and not any(seen)
