"""The tables of the store, how its file comes to be, and how an older one becomes today's.

Times are microseconds since the epoch. What only the store needs to tell apart has a number;
collectors and sinks are known outside by their names.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from signals_core.store.errors import StoreError, damaged, no_locks
from signals_core.store.upgrades import UPGRADES

#: The version of the tables below, kept in the file. A change here is a new number, a step in
#: `upgrades` (which makes a table anew, so that an upgraded file is like a new one), and a file of
#: the old version among the fixtures of the tests.
VERSION = 4

#: Marks the file as ours ("SIGN"), so that no other program's database is taken for a store.
APPLICATION = 0x5349474E

_WHOLE_CHECK_BYTES = 32 << 20
_SMALL_TABLES = ("collector", "coverage", "level", "span", "failure", "sink", "request", "pause")

TABLES = """
-- `version` is the high-water mark: no later reading may have an earlier timestamp. Its last run
-- and the last that succeeded are kept however old they are.
CREATE TABLE collector (
    number    INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    version   INTEGER,
    last_run  INTEGER,
    last_read INTEGER
);

CREATE TABLE coverage (
    number    INTEGER PRIMARY KEY,
    collector INTEGER NOT NULL,
    grain     TEXT NOT NULL,
    zone      TEXT NOT NULL,
    start     INTEGER NOT NULL,
    UNIQUE (collector, grain, zone)
);
CREATE TABLE level (
    coverage INTEGER NOT NULL,
    delay    INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (coverage, delay)
) WITHOUT ROWID;
-- Merged intervals: `kind` is covered, skipped or level (then with the level's delay).
CREATE TABLE span (
    coverage INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    delay    INTEGER NOT NULL,
    start    INTEGER NOT NULL,
    end      INTEGER NOT NULL,
    PRIMARY KEY (coverage, kind, delay, start)
) WITHOUT ROWID;
CREATE TABLE failure (
    coverage    INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    end         INTEGER NOT NULL,
    local_start INTEGER NOT NULL,
    local_end   INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    retry_at    INTEGER NOT NULL,
    PRIMARY KEY (coverage, start)
) WITHOUT ROWID;

-- A run that kept what it saw is a reading: it has a `version`. `previous` is the collector's run
-- before: a chain costs a commit less than an index. `name` is NULL where it is the collector's id;
-- `query` is the number of a query.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    collector    INTEGER NOT NULL,
    previous     INTEGER,
    name         TEXT,
    origin       TEXT NOT NULL,
    started      INTEGER NOT NULL,
    window_start INTEGER,
    window_end   INTEGER,
    rows         INTEGER NOT NULL,
    metrics      INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL,
    outcome      TEXT NOT NULL,
    reason       TEXT,
    query        INTEGER,
    version      INTEGER
);
CREATE INDEX reading_of_bucket ON run (collector, window_start, window_end)
    WHERE version IS NOT NULL AND window_start IS NOT NULL;
-- The same text is kept once; its number is taken from its hash.
CREATE TABLE query (
    number    INTEGER PRIMARY KEY,
    last_used INTEGER NOT NULL,
    text      TEXT NOT NULL
);

-- Metrics [first, last) of a reading as JSON lines; `id` is the reading's number and a count.
CREATE TABLE chunk (
    id    INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    lines BLOB NOT NULL
);

-- `metrics` and `bytes` sum up what is pending, `dead_bytes` the dead letters.
CREATE TABLE sink (
    number          INTEGER PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    configured      INTEGER NOT NULL DEFAULT 1,
    metrics         INTEGER NOT NULL DEFAULT 0,
    bytes           INTEGER NOT NULL DEFAULT 0,
    dead_bytes      INTEGER NOT NULL DEFAULT 0,
    suspended_since INTEGER,
    failing_since   INTEGER,
    reason          TEXT
);
-- Metrics [first, last) of a reading that a sink has not acknowledged.
CREATE TABLE pending (
    sink    INTEGER NOT NULL,
    reading INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    PRIMARY KEY (sink, reading, first)
) WITHOUT ROWID;
CREATE TABLE dead (
    sink     INTEGER NOT NULL,
    reading  INTEGER NOT NULL,
    position INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (sink, reading, position)
) WITHOUT ROWID;
-- When a sink last acknowledged something of a reading.
CREATE TABLE delivery (
    reading INTEGER NOT NULL,
    sink    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (reading, sink)
) WITHOUT ROWID;
-- Readings that were not kept for a sink.
CREATE TABLE dropped (
    run     INTEGER NOT NULL,
    sink    INTEGER NOT NULL,
    metrics INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (run, sink)
) WITHOUT ROWID;

CREATE TABLE request (
    id        INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL,
    arguments TEXT NOT NULL,
    made      INTEGER NOT NULL,
    outcome   TEXT,
    progress  TEXT,
    finished  INTEGER
);

-- What is not read until then, or until someone says so: `kind` is collector or source.
CREATE TABLE pause (
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    reason TEXT,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
-- One row: how the configuration was read last. What may be several is a list in JSON.
CREATE TABLE configuration (
    read_at   INTEGER NOT NULL,
    taken     INTEGER NOT NULL,
    kept_back TEXT NOT NULL,
    problems  TEXT NOT NULL,
    left_out  TEXT NOT NULL
);
"""


def create(path: Path) -> None:
    """Make an empty store at `path`, which appears there whole or not at all."""
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, Path(f"{unfinished}-wal"), Path(f"{unfinished}-shm")):
        leftover.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(unfinished, isolation_level=None)
    try:
        # Before the first table, or the file never shrinks.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise no_locks(path)
        connection.executescript(
            f"BEGIN;{TABLES};"
            f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
        )
    finally:
        connection.close()
    put_in_place(unfinished, path)


def put_in_place(unfinished: Path, path: Path) -> None:
    """Rename a file that is complete, durably."""
    file = os.open(unfinished, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def refuse_strangers(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a store. Raises `StoreError` for what is none, and for newer ones."""
    if not path.stat().st_size:
        raise damaged(path, "it is empty")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise StoreError(
            f"{path} is a database of another program "
            "(name another state directory with --state-dir)"
        )
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer signals: its schema is {version}, this one knows up "
            f"to {VERSION} (upgrade signals, or put back the copy made before the upgrade)"
        )
    return int(version)


def refuse_damage(
    connection: sqlite3.Connection, path: Path, whole_bytes: int = _WHOLE_CHECK_BYTES
) -> None:
    """Raise `StoreError` where the structure of the file is broken.

    A file larger than `whole_bytes` would take long to read at every start: its small tables are
    checked, which decide what windows are read.
    """
    if path.stat().st_size <= whole_bytes:
        checks = ["PRAGMA quick_check(1)"]
    else:
        checks = [f"PRAGMA quick_check({table})" for table in _SMALL_TABLES]
    for check in checks:
        (found,) = connection.execute(check).fetchone()
        if found != "ok":
            raise damaged(path, " ".join(found.split()))


def upgrade(
    connection: sqlite3.Connection,
    path: Path,
    version: int,
    steps: Mapping[int, str] = UPGRADES,
    target: int = VERSION,
) -> None:
    """Bring a store of an older version to `target`: a backup first, then one transaction."""
    if version == target:
        return
    _back_up(connection, path.with_name(f"{path.name}.version-{version}"))
    script = ";".join(steps[each] for each in range(version, target))
    try:
        connection.executescript(f"BEGIN IMMEDIATE;{script};PRAGMA user_version = {target};COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    copy = sqlite3.connect(unfinished)
    try:
        connection.backup(copy)
        # Without a log of its own the copy is one file.
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()
    put_in_place(unfinished, path)
