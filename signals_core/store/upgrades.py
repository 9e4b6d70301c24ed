"""How the tables of an older version become those of the next: never changed once released."""

from __future__ import annotations

from collections.abc import Mapping

# A reading no longer has a hash of what it says; a query no longer has the times of one window
# (they are lines of their own, the first `window_start = `, behind the text). How many bytes a
# dead letter has is not known here: it is taken to be the mean of its chunk.
_TO_2 = """
ALTER TABLE collector RENAME TO collector_1;
CREATE TABLE collector (
    number    INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    version   INTEGER,
    last_run  INTEGER,
    last_read INTEGER
);
INSERT INTO collector (number, id, version, last_run, last_read)
SELECT number, id, version, last_run, (
    SELECT max(run.id) FROM run
    WHERE run.collector = number AND outcome IN ('read', 'unchanged'))
FROM collector_1;
DROP TABLE collector_1;

DROP INDEX reading_of_bucket;
ALTER TABLE run RENAME TO run_1;
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
INSERT INTO run SELECT id, collector, previous, name, origin, started, window_start, window_end,
    rows, metrics, milliseconds, outcome, reason, query, version FROM run_1;
DROP TABLE run_1;
CREATE INDEX reading_of_bucket ON run (collector, window_start, window_end)
    WHERE version IS NOT NULL AND window_start IS NOT NULL;

UPDATE query SET text = substr(text, 1, instr(text, char(10) || 'window_start = ') - 1)
WHERE instr(text, char(10) || 'window_start = ');

ALTER TABLE sink RENAME TO sink_1;
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
INSERT INTO sink SELECT number, name, configured, metrics, bytes, ifnull((
    SELECT sum(length(lines) / (last - first))
    FROM dead JOIN chunk ON chunk.id >= reading << 16 AND chunk.id < (reading + 1) << 16
        AND position >= first AND position < last
    WHERE dead.sink = number), 0), suspended_since, failing_since, reason FROM sink_1;
DROP TABLE sink_1;
"""

_TO_3 = """
CREATE TABLE pause (
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    reason TEXT,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE configuration (
    read_at   INTEGER NOT NULL,
    taken     INTEGER NOT NULL,
    kept_back TEXT NOT NULL,
    problems  TEXT NOT NULL
);
"""

# Who was left out is not known of what was read before: the next start says it.
_TO_4 = """
ALTER TABLE configuration RENAME TO configuration_3;
CREATE TABLE configuration (
    read_at   INTEGER NOT NULL,
    taken     INTEGER NOT NULL,
    kept_back TEXT NOT NULL,
    problems  TEXT NOT NULL,
    left_out  TEXT NOT NULL
);
INSERT INTO configuration SELECT read_at, taken, kept_back, problems, '[]' FROM configuration_3;
DROP TABLE configuration_3;
"""

#: From each version the statements that lead to the next.
UPGRADES: Mapping[int, str] = {1: _TO_2, 2: _TO_3, 3: _TO_4}
