"""Coverage as merged intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from sqlite3 import IntegrityError
from typing import Any, NamedTuple

from signals_core.coverage import Coverage, Intervals, Level, Span
from signals_core.retries import Failure
from signals_core.store.collectors import collector_row
from signals_core.store.database import Connection, Database
from signals_core.store.records import CoverageKey, micros, moment
from signals_core.window import Window

_MICROSECOND = timedelta(microseconds=1)

_Row = tuple[Any, ...]


class _Table(NamedTuple):
    """How the rows of a table are read, added and taken away."""

    select: str
    insert: str
    delete: str

    @property
    def all(self) -> str:
        """How those of all coverages are read; each begins with the number of its coverage."""
        return self.select.replace("SELECT ", "SELECT coverage, ").replace("WHERE coverage = ?", "")


_SPANS = _Table(
    "SELECT kind, delay, start, end FROM span WHERE coverage = ? ORDER BY kind, delay, start",
    "INSERT INTO span (coverage, kind, delay, start, end) VALUES (?, ?, ?, ?, ?)",
    "DELETE FROM span WHERE coverage = ? AND kind = ? AND delay = ? AND start = ? AND end = ?",
)
_LEVELS = _Table(
    "SELECT delay, since FROM level WHERE coverage = ? ORDER BY delay",
    "INSERT INTO level (coverage, delay, since) VALUES (?, ?, ?)",
    "DELETE FROM level WHERE coverage = ? AND delay = ? AND since = ?",
)
_FAILURES = _Table(
    "SELECT start, end, local_start, local_end, reason, attempts, retry_at FROM failure"
    " WHERE coverage = ? ORDER BY start",
    "INSERT INTO failure"
    " (coverage, start, end, local_start, local_end, reason, attempts, retry_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "DELETE FROM failure"
    " WHERE coverage = ? AND start = ? AND end = ? AND local_start = ? AND local_end = ?"
    " AND reason = ? AND attempts = ? AND retry_at = ?",
)


class Coverages:
    """The part of the store that knows which windows have been read."""

    _database: Database

    def coverage(self, key: CoverageKey) -> Coverage | None:
        """Return what is known of a collector's windows; None before its first sight."""
        with self._database.snapshot() as connection:
            found = _find(connection, key)
            if found is None:
                return None
            number, start = found
            spans, levels, failures = (
                connection.execute(table.select, (number,)).fetchall()
                for table in (_SPANS, _LEVELS, _FAILURES)
            )
        return _assemble(moment(start), spans, levels, failures)

    def coverages(self) -> dict[CoverageKey, Coverage]:
        """Return what is known of the windows of all collectors, in a few statements."""
        with self._database.snapshot() as connection:
            found = connection.execute(
                """
                SELECT coverage.number, coverage.start, collector.id, grain, zone
                FROM coverage JOIN collector ON collector.number = coverage.collector
                """
            ).fetchall()
            spans, levels, failures = (
                _by_coverage(connection.execute(table.all))
                for table in (_SPANS, _LEVELS, _FAILURES)
            )
        return {
            (id_, grain, zone): _assemble(
                moment(start), *(rows.get(number, []) for rows in (spans, levels, failures))
            )
            for number, start, id_, grain, zone in found
        }

    def save_coverage(self, key: CoverageKey, before: Coverage | None, after: Coverage) -> None:
        """Store what changed between two coverages.

        Raises `ValueError` where what changed is not as it was `before`.
        """
        with self._database.transaction() as connection:
            save(connection, key, before, after)


def save(
    connection: Connection, key: CoverageKey, before: Coverage | None, after: Coverage
) -> None:
    """Write what changed between two coverages, within a transaction."""
    found = _find(connection, key)
    if (found is None) != (before is None) or (
        found and before and found[1] != micros(before.start)
    ):
        raise _stale(key)
    number = found[0] if found else _add(connection, key, after)
    if before and before.start != after.start:
        connection.execute(
            "UPDATE coverage SET start = ? WHERE number = ?", (micros(after.start), number)
        )
    try:
        _write(connection, _SPANS, number, *_changed_spans(before, after))
        _write(connection, _LEVELS, number, _levels(before), _levels(after))
        _write(connection, _FAILURES, number, *_changed_failures(before, after))
    except (LookupError, IntegrityError):
        raise _stale(key) from None


def _by_coverage(rows: Iterable[_Row]) -> dict[int, list[_Row]]:
    found: dict[int, list[_Row]] = {}
    for number, *row in rows:
        found.setdefault(number, []).append(tuple(row))
    return found


def _find(connection: Connection, key: CoverageKey) -> tuple[int, int] | None:
    row = connection.execute(
        """
        SELECT coverage.number, coverage.start
        FROM coverage JOIN collector ON collector.number = coverage.collector
        WHERE collector.id = ? AND grain = ? AND zone = ?
        """,
        key,
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _add(connection: Connection, key: CoverageKey, coverage: Coverage) -> int:
    collector, grain, zone = key
    cursor = connection.execute(
        "INSERT INTO coverage (collector, grain, zone, start) VALUES (?, ?, ?, ?)",
        (collector_row(connection, collector).number, grain, zone, micros(coverage.start)),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _write(
    connection: Connection, table: _Table, number: int, before: set[_Row], after: set[_Row]
) -> None:
    """Turn rows into others. Raises `LookupError` where those before are not there."""
    gone = [(number, *row) for row in before - after]
    if gone and connection.executemany(table.delete, gone).rowcount != len(gone):
        raise LookupError
    if new := [(number, *row) for row in after - before]:
        connection.executemany(table.insert, new)


def _stale(key: CoverageKey) -> ValueError:
    return ValueError(f"the coverage of {key[0]} is not what is stored: read it again")


def _changed_spans(before: Coverage | None, after: Coverage) -> tuple[set[_Row], set[_Row]]:
    """Return the rows of the intervals that only one of two coverages has.

    There may be many intervals and few that changed: those alone are made into rows.
    """
    old, new = _interval_sets(before), _interval_sets(after)
    gone, come = set(), set()
    for name in old.keys() | new.keys():
        earlier, later = (set(sets.get(name, Intervals()).spans) for sets in (old, new))
        gone |= {(*name, micros(start), micros(end)) for start, end in earlier - later}
        come |= {(*name, micros(start), micros(end)) for start, end in later - earlier}
    return gone, come


def _interval_sets(coverage: Coverage | None) -> dict[tuple[str, int], Intervals]:
    if coverage is None:
        return {}
    return {
        ("covered", 0): coverage.covered,
        ("skipped", 0): coverage.skipped,
        **{
            ("level", delay // _MICROSECOND): level.covered
            for delay, level in coverage.levels.items()
        },
    }


def _levels(coverage: Coverage | None) -> set[_Row]:
    levels = coverage.levels if coverage else {}
    return {(delay // _MICROSECOND, micros(level.since)) for delay, level in levels.items()}


def _changed_failures(before: Coverage | None, after: Coverage) -> tuple[set[_Row], set[_Row]]:
    old, new = before.failures if before else {}, after.failures
    return (
        {_failure_row(each) for start, each in old.items() if new.get(start) != each},
        {_failure_row(each) for start, each in new.items() if old.get(start) != each},
    )


def _failure_row(failure: Failure) -> _Row:
    return (
        micros(failure.window.start),
        micros(failure.window.end),
        _local_micros(failure.window.local_start),
        _local_micros(failure.window.local_end),
        failure.reason,
        failure.attempts,
        micros(failure.retry_at),
    )


def _assemble(
    start: datetime, spans: list[_Row], levels: list[_Row], failures: list[_Row]
) -> Coverage:
    sets: dict[tuple[str, int], list[Span]] = {}
    for kind, delay, first, end in spans:
        sets.setdefault((kind, delay), []).append((moment(first), moment(end)))

    def covered(kind: str, delay: int = 0) -> Intervals:
        return Intervals(tuple(sets.get((kind, delay), ())))

    return Coverage(
        start=start,
        covered=covered("covered"),
        skipped=covered("skipped"),
        levels={
            delay * _MICROSECOND: Level(moment(since), covered("level", delay))
            for delay, since in levels
        },
        failures={each.window.start: each for each in _read_failures(failures)},
    )


def _read_failures(rows: list[_Row]) -> Iterator[Failure]:
    for start, end, local_start, local_end, reason, attempts, retry_at in rows:
        window = Window(
            moment(start),
            moment(end),
            local_start=_local_moment(local_start),
            local_end=_local_moment(local_end),
        )
        yield Failure(window, reason, attempts, moment(retry_at))


def _local_micros(moment_without_zone: datetime) -> int:
    return micros(moment_without_zone.replace(tzinfo=UTC))


def _local_moment(microseconds: int) -> datetime:
    return moment(microseconds).replace(tzinfo=None)
