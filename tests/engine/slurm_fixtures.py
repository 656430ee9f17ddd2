"""The throw-away Slurm as fixtures: import ``slurm`` and ``slurm_accounting`` where needed.

Each is started once per test process, whichever files ask for it, and ended with it.
"""

from __future__ import annotations

import pytest
from slurm_server import Slurm, missing

_servers: dict[bool, Slurm] = {}


def _server(request, monkeypatch, accounting: bool):
    if why := missing(accounting):
        pytest.skip(f"no Slurm: {why}")
    if accounting not in _servers:
        server = Slurm(accounting)
        server.start()
        _servers[accounting] = server
        request.config.add_cleanup(server.stop)
    server = _servers[accounting]
    for key in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(key, server.environment[key])
    server.clear()
    server.wait_for_nodes()
    return server


@pytest.fixture()
def slurm(request, monkeypatch):
    """A Slurm without accounting: takes any account."""
    server = _server(request, monkeypatch, accounting=False)
    yield server
    server.clear()


@pytest.fixture()
def slurm_accounting(request, monkeypatch):
    """A Slurm with accounting: knows the account foa only."""
    server = _server(request, monkeypatch, accounting=True)
    yield server
    server.clear()
