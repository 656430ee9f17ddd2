"""The tables of the ledger; a change adds a script, it never edits one that was released."""

from __future__ import annotations

_VERSION_1 = """
CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    origin TEXT NOT NULL,
    requester TEXT NOT NULL,
    spec TEXT NOT NULL,
    engine TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    wanted TEXT NOT NULL DEFAULT '',
    driver_host TEXT NOT NULL DEFAULT '',
    driver_pid INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    updated REAL NOT NULL
);
CREATE TABLE plans (
    request TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    created REAL NOT NULL,
    digest TEXT NOT NULL,
    n_steps INTEGER NOT NULL,
    PRIMARY KEY (request, number)
);
CREATE TABLE steps (
    request TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    plan INTEGER NOT NULL,
    position INTEGER NOT NULL,
    function TEXT NOT NULL,
    label TEXT NOT NULL,
    required INTEGER NOT NULL,
    state TEXT NOT NULL,
    key TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    hint TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    exit_code INTEGER NOT NULL DEFAULT 0,
    kind TEXT NOT NULL DEFAULT '',
    outputs TEXT NOT NULL DEFAULT '{}',
    seconds REAL NOT NULL DEFAULT 0,
    log TEXT NOT NULL DEFAULT '',
    updated REAL NOT NULL,
    PRIMARY KEY (request, name)
);
CREATE INDEX steps_by_key ON steps (name, key);
CREATE TABLE attempts (
    request TEXT NOT NULL,
    step TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    key TEXT NOT NULL,
    pool TEXT NOT NULL,
    memory_mb INTEGER NOT NULL,
    host TEXT NOT NULL DEFAULT '',
    pid INTEGER NOT NULL DEFAULT 0,
    job TEXT NOT NULL DEFAULT '',
    submitted REAL NOT NULL,
    started REAL,
    ended REAL,
    exit_code INTEGER,
    peak_mb REAL,
    kind TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (request, step, number),
    FOREIGN KEY (request, step) REFERENCES steps (request, name) ON DELETE CASCADE
);
CREATE TABLE products (
    path TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    step TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    made REAL NOT NULL
);
CREATE TABLE transitions (
    id INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    step TEXT,
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    time REAL NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX transitions_by_step ON transitions (request, step);
CREATE TABLE digests (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT NOT NULL
)
"""

# what a step was made from without the code, and by which version of Daybreak; plans in stages
_VERSION_2 = """
ALTER TABLE steps ADD COLUMN made_from TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE plans ADD COLUMN stage INTEGER NOT NULL DEFAULT 1
"""

LEDGER = (_VERSION_1, _VERSION_2)

_INBOX_1 = """
CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    instrument TEXT NOT NULL,
    target TEXT NOT NULL,
    origin TEXT NOT NULL,
    requester TEXT NOT NULL,
    spec TEXT NOT NULL,
    engine TEXT NOT NULL,
    priority INTEGER NOT NULL,
    out TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    wanted TEXT NOT NULL DEFAULT '',
    condition TEXT NOT NULL DEFAULT '',
    look_at REAL NOT NULL DEFAULT 0,
    deadline REAL NOT NULL DEFAULT 0,
    driver_host TEXT NOT NULL DEFAULT '',
    driver_pid INTEGER NOT NULL DEFAULT 0,
    driver_born REAL NOT NULL DEFAULT 0,
    heard REAL NOT NULL DEFAULT 0,
    steps TEXT NOT NULL DEFAULT '{}',
    message TEXT NOT NULL DEFAULT '',
    eta_s REAL,
    created REAL NOT NULL,
    updated REAL NOT NULL
);
CREATE INDEX requests_by_state ON requests (state, priority);
CREATE INDEX requests_by_out ON requests (out);
CREATE TABLE transitions (
    id INTEGER PRIMARY KEY,
    request TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    time REAL NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX transitions_by_request ON transitions (request);
CREATE TABLE durations (
    function TEXT PRIMARY KEY,
    samples INTEGER NOT NULL,
    mean_s REAL NOT NULL,
    updated REAL NOT NULL
)
"""

INBOX = (_INBOX_1,)
